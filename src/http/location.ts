/** Where a route lies on both sides. */
export interface LocationRule {
  /** `https://api.example.com` */
  readonly upstreamOrigin: string
  /** `/v2`, or empty. */
  readonly basePath: string
  /** `/orders`, or empty where the route has no prefix of its own. */
  readonly prefix: string
  /** Whether a local path leads to this route, rather than to one whose prefix lies below; without it every path does. */
  readonly owns?: (path: string) => boolean
}

/**
 * Rewrites a redirect that points into the upstream's own base to this route's local path, so that the next request
 * comes through the proxy again. Any other that is no absolute URL becomes one: at this listener it would name another
 * route, and be sent with that route's credential. Redirects are never followed.
 *
 * What a value says is what a browser at the upstream would take it for (WHATWG URL: `\` is `/`, tabs vanish, `https:x`
 * may be relative). What already says the same at this listener keeps its bytes.
 *
 * @param value a URI reference (RFC 9110 section 10.2.2), bytes as Latin-1 characters
 * @param requested the raw path that was asked for, below the base
 * @returns a reference that leads where the value does from the upstream's address
 */
export function rewriteLocation (value: string, rule: LocationRule, requested = ''): string {
  const { upstreamOrigin, basePath, prefix } = rule
  const target = parse(value, upstreamOrigin + (basePath + requested || '/'))
  // Nobody can follow it; but what is no URL at the upstream may be one here (`http:` alone).
  if (target === undefined) return LOCAL_ORIGINS.some((local) => parse(value, `${local}/`) !== undefined) ? `${upstreamOrigin}/` : value
  const inside = insideOf(target, rule)
  // A path that begins with `//` is refused here, and taken for a host by many.
  if (inside === undefined || inside.startsWith('//') || rule.owns?.(inside) === false) {
    return leadsTo(value, prefix + requested, () => target.href) ? value : absolute(value, target, rule)
  }
  const href = inside + target.search + target.hash
  const wanted = (local: string): string => local + href
  const plain = PLAIN.test(value)
  if (plain && leadsTo(value, prefix + requested, wanted)) return value
  const moved = movedBytes(value, rule)
  if (plain && moved !== undefined && leadsTo(moved, '/', wanted)) return moved
  return leadsTo(href, '/', wanted) ? href : target.href
}

/** Stands for whatever address the client has called; a listener may speak TLS. */
const LOCAL_ORIGINS = ['http://local.invalid', 'https://local.invalid'] as const

// Readers differ about the others: browsers take a backslash for a slash, and drop tabs and line breaks.
const PLAIN = /^[\x21-\x5b\x5d-\x7e\x80-\xff]*$/

function leadsTo (reference: string, path: string, wanted: (local: string) => string): boolean {
  return LOCAL_ORIGINS.every((local) => parse(reference, local + (path === '' ? '/' : path))?.href === wanted(local))
}

/** The local path of what lies in the base; undefined for anything else, user info (which has no local form) included. */
function insideOf (target: URL, { upstreamOrigin, basePath, prefix }: LocationRule): string | undefined {
  const { origin, username, password, pathname } = target
  if (origin !== upstreamOrigin || username !== '' || password !== '') return undefined
  if (pathname !== basePath && !pathname.startsWith(`${basePath}/`)) return undefined
  return prefix + pathname.slice(basePath.length) || '/'
}

/** The value with its own bytes, moved from the base to the prefix. */
function movedBytes (value: string, { basePath, prefix }: LocationRule): string | undefined {
  const authority = /^(?:[a-z][a-z0-9+.-]*:)?\/\/[^/?#]*/i.exec(value)?.[0] ?? ''
  const path = value.slice(authority.length)
  if (!path.startsWith(basePath)) return undefined
  const moved = prefix + path.slice(basePath.length)
  return moved.startsWith('/') ? moved : `/${moved}`
}

/** The value as an absolute URL, with its own bytes where they say the same. */
function absolute (value: string, target: URL, { upstreamOrigin }: LocationRule): string {
  const written = upstreamOrigin + value
  return value.startsWith('/') && PLAIN.test(value) && parse(written, upstreamOrigin)?.href === target.href ? written : target.href
}

function parse (value: string, base: string): URL | undefined {
  // Bytes beyond ASCII are escaped one by one, as browsers do; as characters they would be encoded once more.
  const bytes = value.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`)
  return URL.canParse(bytes, base) ? new URL(bytes, base) : undefined
}
