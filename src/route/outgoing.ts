import type { Injection } from '../auth/injection.ts'
import { setCookies } from '../http/cookie.ts'
import { connectionListed, foldName, isDroppedFromRequest } from '../http/headers.ts'
import { setQuery } from '../http/query.ts'
import type { RawHeaders } from '../http/raw-headers.ts'
import type { Route } from './route.ts'

/**
 * The headers for the upstream: the client's own in their order, spelling and multiplicity, less those that are never
 * passed on or that the route owns, then exactly one of each injected header. Written last, so nothing that a client
 * sends, `Connection` lists included (CVE-2026-33805), can strip or double what is injected.
 *
 * @param contentType replaces the client's own, where a body was made for it
 * @returns a new flat list of names and values
 */
export function outgoingHeaders (route: Route, client: RawHeaders, injections: readonly Injection[], contentType?: string): string[] {
  const listed = connectionListed(client)
  const headers: string[] = []
  const cookies: string[] = []
  // By index, not by `pairs`: every request passes through here.
  for (let index = 0; index < client.length; index += 2) {
    const name = client[index] ?? ''
    const value = client[index + 1] ?? ''
    const folded = foldName(name)
    if (isDroppedFromRequest(folded) || route.ownedHeaders.has(folded) || listed?.has(folded) === true) continue
    if (contentType !== undefined && folded === 'content-type') continue
    if (route.writesCookies && folded === 'cookie') cookies.push(value)
    else headers.push(name, value)
  }
  if (route.writesCookies) headers.push('cookie', setCookies(cookies.join('; '), fieldsIn(injections, 'cookie')))
  if (contentType !== undefined) headers.push('content-type', contentType)
  // A credential cannot be recognised in a compressed response; one that comes compressed all the same is decoded.
  if (route.scrub) headers.push('accept-encoding', 'identity')
  for (const injection of injections) {
    if (injection.in === 'header') headers.push(injection.name, injection.prefix + injection.value.reveal())
  }
  return headers
}

/**
 * The query for the upstream, with its `?` or empty: the client's very bytes, but for the parameters that the route writes.
 * What goes into a POST's body is taken off the URL as well: some upstreams merge the two.
 */
export function outgoingQuery (route: Route, method: string, query: string, injections: readonly Injection[]): string {
  if (!route.writesQuery) return query
  const fields = injections.filter((injection) => injection.in === 'query')
  const written = fields.filter((injection) => method !== 'POST' || injection.postQuery === 'url')
  return setQuery(query, written.map(({ name, value }) => [name, value.reveal()]), fields.map(({ name }) => name))
}

function fieldsIn (injections: readonly Injection[], place: 'cookie'): Array<readonly [string, string]> {
  return injections.flatMap(({ in: where, name, value }) => where === place ? [[name, value.reveal()] as const] : [])
}
