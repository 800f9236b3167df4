import { isAllowed, parseAllow, type AllowRule } from '../auth/allow.ts'
import type { RelayKind } from '../auth/relay.ts'
import { injectionOf, type Binding, type Scheme, type ValueSource } from '../auth/scheme.ts'
import type { Injection } from '../auth/injection.ts'
import { ProxyError } from '../errors.ts'
import { formatAddress, type Address } from '../http/address.ts'
import { decodeLeniently } from '../http/decode.ts'
import { foldName } from '../http/headers.ts'
import { judgePath } from '../http/target.ts'
import type { Secret } from '../secret.ts'

/** What a route is made from; the configuration has more. */
export interface RouteOptions {
  readonly prefix?: string
  /** The address of a listener that is the route's alone. */
  readonly listen?: Address
  /** Base URL without a trailing slash, query, fragment or user info. */
  readonly upstream: string
  readonly bindings: readonly Binding[]
  readonly allow?: readonly string[]
  /** What the upstream echoes of the credentials is masked. */
  readonly scrub?: boolean
}

// By these a client has an upstream's framework take the request for one of another method.
const METHOD_OVERRIDES = ['x-http-method-override', 'x-http-method', 'x-method-override']

/** A route with everything worked out that can be before a request comes. */
export interface Route {
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
  readonly bindings: readonly Binding[]
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
  /** Whether answers are looked into, for which they must come whole and as they are. */
  readonly scrub: boolean
  /** Whether its listener has other routes: they are of one origin to browsers. */
  readonly sharesOrigin: boolean
  /** Whether a path at its listener leads here, rather than to a longer prefix. */
  readonly owns: (path: string) => boolean
}

/**
 * Works a route out. The options are validated ones: nothing here can fail on them.
 *
 * @param index the route's place in the table
 */
export function compileRoute (options: RouteOptions, index: number): Route {
  const url = new URL(options.upstream)
  const schemes = options.bindings.map((binding) => binding.scheme)
  const owned = new Set([...schemes.flatMap((scheme) => headerOf(scheme) ?? []), ...options.bindings.flatMap(({ value }) => sourceHeaderOf(value) ?? [])])
  // Contract section 4: a route that injects anything takes the client's own Authorization off; a public one passes it on.
  if (schemes.length > 0) owned.add('authorization')
  // What a list has let through must be what the upstream does.
  if (options.allow !== undefined) for (const name of METHOD_OVERRIDES) owned.add(name)
  const scrub = options.scrub === true
  // A range could cut an echoed credential in two, and nobody would know either half.
  if (scrub) for (const name of ['accept-encoding', 'range', 'if-range']) owned.add(name)
  const prefix = options.prefix === undefined || options.prefix === '/' ? '' : options.prefix
  return {
    index,
    label: options.prefix ?? (options.listen === undefined ? '/' : formatAddress(options.listen)),
    shared: options.prefix !== undefined || options.listen === undefined,
    prefix,
    upstreamOrigin: url.origin,
    upstreamHost: url.hostname.replace(/^\[|\]$/g, ''),
    basePath: url.pathname === '/' ? '' : url.pathname,
    allow: options.allow?.map(readAllow),
    bindings: options.bindings,
    credentials: [...new Set(options.bindings.flatMap(({ value }) => value.type === 'token' ? [value.credential] : []))],
    injectedCredentials: [...new Set(options.bindings.flatMap(({ value }) => value.type === 'relay' ? [] : [value.credential]))],
    ownedHeaders: owned,
    readsRelayed: options.bindings.some(({ value }) => value.type === 'relay'),
    writesQuery: schemes.some((scheme) => scheme.type !== 'http' && scheme.in === 'query'),
    writesBody: schemes.some((scheme) => scheme.type !== 'http' && scheme.in === 'query' && scheme.postQuery === undefined),
    writesCookies: schemes.some((scheme) => scheme.type !== 'http' && scheme.in === 'cookie'),
    scrub,
    sharesOrigin: false,
    owns: () => true
  }
}

/** The routes that a listener chooses from: of the main one all that have a prefix, of a route's own that route alone, without its prefix. */
export function routesOf (routes: readonly Route[], own?: number): readonly Route[] {
  if (own !== undefined) return routes.filter(({ index }) => index === own).map((route) => ({ ...route, prefix: '' }))
  const shared = routes.filter((route) => route.shared)
  if (shared.length < 2) return shared
  return shared.map((route) => ({ ...route, sharesOrigin: true, owns: (path) => findRoute(shared, path)?.route === route }))
}

/**
 * The route with the longest prefix that a path lies under. A percent-encoded spelling of a prefix gets the verdict of
 * the plain one (CVE-2026-16117), and `%2F` never separates.
 *
 * @returns the route and the path's raw rest below the prefix, empty or beginning with `/`
 */
export function findRoute (routes: readonly Route[], path: string): { readonly route: Route, readonly rest: string } | undefined {
  let found: { route: Route, rest: string } | undefined
  const segments = path.includes('%') ? path.split('/') : undefined
  for (const route of routes) {
    if (found !== undefined && found.route.prefix.length >= route.prefix.length) continue
    const rest = below(path, segments, route.prefix)
    if (rest !== undefined) found = { route, rest }
  }
  return found
}

/** The raw request target for the upstream: its base path, the rest below the prefix, the query. */
export function upstreamTarget (route: Route, rest: string, query: string): string {
  const path = route.basePath + rest
  return (path === '' ? '/' : path) + query
}

/**
 * Refuses what the route does not let through.
 *
 * @throws ProxyError 400 where removing the prefix leaves a path that begins with `//`, 403 `CS_NOT_ALLOWED`
 */
export function authorise (route: Route, method: string, rest: string): void {
  if (route.basePath === '' && rest.startsWith('//')) judgePath(rest)
  if (route.allow !== undefined && !isAllowed(route.allow, method, rest === '' ? '/' : rest)) throw new ProxyError('CS_NOT_ALLOWED')
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

/** @param given the path's segments, where it holds escapes */
function below (path: string, given: readonly string[] | undefined, prefix: string): string | undefined {
  if (path.startsWith(prefix)) {
    const rest = path.slice(prefix.length)
    return rest === '' || rest.startsWith('/') ? rest : undefined
  }
  if (given === undefined) return undefined
  const wanted = prefix.split('/')
  if (given.length < wanted.length || wanted.some((segment, index) => decodeLeniently(given[index] ?? '') !== segment)) return undefined
  return given.slice(wanted.length).map((segment) => `/${segment}`).join('')
}

function readAllow (text: string): AllowRule {
  const rule = parseAllow(text)
  if (rule === undefined) throw new TypeError('an allow pattern passed validation without being one')
  return rule
}
