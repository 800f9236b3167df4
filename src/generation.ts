import { buildAdmin, type Admin, type AdminFacts } from './admin.ts'
import { buildApp, type App, type AppOptions } from './app.ts'
import type { Config, CredentialConfig } from './config/config.ts'
import type { ListenerBinding } from './listen/listener-set.ts'
import type { TokenCache } from './token/cache/cache.ts'
import { createCognitoSource, type CognitoWorker } from './token/cognito/source.ts'
import type { DiskCache, DiskCaches } from './token/cache/disk.ts'
import { createCustomSource } from './token/custom.ts'
import { identityOf, identityChangeOf, type CredentialIdentity } from './token/identity.ts'
import { createOAuth2Source } from './token/oauth2/source.ts'
import { CredentialStore, type CredentialOptions, type StoreOptions } from './token/store.ts'
import type { ProxyEnvironment } from './upstream/connect.ts'

/** What lives as long as the daemon, whatever its configuration. */
export interface DaemonResources extends Omit<AppOptions, 'config' | 'store'> {
  readonly worker: CognitoWorker
  readonly caches: DiskCaches
  readonly facts: AdminFacts
}

/** Everything that is made of one configuration; nothing in it changes. A reload makes the next one beside it. */
export interface Generation {
  readonly config: Config
  /** Who each credential is, by its name. */
  readonly identities: ReadonlyMap<string, CredentialIdentity>
  readonly store: CredentialStore
  readonly cache: DiskCache | undefined
  readonly app: App
  readonly admin: Admin
  /** The addresses to listen on: of the proxy, then of the routes that have their own, then of the admin listener. */
  readonly listenerBindings: readonly ListenerBinding[]
  /** Ends the connections to the upstreams. Leaves the store alone: the next generation may have taken its refreshers over. */
  readonly close: () => Promise<void>
}

/**
 * Makes the generation of a configuration. It begins nothing: no login, no listener; `store.start` takes over from
 * `previous`.
 */
export async function buildGeneration (config: Config, resources: DaemonResources, previous?: Generation): Promise<Generation> {
  const { metrics, log, clock, random, proxies, worker, caches, facts } = resources
  const cache = config.tokenCache && caches.open(config.tokenCache)
  const identities = new Map(Array.from(config.credentials, ([name, credential]) => [name, identityFor(credential)]))
  const shared: Shared = {
    worker,
    proxies,
    cacheOf: (name) => {
      const identity = identities.get(name)
      return cache !== undefined && identity !== undefined ? { cache: cache.of(name, identity) } : {}
    }
  }
  const store = new CredentialStore({
    credentials: [...config.credentials].map(([name, credential]) => credentialOptions(name, credential, shared)),
    clock,
    random,
    log,
    logins: config.logins,
    onFetch: ({ credential, kind, outcome }) => { metrics.tokenFetched(credential, kind, outcome) },
    ...(previous !== undefined && { previous: predecessor(previous, { identities, cache }) })
  })
  const app = await buildApp({ ...resources, config, store })
  const admin = await buildAdmin({ config, store, metrics, facts })
  return {
    config,
    identities,
    store,
    cache,
    app,
    admin,
    listenerBindings: listenerBindingsOf(config, app, admin),
    close: async () => {
      await Promise.all([app.close(), admin.close()])
    }
  }
}

function listenerBindingsOf (config: Config, app: App, admin: Admin): ListenerBinding[] {
  const { headerBytes } = config.limits
  const { onRefused } = app
  const listenerBindings: ListenerBinding[] = [{ role: 'proxy', address: config.listen, handle: app.handle, headerBytes, onRefused }]
  for (const { address, handle } of app.own) listenerBindings.push({ role: 'route', address, handle, headerBytes, onRefused })
  if (config.admin !== 'off') listenerBindings.push({ role: 'admin', address: config.admin, handle: admin.handle, headerBytes })
  return listenerBindings
}

// A function of its own: all closures of one scope keep everything that any of them uses, and those of the store would keep every
// generation before.
function predecessor (
  { store, identities: before, cache: cacheBefore }: Generation,
  { identities: now, cache }: Pick<Generation, 'identities' | 'cache'>
): NonNullable<StoreOptions['previous']> {
  return {
    store,
    identityChange: (name) => {
      const [old, current] = [before.get(name), now.get(name)]
      const identityChange = old === undefined || current === undefined ? 'other' : identityChangeOf(old, current)
      // A refresher keeps the cache that it was made with, so another cache takes another refresher.
      return identityChange === 'same' && cache !== cacheBefore ? 'rotated' : identityChange
    }
  }
}

function identityFor (credential: CredentialConfig): CredentialIdentity {
  return identityOf(credential.type === 'custom' ? { type: credential.type, id: credential.id } : credential)
}

/** What the sources of one configuration share. */
interface Shared {
  readonly worker: CognitoWorker
  readonly proxies: ProxyEnvironment
  /** Where the token of a credential outlives the process. */
  readonly cacheOf: (name: string) => { readonly cache?: TokenCache }
}

/** The options of a credential for the store. Here the compiler proves that the configuration fits the token half. */
function credentialOptions (name: string, credential: CredentialConfig, { worker, proxies, cacheOf }: Shared): CredentialOptions {
  switch (credential.type) {
    case 'static': return { name, type: 'static', value: credential.value }
    case 'cognito': case 'defender-relayer': case 'defender-admin':
      return {
        name,
        type: credential.type,
        provider: credential.endpoint,
        source: createCognitoSource(credential, worker),
        ...cacheOf(name)
      }
    case 'oauth2':
      return { name, type: 'oauth2', provider: credential.tokenUrl, source: createOAuth2Source(credential, { proxies }), ...cacheOf(name) }
    // Without the cache: in another process nobody knows whether the source is the same.
    case 'custom': return { name, type: 'custom', source: createCustomSource(credential) }
    default: return unreachable(credential)
  }
}

function unreachable (value: never): never {
  throw new TypeError(`a credential type is not handled: ${String(value)}`)
}
