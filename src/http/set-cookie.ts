import { isIP } from 'node:net'

/** Where a route lies on both sides, as far as cookies know places. */
export interface CookieRule {
  /** Host name or address of the upstream, without a port. */
  readonly upstreamHost: string
  /** `/v2`, or empty. */
  readonly basePath: string
  /** `/orders`, or empty where the route has no prefix of its own. */
  readonly prefix: string
}

/**
 * Makes a cookie of the upstream work at the local address, and nowhere beyond its own route:
 *
 * - `Domain` that covers the upstream is removed: the cookie is the local host's alone.
 * - `Path` is moved from the upstream's base to the route's prefix; a parent of the base becomes the whole route.
 * - `Secure` is removed, since the local listener is plain HTTP, and with it what may not stand without it
 *   (`SameSite=None`, `Partitioned`). A `__Secure-` or `__Host-` cookie keeps it: whoever knows these names wants it there.
 *
 * Everything else keeps its bytes. Cookies know no ports, so `http://127.0.0.1` is one place for all that listens there.
 *
 * @param value of one `Set-Cookie` header
 * @param atRoot the request was for the prefix itself, whose default path (RFC 6265 section 5.1.4) would be its parent
 * @returns undefined for a cookie that no client would ever send to this route: another site's, or another path's
 */
export function rewriteSetCookie (value: string, rule: CookieRule, atRoot = false): string | undefined {
  const [pair = '', ...attributes] = value.split(';')
  const domain = lastValue(attributes, 'domain')?.replace(/^\./, '').toLowerCase() ?? ''
  if (domain !== '' && !covers(domain, rule.upstreamHost.toLowerCase())) return undefined
  const given = lastValue(attributes, 'path')
  const path = localPath(given, rule, atRoot)
  if (path === undefined) return undefined
  const secure = keepsSecure(pair, path)
  const kept = attributes.filter((attribute) => {
    switch (nameOf(attribute)) {
      case 'domain': return false
      case 'path': return path !== '' && path === given
      case 'secure': case 'partitioned': return secure
      case 'samesite': return secure || valueOf(attribute).toLowerCase() !== 'none'
      default: return true
    }
  })
  if (path !== '' && path !== given) kept.push(` Path=${path}`)
  return [pair, ...kept].join(';')
}

// RFC 6265 section 5.1.3. A single label is no parent but a public suffix, for which section 5.3 step 5 refuses the cookie.
function covers (domain: string, host: string): boolean {
  return domain === host || (domain.includes('.') && host.endsWith(`.${domain}`) && isIP(host) === 0)
}

/** The path on this side: empty for none, which leaves it to the client; undefined for one outside of the base. */
function localPath (given: string | undefined, { basePath, prefix }: CookieRule, atRoot: boolean): string | undefined {
  // RFC 6265 section 5.2.4: what does not begin with a slash counts as absent.
  if (given === undefined || !given.startsWith('/')) return atRoot ? prefix : ''
  if (isUnder(basePath, given)) return prefix === '' ? '/' : prefix
  return isUnder(given, basePath) ? prefix + given.slice(basePath.length) : undefined
}

// RFC 6265 section 5.1.4: whether a cookie of `parent` goes with a request for `path`.
function isUnder (path: string, parent: string): boolean {
  return parent === '/' || parent === '' || path === parent || path.startsWith(parent.endsWith('/') ? parent : `${parent}/`)
}

// A __Host- cookie wants `Path=/` too: below a prefix it can only work for clients that do not know the name.
function keepsSecure (pair: string, path: string): boolean {
  const name = pair.trimStart().toLowerCase()
  return name.startsWith('__secure-') || (name.startsWith('__host-') && path === '/')
}

/** The last one counts (RFC 6265 section 5.3). */
function lastValue (attributes: readonly string[], name: string): string | undefined {
  const found = attributes.findLast((attribute) => nameOf(attribute) === name)
  return found === undefined ? undefined : valueOf(found)
}

function nameOf (attribute: string): string {
  const end = attribute.indexOf('=')
  return (end === -1 ? attribute : attribute.slice(0, end)).trim().toLowerCase()
}

function valueOf (attribute: string): string {
  const end = attribute.indexOf('=')
  return end === -1 ? '' : attribute.slice(end + 1).trim()
}
