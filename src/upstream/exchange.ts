import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { ProxyError } from '../errors.ts'
import { responseHeaders, type RawHeaders } from '../http/headers.ts'
import { breakOff } from './break-off.ts'
import { HeldAnswer } from './held-answer.ts'
import { MOST_INTERIM_ANSWERS } from './interim.ts'
import { rawText } from './raw-text.ts'

/** What sends requests to an upstream. */
export type Sender = Pick<Dispatcher, 'dispatch'>

/** A request as it will stand on the wire, but for the `Host` and framing that the connection adds. */
export interface UpstreamRequest {
  readonly method: string
  /** Path and query, raw. */
  readonly target: string
  /** Flat list of names and values; no hop-by-hop ones. */
  readonly headers: readonly string[]
  /** Null where the client announced none. */
  readonly body: Readable | Buffer | null
}

/** What happens to the upstream's answer; `start` and `fail` are called at most once, and nothing after `fail`. */
export interface ExchangeEvents {
  /** An interim answer (1xx) other than 100 and 101. */
  readonly interim?: (statusCode: number, rawHeaders: RawHeaders) => void
  /** The headers are here; call {@link Exchange.relay} now, {@link Exchange.hold}, or {@link Exchange.abort}. */
  readonly start: (statusCode: number) => void
  /** No answer, or none that can be passed on. Nothing was written to the client. */
  readonly fail: (error: unknown) => void
}

/**
 * One request to an upstream and its answer, written to the client as it comes: status, header bytes, chunks with
 * backpressure, trailers. Built on undici's `dispatch`, since every layer above it re-encodes headers.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #events: ExchangeEvents
  readonly #timeoutMs: number
  #controller: Dispatcher.DispatchController | undefined
  #client: ServerResponse | undefined
  #statusCode = 0
  #statusMessage = ''
  #rawHeaders: string[] = []
  #aborted = false
  #wroteBody = false
  #settled = false
  #interims = 0
  #firstInterimAt = 0
  #held: HeldAnswer | undefined

  /** @param timeoutMs longest time that interim answers may put the answer off, in milliseconds */
  constructor (events: ExchangeEvents, timeoutMs: number) {
    this.#events = events
    this.#timeoutMs = timeoutMs
  }

  /** Sends the request. */
  send (sender: Sender, origin: string, request: UpstreamRequest): void {
    sender.dispatch({
      origin,
      method: request.method as Dispatcher.HttpMethod, // undici takes every token; its type lists the usual ones
      path: request.target,
      headers: request.headers as string[], // undici only reads it
      body: request.body
    }, this)
  }

  /** The upstream's response headers, as they came. */
  get rawHeaders (): RawHeaders {
    return this.#rawHeaders
  }

  /** Ends the exchange wherever it is; the upstream sees its connection close. */
  abort (): void {
    this.#aborted = true
    this.#controller?.abort(new Error('the client went away'))
  }

  /** Holds the answer back until {@link relay} or {@link discard} says what becomes of it. */
  hold (): void {
    this.#held = new HeldAnswer()
  }

  /** Drops an answer that was held: its connection is free where it is whole, and closed where it is not. */
  discard (): void {
    this.#settled = true
    if (this.#held?.over === false) this.#controller?.abort(new Error('the answer is not wanted'))
  }

  /**
   * Begins to write the answer to the client, with the given headers (given away: not copied) in place of the upstream's.
   *
   * @returns why it cannot be passed on; nothing was written then
   */
  relay (client: ServerResponse, headers: string[]): ProxyError | undefined {
    if (this.#held?.broken === true) return new ProxyError('CS_UPSTREAM_UNREACHABLE', { proxyStatus: 'http_response_incomplete' })
    try {
      client.writeHead(this.#statusCode, REASON.test(this.#statusMessage) ? this.#statusMessage : '', withTrailerRule(client, this.#statusCode, headers))
    } catch (error) {
      // Bytes that HTTP does not allow in a header, should undici let them pass.
      this.#settled = true
      this.#controller?.abort(new Error('the upstream sent an illegal header'))
      return new ProxyError('CS_UPSTREAM_UNREACHABLE', { cause: error, proxyStatus: 'http_protocol_error' })
    }
    this.#client = client
    const held = this.#held
    if (held !== undefined && this.#controller !== undefined) {
      held.pour(this.#controller, client, (trailers) => { this.#finish(client, trailers) })
    }
    // Small answers come whole in one read, and then headers and body leave in one write; a stream that is silent yet
    // (Server-Sent Events) gets its headers out right behind that read.
    process.nextTick(this.#flush)
    return undefined
  }

  readonly #flush = (): void => { if (!this.#wroteBody) this.#client?.flushHeaders() }

  onRequestStart (controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#aborted) controller.abort(new Error('the client went away'))
  }

  onResponseStart (controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders, statusMessage?: string): void {
    // 101 to a request that asked for no upgrade is no interim answer (RFC 9110 section 15.2.2).
    if (statusCode >= 100 && statusCode < 200 && statusCode !== 101) {
      this.#pass(controller, statusCode)
      return
    }
    if (statusCode < 200 || !isPlainlyCoded(headers['transfer-encoding'])) {
      this.#fail(new ProxyError('CS_UPSTREAM_UNREACHABLE', { proxyStatus: 'http_protocol_error' }))
      controller.abort(new Error('the upstream sent an illegal status or transfer coding'))
      return
    }
    this.#statusCode = statusCode
    this.#statusMessage = statusMessage ?? ''
    this.#rawHeaders = rawText(controller.rawHeaders)
    this.#events.start(statusCode)
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const client = this.#client
    if (client === undefined) {
      this.#held?.add(controller, chunk)
      return
    }
    this.#wroteBody = true
    if (client.write(chunk)) return
    controller.pause()
    client.once('drain', () => { controller.resume() })
  }

  onResponseEnd (controller: Dispatcher.DispatchController): void {
    this.#settled = true
    const trailers = responseHeaders(rawText(controller.rawTrailers))
    if (this.#client === undefined) this.#held?.finish(trailers)
    else this.#finish(this.#client, trailers)
  }

  onResponseError (_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#client === undefined) {
      // Whoever holds the answer asks for it, and hears then that there is none.
      if (this.#held === undefined) this.#fail(error)
      else if (!this.#held.over) this.#held.break()
      return
    }
    this.#settled = true
    // Whole with its headers, whatever Content-Length it repeats (RFC 9110 section 8.6); undici misses a body there.
    if (isBodiless(this.#statusCode)) {
      this.#client.end()
      return
    }
    // Half an answer is out: only a broken connection tells the client that it is half (RFC 9112 section 8).
    if (isCloseDelimited(this.#client, this.#rawHeaders)) breakOff(this.#client.socket)
    else this.#client.destroy()
  }

  #pass (controller: Dispatcher.DispatchController, statusCode: number): void {
    if (++this.#interims > MOST_INTERIM_ANSWERS) {
      this.#fail(new ProxyError('CS_UPSTREAM_UNREACHABLE', { proxyStatus: 'http_protocol_error' }))
      controller.abort(new Error('the upstream sent too many interim answers'))
      return
    }
    // Each one makes undici wait for timeoutMs anew.
    if (this.#interims === 1) this.#firstInterimAt = performance.now()
    if (performance.now() - this.#firstInterimAt > this.#timeoutMs) {
      this.#fail(new ProxyError('CS_UPSTREAM_TIMEOUT'))
      controller.abort(new Error('the upstream put its answer off for too long'))
      return
    }
    this.#events.interim?.(statusCode, rawText(controller.rawHeaders))
  }

  #finish (client: ServerResponse, trailers: RawHeaders): void {
    this.#wroteBody = true
    if (trailers.length > 0 && client.chunkedEncoding) client.addTrailers(pairs(trailers))
    client.end()
  }

  #fail (error: unknown): void {
    if (this.#settled) return
    this.#settled = true
    this.#events.fail(error)
  }
}

// A reason that Node would refuse to write, or that would not fit into a client's buffers: no limit of a header holds for it
// (S6). undici reads it as UTF-8, so other bytes cannot be given back anyway (RFC 9112 section 4: it has no meaning).
const REASON = /^[\t\x20-\x7e]{0,512}$/

function isBodiless (statusCode: number): boolean {
  return statusCode === 204 || statusCode === 304
}

// Where the end of the connection is the end of the body (HTTP/1.0 clients), an orderly end would make half an answer a whole one.
function isCloseDelimited (client: ServerResponse, headers: RawHeaders): boolean {
  return !client.chunkedEncoding && !hasHeader(headers, 'content-length')
}

// Transfer-Encoding ends here, so a coding that stays in the body would reach the client without its label (RFC 9112 section 6.1).
function isPlainlyCoded (coding: string | string[] | undefined): boolean {
  return coding === undefined || (typeof coding === 'string' && coding.toLowerCase() === 'chunked')
}

// Node throws at a Trailer header where it will not write chunks.
function withTrailerRule (client: ServerResponse, statusCode: number, headers: string[]): string[] {
  if (!hasHeader(headers, 'trailer') || carriesTrailers(client, statusCode, headers)) return headers
  return headers.filter((_, index) => headers[index - index % 2]?.toLowerCase() !== 'trailer')
}

function carriesTrailers (client: ServerResponse, statusCode: number, headers: RawHeaders): boolean {
  if (client.req.method === 'HEAD' || isBodiless(statusCode) || !client.useChunkedEncodingByDefault) return false
  return !hasHeader(headers, 'content-length')
}

function hasHeader (headers: RawHeaders, lower: string): boolean {
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    if (name.length === lower.length && name.toLowerCase() === lower) return true
  }
  return false
}

function pairs (flat: readonly string[]): Array<[string, string]> {
  const list: Array<[string, string]> = []
  for (let index = 0; index < flat.length; index += 2) list.push([flat[index] ?? '', flat[index + 1] ?? ''])
  return list
}
