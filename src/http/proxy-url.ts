import { Secret } from '../secret.ts'

/** A forward proxy of the environment. */
export interface ForwardProxy {
  /** Whether the proxy itself is spoken to over TLS. */
  readonly secure: boolean
  readonly host: string
  readonly port: number
  /** `Proxy-Authorization`, where its URL holds credentials. */
  readonly authorization?: Secret
}

/** A forward proxy could not be used: it is away, it refuses, or it is no proxy. */
export class ForwardProxyError extends Error {
  override readonly name = 'ForwardProxyError'
  /** The status of its response to CONNECT, where there was one. */
  readonly status: number | undefined

  constructor (message: string, details: { readonly status?: number, readonly cause?: unknown }) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.status = details.status
  }
}

/** How the value of `HTTPS_PROXY` is written, for messages. */
export const PROXY_HELP =
  'is no URL of an HTTP proxy; write http://host:port or https://host:port, with user:password@ in front of the host where the proxy wants that'

/** Reads the value of `HTTPS_PROXY` or `HTTP_PROXY`; without a scheme it is `http:`, as for curl. Undefined where it is none. */
export function readProxyUrl (text: string): ForwardProxy | undefined {
  // A URL parser would drop some of these characters in silence, those of a password too.
  // eslint-disable-next-line no-control-regex -- the very thing to find
  if (/[\s\0-\x1f\x7f]/.test(text)) return undefined
  const full = text.includes('://') ? text : `http://${text}`
  if (!URL.canParse(full)) return undefined
  const { protocol, hostname, port, username, password } = new URL(full)
  if ((protocol !== 'http:' && protocol !== 'https:') || hostname === '' || port === '0') return undefined
  const secure = protocol === 'https:'
  const server = { secure, host: withoutBrackets(hostname), port: port === '' ? (secure ? 443 : 80) : Number(port) }
  if (username === '' && password === '') return server
  try {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    return { ...server, authorization: new Secret(`Basic ${Buffer.from(pair).toString('base64')}`) }
  } catch {
    return undefined
  }
}

/** The host of a URL in the form that sockets want. */
export function withoutBrackets (hostname: string): string {
  return hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname
}
