import type { Socket } from 'node:net'
import { ProxyError } from '../errors.ts'
import type { BodySource } from '../http/body-source.ts'

/** What happens to a body while it is sent. */
export interface BodyEvents {
  /** The first bytes are about to be written. */
  readonly onBegin: () => void
  /** Something left. */
  readonly onMoved: () => void
  /** All of it was written. */
  readonly onSent: () => void
  /** It broke off, or is not what was announced: the upstream must see a broken request. */
  readonly onBroken: (error: Error) => void
}

/** A request body that streams to a socket, by its announced length or in chunks, as fast as the socket takes it. */
export class RequestBody {
  readonly #source: BodySource
  readonly #socket: Socket
  readonly #length: number | undefined
  readonly #events: BodyEvents
  #bytes = 0
  /** The head, until it is written. */
  #head: string

  /**
   * @param head written along with the first bytes of the body: nothing leaves of a request that turns out to be malformed there
   * @param length how many bytes were announced; undefined: chunks
   */
  constructor (head: string, source: BodySource, socket: Socket, length: number | undefined, events: BodyEvents) {
    this.#head = head
    this.#source = source
    this.#socket = socket
    this.#length = length
    this.#events = events
    source.on('data', this.#write).on('end', this.#end).on('error', this.#break).on('close', this.#break)
    // A body that another connection has left emits nothing by itself, not even that it broke off meanwhile.
    if (source.destroyed) process.nextTick(this.#break, source.errored)
    else source.resume()
  }

  /** Whether anything of the request was written, its head included. */
  get begun (): boolean {
    return this.#head === ''
  }

  /** The socket takes more. */
  resume (): void {
    this.#source.resume()
  }

  /** Nobody wants the rest. */
  stop (): void {
    this.#forget()
    this.#source.destroy()
  }

  /** Leaves the source to another connection; only while nothing has {@link begun}. */
  leave (): void {
    this.#source.pause()
    this.#forget()
  }

  #forget (): void {
    // One error listener stays, since a body that is destroyed may still have an error to tell.
    this.#source.on('error', () => {}).off('data', this.#write).off('end', this.#end).off('error', this.#break).off('close', this.#break)
  }

  readonly #write = (chunk: Buffer): void => {
    const socket = this.#socket
    this.#bytes += chunk.length
    if (this.#length !== undefined && this.#bytes > this.#length) {
      this.#break(mismatch())
      return
    }
    if (chunk.length === 0) return
    this.#writeHead()
    if (!(this.#length === undefined ? writeChunk(socket, chunk) : socket.write(chunk))) this.#source.pause()
    socket.uncork()
    this.#events.onMoved()
  }

  /** Corks the socket, so that what comes next leaves along with it. */
  #writeHead (): void {
    this.#socket.cork()
    if (this.#head === '') return
    this.#events.onBegin()
    this.#socket.write(this.#head, 'latin1')
    this.#head = ''
  }

  readonly #end = (): void => {
    if (this.#length !== undefined && this.#bytes !== this.#length) {
      this.#break(mismatch())
      return
    }
    this.#forget()
    this.#writeHead()
    if (this.#length === undefined) this.#socket.write('0\r\n\r\n', 'latin1')
    this.#socket.uncork()
    this.#events.onMoved()
    this.#events.onSent()
  }

  readonly #break = (error?: Error | null): void => {
    this.#forget()
    this.#events.onBroken(error ?? new Error('the request body broke off'))
  }
}

/** Writes a chunk with its framing at once. @returns false where the socket is full for now */
export function writeChunk (socket: Socket, chunk: Buffer): boolean {
  socket.cork()
  socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
  socket.write(chunk)
  const more = socket.write('\r\n', 'latin1')
  socket.uncork()
  return more
}

function mismatch (): ProxyError {
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', {
    proxyStatus: 'http_request_error',
    cause: new Error('the request body has not the length that was announced')
  })
}
