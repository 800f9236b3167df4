import { buildAdmin, isReady, type AdminFacts } from './admin.ts'
import { buildApp } from './app.ts'
import type { Config, CredentialConfig } from './config/config.ts'
import type { Address } from './http/address.ts'
import { formatAddress } from './http/address.ts'
import { openListener, type ConnectionCount, type Listener } from './listener.ts'
import type { Logger } from './logger.ts'
import { fittingConnections, readOpenFileLimit } from './open-files.ts'
import { createMetrics } from './plugins/metrics.ts'
import { systemClock } from './token/clock.ts'
import { CognitoWorker, createCognitoSource } from './token/cognito.ts'
import { openDiskCache, type DiskCache } from './token/disk-cache.ts'
import { cognitoIdentity, oauth2Identity } from './token/identity.ts'
import { createOAuth2Source } from './token/oauth2.ts'
import { CredentialStore, type CredentialOptions } from './token/store.ts'
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
  /** Resolves once every credential had a token. */
  readonly whenReady: () => Promise<void>
  /** Drains and ends everything: not ready at once, requests in flight finish, then the rest is closed. Safe to call twice. */
  readonly stop: () => Promise<void>
}

/** Of the admin listener, whatever `limits` says: neither a crowd at the proxy's port nor a low limit keeps probes out. */
const ADMIN_CONNECTIONS = 64

/**
 * Starts the proxy and its admin listener. Listening does not wait for the first logins: requests do, each for itself.
 *
 * @throws ListenError where an address cannot be taken; nothing is left running then
 */
export async function startServer ({ config, log, proxies }: ServerOptions): Promise<RunningServer> {
  const version = readVersion()
  const clock = systemClock()
  const cache = config.tokenCache && openDiskCache({ ...config.tokenCache, log })
  const worker = new CognitoWorker({ onWarning: (message) => { log.warn({}, message) } })
  const state: { address?: Address, readonly own: Map<number, Address>, draining: boolean } = { own: new Map(), draining: false }
  const facts: AdminFacts = {
    version,
    startedAt: new Date(clock.wall()).toISOString(),
    address: () => state.address,
    ownAddress: (index) => state.own.get(index),
    draining: () => state.draining
  }
  const store: CredentialStore = new CredentialStore({
    credentials: [...config.credentials].map(([name, credential]) => credentialOptions(name, credential, { worker, proxies, cache })),
    clock,
    random: Math.random,
    log,
    logins: config.logins,
    onFetch: ({ credential, kind, outcome }) => { metrics.tokenFetched(credential, kind, outcome) }
  })
  const metrics = createMetrics({ version, ready: () => isReady(store, facts), credentials: () => store.statuses() })
  const app = await buildApp({ config, store, metrics, log, clock, random: Math.random, proxies })
  const admin = await buildAdmin({ config, store, metrics, facts })
  const listeners: Listener[] = []

  const closeParts = async (): Promise<void> => {
    await store.stop()
    await Promise.all([app.close(), admin.close(), worker.close(), cache?.close()])
  }
  const openFiles = readOpenFileLimit()
  const maxConnections = fittingConnections(config.limits, openFiles)
  if (maxConnections < config.limits.connections) {
    log.warn({ openFiles, connections: maxConnections }, 'fewer connections than limits.connections are served, since this process may open so few files; raise ulimit -n')
  }
  const proxyConnections = { served: 0 }
  const { address } = await open(config.listen, app.handle, maxConnections, proxyConnections)
  const routes: Array<{ readonly listen: Address, readonly address: Address }> = []
  for (const [index, { listen }] of config.routes.entries()) {
    if (listen === undefined) continue
    const own = await open(listen, app.handleOwn(index), maxConnections, proxyConnections)
    state.own.set(index, own.address)
    routes.push({ listen, address: own.address })
  }
  const proxyListeners = [...listeners]
  const adminListener = config.admin === 'off' ? undefined : await open(config.admin, admin.handle, ADMIN_CONNECTIONS)
  state.address = address
  const adminAddress = adminListener?.address ?? 'off'
  log.info({
    address: formatAddress(address),
    admin: adminAddress === 'off' ? 'off' : formatAddress(adminAddress),
    routes: routes.map(({ listen, address }) => ({ listen: formatAddress(listen), address: formatAddress(address) }))
  }, 'listening')
  store.start()
  store.whenReady().then(() => { if (!state.draining) log.info({ credentials: config.credentials.size }, 'ready') }, () => {})

  let stopping: Promise<void> | undefined
  return { address, admin: adminAddress, routes, whenReady: () => store.whenReady(), stop: () => (stopping ??= stop()) }

  async function open (where: Address, handle: typeof app.handle, maxConnections: number, count?: ConnectionCount): Promise<Listener> {
    try {
      const listener = await openListener({ address: where, handle, maxConnections, ...(count !== undefined && { open: count }) })
      listeners.push(listener)
      return listener
    } catch (error) {
      await Promise.all(listeners.map((listener) => listener.drain(0)))
      await closeParts()
      throw error
    }
  }

  async function stop (): Promise<void> {
    state.draining = true
    log.info({ timeoutMs: config.shutdownTimeoutMs }, 'draining')
    await Promise.all(proxyListeners.map((listener) => listener.drain(config.shutdownTimeoutMs)))
    await store.stop()
    // Probes see the end coming until it is there.
    await adminListener?.drain(0)
    await closeParts()
    log.info({}, 'stopped')
  }
}

/** What the sources of one configuration share. */
interface Surroundings {
  readonly worker: CognitoWorker
  readonly proxies: ProxyEnvironment
  readonly cache: DiskCache | undefined
}

/** What the store needs of a credential; here the compiler proves that the configuration fits the token half. */
function credentialOptions (name: string, credential: CredentialConfig, { worker, proxies, cache }: Surroundings): CredentialOptions {
  switch (credential.type) {
    case 'static': return { name, type: 'static', value: credential.value }
    case 'cognito': case 'defender-relayer': case 'defender-admin':
      return { name, type: credential.type, provider: credential.endpoint, source: createCognitoSource(credential, worker), ...(cache && { cache: cache.of(name, cognitoIdentity(credential.type, credential)) }) }
    case 'oauth2':
      return { name, type: 'oauth2', provider: credential.tokenUrl, source: createOAuth2Source(credential, { proxies }), ...(cache && { cache: cache.of(name, oauth2Identity(credential)) }) }
    default: return unreachable(credential)
  }
}

function unreachable (value: never): never {
  throw new TypeError(`a credential type is not handled: ${String(value)}`)
}
