import { isIP } from 'node:net'
import { ProxyError } from '../errors.ts'
import type { RawHeaders } from './raw-headers.ts'

/** Who may call a listener. */
export interface CallerPolicy {
  /** Further names for the Host guard, in lower case, with or without a port. */
  readonly allowedHosts: ReadonlySet<string>
  /** Further origins for the browser guard, as browsers serialise them. */
  readonly allowedOrigins: ReadonlySet<string>
}

/** The end of the connection that a request came in on. */
export interface LocalEnd {
  readonly unix: boolean
  /** An IP address; IPv4-mapped IPv6 addresses in their IPv4 form. */
  readonly address: string
  readonly port: number
}

/** The headers that the guards look at, each value as often as it was sent. */
export interface GuardedHeaders {
  readonly host: readonly string[]
  readonly origin: readonly string[]
  readonly fetchSite: readonly string[]
  readonly fetchMode: readonly string[]
}

/** Picks the guarded headers out of Node's `rawHeaders`: merged headers hide a second Host (nodejs/node keeps the first). */
export function guardedHeaders (rawHeaders: RawHeaders): GuardedHeaders {
  const host: string[] = []
  const origin: string[] = []
  const fetchSite: string[] = []
  const fetchMode: string[] = []
  // One pass for the four names, whose lengths rule nearly all others out.
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (name.length !== 4 && name.length !== 6 && name.length !== 14) continue
    const value = rawHeaders[index + 1] ?? ''
    switch (name.toLowerCase()) {
      case 'host': host.push(value); break
      case 'origin': origin.push(value); break
      case 'sec-fetch-site': fetchSite.push(value); break
      case 'sec-fetch-mode': fetchMode.push(value); break
    }
  }
  return { host, origin, fetchSite, fetchMode }
}

/**
 * Host guard: a rebound DNS name (CVE-2025-66414 and its kin) reaches a loopback listener with the attacker's Host, so
 * only names that nobody can rebind are taken: `localhost`, the loopback addresses, the address that the connection
 * came in on, each with the listener's port, and the names that the configuration lists.
 *
 * @returns the accepted Host, in lower case
 * @throws ProxyError 400 where Host is missing, doubled or malformed, 421 where it is somebody else's
 */
export function checkHost (headers: GuardedHeaders, local: LocalEnd, policy: CallerPolicy): string {
  const [host, second] = headers.host
  if (host === undefined) {
    throw new ProxyError('CS_BAD_REQUEST', { message: 'The request has no Host; send exactly one (RFC 9112 section 3.2).', close: true })
  }
  if (second !== undefined) {
    throw new ProxyError('CS_BAD_REQUEST', {
      message: 'The request has more than one Host; send exactly one (RFC 9112 section 3.2).',
      close: true
    })
  }
  const name = host.toLowerCase()
  if (local.unix) return name
  if (isOwnHost(name, local)) return name
  if (policy.allowedHosts.has(name)) return name
  const port = /:\d*$/.exec(name)
  if (port !== null && policy.allowedHosts.has(name.slice(0, port.index))) return name
  if (isMalformed(name)) {
    throw new ProxyError('CS_BAD_REQUEST', { message: 'Host is malformed; send `name:port` (RFC 9110 section 7.2).', close: true })
  }
  throw new ProxyError('CS_HOST_NOT_ALLOWED')
}

/** What the browser guard found. */
export interface BrowserVerdict {
  /** The listed origin that gets CORS headers; absent for every other caller. */
  readonly corsOrigin?: string
}

/**
 * Browser guard: refuses what a browser sends on behalf of another site, for every method, by the two headers that a
 * page cannot choose (Fetch standard: `Origin`, `Sec-Fetch-Site`). Programs send neither.
 *
 * @param host the Host that {@link checkHost} accepted
 * @throws ProxyError 403 `CS_ORIGIN_NOT_ALLOWED`
 */
export function checkBrowser (headers: GuardedHeaders, host: string, policy: CallerPolicy): BrowserVerdict {
  const { origin, fetchSite, fetchMode } = headers
  if (origin.length === 0 && fetchSite.length === 0) return {}
  if (origin.length > 1 || fetchSite.length > 1) throw new ProxyError('CS_ORIGIN_NOT_ALLOWED')
  const [sender] = origin
  if (sender !== undefined && policy.allowedOrigins.has(sender)) return { corsOrigin: sender }
  if (sender !== undefined && sender.toLowerCase() !== `http://${host}`) throw new ProxyError('CS_ORIGIN_NOT_ALLOWED')
  const [site] = fetchSite
  if (site !== undefined && site !== 'none' && site !== 'same-origin') {
    throw new ProxyError('CS_ORIGIN_NOT_ALLOWED', sender === undefined && fetchMode.includes('navigate') ? { message: FOLLOWED_LINK } : {})
  }
  return {}
}

// allowedOrigins would not help: a link has no Origin.
const FOLLOWED_LINK =
  'A link on another site led here, and such requests are refused, since any site could make them; type this address into the address bar, or paste it there.'

/** The end of a socket as the guard wants it; a unix socket has no port. */
export function localEnd (socket: { readonly localAddress?: string | undefined, readonly localPort?: number | undefined }): LocalEnd {
  if (socket.localPort === undefined) return { unix: true, address: '', port: 0 }
  const address = socket.localAddress ?? ''
  return {
    unix: false,
    address: address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address,
    port: socket.localPort
  }
}

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

function isOwnHost (name: string, { address, port }: LocalEnd): boolean {
  const suffix = `:${port}`
  // RFC 9110 section 4.2.1: the default port may be left out.
  const host = name.endsWith(suffix) ? name.slice(0, -suffix.length) : port === 80 ? name : undefined
  if (host === undefined) return false
  return LOOPBACK_HOSTS.has(host) || host === (isIP(address) === 6 ? `[${address}]` : address)
}

// `@` and `#` are left to the 421: they are look-alikes of a name of ours rather than noise.
function isMalformed (host: string): boolean {
  return /[\s,/\\?]/.test(host) || !/^(?:\[[^\]]*\]|[^:[\]]+)(?::\d{0,5})?$/.test(host)
}
