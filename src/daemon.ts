import { addressesOf, describeAddresses, type Addresses } from './addresses.ts'
import { isReady, type AdminFacts, type LastReload } from './admin.ts'
import type { Config } from './config/config.ts'
import { formatProblem, type LoadResult } from './config/load.ts'
import { buildGeneration, type DaemonResources, type Generation } from './generation.ts'
import { ListenerSet, type PreparedChange } from './listen/listener-set.ts'
import { fittingConnections, readOpenFileLimit } from './listen/open-files.ts'
import type { Logger } from './logger.ts'
import { createMetrics, type ReloadOutcome } from './observe/metrics.ts'
import { RetiredGenerations } from './retired.ts'
import { systemClock, type Clock } from './token/clock.ts'
import { CognitoWorker } from './token/cognito/source.ts'
import { createDiskCaches } from './token/cache/disk.ts'
import type { ProxyEnvironment } from './upstream/connect.ts'
import { readVersion } from './version.ts'

/** What {@link startServer} takes; `createProxy` needs less. */
export interface ServerOptions {
  readonly config: Config
  readonly log: Logger
  readonly proxies: ProxyEnvironment
}

/** What lives from start to stop, across all configurations. */
export class Daemon {
  readonly #log: Logger
  readonly #resources: DaemonResources
  readonly #listeners = new ListenerSet()
  readonly #retired: RetiredGenerations
  readonly #openFiles = readOpenFileLimit()
  readonly #ready = createDeferred()
  /** The generation that takes new requests; undefined before the first one is built. */
  #current: Generation | undefined
  #addresses: Addresses
  #listening = false
  #draining = false
  #lastReload: LastReload | null = null
  /** The last reload that was asked for; each waits for the one before it. */
  #reloading: Promise<unknown> = Promise.resolve()
  #stopping: Promise<void> | undefined

  constructor ({ config, log, proxies }: ServerOptions) {
    const version = readVersion()
    const clock = systemClock()
    const facts = this.#facts(version, clock)
    this.#log = log
    this.#addresses = addressesOf(config, [])
    this.#retired = new RetiredGenerations(log)
    this.#resources = {
      metrics: createMetrics({
        version,
        ready: () => isReady(this.current.store, facts),
        credentials: () => this.current.store.eachStatus()
      }),
      log,
      clock,
      random: Math.random,
      proxies,
      inFlight: { requests: 0 },
      worker: new CognitoWorker({ proxies, onWarning: (message) => { log.warn({}, message) } }),
      caches: createDiskCaches(log),
      facts
    }
  }

  /** The generation that takes new requests. */
  get current (): Generation {
    if (this.#current === undefined) throw new TypeError('the daemon was asked before it had a configuration')
    return this.#current
  }

  /** The real addresses of the configuration that serves now; the configured ones until it listens. */
  get addresses (): Addresses {
    return this.#addresses
  }

  /** Resolves once every credential had a token. */
  whenReady (): Promise<void> {
    return this.#ready.promise
  }

  /** @throws ListenError where an address cannot be taken; everything is closed again then */
  async start (config: Config): Promise<void> {
    const first = await buildGeneration(config, this.#resources)
    // A request may come before all addresses are taken.
    this.#current = first
    try {
      this.#takeOver(first, await this.#listeners.prepare(first.listenerBindings, this.#connectionLimit(config)))
    } catch (error) {
      await Promise.all([first.close(), this.#closeResources()])
      throw error
    }
    this.#log.info(describeAddresses(this.#addresses), 'listening')
    this.#ready.promise.then(() => {
      if (!this.#draining) this.#log.info({ credentials: this.current.config.credentials.size }, 'ready')
    }, () => {})
  }

  /** Takes over a configuration, once the reloads before it are through. @returns whether it has taken over */
  reload (loaded: LoadResult): Promise<boolean> {
    const turn = this.#reloading.then(() => this.#reload(loaded))
    this.#reloading = turn.catch(() => {})
    return turn
  }

  /** Drains and ends everything. Safe to call twice. */
  stop (): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  #facts (version: string, clock: Clock): AdminFacts {
    return {
      version,
      startedAt: new Date(clock.wall()).toISOString(),
      address: () => this.#listening ? this.#addresses.proxy : undefined,
      ownAddress: (route) => this.#addresses.routes.find(({ config }) => config === route)?.address,
      draining: () => this.#draining,
      lastReload: () => this.#lastReload
    }
  }

  #connectionLimit ({ limits }: Config): number {
    const connections = fittingConnections(limits, this.#openFiles)
    if (connections < limits.connections) {
      this.#log.warn(
        { openFiles: this.#openFiles, connections },
        'fewer connections than limits.connections are served, since this process may open so few files; raise ulimit -n'
      )
    }
    return connections
  }

  async #reload (loaded: LoadResult): Promise<boolean> {
    if (this.#draining) {
      this.#log.info({}, 'reload ignored, the proxy is about to end')
      return false
    }
    const outcome = loaded.ok ? await this.#replace(loaded.config) : 'invalid'
    this.#tellProblems(loaded)
    if (outcome === 'abandoned') return false
    const { metrics, clock } = this.#resources
    metrics.reloaded(outcome)
    this.#lastReload = { at: new Date(clock.wall()).toISOString(), outcome }
    if (outcome === 'ok') {
      const { credentials } = this.current.config
      this.#log.info({ ...describeAddresses(this.#addresses), credentials: credentials.size }, 'configuration reloaded')
    } else {
      this.#log.error({}, 'reload failed, the old configuration keeps serving')
    }
    return outcome === 'ok'
  }

  #tellProblems (loaded: LoadResult): void {
    for (const problem of loaded.ok ? loaded.warnings : loaded.problems) {
      const fields = { problem: formatProblem(problem) }
      if (problem.severity === 'error') this.#log.error(fields, 'configuration problem')
      else this.#log.warn(fields, 'configuration warning')
    }
  }

  /** Puts a configuration in place of the current one; abandons it where the daemon has begun to stop meanwhile. */
  async #replace (config: Config): Promise<ReloadOutcome | 'abandoned'> {
    const old = this.current
    let next: Generation | undefined
    let change: PreparedChange | undefined
    try {
      next = await buildGeneration(config, this.#resources, old)
      change = await this.#listeners.prepare(next.listenerBindings, this.#connectionLimit(config))
    } catch (error) {
      await next?.close()
      this.#log.error({ error }, 'the new configuration cannot be put to use')
      return 'failed'
    }
    if (this.#draining) {
      await Promise.all([change.abandon(), next.close()])
      return 'abandoned'
    }
    this.#takeOver(next, change)
    this.#retired.add(old)
    return 'ok'
  }

  /** From here on nothing waits and nothing fails: no request meets half a configuration. */
  #takeOver (next: Generation, change: PreparedChange): void {
    change.commit()
    this.#current = next
    this.#addresses = addressesOf(next.config, change.addresses)
    this.#listening = true
    next.store.start()
    next.store.whenReady().then(this.#ready.resolve, () => {})
  }

  async #stop (): Promise<void> {
    const { shutdownTimeoutMs } = this.current.config
    this.#draining = true
    this.#log.info({ timeoutMs: shutdownTimeoutMs }, 'draining')
    await this.#listeners.drainProxy(shutdownTimeoutMs)
    await this.current.store.stop()
    // A reload that was under way has seen the end by now, or does so at its next step.
    await this.#reloading
    // The admin listener last: probes see the end coming until it is there.
    await this.#listeners.close()
    await Promise.all([this.#retired.close(), this.current.close()])
    await this.#closeResources()
    this.#log.info({}, 'stopped')
  }

  async #closeResources (): Promise<void> {
    await Promise.all([this.#resources.worker.close(), this.#resources.caches.close()])
  }
}

function createDeferred (): { readonly promise: Promise<void>, readonly resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}
