import type { Config } from './config/config.ts'
import type { Address } from './http/address.ts'
import type { Handler, Refused } from './listen/service.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './observe/metrics.ts'
import { createObserver } from './observe/observer.ts'
import { contextOf, openContext } from './proxy/context.ts'
import type { Dependencies, RequestCount } from './proxy/dependencies.ts'
import { OpenRequests } from './proxy/open-requests.ts'
import { createReceiver } from './proxy/receive.ts'
import type { ProxyRoute } from './proxy/route.ts'
import { compileRoute } from './route/route.ts'
import { ownTable, sharedTable, type RouteTable } from './route/table.ts'
import { createAcceptance, type Acceptance } from './token/acceptance.ts'
import type { Clock } from './token/clock.ts'
import type { CredentialStore } from './token/store.ts'
import { connectUpstream, type ProxyEnvironment } from './upstream/connect.ts'
import { Scrubber } from './upstream/scrub.ts'

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

/** The proxy made of one configuration, without a listener: any number of servers may hand requests to it. */
export interface App {
  /** Handles the requests of the main listener. */
  readonly handle: Handler
  /** The listeners that routes have to themselves, in the order of the routes. */
  readonly own: ReadonlyArray<{ readonly address: Address, readonly handle: Handler }>
  /** Takes note of a request that a listener has refused by itself. */
  readonly onRefused: (refused: Refused) => void
  /** Resolves once no request and no upgraded connection is open any more; for an application that gets no new ones. */
  readonly whenIdle: () => Promise<void>
  /** Ends the client connections that requests, or upgrades, are still open on. */
  readonly abort: () => void
  /** Ends the connections to the upstreams. */
  readonly close: () => Promise<void>
}

/** Builds the parts of the proxy. `proxy/forward.ts` lists the steps of a request. */
export async function buildApp (options: AppOptions): Promise<App> {
  const { config, store, clock, proxies, inFlight = { requests: 0 } } = options
  const routes = openRoutes(config, proxies)
  const observer = createObserver({ ...options, routes, accessLog: config.accessLog })
  const proxy: Dependencies = { guard: guardOf(config), maxRequests: config.limits.requests, inFlight, store, observer, clock }
  const open = new OpenRequests()
  const receiver = await createReceiver()
  return {
    handle: handlerOf(sharedTable(routes)),
    own: routes.flatMap((route) => (route.listen === undefined ? [] : [{ address: route.listen, handle: handlerOf(ownTable(route)) }])),
    onRefused: (refused) => {
      const { current, rejection: { code, statusCode } } = refused
      // The access log has its line when the request ends, which is now.
      if (current !== undefined) Object.assign(contextOf(current), { code, rawStatus: statusCode })
      observer.refusedEarly(refused)
    },
    whenIdle: () => open.whenNone(),
    abort: () => { open.abort() },
    close: async () => {
      await receiver.close()
      await Promise.all(routes.map(({ pool }) => pool.destroy()))
    }
  }

  function handlerOf (table: RouteTable<ProxyRoute>): Handler {
    return (message, response) => {
      open.add(openContext(message, response, table, proxy))
      receiver.receive(message, response)
    }
  }
}

function guardOf ({ allowedHosts, allowedOrigins, callerToken }: Config): Dependencies['guard'] {
  return { allowedHosts: new Set(allowedHosts), allowedOrigins: new Set(allowedOrigins), ...(callerToken !== undefined && { callerToken }) }
}

function openRoutes ({ routes, limits }: Config, proxies: ProxyEnvironment): ProxyRoute[] {
  const acceptances = new Map<string, Acceptance>()
  return routes.map((options, index) => {
    const route = compileRoute(options, index)
    // Routes to one upstream share what is known of it. Another base path may be another API.
    const upstream = `${route.socketPath ?? ''} ${route.upstream}`
    const acceptance = acceptances.get(upstream) ?? createAcceptance()
    acceptances.set(upstream, acceptance)
    const pool = connectUpstream({ ...route, origin: route.upstreamOrigin, headerBytes: limits.headerBytes, proxies })
    return { ...route, pool, acceptance, scrubber: route.scrub ? new Scrubber() : undefined }
  })
}
