import httpProxy from '@fastify/http-proxy'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { METHODS, type IncomingMessage } from 'node:http'
import type { RelayKind } from '../auth/relay.ts'
import { ProxyError } from '../errors.ts'
import { checkSpliceable, takesBodyFields } from '../route/body.ts'
import { readRelayed } from '../route/relayed.ts'
import { authorise, type Route } from '../route/table.ts'
import type { Secret } from '../secret.ts'
import type { Token } from '../token/token.ts'
import type { Sender } from '../upstream/exchange.ts'
import { Upload } from '../upstream/upload.ts'
import { apply, askForBody, createForward, type ForwardOptions } from './forward.ts'
import { readBody } from './read-body.ts'
import { createScrub, type OnMasked } from './scrub.ts'
import { checkUpgrade, relayUpgrade, type UpgradeOptions } from './upgrade.ts'
import { visitOf, type Visit } from './visit.ts'

export interface RoutePluginOptions extends Omit<ForwardOptions & UpgradeOptions, 'sender'> {
  /** The connections to the upstream. */
  readonly dispatcher: Sender
  /** Whether connections may be upgraded. */
  readonly websocket: boolean
  /** Given where the route masks what its upstream echoes; called as it does. */
  readonly onMasked?: OnMasked
}

// Everything that Node parses but CONNECT, which never becomes a request. TRACE is refused before any route.
const FORWARDED_METHODS = METHODS.filter((method) => method !== 'CONNECT')

const NOTHING_RELAYED: ReadonlyMap<RelayKind, Secret> = new Map()

/** The internal address of a route; `rewriteUrl` sends requests here, so no byte of a client's path meets a router or `new URL`. */
export function routeUrl (route: Route): string {
  return `/${route.index}`
}

/** Declares every method as one whose body Fastify leaves alone: bodies are streamed by us, whatever their type. */
export function leaveBodiesAlone (fastify: FastifyInstance): void {
  for (const method of FORWARDED_METHODS) fastify.addHttpMethod(method, { hasBody: false, overrideExisting: true })
}

/**
 * One route: get the credential (asynchronous), apply it (synchronous and pure), forward.
 *
 * `@fastify/http-proxy` mounts the route, and requests leave from its `preHandler`: behind that it resolves a destination
 * that is constant here, and hands over to reply-from, which re-encodes headers, retries, and makes its own connections
 * with TLS verification off (docs/decisions/0011-forwarding.md).
 */
export async function routePlugin (fastify: FastifyInstance, options: RoutePluginOptions): Promise<void> {
  const { route, dispatcher, maxBodyBytes, idleTimeoutMs, refuse, onMasked } = options
  const sender = onMasked === undefined ? () => dispatcher : createScrub(route, dispatcher, onMasked)
  const ways = { ...options, sender }
  const forward = createForward(ways)

  await fastify.register(httpProxy, {
    prefix: routeUrl(route),
    upstream: route.upstreamOrigin,
    rewritePrefix: '/',
    routes: ['/'],
    httpMethods: FORWARDED_METHODS,
    disableRequestLogging: true,
    preHandler,
    // Nothing may go on from there: what reply-from would send has no credential, and its own client trusts every certificate.
    handler: neverSend,
    undici: { request: neverSend }
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
        apply(visit, route, { tokens, relayed })
        proceed(visit, reply)
        return
      }
      Promise.all([tokens, body]).then(([arrived, unspliced]) => {
        if (abandon(visit, reply)) return
        apply(visit, route, { tokens: arrived, relayed, unspliced })
        proceed(visit, reply)
      }).catch(done)
    } catch (error) {
      done(error as Error) // only ProxyErrors and defects arrive here, and both are Errors
    }
  }

  function proceed (visit: Visit, reply: FastifyReply): void {
    reply.hijack()
    if (!relayUpgrade(visit, ways, (error) => { refuse(visit, error) })) forward(visit)
  }

  function readSpliceable (visit: Visit): Promise<Buffer> {
    const { message } = visit
    const length = message.headers['content-length']
    const chunked = message.headers['transfer-encoding'] !== undefined
    checkSpliceable(message.rawHeaders, chunked ? undefined : Number(length ?? 0))
    askForBody(visit)
    return readBody(new Upload(message, { idleTimeoutMs, ...(maxBodyBytes !== undefined && { maxBytes: maxBodyBytes }) }))
  }
}

function neverSend (): never {
  throw new TypeError('a request was about to leave by another way than ours')
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

// A client that left while its token was fetched is answered by nobody, and costs the upstream nothing.
function abandon (visit: Visit, reply: FastifyReply): boolean {
  if (!visit.ended) return false
  reply.hijack()
  return true
}
