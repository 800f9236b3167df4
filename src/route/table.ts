import { decodeLeniently } from '../http/decode.ts'
import type { Route } from './route.ts'

/** The routes of one listener. */
export interface RouteTable<R extends Route = Route> {
  readonly byPrefix: ReadonlyMap<string, R>
  /** The length of the longest prefix. */
  readonly longest: number
}

/** The table of the main listener: all routes that have a prefix. */
export function sharedTable<R extends Route> (routes: readonly R[]): RouteTable<R> {
  const shared = routes.filter((route) => route.shared)
  const table = tableOf(shared)
  if (shared.length < 2) return table
  return tableOf(shared.map((route) => ({ ...route, sharesOrigin: true, owns: (path) => findRoute(table, path)?.route === route })))
}

/** The table of a route's own listener: that route alone, without its prefix. */
export function ownTable<R extends Route> (route: R): RouteTable<R> {
  return tableOf([{ ...route, prefix: '' }])
}

function tableOf<R extends Route> (routes: readonly R[]): RouteTable<R> {
  return {
    byPrefix: new Map(routes.map((route) => [route.prefix, route])),
    longest: Math.max(0, ...routes.map(({ prefix }) => prefix.length))
  }
}

/**
 * The route with the longest prefix that a path lies under, however many there are. A percent-encoded spelling of a prefix
 * gets the verdict of the plain one (CVE-2026-16117), and `%2F` never separates.
 *
 * @param path begins with `/`
 * @returns the route and the path's raw rest below the prefix, empty or beginning with `/`
 */
export function findRoute<R extends Route> (
  { byPrefix, longest }: RouteTable<R>,
  path: string
): { readonly route: R, readonly rest: string } | undefined {
  const plain = path.includes('%') ? decodeSegments(path) : path
  // Looks at no more of a path than a prefix is long: a path of slashes would have one candidate for each.
  let end = plain.length <= longest ? plain.length : plain.lastIndexOf('/', longest)
  for (;;) {
    const route = byPrefix.get(plain.slice(0, end))
    if (route !== undefined) return { route, rest: plain === path ? path.slice(end) : restBelow(path, route.prefix) }
    if (end === 0) return undefined
    end = plain.lastIndexOf('/', end - 1)
  }
}

function decodeSegments (path: string): string {
  return path.split('/').map((segment) => decodeLeniently(segment).replaceAll('/', '%2F')).join('/')
}

function restBelow (path: string, prefix: string): string {
  return path.split('/').slice(prefix.split('/').length).map((segment) => `/${segment}`).join('')
}
