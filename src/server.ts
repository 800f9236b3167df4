import { isReady, type AdminFacts, type LastReload } from './admin.ts'
import type { Config, RouteConfig } from './config/config.ts'
import { formatProblem, type LoadResult } from './config/load.ts'
import { buildGeneration, type Generation, type DaemonResources } from './generation.ts'
import { type Address, formatAddress } from './http/address.ts'
import { ListenerSet, type PreparedChange } from './listen/listener-set.ts'
import type { Logger } from './logger.ts'
import { fittingConnections, readOpenFileLimit } from './listen/open-files.ts'
import { createMetrics, type ReloadOutcome } from './observe/metrics.ts'
import { systemClock } from './token/clock.ts'
import { CognitoWorker } from './token/cognito/source.ts'
import { createDiskCaches } from './token/cache/disk.ts'
import type { ProxyEnvironment } from './upstream/connect.ts'
import { readVersion } from './version.ts'

export interface ServerOptions {
  readonly config: Config
  readonly log: Logger
  readonly proxies: ProxyEnvironment
}

/** A running proxy. */
export interface RunningServer {
  /** The real addresses, with the ports that were chosen. */
  readonly address: Address
  readonly admin: Address | 'off'
  /** The listeners of routes that have one of their own: the ADDR of the configuration, and the real one. */
  readonly routes: ReadonlyArray<{ readonly listen: Address, readonly address: Address }>
  /** How long requests in flight may take when it stops; of the configuration that serves now. */
  readonly shutdownTimeoutMs: number
  /** Resolves once every credential had a token. */
  readonly whenReady: () => Promise<void>
  /**
   * Takes over a configuration that was loaded anew, as a whole or not at all: a bad one, or one whose addresses cannot
   * be taken, is logged and counted, and the old one keeps serving. Never closes a port that stays, never drops a request.
   *
   * @returns whether it has taken over
   */
  readonly reload: (loaded: LoadResult) => Promise<boolean>
  /** Drains and ends everything: not ready at once, requests in flight finish, then the rest is closed. Safe to call twice. */
  readonly stop: () => Promise<void>
}

/**
 * How many earlier configurations may still have requests open (a WebSocket may live for weeks). One more reload ends what
 * is open under the oldest, as HAProxy's `mworker-max-reloads` does, with its default.
 */
const MOST_RETIRED = 50

/** The real addresses that a configuration is reached at. */
interface Addresses {
  readonly proxy: Address
  readonly admin: Address | 'off'
  /** Those of routes that have their own. */
  readonly routes: ReadonlyArray<{ readonly config: RouteConfig, readonly listen: Address, readonly address: Address }>
}

/**
 * Starts the proxy and its admin listener. Listening does not wait for the first logins: requests do, each for itself.
 *
 * @throws ListenError where an address cannot be taken; nothing is left running then
 */
export async function startServer ({ config, log, proxies }: ServerOptions): Promise<RunningServer> {
  const version = readVersion()
  const clock = systemClock()
  const worker = new CognitoWorker({ proxies, onWarning: (message) => { log.warn({}, message) } })
  const caches = createDiskCaches(log)
  const listeners = new ListenerSet()
  const openFiles = readOpenFileLimit()
  const ready = createDeferred()
  const retired = new Set<Generation>()
  let bound = addressesOf(config, [])
  let listening = false
  let draining = false
  let lastReload: LastReload | null = null
  let reloading: Promise<unknown> = Promise.resolve()
  let stopping: Promise<void> | undefined

  const facts: AdminFacts = {
    version,
    startedAt: new Date(clock.wall()).toISOString(),
    address: () => listening ? bound.proxy : undefined,
    ownAddress: (route) => bound.routes.find(({ config }) => config === route)?.address,
    draining: () => draining,
    lastReload: () => lastReload
  }
  const metrics = createMetrics({ version, ready: () => isReady(current.store, facts), credentials: () => current.store.eachStatus() })
  const resources: DaemonResources = { metrics, log, clock, random: Math.random, proxies, inFlight: { requests: 0 }, worker, caches, facts }
  let current = await buildGeneration(config, resources)
  try {
    takeOver(current, await listeners.prepare(current.listenerBindings, connectionLimit(config)))
  } catch (error) {
    await Promise.all([current.close(), worker.close(), caches.close()])
    throw error
  }
  log.info(describe(bound), 'listening')
  ready.promise.then(() => { if (!draining) log.info({ credentials: current.config.credentials.size }, 'ready') }, () => {})

  return {
    get address () { return bound.proxy },
    get admin () { return bound.admin },
    get routes () { return bound.routes.map(({ listen, address }) => ({ listen, address })) },
    get shutdownTimeoutMs () { return current.config.shutdownTimeoutMs },
    whenReady: () => ready.promise,
    reload: (loaded) => {
      const turn = reloading.then(() => reload(loaded))
      reloading = turn.catch(() => {})
      return turn
    },
    stop: () => (stopping ??= stop())
  }

  function connectionLimit ({ limits }: Config): number {
    const connections = fittingConnections(limits, openFiles)
    if (connections < limits.connections) {
      log.warn(
        { openFiles, connections },
        'fewer connections than limits.connections are served, since this process may open so few files; raise ulimit -n'
      )
    }
    return connections
  }

  async function reload (loaded: LoadResult): Promise<boolean> {
    if (draining) {
      log.info({}, 'reload ignored, the proxy is about to end')
      return false
    }
    const outcome = loaded.ok ? await replace(loaded.config) : 'invalid'
    for (const problem of loaded.ok ? loaded.warnings : loaded.problems) {
      const fields = { problem: formatProblem(problem) }
      if (problem.severity === 'error') log.error(fields, 'configuration problem')
      else log.warn(fields, 'configuration warning')
    }
    if (outcome === 'abandoned') return false
    metrics.reloaded(outcome)
    lastReload = { at: new Date(clock.wall()).toISOString(), outcome }
    if (outcome === 'ok') log.info({ ...describe(bound), credentials: current.config.credentials.size }, 'configuration reloaded')
    else log.error({}, 'reload failed, the old configuration keeps serving')
    return outcome === 'ok'
  }

  async function replace (config: Config): Promise<ReloadOutcome | 'abandoned'> {
    let next: Generation | undefined
    let change: PreparedChange | undefined
    try {
      next = await buildGeneration(config, resources, current)
      change = await listeners.prepare(next.listenerBindings, connectionLimit(config))
    } catch (error) {
      await next?.close()
      log.error({ error }, 'the new configuration cannot be put to use')
      return 'failed'
    }
    if (draining) {
      await Promise.all([change.abandon(), next.close()])
      return 'abandoned'
    }
    const old = current
    takeOver(next, change)
    retire(old)
    return 'ok'
  }

  /** From here on nothing waits and nothing fails: no request meets half a configuration. */
  function takeOver (next: Generation, change: PreparedChange): void {
    change.commit()
    current = next
    bound = addressesOf(next.config, change.addresses)
    listening = true
    next.store.start()
    next.store.whenReady().then(ready.resolve, () => {})
  }

  /** Requests, streams and upgraded connections that are open go on under the configuration that they began with. */
  function retire (old: Generation): void {
    retired.add(old)
    const [oldest] = retired
    if (oldest !== undefined && retired.size > MOST_RETIRED) {
      log.warn({}, 'too many earlier configurations are in use, what is open under the oldest is ended')
      oldest.app.abort()
    }
    old.app
      .whenIdle()
      .then(() => old.close())
      .finally(() => {
        retired.delete(old)
      })
      .catch((error: unknown) => {
        log.error({ error }, 'an old configuration was not closed')
      })
  }

  async function stop (): Promise<void> {
    const { shutdownTimeoutMs } = current.config
    draining = true
    log.info({ timeoutMs: shutdownTimeoutMs }, 'draining')
    await listeners.drainProxy(shutdownTimeoutMs)
    await current.store.stop()
    // A reload that was under way has seen the end by now, or does so at its next step.
    await reloading
    // Probes see the end coming until it is there.
    await listeners.close()
    await Promise.all([...retired, current].map((generation) => generation.close()))
    await Promise.all([worker.close(), caches.close()])
    log.info({}, 'stopped')
  }
}

/** @param real of the configuration's entrances, in their order; where one is missing, the address that was asked for stands in */
function addressesOf (config: Config, real: readonly Address[]): Addresses {
  const rest = [...real]
  const proxy = rest.shift() ?? config.listen
  const routes = config.routes.flatMap((route) =>
    route.listen === undefined ? [] : [{ config: route, listen: route.listen, address: rest.shift() ?? route.listen }]
  )
  return { proxy, routes, admin: config.admin === 'off' ? 'off' : rest[0] ?? config.admin }
}

function describe ({ proxy, admin, routes }: Addresses): Record<string, unknown> {
  return {
    address: formatAddress(proxy),
    admin: admin === 'off' ? 'off' : formatAddress(admin),
    routes: routes.map(({ listen, address }) => ({ listen: formatAddress(listen), address: formatAddress(address) }))
  }
}

function createDeferred (): { readonly promise: Promise<void>, readonly resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}
