/** Where a route lies on both sides. */
export interface LocationRule {
  /** `https://api.example.com` */
  readonly upstreamOrigin: string
  /** `/v2`, or empty. */
  readonly basePath: string
  /** `/orders`, or empty where the route has no prefix of its own. */
  readonly prefix: string
}

/**
 * Rewrites a redirect that points into the upstream's own base to this route's local path, so that the next request
 * comes through the proxy again; any other value is returned untouched (and never followed).
 *
 * @param value a URI reference (RFC 9110 section 10.2.2)
 * @returns a path-absolute reference, which the client resolves against the address that it called
 */
export function rewriteLocation (value: string, rule: LocationRule): string {
  const absolute = /^(?:[a-z][a-z0-9+.-]*:)?\/\//i.exec(value)
  if (absolute === null) return value.startsWith('/') ? moveIntoPrefix(value, rule) ?? value : value
  if (!URL.canParse(value, rule.upstreamOrigin)) return value
  if (new URL(value, rule.upstreamOrigin).origin !== rule.upstreamOrigin) return value
  const rest = value.slice(absolute[0].length)
  const start = rest.search(/[/?#]/)
  if (rest.slice(0, start === -1 ? rest.length : start).includes('@')) return value
  const path = start === -1 ? '/' : rest.slice(start)
  return moveIntoPrefix(path.startsWith('/') ? path : `/${path}`, rule) ?? value
}

function moveIntoPrefix (path: string, rule: LocationRule): string | undefined {
  const { basePath, prefix } = rule
  if (!path.startsWith(basePath)) return undefined
  const rest = path.slice(basePath.length)
  if (rest !== '' && !/^[/?#]/.test(rest)) return undefined
  const local = prefix + rest
  // Without the base, `//` would name a host; a dot segment may lead out of the base. Neither is what the upstream said.
  if (local.startsWith('//') || !isUnder(new URL(rule.upstreamOrigin + path).pathname, basePath)) return undefined
  return local.startsWith('/') ? local : `/${local}`
}

function isUnder (path: string, basePath: string): boolean {
  return path === basePath || path.startsWith(`${basePath}/`)
}
