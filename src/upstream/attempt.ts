import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Client, Dispatcher } from 'undici'
import { ProxyError } from '../errors.ts'
import type { Wire } from './wire.ts'

/** A place for one connection at a time. */
export interface Lane {
  readonly client: Client
  /** Undefined while there is no connection. */
  wire: Wire | undefined
  idle: boolean
  /** One client connection's own. */
  bound: boolean
}

type Controller = Dispatcher.DispatchController

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Whether a request may be sent once more where a reused connection failed (contract section 4; RFC 9110 section 9.2.2). */
export function isRepeatable ({ method, body }: Dispatcher.DispatchOptions): boolean {
  return SAFE_METHODS.has(method) && (body === null || body === undefined)
}

/**
 * One request on one connection: passes on what undici tells of it, but for what the connection knows better. A reused
 * connection that failed before any byte of an answer was most likely closed before the request came (RFC 9112 section
 * 9.3.1); a body that ends with its connection is whole only where that did not fail.
 */
export class Attempt implements Dispatcher.DispatchHandler {
  readonly #handler: Dispatcher.DispatchHandler
  readonly #lane: Lane
  readonly #onStale: (idleMs: number) => void
  readonly #repeat: (() => void) | undefined
  #wire: Wire | undefined
  #idleMs = 0
  #over = false

  /**
   * @param onStale called with the time that the connection was idle, where it failed like one that was closed meanwhile
   * @param repeat sends the request once more; undefined where it must not be
   */
  constructor (handler: Dispatcher.DispatchHandler, lane: Lane, onStale: (idleMs: number) => void, repeat: (() => void) | undefined) {
    this.#handler = handler
    this.#lane = lane
    this.#onStale = onStale
    this.#repeat = repeat
  }

  /** Whether it has failed, or come to its end. */
  get over (): boolean {
    return this.#over
  }

  onRequestStart (controller: Controller, context: unknown): void {
    const { wire } = this.#lane
    this.#wire = wire
    wire?.begin()
    if (wire?.reused === true) this.#idleMs = performance.now() - wire.idleSince
    this.#handler.onRequestStart?.(controller, context)
  }

  onRequestUpgrade (controller: Controller, statusCode: number, headers: IncomingHttpHeaders, socket: Duplex): void {
    this.#over = true
    this.#handler.onRequestUpgrade?.(controller, statusCode, headers, socket)
  }

  onResponseStart (controller: Controller, statusCode: number, headers: IncomingHttpHeaders, statusMessage?: string): void {
    if (this.#wire !== undefined && /\bclose\b/i.test(headers.connection ?? '')) this.#wire.closing = true
    this.#handler.onResponseStart?.(controller, statusCode, headers, statusMessage)
  }

  onResponseData (controller: Controller, chunk: Buffer): void {
    this.#handler.onResponseData?.(controller, chunk)
  }

  onResponseEnd (controller: Controller, trailers: IncomingHttpHeaders): void {
    // undici takes the reset of a connection for the end of a body that has no other.
    const error = this.#wire?.socket.errored
    if (error instanceof Error) {
      this.onResponseError(controller, error)
      return
    }
    this.#over = true
    this.#handler.onResponseEnd?.(controller, trailers)
  }

  onResponseError (controller: Controller, error: Error): void {
    this.#over = true
    // A client that breaks off its upload has errors like these too, but then the connection still stands.
    const broken = this.#wire?.socket.destroyed === true && !controller.aborted && isBroken(error)
    const stale = broken && this.#wire?.reused === true && !this.#wire.answered
    if (stale) this.#onStale(this.#idleMs)
    // Not from within undici's own handling of the failure.
    if (stale && this.#repeat !== undefined) queueMicrotask(this.#repeat)
    else this.#handler.onResponseError?.(controller, broken && this.#wire?.answered === true ? incomplete(error) : error)
  }
}

// The connection itself, and not a deadline of ours.
const BROKEN = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ETIMEDOUT'])

function isBroken (error: Error): boolean {
  // undici says so of connections that it breaks itself, because of what came.
  if (/^bad (?:response|upgrade)$/.test(error.message)) return false
  return 'code' in error && typeof error.code === 'string' && BROKEN.has(error.code)
}

// `connection_terminated` is for answers of which nothing came (RFC 9209 section 2.3.9).
function incomplete (cause: Error): ProxyError {
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', { cause, proxyStatus: 'http_response_incomplete' })
}
