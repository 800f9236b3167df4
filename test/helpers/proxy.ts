import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { buildAdmin } from '#src/admin.ts'
import { buildApp } from '#src/app.ts'
import type { Binding } from '#src/auth/scheme.ts'
import type { Config, RouteConfig } from '#src/config/config.ts'
import type { Address } from '#src/http/address.ts'
import { openListener, type Listener } from '#src/listen/listener.ts'
import type { ClientTimeouts } from '#src/listen/service.ts'
import { createLogger } from '#src/logger.ts'
import { createMetrics, type Metrics } from '#src/observe/metrics.ts'
import { Secret } from '#src/secret.ts'
import { systemClock, type Clock } from '#src/token/clock.ts'
import type { FetchEvent } from '#src/token/report.ts'
import { CredentialStore, type CredentialOptions } from '#src/token/store.ts'
import type { ProxyEnvironment } from '#src/upstream/connect.ts'

/** Values of secrets in tests, made to be searched for in everything that a person or an upstream may see. */
export const CANARY = { token: 'CANARY-JWT-eyJhbGciOi', key: 'CANARY-KEY-4711', password: 'CANARY-PW-hunter2' } as const

/** A route of a test: what a test leaves out is what a configuration file would have left out. */
export type TestRoute = Partial<RouteConfig> & { readonly upstream: string }

export interface ProxyOptions {
  readonly routes: readonly TestRoute[]
  /** Everything else of the configuration. */
  readonly config?: Partial<Omit<Config, 'routes' | 'credentials' | 'limits'>> & { readonly limits?: Partial<Config['limits']> }
  /** Credentials beside `orders` (the token canary) and `maps` (the key canary). */
  readonly credentials?: readonly CredentialOptions[]
  readonly address?: Address
  readonly proxies?: ProxyEnvironment
  /** How long clients may take; default: as in production. */
  readonly timeouts?: Partial<ClientTimeouts>
  /** False: no first login, as before `start`. */
  readonly started?: boolean
  /** Default: the machine's. */
  readonly clock?: Clock
  readonly random?: () => number
  readonly onFetch?: (event: FetchEvent) => void
}

/** A proxy that listens, with an admin listener beside it. */
export interface TestProxy {
  readonly port: number
  readonly adminPort: number
  readonly listener: Listener
  /** The listeners of routes that have one of their own, in the order of the routes. */
  readonly own: readonly Listener[]
  readonly store: CredentialStore
  readonly metrics: Metrics
  readonly config: Config
  /** Everything that was logged, at level trace where the test says no other. */
  readonly logged: () => string
  /** The log's lines, parsed. */
  readonly lines: () => Array<Record<string, unknown>>
  /** Resolves once a line of the log fulfils a condition. */
  readonly line: (condition: (line: Record<string, unknown>) => boolean) => Promise<Record<string, unknown>>
  /** Resolves once so many tokens were fetched since the start. */
  readonly fetched: (count: number) => Promise<void>
  /** `/metrics` as text. */
  readonly scrape: () => Promise<string>
  readonly close: () => Promise<void>
  readonly state: { listening: boolean, draining: boolean }
}

interface Teardown {
  teardown (handler: () => unknown): void
}

/** `Authorization: Bearer` with the current token of a credential. */
export const BEARER: Binding = { scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token', credential: 'orders' } }

/** A fixed secret in a header, a query parameter or a cookie. */
export function apiKey (place: 'header' | 'query' | 'cookie', name: string, value: string = CANARY.key): Binding {
  return { scheme: { type: 'apiKey', in: place, name }, value: { type: 'fixed', credential: 'maps', value: new Secret(value) } }
}

/** Starts a proxy on a free port of 127.0.0.1, made of the program's own parts and a configuration by hand; stops it with the test. */
export async function startProxy (t: Teardown, options: ProxyOptions): Promise<TestProxy> {
  const log = createLog()
  const config = configOf(options)
  const { clock = systemClock(), random = Math.random, onFetch } = options
  const logger = createLogger({ level: config.logLevel, destination: log.stream, readable: false, colour: false })
  const store = new CredentialStore({
    credentials: [
      { name: 'orders', type: 'static', value: new Secret(CANARY.token) },
      { name: 'maps', type: 'static', value: new Secret(CANARY.key) },
      ...options.credentials ?? []
    ],
    clock,
    random,
    log: logger,
    logins: config.logins,
    ...(onFetch !== undefined && { onFetch })
  })
  const state = { listening: true, draining: false }
  const metrics = createMetrics({ version: '0.0.0', ready: () => store.ready().ready, credentials: () => store.eachStatus() })
  const app = await buildApp({ config, store, metrics, log: logger, clock, random, proxies: options.proxies ?? {} })
  const listener = await openListener({
    address: config.listen,
    handle: app.handle,
    onRefused: app.onRefused,
    maxConnections: config.limits.connections,
    headerBytes: config.limits.headerBytes,
    ...(options.timeouts !== undefined && { timeouts: options.timeouts })
  })
  const own: Listener[] = []
  for (const { address, handle } of app.own) {
    own.push(await openListener({ address, handle, onRefused: app.onRefused, maxConnections: config.limits.connections }))
  }
  const admin = await buildAdmin({
    config,
    store,
    metrics,
    facts: {
      version: '0.0.0',
      startedAt: '2026-01-01T00:00:00.000Z',
      address: () => (state.listening ? listener.address : undefined),
      draining: () => state.draining
    }
  })
  const adminListener = await openListener({
    address: { type: 'tcp', host: '127.0.0.1', port: 0 },
    handle: admin.handle,
    maxConnections: 100
  })
  if (options.started !== false) store.start()

  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    await Promise.all([listener, adminListener, ...own].map((one) => one.drain(0)))
    await store.stop()
    await Promise.all([app.close(), admin.close()])
  }
  const proxy: TestProxy = {
    port: portOf(listener),
    adminPort: portOf(adminListener),
    listener,
    own,
    store,
    metrics,
    config,
    logged: log.text,
    lines: log.lines,
    line: log.line,
    fetched: async (count) => { await log.line(() => log.lines().filter(({ msg }) => msg === 'token fetched').length >= count) },
    scrape: () => text(metrics.scrape('').body),
    close: () => (closing ??= close()),
    state
  }
  t.teardown(() => proxy.close())
  return proxy
}

/** A whole route out of what a test says. */
export function routeOf (route: TestRoute): RouteConfig {
  return {
    ...(route.listen === undefined && { prefix: '/' }),
    upstreamLabel: route.upstream,
    bindings: [],
    timeoutMs: 60_000,
    idleTimeoutMs: 300_000,
    websocket: true,
    scrub: false,
    ...route
  }
}

/** A whole configuration out of what a test says. */
export function configOf ({ routes, config = {}, address = { type: 'tcp', host: '127.0.0.1', port: 0 } }: ProxyOptions): Config {
  return {
    listen: address,
    admin: 'off',
    allowExternal: false,
    allowedHosts: [],
    allowedOrigins: [],
    credentials: new Map(),
    accessLog: 1,
    shutdownTimeoutMs: 30_000,
    logins: { concurrency: 4, perSecond: 20 },
    logLevel: 'trace',
    ...config,
    limits: { connections: 10_000, requests: 2000, headerBytes: 32_768, ...config.limits },
    routes: routes.map(routeOf)
  }
}

function portOf (listener: Listener): number {
  return listener.address.type === 'tcp' ? listener.address.port : 0
}

function createLog (): {
  readonly stream: Writable
  readonly text: () => string
  readonly lines: TestProxy['lines']
  readonly line: TestProxy['line']
} {
  let text = ''
  const waiting = new Set<() => void>()
  const stream = new Writable({
    decodeStrings: false,
    write (chunk: string | Buffer, _encoding, done) {
      text += chunk.toString()
      for (const look of [...waiting]) look()
      done()
    }
  })
  const lines = (): Array<Record<string, unknown>> =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return {
    stream,
    text: () => text,
    lines,
    line: (condition) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = lines().find(condition)
          if (found === undefined) return
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        look()
      })
  }
}
