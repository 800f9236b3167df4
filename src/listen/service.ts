import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ProxyError } from '../errors.ts'

/** Takes a request and its response. Must not throw. */
export type Handler = (message: IncomingMessage, response: ServerResponse) => void

/** Where a listener hands its requests to, and within which limits. A reload replaces it while connections are open. */
export interface Service {
  readonly handle: Handler
  /** Open connections; one more is refused with 503 and closed. */
  readonly maxConnections: number
  /** The longest header of a request, in bytes; default `HEADER_BYTES`. */
  readonly headerBytes?: number
  /** Hears of every request that the listener responds to by itself, in place of `handle` or of the response that it was given. */
  readonly onRefused?: (refused: Refused) => void
}

/** A request that the listener has refused by itself, and what is known of it. */
export interface Refused {
  readonly rejection: ProxyError
  /** The request that `handle` has, where its body was refused. */
  readonly current?: IncomingMessage
  /** Undefined where the parser did not get so far. */
  readonly method?: string
  /** The address of the client; undefined for a unix socket. */
  readonly client: string | undefined
  /** How many bytes of the request had arrived. */
  readonly bytes: number
  /** Milliseconds since its first byte. */
  readonly durationMs: number
}

/** How long a client may take, in milliseconds. */
export interface ClientTimeouts {
  /** Until the header of a request has arrived. */
  readonly headersMs: number
  /** Without taking a byte of what is written, or sending one of a body that is owed. */
  readonly stillMs: number
}

/** How many connections are served, and how many bytes are held for them while they wait. Listeners with one limit share one. */
export interface ConnectionCount {
  served: number
  /** See {@link Turnstile}. */
  bytes: number
}
