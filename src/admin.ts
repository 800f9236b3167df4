import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { errorResponse, ProxyError } from './errors.ts'
import type { Config, RouteConfig } from './config/config.ts'
import { describeScheme } from './auth/scheme.ts'
import { formatAddress, type Address } from './http/address.ts'
import { parseTarget } from './http/target.ts'
import { admit, type GuardOptions } from './guard/guard.ts'
import type { Metrics, ReloadOutcome } from './observe/metrics.ts'
import { NO_SCHEMAS } from './no-schemas.ts'
import type { CredentialStore } from './token/store.ts'

export interface AdminOptions {
  readonly config: Config
  readonly store: CredentialStore
  readonly metrics: Metrics
  readonly facts: AdminFacts
}

/** What only the process knows. */
export interface AdminFacts {
  readonly version: string
  /** RFC 3339. */
  readonly startedAt: string
  /** The proxy's own ADDR, once it listens. */
  readonly address: () => Address | undefined
  /** The real ADDR of a route's own listener, where it has one, while it listens. */
  readonly ownAddress?: (route: RouteConfig) => Address | undefined
  /** SIGTERM came. */
  readonly draining: () => boolean
  /** How the last reload went; null where there was none. */
  readonly lastReload?: () => LastReload | null
}

/** How the last reload went. */
export interface LastReload {
  /** RFC 3339. */
  readonly at: string
  readonly outcome: ReloadOutcome
}

/** The admin listener's requests: probes, status, metrics. It reads, and changes nothing. */
export interface Admin {
  readonly handle: (message: IncomingMessage, response: ServerResponse) => void
  /** What `/status` says now. */
  readonly status: () => Status
  readonly close: () => Promise<void>
}

/** The body of `/status`. Instants are RFC 3339; nothing in it is secret. */
export interface Status {
  readonly version: string
  readonly startedAt: string
  /** Whether every credential can serve a request now. */
  readonly ready: boolean
  /** How the last reload went; null where there was none. */
  readonly reload: LastReload | null
  readonly credentials: ReturnType<CredentialStore['statuses']>
  readonly routes: readonly RouteStatus[]
}

/** A route as `/status` shows it. */
export interface RouteStatus {
  /** Null where it has only a listener of its own. */
  readonly prefix: string | null
  /** The ADDR that it is reached at. */
  readonly listen: string
  /** As the configuration has it, `${NAME}` included. */
  readonly upstream: string
  /** The credential's name; null for a public upstream. */
  readonly credential: string | null
  /** As `http bearer`, `apiKey header X-Api-Key`. */
  readonly schemes: readonly string[]
}

const OWN_HEADERS = [
  ['cache-control', 'no-store'],
  ['x-content-type-options', 'nosniff'],
  ['cross-origin-resource-policy', 'same-origin']
] as const

/** A path that nothing is served on. */
const NOWHERE = '/nowhere'

/** Whether every credential can serve a request now, and nothing is about to end. */
export function isReady (store: CredentialStore, facts: AdminFacts): boolean {
  return !facts.draining() && facts.address() !== undefined && store.ready().ready
}

/** Makes the admin application: the guards of the proxy without its caller token, which probes could not send. */
export async function buildAdmin (options: AdminOptions): Promise<Admin> {
  const app = fastify({
    logger: false,
    schemaController: NO_SCHEMAS,
    // A path that Fastify cannot decode would get a response of Fastify's own, in front of the guards.
    rewriteUrl: (message) => isMalformed(message.url ?? '') ? NOWHERE : message.url ?? '',
    exposeHeadRoutes: true,
    return503OnClosing: false,
    forceCloseConnections: true
  })
  addGuards(app, options.config)
  addPages(app, options)
  await app.ready()
  return { handle: (message, response) => { app.routing(message, response) }, status: () => statusOf(options), close: () => app.close() }
}

/** Puts the guards in front of all pages, and responds in our own form where no page does. */
function addGuards (app: FastifyInstance, { allowedHosts }: Config): void {
  const guard: GuardOptions = { allowedHosts: new Set(allowedHosts), allowedOrigins: new Set() }
  app.addHook('onRequest', (request, reply, done) => {
    for (const [name, value] of OWN_HEADERS) reply.raw.setHeader(name, value)
    admit(request.raw, guard, request.originalUrl)
    if (request.method !== 'GET' && request.method !== 'HEAD') throw methodError()
    parseTarget(request.originalUrl)
    done()
  })
  app.setErrorHandler((error, _request, reply) => {
    const { statusCode, headers, body } = errorResponse(
      error instanceof ProxyError ? error : new ProxyError('CS_INTERNAL', { cause: error })
    )
    return reply.code(statusCode).headers({ ...headers, ...(statusCode === 405 && { allow: 'GET, HEAD' }) }).send(body)
  })
  app.setNotFoundHandler(() => {
    throw new ProxyError('CS_NO_ROUTE', { message: 'The admin listener has /startup, /live, /ready, /status and /metrics.' })
  })
}

function addPages (app: FastifyInstance, options: AdminOptions): void {
  const { store, metrics, facts } = options
  app.get('/startup', (_request, reply) => probe(reply, facts.address() !== undefined && store.attempted(), { startup: true }))
  // A response at all means that the event loop turns; the refresh loop is part of it and cannot end by itself.
  app.get('/live', (_request, reply) => probe(reply, true, { live: true }))
  app.get('/ready', (_request, reply) => {
    const { missing } = store.ready()
    const ready = isReady(store, facts)
    return probe(reply, ready, { ready, ...(missing.length > 0 && { missing }), ...(facts.draining() && { draining: true }) })
  })
  app.get('/status', () => statusOf(options))
  app.get('/metrics', (request, reply) => {
    const { contentType, body } = metrics.scrape(request.headers.accept ?? '')
    // Nothing is made for HEAD, which shows none of it.
    return reply.type(contentType).send(Readable.from(request.method === 'HEAD' ? [] : body, { objectMode: false }))
  })
}

function statusOf ({ config, store, facts }: AdminOptions): Status {
  return {
    version: facts.version,
    startedAt: facts.startedAt,
    ready: isReady(store, facts),
    reload: facts.lastReload?.() ?? null,
    credentials: store.statuses(),
    routes: describeRoutes(config, (route) => facts.ownAddress?.(route) ?? route.listen ?? facts.address() ?? config.listen)
  }
}

function isMalformed (target: string): boolean {
  try {
    parseTarget(target)
    return false
  } catch {
    return true
  }
}

function probe (reply: FastifyReply, good: boolean, response: Record<string, unknown>): FastifyReply {
  return reply.code(good ? 200 : 503).send(response)
}

function methodError (): ProxyError {
  return new ProxyError('CS_METHOD_NOT_ALLOWED', { message: 'The admin listener changes nothing and answers only GET and HEAD.' })
}

/** The routes as `/status` shows them; nothing in them is secret. */
function describeRoutes (config: Config, addressOf: (route: RouteConfig) => Address): RouteStatus[] {
  return config.routes.map((route) => ({
    prefix: route.prefix ?? null,
    listen: formatAddress(addressOf(route)),
    upstream: route.upstreamLabel,
    credential: route.credential ?? null,
    schemes: route.bindings.map(({ scheme }) => describeScheme(scheme))
  }))
}
