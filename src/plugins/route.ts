import httpProxy from '@fastify/http-proxy'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { METHODS, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Injection } from '../auth/injection.ts'
import type { RelayKind } from '../auth/relay.ts'
import { ProxyError } from '../errors.ts'
import { responseHeaders, type RawHeaders } from '../http/headers.ts'
import { rewriteLocation } from '../http/location.ts'
import { rewriteSetCookie } from '../http/set-cookie.ts'
import { checkSpliceable, spliceBody, takesBodyFields } from '../route/body.ts'
import { outgoingHeaders, outgoingQuery } from '../route/outgoing.ts'
import { readRelayed } from '../route/relayed.ts'
import { authorise, injectionsOf, upstreamTarget, type Route } from '../route/table.ts'
import type { Secret } from '../secret.ts'
import type { Token } from '../token/token.ts'
import { Exchange, type UpstreamRequest } from '../upstream/exchange.ts'
import { upstreamFailure } from '../upstream/failure.ts'
import { writeInterim } from '../upstream/interim.ts'
import { LARGEST_HELD_BODY, ReplayBuffer } from '../upstream/replay-buffer.ts'
import { Upload } from '../upstream/upload.ts'
import { corsHeaders } from './guard.ts'
import { readBody } from './read-body.ts'
import { renew, type PassedOn, type Renewed, type TokenPort } from './replay.ts'
import { checkUpgrade, relayUpgrade } from './upgrade.ts'
import { visitOf, type Visit } from './visit.ts'

export interface RoutePluginOptions extends TokenPort {
  readonly route: Route
  readonly dispatcher: Dispatcher
  readonly maxBodyBytes?: number
  /** Whether connections may be upgraded. */
  readonly websocket: boolean
  /** Longest silence within a request body, in milliseconds. */
  readonly idleTimeoutMs: number
  /** Longest time that interim answers may put an answer off, in milliseconds. */
  readonly timeoutMs: number
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Called as a request leaves for the upstream. */
  readonly onInject: () => void
  /** Called as a request leaves once more after a 401, with the credentials whose token is another one now. */
  readonly onReplay: (credentials: readonly string[]) => void
  /** Called as an upstream's 401 to our tokens is passed on. */
  readonly onRejected: (credentials: readonly string[], reason: PassedOn) => void
  /** Called once a connection is no request any more but another protocol. */
  readonly onSwitch: () => void
}

// Everything that Node parses but CONNECT, which never becomes a request. TRACE is refused before any route.
const FORWARDED_METHODS = METHODS.filter((method) => method !== 'CONNECT')

const NOTHING_RELAYED: ReadonlyMap<RelayKind, Secret> = new Map()

/** Carries a visit through reply-from to our dispatcher: it copies headers by spread, symbols included. */
const CARRIED = Symbol('countersign.carried')

interface Carrier {
  readonly [CARRIED]: Visit
}

type Answered = (error: unknown, response?: unknown) => void

/** The internal address of a route; `rewriteUrl` sends requests here, so no byte of a client's path meets a router or `new URL`. */
export function routeUrl (route: Route): string {
  return `/${route.index}`
}

/** Declares every method as one whose body Fastify leaves alone: bodies are streamed by us, whatever their type. */
export function leaveBodiesAlone (fastify: FastifyInstance): void {
  for (const method of FORWARDED_METHODS) fastify.addHttpMethod(method, { hasBody: false, overrideExisting: true })
}

/**
 * One route: get the credential (asynchronous, `preHandler`), apply it (synchronous and pure), forward.
 *
 * `@fastify/http-proxy` through its seams: our dispatcher instead of its own client (TLS verification is off by default
 * there), `onResponse` writes to the socket, no retry of any kind.
 */
export async function routePlugin (fastify: FastifyInstance, options: RoutePluginOptions): Promise<void> {
  const { route, maxBodyBytes, idleTimeoutMs } = options

  await fastify.register(httpProxy, {
    prefix: routeUrl(route),
    upstream: route.upstreamOrigin,
    rewritePrefix: '/',
    routes: ['/'],
    httpMethods: FORWARDED_METHODS,
    disableRequestLogging: true,
    // Anything with a `request` function is taken as it is; the declared type is the whole of undici's.
    undici: { request: request as unknown as Dispatcher['request'] },
    preHandler,
    replyOptions: {
      // Off: 503 is retried up to ten times otherwise, with Retry-After read as milliseconds.
      retryDelay: () => null,
      queryString: () => '',
      // Copied by spread on its way, so a symbol arrives where no header name could collide with it.
      rewriteRequestHeaders: (incoming) => ({ [CARRIED]: visitOf(incoming.raw as IncomingMessage) }) as unknown as IncomingHttpHeaders,
      onResponse: (incoming, reply) => { respond(visitOf(incoming.raw as IncomingMessage), reply) },
      onError: (reply) => { reply.send(upstreamFailure(visitOf(reply.request.raw as IncomingMessage).failure)) }
    }
  })

  function preHandler (incoming: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void {
    const visit = visitOf(incoming.raw)
    try {
      authorise(route, visit.message.method ?? '', visit.rest)
      checkUpgrade(visit, route, options.websocket)
      checkLength(visit.message, maxBodyBytes)
      const relayed = route.readsRelayed ? readRelayed(route, visit.message.rawHeaders) : NOTHING_RELAYED
      const body = takesBodyFields(route, visit.message.method ?? '') ? readSpliceable(visit) : undefined
      const tokens = collect(route, options.token)
      if (body === undefined && !(tokens instanceof Promise)) {
        apply(visit, tokens, relayed)
        proceed(visit, done)
        return
      }
      Promise.all([tokens, body]).then(([arrived, bytes]) => {
        if (abandon(visit, reply)) return
        apply(visit, arrived, relayed, bytes)
        proceed(visit, done)
      }).catch(done)
    } catch (error) {
      done(error as Error) // only ProxyErrors and defects arrive here, and both are Errors
    }
  }

  function apply (visit: Visit, tokens: ReadonlyMap<string, Token>, relayed: ReadonlyMap<RelayKind, Secret>, bytes?: Buffer): void {
    visit.injections = inject(tokens, relayed)
    if (bytes !== undefined) visit.spliced = spliceBody(bytes, visit.message.rawHeaders, visit.injections)
    if (tokens.size > 0) visit.sent = bytes === undefined ? { tokens, relayed } : { tokens, relayed, unspliced: bytes }
  }

  // An upgrade never goes on to reply-from; Fastify hears of it again only where it fails.
  function proceed (visit: Visit, done: (error?: Error) => void): void {
    if (!relayUpgrade(visit, options, done)) done()
  }

  function inject (tokens: ReadonlyMap<string, Token>, relayed: ReadonlyMap<RelayKind, Secret>): Injection[] {
    return injectionsOf(route, (credential) => valueOf(tokens, credential), (kind) => relayedValueOf(relayed, kind))
  }

  function readSpliceable (visit: Visit): Promise<Buffer> {
    const { message } = visit
    const length = message.headers['content-length']
    const chunked = message.headers['transfer-encoding'] !== undefined
    checkSpliceable(message.rawHeaders, chunked ? undefined : Number(length ?? 0))
    askForBody(visit)
    return readBody(upload(message))
  }

  function request ({ headers }: { readonly headers: Carrier }, done: Answered): void {
    const visit = headers[CARRIED]
    visit.upstreamStartedAt = options.now()
    askForBody(visit)
    attempt(visit, outgoing(visit), done)
  }

  function attempt (visit: Visit, message: UpstreamRequest, done: Answered, second = false): void {
    const { sent } = visit
    const exchange = new Exchange({
      interim: (statusCode, rawHeaders) => { writeInterim(visit.response, statusCode, localHeaders(visit, rawHeaders)) },
      start: (statusCode) => {
        if (statusCode !== 401 || sent === undefined) {
          sent?.held?.release()
          accept(statusCode)
        } else if (second) {
          options.onRejected(route.credentials, 'the answer to the second attempt')
          accept(statusCode)
        } else {
          exchange.hold()
          renew(sent, options).then((renewed) => { decide(visit, exchange, renewed, () => { accept(statusCode) }, done) }).catch(fail)
        }
      },
      fail
    }, options.timeoutMs)
    visit.exchange = exchange
    options.onInject()
    exchange.send(options.dispatcher, route.upstreamOrigin, message)

    function accept (statusCode: number): void {
      done(null, { statusCode, headers: {}, body: { destroy: () => { exchange.abort() } } })
    }

    function fail (error: unknown): void {
      sent?.held?.release()
      visit.failure = error
      done(new Error('no answer from the upstream'))
    }
  }

  /** What becomes of a 401 that is held: passed on as it is, or dropped and the request sent once more (contract section 4). */
  function decide (visit: Visit, exchange: Exchange, renewed: Renewed | PassedOn, accept: () => void, done: Answered): void {
    const { sent } = visit
    sent?.held?.release()
    if (visit.response.destroyed) {
      exchange.discard()
      done(new Error('the client went away'))
      return
    }
    if (typeof renewed === 'string') {
      options.onRejected(route.credentials, renewed)
      accept()
      return
    }
    exchange.discard()
    apply(visit, renewed.tokens, sent?.relayed ?? NOTHING_RELAYED, sent?.unspliced)
    options.onReplay(renewed.credentials)
    attempt(visit, outgoing(visit, renewed.body), done, true)
  }

  function outgoing (visit: Visit, held?: Buffer): UpstreamRequest {
    const { message, spliced } = visit
    const method = message.method ?? ''
    const injections = visit.injections ?? []
    const headers = outgoingHeaders(route, message.rawHeaders, injections, spliced?.contentType)
    const chunked = message.headers['transfer-encoding'] !== undefined
    const length = spliced === undefined ? message.headers['content-length'] : String(spliced.body.length)
    if (length !== undefined) headers.push('content-length', length)
    return {
      method,
      target: upstreamTarget(route, visit.rest, outgoingQuery(route, method, visit.query, injections)),
      headers,
      body: spliced?.body ?? (chunked || Number(length ?? 0) > 0 ? stream(visit, chunked, Number(length ?? 0), held) : null)
    }
  }

  /** A body that is not known whole: as the client sends it, or as it was held, in the client's own framing. */
  function stream ({ message, sent }: Visit, chunked: boolean, length: number, held?: Buffer): Readable | Buffer {
    if (held !== undefined) return chunked ? Readable.from([held], { objectMode: false }) : held
    const body = upload(message)
    if (sent === undefined) return body
    if (length > LARGEST_HELD_BODY) sent.gone = true
    else sent.held = new ReplayBuffer(message, Math.min(LARGEST_HELD_BODY, maxBodyBytes ?? Infinity))
    return body
  }

  function upload (message: IncomingMessage): Upload {
    return new Upload(message, { idleTimeoutMs, ...(maxBodyBytes !== undefined && { maxBytes: maxBodyBytes }) })
  }

  function respond (visit: Visit, reply: { readonly hijack: () => unknown, readonly send: (error: Error) => unknown }): void {
    const { exchange, message, response } = visit
    if (exchange === undefined) return
    const headers = localHeaders(visit, exchange.rawHeaders)
    if (visit.corsOrigin !== undefined) headers.push(...corsHeaders(visit.corsOrigin))
    // What is left of the request would be read as the next one (fastify/fastify-http-proxy#474).
    if (!message.complete) headers.push('Connection', 'close')
    const failure = exchange.relay(response, headers)
    if (failure === undefined) reply.hijack()
    else reply.send(failure)
  }

  /** The upstream's headers as they make sense at the address that the request came in on. */
  function localHeaders ({ rest, route: place = route }: Visit, rawHeaders: RawHeaders): string[] {
    return responseHeaders(rawHeaders, (value) => rewriteLocation(value, place), (value) => rewriteSetCookie(value, place, rest === ''))
  }
}

// Sent once, and only for a body that is wanted (RFC 9110 section 10.1.1).
function askForBody (visit: Visit): void {
  if (!visit.expectsContinue) return
  visit.expectsContinue = false
  visit.response.writeContinue()
}

function checkLength (message: IncomingMessage, maxBodyBytes: number | undefined): void {
  if (maxBodyBytes === undefined) return
  if (Number(message.headers['content-length'] ?? 0) > maxBodyBytes) throw new ProxyError('CS_BODY_TOO_LARGE', { close: true })
}

/** The tokens that a route needs, by credential; a promise only where one of them has to be waited for. */
function collect (route: Route, token: RoutePluginOptions['token']): ReadonlyMap<string, Token> | Promise<ReadonlyMap<string, Token>> {
  const tokens = new Map<string, Token>()
  const waits: Array<Promise<void>> = []
  for (const credential of route.credentials) {
    const now = token(credential)
    if (now instanceof Promise) waits.push(now.then((later) => { tokens.set(credential, later) }))
    else tokens.set(credential, now)
  }
  return waits.length === 0 ? tokens : Promise.all(waits).then(() => tokens)
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

// A client that left while its token was fetched is answered by nobody, and costs the upstream nothing.
function abandon (visit: Visit, reply: FastifyReply): boolean {
  if (!visit.response.destroyed) return false
  reply.hijack()
  return true
}
