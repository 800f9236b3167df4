import { isNamed, type RawHeaders } from './raw-headers.ts'

/** The longest header section by default (`limits.headerBytes`), in bytes; of requests and of upstream responses alike. */
export const HEADER_BYTES = 32_768

/**
 * The form in which header names are compared: in lower case, with a hyphen for whatever is no letter or digit. Upstreams
 * behind CGI read `X_Api_Key` as `X-Api-Key` (CVE-2025-64484), and some of them `X.Api.Key` and `X~Api~Key` too.
 */
export function foldName (name: string): string {
  const lower = name.toLowerCase()
  return ODD.test(lower) ? lower.replace(EVERY_ODD, '-') : lower
}

const ODD = /[^a-z0-9-]/
const EVERY_ODD = /[^a-z0-9-]/g

// RFC 9110 section 7.6.1 and its predecessors; HTTP2-Settings: RFC 7540 section 3.2.1.
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade', 'http2-settings']

/**
 * Request headers that never reach the upstream: hop-by-hop ones; `Host`, which is the upstream's; `Content-Length`, which is
 * written anew; `Expect`, which is dealt with here; `Trailer`, since request trailers are dropped; what claims to come from a
 * proxy in front of us, the path it says it was asked for (IIS, Symfony) included; and what authenticates the caller to us.
 */
const DROPPED_REQUEST_HEADERS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'host',
  'content-length',
  'expect',
  'trailer',
  'forwarded',
  'x-original-url',
  'x-rewrite-url',
  'proxy-authorization',
  'x-countersign-token'
])

const DROPPED_RESPONSE_HEADERS: ReadonlySet<string> = new Set([...HOP_BY_HOP, 'proxy-authenticate', 'proxy-authentication-info'])

/** Whether a folded request header name is one that this program never passes on. */
export function isDroppedFromRequest (folded: string): boolean {
  return DROPPED_REQUEST_HEADERS.has(folded) || folded.startsWith('x-forwarded-')
}

/** The folded names that `Connection` headers list; undefined where there are none but `close` and `keep-alive`. */
export function connectionListed (headers: RawHeaders): ReadonlySet<string> | undefined {
  let listed: Set<string> | undefined
  // One pass for both names.
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

/** How some response headers change on their way to the client. */
export interface ResponseRules {
  /** Rewrites the value of a `Location`. */
  readonly location?: (value: string) => string
  /** Rewrites the value of a `Set-Cookie`; undefined drops it. */
  readonly setCookie?: (value: string) => string | undefined
  /** Whether other routes are of the same origin: headers that speak for all of it are dropped. */
  readonly sharesOrigin?: boolean
}

// They give service workers a scope beyond their folder, and delete what other routes have stored.
const DROPPED_WHERE_SHARED: ReadonlySet<string> = new Set(['service-worker-allowed', 'clear-site-data'])

/**
 * The response headers that go to the client: the upstream's own, in their order and case, without hop-by-hop ones
 * and without CORS headers, which would open this listener to the upstream's idea of allowed origins. A `Proxy-Status`
 * that names this program is not ours and gets another name (docs/decisions/0014-responses-of-upstreams.md).
 *
 * @returns a new flat list
 */
export function responseHeaders (
  headers: RawHeaders,
  { location = unchanged, setCookie = unchanged, sharesOrigin = false }: ResponseRules = {}
): string[] {
  const kept: string[] = []
  if (headers.length === 0) return kept
  const listed = connectionListed(headers)
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    const folded = name.toLowerCase()
    if (DROPPED_RESPONSE_HEADERS.has(folded) || folded.startsWith('access-control-') || listed?.has(foldName(name)) === true) continue
    if (sharesOrigin && DROPPED_WHERE_SHARED.has(folded)) continue
    switch (folded) {
      case 'set-cookie': {
        const cookie = setCookie(value)
        if (cookie !== undefined) kept.push(name, cookie)
        break
      }
      case 'location':
        kept.push(name, location(value))
        break
      case 'proxy-status':
        kept.push(/countersign/i.test(value) ? 'Upstream-Proxy-Status' : name, value)
        break
      default:
        kept.push(name, value)
    }
  }
  return kept
}

function unchanged (value: string): string {
  return value
}
