import { parseAllow, type AllowRule } from '../auth/allow.ts'
import type { Injection } from '../auth/injection.ts'
import type { RelayKind } from '../auth/relay.ts'
import { injectionOf, type Binding, type Scheme, type ValueSource } from '../auth/scheme.ts'
import { formatAddress, type Address } from '../http/address.ts'
import { foldName } from '../http/headers.ts'
import type { PeerTls } from '../http/peer-tls.ts'
import { withoutBrackets } from '../http/proxy-url.ts'
import type { Secret } from '../secret.ts'

/** A route as it is configured. */
export interface RouteOptions {
  /** `/name` or `/`. Absent where the route has only a listener of its own. */
  readonly prefix?: string
  /** The address of the route's own listener, which sees unprefixed paths. */
  readonly listen?: Address
  /** Base URL without a trailing slash, query, fragment or user info. */
  readonly upstream: string
  /** The unix socket that the upstream listens on; its base URL is `http://localhost…` then. */
  readonly socketPath?: string
  /** Authorities and client certificate, where they are not the usual ones. */
  readonly tls?: PeerTls
  readonly bindings: readonly Binding[]
  /** `METHOD /path` patterns; absent: everything. */
  readonly allow?: readonly string[]
  /** Longest wait for response headers, in milliseconds. */
  readonly timeoutMs: number
  /** Longest silence within a body, in milliseconds. */
  readonly idleTimeoutMs: number
  readonly maxBodyBytes?: number
  /** Whether connections may be upgraded: WebSocket and every other protocol. */
  readonly websocket: boolean
  /** Whether credentials that the upstream echoes are masked on the way back: responses must then come whole and uncompressed. */
  readonly scrub: boolean
}

// Headers by which an upstream's framework takes a request for one of another method.
const METHOD_OVERRIDES = ['x-http-method-override', 'x-http-method', 'x-method-override']

/** A route with everything that can be worked out before a request comes. */
export interface Route extends Omit<RouteOptions, 'prefix' | 'allow'> {
  /** The route's place in the table. */
  readonly index: number
  /** Names the route in logs and metrics: its prefix, else its address as the configuration has it. */
  readonly label: string
  /** Whether the main listener has the route: it has a prefix. */
  readonly shared: boolean
  /** Without a trailing slash: empty for `/`. */
  readonly prefix: string
  readonly upstreamOrigin: string
  /** The upstream's host name or address, without a port or brackets. */
  readonly upstreamHost: string
  /** Without a trailing slash: empty for `/`. */
  readonly basePath: string
  readonly allow: readonly AllowRule[] | undefined
  /** Names of the credentials whose current token the route needs; each once. */
  readonly credentials: readonly string[]
  /** Names of all credentials that leave with a request, fixed ones included; each once. */
  readonly injectedCredentials: readonly string[]
  /** Folded names of headers that the route writes or takes off, beside those that no route passes on. */
  readonly ownedHeaders: ReadonlySet<string>
  /** Whether it relays metadata that come with, or are made for, each request. */
  readonly readsRelayed: boolean
  readonly writesQuery: boolean
  /** Whether a POST gets fields into its body. */
  readonly writesBody: boolean
  readonly writesCookies: boolean
  /** Whether its listener has other routes: they are of one origin to browsers. */
  readonly sharesOrigin: boolean
  /** Whether a path at its listener leads here, rather than to a longer prefix. */
  readonly owns: (path: string) => boolean
}

/**
 * Compiles a route. The options are validated: nothing here can fail on them.
 *
 * @param index the route's place in the table
 */
export function compileRoute (options: RouteOptions, index: number): Route {
  const url = new URL(options.upstream)
  const schemes = options.bindings.map((binding) => binding.scheme)
  const owned = new Set([
    ...schemes.flatMap((scheme) => headerOf(scheme) ?? []),
    ...options.bindings.flatMap(({ value }) => sourceHeaderOf(value) ?? [])
  ])
  // Contract section 4: a route that injects anything takes the client's own Authorization off; a public one passes it on.
  if (schemes.length > 0) owned.add('authorization')
  // The upstream must do what the allow list has let through, and nothing else.
  if (options.allow !== undefined) for (const name of METHOD_OVERRIDES) owned.add(name)
  // A range could cut an echoed credential in two, and neither half would be recognised.
  if (options.scrub) for (const name of ['accept-encoding', 'range', 'if-range']) owned.add(name)
  const prefix = options.prefix === undefined || options.prefix === '/' ? '' : options.prefix
  return {
    ...options,
    index,
    label: options.prefix ?? (options.listen === undefined ? '/' : formatAddress(options.listen)),
    shared: options.prefix !== undefined || options.listen === undefined,
    prefix,
    upstreamOrigin: url.origin,
    upstreamHost: withoutBrackets(url.hostname),
    basePath: url.pathname === '/' ? '' : url.pathname,
    allow: options.allow?.map(readAllow),
    credentials: [...new Set(options.bindings.flatMap(({ value }) => value.type === 'token' ? [value.credential] : []))],
    injectedCredentials: [...new Set(options.bindings.flatMap(({ value }) => value.type === 'relay' ? [] : [value.credential]))],
    ownedHeaders: owned,
    readsRelayed: options.bindings.some(({ value }) => value.type === 'relay'),
    writesQuery: schemes.some((scheme) => scheme.type !== 'http' && scheme.in === 'query'),
    writesBody: schemes.some((scheme) => scheme.type !== 'http' && scheme.in === 'query' && scheme.postQuery === undefined),
    writesCookies: schemes.some((scheme) => scheme.type !== 'http' && scheme.in === 'cookie'),
    sharesOrigin: false,
    owns: () => true
  }
}

/** The raw request target for the upstream: its base path, the rest below the prefix, the query. */
export function upstreamTarget (route: Route, rest: string, query: string): string {
  const path = route.basePath + rest
  return (path === '' ? '/' : path) + query
}

/** The injections of a route, once the tokens and the relayed values that it needs are there. */
export function injectionsOf (route: Route, token: (credential: string) => Secret, relayed: (kind: RelayKind) => Secret): Injection[] {
  return route.bindings.map(({ scheme, value }) => {
    switch (value.type) {
      case 'fixed': return injectionOf(scheme, value.value)
      case 'token': return injectionOf(scheme, token(value.credential))
      case 'relay': return injectionOf(scheme, relayed(value.kind))
      default: return value satisfies never
    }
  })
}

function sourceHeaderOf (value: ValueSource): string | undefined {
  return value.type === 'relay' && value.source.type === 'header' ? foldName(value.source.name) : undefined
}

function headerOf (scheme: Scheme): string | undefined {
  if (scheme.type === 'http') return 'authorization'
  return scheme.in === 'header' ? foldName(scheme.name) : undefined
}

function readAllow (text: string): AllowRule {
  const rule = parseAllow(text)
  if (rule === undefined) throw new TypeError('an allow pattern passed validation without being one')
  return rule
}
