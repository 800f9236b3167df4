import fastify from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { errorAnswer, ProxyError } from './errors.ts'
import type { Config } from './config/config.ts'
import { createJournal } from './journal.ts'
import type { Refused } from './listen/listener.ts'
import type { Logger } from './logger.ts'
import { admit, answerPreflight, corsHeaders, isPreflight } from './plugins/guard.ts'
import type { Metrics } from './plugins/metrics.ts'
import { OpenVisits } from './plugins/open-visits.ts'
import { NO_SCHEMAS } from './plugins/no-schemas.ts'
import { leaveBodiesAlone, routePlugin, routeUrl } from './plugins/route.ts'
import { openVisit, visitOf, type Visit } from './plugins/visit.ts'
import { compileRoute, routesOf, type Route } from './route/table.ts'
import { createAcceptance, type Acceptance } from './token/acceptance.ts'
import type { Clock } from './token/clock.ts'
import type { CredentialStore } from './token/store.ts'
import { connectUpstream, type ProxyEnvironment } from './upstream/connect.ts'

export interface AppOptions {
  readonly config: Config
  readonly store: CredentialStore
  readonly metrics: Metrics
  readonly log: Logger
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
  readonly proxies: ProxyEnvironment
  /** Counts the requests in flight, for applications that share one limit. */
  readonly inFlight?: RequestCount
}

/** How many requests are in flight. */
export interface RequestCount {
  requests: number
}

/** The proxy made of one configuration, without a listener: any number of servers may hand requests to it. */
export interface App {
  readonly handle: Handler
  /** The requests that come in on a route's own listener, by the route's place in the configuration. */
  readonly handleOwn: (index: number) => Handler
  /** Takes note of a request that a listener has refused by itself. */
  readonly onRefused: (refused: Refused) => void
  /** Resolves once no request and no upgraded connection is open any more; for an application that gets no new ones. */
  readonly whenIdle: () => Promise<void>
  /** Ends the client connections that requests, or upgrades, are still open on. */
  readonly abort: () => void
  /** Ends the connections to the upstreams. */
  readonly close: () => Promise<void>
}

type Handler = (message: IncomingMessage, response: ServerResponse) => void

/** A path that no request can reach by itself: where requests go that found no route. */
const NOWHERE = '/nowhere'

/**
 * Makes and joins the parts of the proxy. The order of a request: visit (route found from the raw target), guard,
 * refusal or preflight, route (allow list, token, forward), and at its end, however it came, the log line and metrics.
 */
export async function buildApp ({ config, store, metrics, log, clock, random, proxies, inFlight = { requests: 0 } }: AppOptions): Promise<App> {
  const routes = config.routes.map(compileRoute)
  const guard = {
    allowedHosts: new Set(config.allowedHosts),
    allowedOrigins: new Set(config.allowedOrigins),
    ...(config.callerToken !== undefined && { callerToken: config.callerToken })
  }
  const journal = createJournal({ log, metrics, sample: config.accessLog, random, now: () => clock.monotonic() })
  const visits = new OpenVisits()
  let onIdle = (): void => {}

  const app = fastify({
    logger: false,
    schemaController: NO_SCHEMAS,
    // Fastify routes by a name of our own making: the raw path is judged and matched by us alone (CVE-2026-16117, CVE-2026-85124).
    rewriteUrl: (message) => {
      const { route } = visitOf(message)
      return route === undefined ? NOWHERE : routeUrl(route)
    },
    exposeHeadRoutes: false,
    return503OnClosing: false
  })
  leaveBodiesAlone(app)
  app.addHook('onRequest', (request, reply, done) => {
    const visit = visitOf(request.raw)
    const { corsOrigin } = admit(visit.message, guard, request.originalUrl)
    if (corsOrigin !== undefined) visit.corsOrigin = corsOrigin
    if (corsOrigin !== undefined && isPreflight(visit.message)) {
      reply.hijack()
      answerPreflight(visit.message, visit.response, corsOrigin)
      return
    }
    if (visit.refusal !== undefined) throw visit.refusal
    if (inFlight.requests > config.limits.requests) throw new ProxyError('CS_OVERLOADED', { retryAfter: 1 })
    done()
  })
  app.setErrorHandler((error, request, reply) => {
    reply.hijack()
    refuse(visitOf(request.raw), error)
  })
  app.setNotFoundHandler(() => { throw new ProxyError('CS_NO_ROUTE') })

  const acceptances = new Map<string, Acceptance>()
  for (const [index, route] of routes.entries()) {
    const options = config.routes[index]
    if (options === undefined) continue
    const dispatcher = connectUpstream({
      origin: route.upstreamOrigin,
      ...(options.socketPath !== undefined && { socketPath: options.socketPath }),
      ...(options.tls !== undefined && { tls: options.tls }),
      timeoutMs: options.timeoutMs,
      idleTimeoutMs: options.idleTimeoutMs,
      headerBytes: config.limits.headerBytes,
      proxies
    })
    // Two routes to one upstream have one opinion of it; a path of its own may be an API of its own.
    const { accept, refuse: refuseToken } = acceptanceOf(`${options.socketPath ?? ''} ${options.upstream}`)
    await app.register(routePlugin, {
      route,
      dispatcher,
      ...(options.maxBodyBytes !== undefined && { maxBodyBytes: options.maxBodyBytes }),
      idleTimeoutMs: options.idleTimeoutMs,
      refuse,
      token: (credential) => store.get(credential),
      accept,
      reject: (credential, token) => { store.reject(credential, token, refuseToken(credential, token)) },
      another: (credential, token) => store.another(credential, token),
      onReplay: (credentials) => {
        for (const credential of credentials) metrics.replayed(credential)
        log.info({ route: route.label, credential: credentials.join() }, 'upstream answered 401, request sent once more with a new token')
      },
      onRejected: (credentials, reason) => { log.warn({ route: route.label, credential: credentials.join(), reason }, 'upstream answered 401, which is passed on') },
      websocket: options.websocket,
      now: () => clock.monotonic(),
      // An upgraded connection counts among limits.connections alone.
      onSwitch: () => { inFlight.requests-- },
      ...(options.scrub && {
        onMasked: (count: number, first: boolean) => {
          metrics.scrubbed(route.label, count)
          if (first) log.warn({ route: route.label }, 'upstream echoed a credential, which is masked')
        }
      }),
      onInject: () => { for (const credential of route.injectedCredentials) metrics.injected(credential) }
    })
    app.addHook('onClose', async () => { await dispatcher.destroy() })
  }
  await app.ready()
  return {
    handle: handlerOf(routesOf(routes)),
    handleOwn: (index) => handlerOf(routesOf(routes, index)),
    onRefused: ({ current, ...refused }) => {
      metrics.refused(refused.refusal.code)
      if (current === undefined) journal.refused(refused)
      // Its line comes with its end, which is now.
      else Object.assign(visitOf(current), { code: refused.refusal.code, rawStatus: refused.refusal.statusCode })
    },
    whenIdle: () => new Promise((resolve) => {
      onIdle = resolve
      if (visits.size === 0) resolve()
    }),
    abort: () => { for (const { message } of visits) message.socket.destroy() },
    close: () => app.close()
  }

  function acceptanceOf (upstream: string): Acceptance {
    const acceptance = acceptances.get(upstream) ?? createAcceptance()
    acceptances.set(upstream, acceptance)
    return acceptance
  }

  function handlerOf (table: readonly Route[]): Handler {
    return (message, response) => {
      const visit = openVisit(message, response, table, clock.monotonic())
      inFlight.requests++
      visits.add(visit)
      response.once('close', () => {
        visit.ended = true
        if (!visit.switched) inFlight.requests--
        visits.remove(visit)
        if (!visit.switched && !response.writableFinished) visit.exchange?.abort()
        journal.ended(visit)
        if (visits.size === 0) onIdle()
      })
      app.routing(message, response)
    }
  }

  function refuse (visit: Visit, error: unknown): void {
    // A client that left is no error; there is nobody to answer.
    if (visit.ended) return
    const refusal = error instanceof ProxyError ? error : new ProxyError('CS_INTERNAL', { cause: error })
    visit.code = refusal.code
    metrics.refused(refusal.code)
    if (refusal.statusCode >= 500) log.warn({ route: visit.route?.label, code: refusal.code, error: refusal.cause }, 'request failed')
    const { statusCode, headers, body } = errorAnswer(refusal)
    const list = Object.entries(headers).flat()
    if (visit.corsOrigin !== undefined) list.push(...corsHeaders(visit.corsOrigin, list))
    // The listener reads no further request behind such an answer.
    if (refusal.close) visit.response.shouldKeepAlive = false
    visit.response.writeHead(statusCode, list)
    visit.response.end(body)
  }
}
