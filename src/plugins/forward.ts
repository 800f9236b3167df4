import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import type { RelayKind } from '../auth/relay.ts'
import { ProxyError } from '../errors.ts'
import { spliceBody } from '../route/body.ts'
import { outgoingHeaders, outgoingQuery } from '../route/outgoing.ts'
import { injectionsOf, upstreamTarget, type Route } from '../route/table.ts'
import type { Secret } from '../secret.ts'
import type { Token } from '../token/token.ts'
import { Exchange, type Sender, type UpstreamRequest } from '../upstream/exchange.ts'
import { upstreamFailure } from '../upstream/failure.ts'
import { writeInterim } from '../upstream/interim.ts'
import { LARGEST_HELD_BODY, ReplayBuffer } from '../upstream/replay-buffer.ts'
import { Upload } from '../upstream/upload.ts'
import { answerHeaders, localHeaders } from './answer-headers.ts'
import { settleAnswer, type RetryOptions } from './retry.ts'
import type { Visit } from './visit.ts'

export interface ForwardOptions extends RetryOptions {
  /** What sends the request of a visit to the upstream. */
  readonly sender: (visit: Visit) => Sender
  readonly maxBodyBytes?: number
  /** Longest silence within a request body, in milliseconds. */
  readonly idleTimeoutMs: number
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Answers in place of the upstream; called at most once for a visit, before anything was written. */
  readonly refuse: (visit: Visit, error: unknown) => void
  /** Called as a request leaves for the upstream. */
  readonly onInject: () => void
}

/** What a route's injections are made of. */
export interface Material {
  readonly tokens: ReadonlyMap<string, Token>
  readonly relayed: ReadonlyMap<RelayKind, Secret>
  /** The client's body, where fields are put into it. */
  readonly unspliced?: Buffer | undefined
}

/** Works out what a request gets, from nothing but its material. Pure but for what it notes on the visit. */
export function apply (visit: Visit, route: Route, { tokens, relayed, unspliced }: Material): void {
  visit.injections = injectionsOf(route, (credential) => valueOf(tokens, credential), (kind) => relayedValueOf(relayed, kind))
  if (unspliced !== undefined) visit.spliced = spliceBody(unspliced, visit.message.rawHeaders, visit.injections)
  if (tokens.size > 0) visit.sent = unspliced === undefined ? { tokens, relayed } : { tokens, relayed, unspliced }
}

/**
 * The way of a request to the upstream and of its answer back, for one route.
 *
 * @returns sends a visit whose injections are applied; never throws
 */
export function createForward (options: ForwardOptions): (visit: Visit) => void {
  const { route, maxBodyBytes, idleTimeoutMs } = options

  return (visit) => {
    visit.upstreamStartedAt = options.now()
    askForBody(visit)
    if (visit.spliced !== undefined || !mayBeHere(visit.message)) {
      begin(visit)
      return
    }
    // A small body mostly stands behind its header in one read, and the parser is through with that by the next tick.
    process.nextTick(() => {
      if (!visit.ended) begin(visit, wholeBody(visit.message))
    })
  }

  function begin (visit: Visit, body?: Buffer): void {
    try {
      if (visit.sent !== undefined && body !== undefined) visit.sent.whole = body
      attempt(visit, outgoing(visit, body), false)
    } catch (error) {
      options.refuse(visit, error)
    }
  }

  function attempt (visit: Visit, request: UpstreamRequest, second: boolean): void {
    const { sent } = visit
    const exchange = new Exchange({
      interim: (statusCode, rawHeaders) => { writeInterim(visit.response, statusCode, localHeaders(visit, route, rawHeaders)) },
      start: (statusCode) => {
        settleAnswer(statusCode, {
          visit,
          exchange,
          second,
          respond: () => { respond(visit, exchange) },
          resend: ({ tokens, body }, { relayed, unspliced }) => {
            apply(visit, route, { tokens, relayed, unspliced })
            attempt(visit, outgoing(visit, body), true)
          },
          fail
        }, options)
      },
      fail
    })
    visit.exchange = exchange
    options.onInject()
    exchange.send(options.sender(visit), request)

    function fail (error: unknown): void {
      sent?.held?.release()
      options.refuse(visit, upstreamFailure(error))
    }
  }

  /** @param body the client's, where it is known whole */
  function outgoing (visit: Visit, body?: Buffer): UpstreamRequest {
    const { message, spliced, injections } = visit
    const method = message.method ?? ''
    const headers = outgoingHeaders(route, message.rawHeaders, injections, spliced?.contentType)
    const length = spliced === undefined ? lengthOf(message) : spliced.body.length
    return {
      method,
      target: upstreamTarget(route, visit.rest, outgoingQuery(route, method, visit.query, injections)),
      headers,
      body: spliced?.body ?? bodyOf(visit, length, body),
      length
    }
  }

  /** The body as the client sends it, or as it was held, in the client's own framing. */
  function bodyOf ({ message, sent }: Visit, length: number | undefined, whole: Buffer | undefined): Readable | Buffer | null {
    if (length === 0) return null
    if (whole !== undefined) return whole
    const body = new Upload(message, { idleTimeoutMs, ...(maxBodyBytes !== undefined && { maxBytes: maxBodyBytes }) })
    // Stays: it breaks off with its client, which may be before anybody reads it, or once nobody does any more.
    body.on('error', () => {})
    if (sent === undefined) return body
    if (length !== undefined && length > LARGEST_HELD_BODY) sent.gone = true
    else sent.held = new ReplayBuffer(message, Math.min(LARGEST_HELD_BODY, maxBodyBytes ?? Infinity))
    return body
  }

  function respond (visit: Visit, exchange: Exchange): void {
    const { message, response } = visit
    const headers = answerHeaders(visit, route, exchange.rawHeaders)
    // What is left of the request would be read as the next one (fastify/fastify-http-proxy#474).
    if (!message.complete) headers.push('Connection', 'close')
    const failure = exchange.relay(response, headers)
    if (failure !== undefined) options.refuse(visit, failure)
  }
}

/** Sends `100 Continue` where the client waits for it: once, and only for a body that is wanted (RFC 9110 section 10.1.1). */
export function askForBody (visit: Visit): void {
  if (!visit.expectsContinue) return
  visit.expectsContinue = false
  visit.response.writeContinue()
}

function valueOf (tokens: ReadonlyMap<string, Token>, credential: string): Secret {
  const token = tokens.get(credential)
  if (token === undefined) throw new ProxyError('CS_TOKEN_UNAVAILABLE', { retryAfter: 1 })
  return token.value
}

function relayedValueOf (relayed: ReadonlyMap<RelayKind, Secret>, kind: RelayKind): Secret {
  const value = relayed.get(kind)
  if (value === undefined) throw new ProxyError('CS_BAD_REQUEST', { message: `The request has no ${kind}, which this route relays.` })
  return value
}

/** How many bytes the client announced; undefined where it sends chunks. */
function lengthOf ({ headers }: IncomingMessage): number | undefined {
  return headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : undefined
}

function mayBeHere (message: IncomingMessage): boolean {
  const length = lengthOf(message)
  return length !== undefined && length > 0 && length <= LARGEST_HELD_BODY
}

/** The body where all of it has arrived: bytes leave along with the header, and cost no stream. */
function wholeBody (message: IncomingMessage): Buffer | undefined {
  if (message.readableLength !== Number(message.headers['content-length'])) return undefined
  const body = message.read() as Buffer // a stream of bytes, and there are some
  // The end of the message may not be parsed yet; nobody else would read that far.
  message.resume()
  return body
}
