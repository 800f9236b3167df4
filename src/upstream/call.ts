import type { ResponseHead } from './response-head.ts'
import type { ResponseHandler, Transfer, UpstreamRequest } from './sender.ts'

/** What a call may do to the connection that carries it. */
export interface Carrier {
  readonly pause: () => void
  readonly resume: () => void
  /** The call is over before its response is. */
  readonly abandon: () => void
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * One request under way, whatever connection it takes. A handler reaches the connection through this alone, so that a call that
 * is over cannot touch a connection that serves another one by now.
 */
export class Call implements Transfer {
  readonly request: UpstreamRequest
  /** The head of the request, as it is sent. */
  head = ''
  readonly #handler: ResponseHandler
  /** Undefined while it waits for one. */
  carrier: Carrier | undefined
  /** It was sent once before. */
  repeated = false
  #over = false

  constructor (request: UpstreamRequest, handler: ResponseHandler) {
    this.request = request
    this.#handler = handler
  }

  /** Whether its handler hears nothing more. */
  get over (): boolean {
    return this.#over
  }

  /** Whether it may be sent once more where a reused connection failed (contract section 4; RFC 9110 section 9.2.2). */
  get repeatable (): boolean {
    return !this.repeated && !this.#over && this.request.body === null && SAFE_METHODS.has(this.request.method)
  }

  /** Stops the bytes of the response. */
  pause (): void {
    if (!this.#over) this.carrier?.pause()
  }

  /** Lets the bytes of the response come again. */
  resume (): void {
    if (!this.#over) this.carrier?.resume()
  }

  /** Ends the call and its connection; the handler hears nothing more. */
  abort (): void {
    if (this.#over) return
    this.#close()
    this.carrier?.abandon()
  }

  /** Tells of an interim response. */
  interim (head: ResponseHead): void {
    if (!this.#over) this.#handler.onInterim(head)
  }

  /** Tells of the head of the response. */
  begin (head: ResponseHead): void {
    if (!this.#over) this.#handler.onHead(head)
  }

  /** Tells of bytes of the body. */
  body (chunk: Buffer): void {
    if (!this.#over) this.#handler.onBody(chunk)
  }

  /** Tells that the response is whole; the call is over. */
  end (trailers: string[]): void {
    if (this.#over) return
    this.#over = true
    this.#handler.onEnd(trailers)
  }

  /** Hands the socket over to another protocol; the call is over. */
  switch (head: ResponseHead, socket: Parameters<ResponseHandler['onSwitch']>[1]): void {
    this.#over = true
    this.#handler.onSwitch(head, socket)
  }

  /** Tells of a failure; the call is over. */
  fail (error: Error): void {
    if (this.#over) return
    this.#close()
    this.#handler.onError(error)
  }

  /** Destroys a body that will not be sent: its source then reads on and drops what is left. */
  #close (): void {
    this.#over = true
    const { body } = this.request
    if (body !== null && !Buffer.isBuffer(body)) body.on('error', () => {}).destroy()
  }
}
