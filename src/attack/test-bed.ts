import { randomBytes } from 'node:crypto'
import { isAllowed, parseAllow, type AllowRule } from '../auth/allow.ts'
import type { RelayKind } from '../auth/relay.ts'
import { injectionOf, type Binding } from '../auth/scheme.ts'
import type { Config, RouteConfig } from '../config/config.ts'
import type { Address } from '../http/address.ts'
import { HEADER_BYTES } from '../http/headers.ts'
import { Secret } from '../secret.ts'
import type { Injected, Target } from './attack.ts'
import { startRecorder, type Recorder } from './recorder.ts'

/** A configuration that can be attacked without harm: the user's own, with stand-ins for everything outside and every secret. */
export interface TestBed {
  readonly config: Config
  /** The routes as targets, once the proxy listens. */
  readonly targets: (addresses: Addresses) => readonly Target[]
  readonly close: () => Promise<void>
}

/** The addresses that the proxy listens on, as `startServer` returns them. */
export interface Addresses {
  readonly address: Address
  readonly admin: Address | 'off'
  /** Of the routes with a listener of their own, in their order. */
  readonly routes: ReadonlyArray<{ readonly address: Address }>
}

const LOOPBACK: Address = { type: 'tcp', host: '127.0.0.1', port: 0 }
// Two segments, so that one "up" still is inside of the host and outside of the base.
const BASE_PATH = '/attacked/base'

/**
 * Makes a test bed of a configuration. The guards stay as they are: hosts, origins, whether a caller token is required,
 * prefixes, allow lists, schemes. The outside is replaced: every upstream by a recorder on loopback, every
 * credential by a fixed canary (so no identity provider is asked), every address by a free port of 127.0.0.1.
 */
export async function setUp (config: Config): Promise<TestBed> {
  const recorders = await Promise.all(config.routes.map(() => startRecorder()))
  const names = new Set([
    ...config.credentials.keys(),
    ...config.routes.flatMap(({ bindings }) => bindings.flatMap(({ value }) => (value.type === 'relay' ? [] : [value.credential])))
  ])
  const canaries = new Map([...names].map((name) => [name, createCanary()]))
  const callerToken = config.callerToken === undefined ? undefined : createCanary()
  const routes = config.routes.map((route, index) => setUpRoute(route, recorders[index]?.port ?? 0, canaries))
  const testBed: Config = {
    ...config,
    listen: LOOPBACK,
    admin: config.admin === 'off' ? 'off' : LOOPBACK,
    allowExternal: false,
    ...(callerToken !== undefined && { callerToken: new Secret(callerToken) }),
    credentials: new Map([...canaries].map(([name, canary]) => [name, { type: 'static' as const, value: new Secret(canary) }])),
    routes,
    accessLog: 1,
    // One connection at a time, but the one before may still be closing.
    // The limit of headers is the default, which the attacks go beyond.
    limits: {
      connections: Math.max(config.limits.connections, 100),
      requests: Math.max(config.limits.requests, 100),
      headerBytes: HEADER_BYTES
    }
  }
  return {
    config: testBed,
    targets: (addresses) => targetsOf(testBed, addresses, recorders, canaries, callerToken),
    close: async () => { await Promise.all(recorders.map((recorder) => recorder.close())) }
  }
}

/**
 * The routes of a running proxy as targets: one for each way in, so two for a route with a prefix and a listener of its own.
 *
 * @param recorders the stand-in for each route's upstream
 * @param canaries the value of each credential
 */
export function targetsOf (
  config: Config,
  addresses: Addresses,
  recorders: readonly Recorder[],
  canaries: ReadonlyMap<string, string>,
  callerToken?: string
): Target[] {
  const own = [...addresses.routes]
  return config.routes.flatMap((route, index) => {
    const upstream = recorders[index]
    if (upstream === undefined) return []
    const allow = route.allow?.flatMap((text) => parseAllow(text) ?? [])
    const { pathname } = new URL(route.upstream)
    const common = {
      ...(addresses.admin !== 'off' && { adminPort: portOf(addresses.admin) }),
      basePath: pathname === '/' ? '' : pathname,
      plain: plainRequest(allow),
      lines: relayLines(route.bindings),
      ...(callerToken !== undefined && { callerToken }),
      injected: route.bindings.map((binding) => injectedOf(binding, canaries)),
      ...(allow !== undefined && { allow }),
      websocket: route.websocket,
      allowedHosts: config.allowedHosts,
      allowedOrigins: config.allowedOrigins,
      upstream,
      canaries: [...canaries.values(), ...(callerToken === undefined ? [] : [callerToken])]
    }
    const address = route.listen === undefined ? undefined : own.shift()?.address
    const shared =
      route.prefix === undefined
        ? []
        : [{ ...common, label: route.prefix, port: portOf(addresses.address), prefix: route.prefix === '/' ? '' : route.prefix }]
    return address === undefined
      ? shared
      : [
          ...shared,
          { ...common, label: `${route.prefix ?? route.ois ?? 'route'} (listener of its own)`, port: portOf(address), prefix: '' }
        ]
  })
}

function setUpRoute (route: RouteConfig, port: number, canaries: ReadonlyMap<string, string>): RouteConfig {
  const { socketPath, tls, ...rest } = route
  // A base path may hold a secret, so another one stands in for it.
  const upstream = `http://127.0.0.1:${port}${new URL(route.upstream).pathname === '/' ? '' : BASE_PATH}`
  return {
    ...rest,
    ...(route.listen !== undefined && { listen: LOOPBACK }),
    upstream,
    upstreamLabel: upstream,
    bindings: route.bindings.map(({ scheme, value }) => ({
      scheme,
      value: value.type === 'fixed' ? { ...value, value: new Secret(canaries.get(value.credential) ?? '') } : value
    }))
  }
}

function injectedOf ({ scheme, value }: Binding, canaries: ReadonlyMap<string, string>): Injected {
  const { in: place, name, prefix, postQuery } = injectionOf(scheme, new Secret(''))
  const text = value.type === 'relay' ? relayedText(value) : prefix + (canaries.get(value.credential) ?? '')
  return { in: place, name, inBody: place === 'query' && postQuery === undefined, ...(text !== undefined && { value: text }) }
}

function relayedText ({ kind, source }: Extract<Binding['value'], { readonly type: 'relay' }>): string | undefined {
  switch (source.type) {
    case 'fixed': return source.value
    case 'header': return EXAMPLES[kind]
    default: return undefined
  }
}

const EXAMPLES: Readonly<Record<RelayKind, string>> = {
  relayRequesterAddress: `0x${'a1'.repeat(20)}`,
  relaySponsorAddress: `0x${'b2'.repeat(20)}`,
  relaySponsorWalletAddress: `0x${'c3'.repeat(20)}`,
  relayChainId: '31337',
  relayChainType: 'evm',
  relayRequestId: `0x${'d4'.repeat(32)}`
}

function relayLines (bindings: readonly Binding[]): string[] {
  return [
    ...new Set(
      bindings.flatMap(({ value }) =>
        value.type === 'relay' && value.source.type === 'header' ? [`${value.source.name}: ${EXAMPLES[value.kind]}`] : []
      )
    )
  ]
}

/** A request that the list holds: the first rule's, with something in place of its wildcards. */
function plainRequest (allow: readonly AllowRule[] | undefined): { readonly method: string, readonly path: string } {
  const [rule] = allow ?? []
  if (rule === undefined) return { method: 'GET', path: '/plain' }
  const method = rule.method === 'ANY' ? 'GET' : rule.method
  const path = `/${rule.segments.map((segment) => segment === '*' || segment === '**' ? 'plain' : segment).join('/')}`
  return isAllowed(allow ?? [], method, path) ? { method, path } : { method: 'GET', path: '/' }
}

function portOf (address: Address): number {
  return address.type === 'tcp' ? address.port : 0
}

// Letters and digits only: the same text in a header, a query, a cookie, a form and JSON.
function createCanary (): string {
  return `CANARY${randomBytes(12).toString('hex')}`
}
