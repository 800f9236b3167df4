import type { Duplex } from 'node:stream'
import type { ResponseHead } from '#src/upstream/response-head.ts'
import type { ResponseHandler, Sender, Transfer, UpstreamRequest } from '#src/upstream/sender.ts'

/** A response as the client of the upstreams told it. */
export interface Told {
  readonly interim: readonly ResponseHead[]
  readonly head: ResponseHead
  readonly body: Buffer
  readonly trailers: readonly string[]
}

/** Keeps all that is told of one response. */
export class Listener implements ResponseHandler {
  readonly interim: ResponseHead[] = []
  readonly chunks: Buffer[] = []
  head: ResponseHead | undefined
  trailers: string[] | undefined
  error: Error | undefined
  socket: Duplex | undefined
  /** How often an end of any kind was told; once is right. */
  ends = 0
  transfer: Transfer | undefined
  #wake = (): void => {}

  onInterim (head: ResponseHead): void {
    this.interim.push(head)
    this.#wake()
  }

  onHead (head: ResponseHead): void {
    this.head = head
    this.#wake()
  }

  onBody (chunk: Buffer): void {
    this.chunks.push(chunk)
    this.#wake()
  }

  onEnd (trailers: string[]): void {
    this.ends++
    this.trailers = trailers
    this.#wake()
  }

  onSwitch (head: ResponseHead, socket: Duplex): void {
    this.ends++
    this.head = head
    this.socket = socket
    this.#wake()
  }

  onError (error: Error): void {
    this.ends++
    this.error = error
    this.#wake()
  }

  get body (): Buffer {
    return Buffer.concat(this.chunks)
  }

  /** Resolves once what was told fulfils a condition; rejects where the response failed and that will never be. */
  async until (condition: (told: this) => boolean): Promise<this> {
    while (!condition(this)) {
      if (this.error !== undefined) throw this.error
      await new Promise<void>((resolve) => { this.#wake = resolve })
    }
    return this
  }
}

/** Sends a request and listens to its response. */
export function send (sender: Sender, request: Partial<UpstreamRequest> = {}): Listener {
  const listener = new Listener()
  listener.transfer = sender.dispatch({ method: 'GET', target: '/', headers: [], body: null, ...request }, listener)
  return listener
}

/** Sends a request and resolves with its whole response; rejects where it fails. */
export async function ask (sender: Sender, request: Partial<UpstreamRequest> = {}): Promise<Told> {
  const { interim, head, body, trailers, error } = await send(sender, request).until(({ ends }) => ends > 0)
  if (error !== undefined) throw error
  if (head === undefined) throw new TypeError('a response without a head')
  return { interim, head, body, trailers: trailers ?? [] }
}
