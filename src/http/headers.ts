/** Node's `rawHeaders`: name, value, name, value, …, with their case, order and multiplicity. */
export type RawHeaders = readonly string[]

/** The form in which header names are compared: upstreams behind CGI read `X_Api_Key` as `X-Api-Key` (CVE-2025-64484). */
export function foldName (name: string): string {
  const lower = name.toLowerCase()
  return lower.includes('_') ? lower.replaceAll('_', '-') : lower
}

// RFC 9110 section 7.6.1 and its predecessors; HTTP2-Settings: RFC 7540 section 3.2.1.
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade', 'http2-settings']

/**
 * Request headers that never reach the upstream: hop-by-hop ones; `Host`, which is the upstream's; `Content-Length`,
 * which is written anew; `Expect`, which is answered here; `Trailer`, since request trailers are dropped; what claims to
 * come from a proxy in front of us, the path it says it was asked for (IIS, Symfony) included; and what authenticates the
 * caller to us.
 */
export const DROPPED_REQUEST_HEADERS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP, 'host', 'content-length', 'expect', 'trailer', 'forwarded', 'x-original-url', 'x-rewrite-url', 'proxy-authorization', 'x-countersign-token'
])

const DROPPED_RESPONSE_HEADERS: ReadonlySet<string> = new Set([...HOP_BY_HOP, 'proxy-authenticate', 'proxy-authentication-info'])

/** Whether a folded request header name is one that this program never passes on. */
export function isDroppedFromRequest (folded: string): boolean {
  return DROPPED_REQUEST_HEADERS.has(folded) || folded.startsWith('x-forwarded-')
}

/** The folded names that `Connection` headers list; undefined where there are none but `close` and `keep-alive`. */
export function connectionListed (headers: RawHeaders): ReadonlySet<string> | undefined {
  let listed: Set<string> | undefined
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    if (!isNamed(name, 'connection') && !isNamed(name, 'proxy-connection')) continue
    for (const part of (headers[index + 1] ?? '').split(',')) {
      const token = foldName(part.trim())
      if (token !== '' && token !== 'close' && token !== 'keep-alive') (listed ??= new Set()).add(token)
    }
  }
  return listed
}

/**
 * The response headers that go to the client: the upstream's own, in their order and case, without hop-by-hop ones
 * and without CORS headers, which would open this listener to the upstream's idea of allowed origins.
 *
 * @param location rewrites the value of `Location` and `Content-Location`
 * @param setCookie rewrites the value of a `Set-Cookie`; undefined drops it
 * @returns a new flat list
 */
export function responseHeaders (headers: RawHeaders, location: (value: string) => string = unchanged, setCookie: (value: string) => string | undefined = unchanged): string[] {
  const kept: string[] = []
  if (headers.length === 0) return kept
  const listed = connectionListed(headers)
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    const folded = name.toLowerCase()
    if (DROPPED_RESPONSE_HEADERS.has(folded) || folded.startsWith('access-control-') || listed?.has(foldName(name)) === true) continue
    if (folded === 'set-cookie') {
      const cookie = setCookie(value)
      if (cookie !== undefined) kept.push(name, cookie)
      continue
    }
    kept.push(name, folded === 'location' || folded === 'content-location' ? location(value) : value)
  }
  return kept
}

function unchanged (value: string): string {
  return value
}

function isNamed (name: string, lower: string): boolean {
  return name.length === lower.length && name.toLowerCase() === lower
}
