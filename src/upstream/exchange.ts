import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { ProxyError } from '../errors.ts'
import { responseHeaders } from '../http/headers.ts'
import { has, pairs, without, type RawHeaders } from '../http/raw-headers.ts'
import { breakOff } from './break-off.ts'
import { HeldResponse } from './held-response.ts'
import { malformed } from './malformed.ts'
import type { ResponseHead } from './response-head.ts'
import type { ResponseHandler, Sender, Transfer, UpstreamRequest } from './sender.ts'

export type { Sender, UpstreamRequest } from './sender.ts'

/** What happens to the upstream's response; `start` and `fail` are called at most once, and nothing after `fail`. */
export interface ExchangeEvents {
  /** An interim response (1xx) other than 100 and 101. */
  readonly interim?: ((statusCode: number, rawHeaders: RawHeaders) => void) | undefined
  /** The headers are here; call {@link Exchange.relay} now, {@link Exchange.hold}, or {@link Exchange.abort}. */
  readonly start: (statusCode: number) => void
  /** The upstream has switched protocols: the connection, with what came behind the headers. Only where the request offers that. */
  readonly switched?: ((rawHeaders: RawHeaders, socket: Duplex) => void) | undefined
  /** No response, or none that can be passed on. Nothing was written to the client. */
  readonly fail: (error: unknown) => void
}

/**
 * One request to an upstream and its response, written to the client as it comes: status, header bytes, chunks with
 * backpressure, trailers.
 */
export class Exchange implements ResponseHandler {
  readonly #events: ExchangeEvents
  #transfer: Transfer | undefined
  #client: ServerResponse | undefined
  #head: ResponseHead | undefined
  #wroteBody = false
  /** The turn of the event loop that brought the head is not over; what is written now leaves at its end. */
  #fresh = true
  #settled = false
  /** The client takes no more for now. */
  #waits = false
  #held: HeldResponse | undefined

  constructor (events: ExchangeEvents) {
    this.#events = events
  }

  /** Sends the request. */
  send (sender: Sender, request: UpstreamRequest): void {
    this.#transfer = sender.dispatch(request, this)
  }

  /** The upstream's status code; 502 before there is one. */
  get statusCode (): number {
    return (this.#head ?? NO_HEAD).statusCode
  }

  /** The upstream's response headers, as they came. */
  get rawHeaders (): RawHeaders {
    return this.#head?.rawHeaders ?? []
  }

  /** Ends the exchange wherever it is; the upstream sees its connection close. */
  abort (): void {
    this.#settled = true
    this.#transfer?.abort()
  }

  /** Holds the response back until {@link relay} or {@link discard} is called. */
  hold (): void {
    this.#held = new HeldResponse()
  }

  /** Drops a response that was held: its connection is free where it is whole, and closed where it is not. */
  discard (): void {
    this.#settled = true
    if (this.#held?.over === false) this.#transfer?.abort()
  }

  /**
   * Begins to write the response to the client, with the given headers (the list is kept, not copied) in place of the upstream's.
   *
   * @returns why it cannot be passed on; nothing was written then
   */
  relay (client: ServerResponse, headers: string[]): ProxyError | undefined {
    const { statusCode, reason } = this.#head ?? NO_HEAD
    if (this.#held?.broken === true) return new ProxyError('CS_UPSTREAM_UNREACHABLE', { proxyStatus: 'http_response_incomplete' })
    try {
      client.writeHead(statusCode, REASON.test(reason) ? reason : '', withTrailerRule(client, statusCode, headers))
    } catch (error) {
      // Bytes that Node does not write in a header, should the parser let them pass.
      this.abort()
      return new ProxyError('CS_UPSTREAM_UNREACHABLE', { cause: error, proxyStatus: 'http_protocol_error' })
    }
    this.#client = client
    const held = this.#held
    if (held !== undefined && this.#transfer !== undefined) {
      held.pour(this.#transfer, client, (trailers) => { this.#finish(client, trailers) })
    }
    // A small response comes whole in one read, and its headers and body leave in one write. A stream that is still silent
    // (Server-Sent Events) gets its headers out right after that read.
    process.nextTick(this.#flush)
    return undefined
  }

  readonly #flush = (): void => {
    this.#fresh = false
    if (!this.#wroteBody) this.#client?.flushHeaders()
    // The rest of a larger response has mostly arrived already, and leaves along with this.
    else if (!this.#settled) setImmediate(this.#uncork)
  }

  readonly #uncork = (): void => { this.#client?.socket?.uncork() }

  readonly #resume = (): void => {
    this.#waits = false
    this.#transfer?.resume()
  }

  onInterim ({ statusCode, rawHeaders }: ResponseHead): void {
    this.#events.interim?.(statusCode, rawHeaders)
  }

  onHead (head: ResponseHead): void {
    this.#head = head
    this.#events.start(head.statusCode)
  }

  onBody (chunk: Buffer): void {
    const client = this.#client
    if (client === undefined) {
      if (this.#held?.add(chunk) === true) this.#transfer?.pause()
      return
    }
    // Corks the socket, not the response: on Node 22 and 24 a corked response gathers chunks that the end of the body may
    // overtake, and may never emit `drain`.
    if (this.#fresh && !this.#wroteBody) client.socket?.cork()
    this.#wroteBody = true
    // Chunks that were read already still come after a pause.
    if (client.write(chunk) || this.#waits) return
    this.#waits = true
    this.#transfer?.pause()
    client.once('drain', this.#resume)
  }

  onEnd (rawTrailers: string[]): void {
    this.#settled = true
    const trailers = responseHeaders(rawTrailers)
    const client = this.#client
    if (client === undefined) {
      this.#held?.finish(trailers)
      return
    }
    this.#wroteBody = true
    // Responses of one turn leave together, as requests do: see Connection.send.
    setImmediate(() => { this.#finish(client, trailers) })
  }

  onSwitch ({ rawHeaders }: ResponseHead, socket: Duplex): void {
    this.#settled = true
    if (this.#events.switched !== undefined) {
      this.#events.switched(rawHeaders, socket)
      return
    }
    socket.destroy()
    this.#events.fail(malformed('a 101 that nobody asked for'))
  }

  onError (error: Error): void {
    if (this.#client === undefined) {
      // The holder of the response learns that it broke when it calls relay.
      if (this.#held !== undefined) this.#held.break()
      else if (!this.#settled) this.#events.fail(error)
      this.#settled = true
      return
    }
    this.#settled = true
    this.#uncork()
    // Half a response is out: only a broken connection tells the client that it is half (RFC 9112 section 8).
    if (isCloseDelimited(this.#client, this.rawHeaders)) breakOff(this.#client.socket)
    else this.#client.destroy()
  }

  #finish (client: ServerResponse, trailers: RawHeaders): void {
    this.#wroteBody = true
    if (trailers.length > 0 && client.chunkedEncoding) client.addTrailers(pairs(trailers))
    client.end()
  }
}

const NO_HEAD = { statusCode: 502, reason: '' }

// The reasons that are passed on. Clients could read others in several ways, or have no room for them: no limit of a header holds
// for a reason (S6), and it has no meaning (RFC 9112 section 4).
const REASON = /^[\t\x20-\x7e]{0,512}$/

function isBodiless (statusCode: number): boolean {
  return statusCode === 204 || statusCode === 304
}

// Where the end of the connection is the end of the body (HTTP/1.0 clients), an orderly end would make half a response a whole one.
function isCloseDelimited (client: ServerResponse, headers: RawHeaders): boolean {
  return !client.chunkedEncoding && !has(headers, 'content-length')
}

// Node throws at a Trailer header where it will not write chunks.
function withTrailerRule (client: ServerResponse, statusCode: number, headers: string[]): string[] {
  if (!has(headers, 'trailer') || carriesTrailers(client, statusCode, headers)) return headers
  return without(headers, 'trailer')
}

function carriesTrailers (client: ServerResponse, statusCode: number, headers: RawHeaders): boolean {
  if (client.req.method === 'HEAD' || isBodiless(statusCode) || !client.useChunkedEncodingByDefault) return false
  return !has(headers, 'content-length')
}
