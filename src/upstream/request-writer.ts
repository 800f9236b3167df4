import type { Socket } from 'node:net'
import type { Call } from './call.ts'
import { RequestBody, writeChunk } from './request-body.ts'
import type { UpstreamRequest } from './sender.ts'

/** What a request tells while it is written. */
export interface WriterEvents {
  /** Bytes of the body left. */
  readonly onMoved: () => void
  /** The body broke off, or is not what was announced. */
  readonly onBroken: (call: Call, error: Error) => void
}

/** Writes requests to the socket of a connection, one after the other. */
export class RequestWriter {
  readonly #socket: Socket
  readonly #events: WriterEvents
  #body: RequestBody | undefined
  #sent = true
  /** What was written waits for the end of the turn. */
  #corked = false

  constructor (socket: Socket, events: WriterEvents) {
    this.#socket = socket
    this.#events = events
  }

  /** Whether the last request is written as far as it depends on us. */
  get sent (): boolean {
    return this.#sent
  }

  /** Whether no byte of the request is on its way. */
  get waiting (): boolean {
    return this.#corked || this.#body?.begun === false
  }

  /** Whether no byte of a request is on its way, and all of it is still at hand. */
  isAtHand ({ body }: UpstreamRequest): boolean {
    return body === null || Buffer.isBuffer(body) ? this.#corked : this.#body?.begun === false
  }

  /** Writes the request of a call; a body that streams follows as it comes. */
  write (call: Call): void {
    const { body, length } = call.request
    this.#sent = true
    if (body !== null && !Buffer.isBuffer(body)) {
      this.#stream(call, body, length)
      return
    }
    this.#cork()
    this.#socket.write(call.head, 'latin1')
    if (body !== null && length === undefined) this.#writeChunked(body)
    else if (body !== null) this.#socket.write(body)
  }

  /** The socket takes more. */
  resume (): void {
    this.#body?.resume()
  }

  /** Nobody wants the rest of the body. */
  stop (): void {
    this.#body?.stop()
    this.#body = undefined
  }

  /** Leaves the body to another connection; only while the request is at hand. */
  leave (): void {
    this.#body?.leave()
    this.#body = undefined
  }

  /**
   * Lets what is written leave in one write, along with that of other requests of this turn of the event loop: to wake the other
   * side up for each of them costs more than all that is done for a request here.
   */
  #cork (): void {
    this.#corked = true
    this.#socket.cork()
    setImmediate(this.#uncork)
  }

  readonly #uncork = (): void => {
    this.#corked = false
    this.#socket.uncork()
  }

  #stream (call: Call, source: Exclude<UpstreamRequest['body'], Buffer | null>, length: number | undefined): void {
    this.#sent = false
    this.#body = new RequestBody(call.head, source, this.#socket, length, {
      onBegin: () => { this.#cork() },
      onMoved: this.#events.onMoved,
      onSent: () => {
        this.#sent = true
        this.#body = undefined
      },
      onBroken: (error) => { this.#events.onBroken(call, error) }
    })
  }

  #writeChunked (body: Buffer): void {
    if (body.length > 0) writeChunk(this.#socket, body)
    this.#socket.write('0\r\n\r\n', 'latin1')
  }
}
