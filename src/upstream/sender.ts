import type { Duplex } from 'node:stream'
import type { BodySource } from '../http/body-source.ts'
import type { ResponseHead } from './response-head.ts'

/** A request as it goes on the wire, without the `Host` and framing that the connection adds. */
export interface UpstreamRequest {
  readonly method: string
  /** Path and query, raw. */
  readonly target: string
  /** Flat list of names and values; no hop-by-hop ones, no framing. */
  readonly headers: readonly string[]
  /** Null where the client announced none. */
  readonly body: BodySource | Buffer | null
  /** How many bytes the body has; a body without it goes in chunks. */
  readonly length?: number | undefined
  /** The protocols that the client offers to switch to. */
  readonly upgrade?: string
}

/** Takes a response. Called in this order; `onEnd`, `onSwitch` or `onError` is the last, and nothing comes after an abort. */
export interface ResponseHandler {
  /** An interim response (1xx) other than 100 and 101. */
  onInterim (head: ResponseHead): void
  onHead (head: ResponseHead): void
  onBody (chunk: Buffer): void
  onEnd (trailers: string[]): void
  /** The upstream switched protocols, which the request had offered; the socket holds what came behind the head. */
  onSwitch (head: ResponseHead, socket: Duplex): void
  /** The body may have begun. */
  onError (error: Error): void
}

/** One request under way. Once it is over, none of this does anything: its connection may serve another one. */
export interface Transfer {
  pause (): void
  resume (): void
  /** The connection is closed. */
  abort (): void
}

/** What sends requests to an upstream. */
export interface Sender {
  /** Sends a request. May call the handler before it returns. */
  dispatch (request: UpstreamRequest, handler: ResponseHandler): Transfer
}
