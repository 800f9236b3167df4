import { isIP } from 'node:net'
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

/** How the value of `HTTPS_PROXY` is written, for messages. */
export const PROXY_HELP = 'is no URL of an HTTP proxy; write http://host:port or https://host:port, with user:password@ in front of the host where the proxy wants that'

/** Reads the value of `HTTPS_PROXY` or `HTTP_PROXY`; without a scheme it is `http:`, as for curl. Undefined where it is none. */
export function readProxyUrl (text: string): ForwardProxy | undefined {
  const full = text.includes('://') ? text : `http://${text}`
  if (!URL.canParse(full)) return undefined
  const { protocol, hostname, port, username, password } = new URL(full)
  if ((protocol !== 'http:' && protocol !== 'https:') || hostname === '') return undefined
  const secure = protocol === 'https:'
  const server = { secure, host: bare(hostname), port: port === '' ? (secure ? 443 : 80) : Number(port) }
  if (username === '' && password === '') return server
  try {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    return { ...server, authorization: new Secret(`Basic ${Buffer.from(pair).toString('base64')}`) }
  } catch {
    return undefined
  }
}

/**
 * Whether `NO_PROXY` excepts an upstream: `*` excepts all, `example.com`, `.example.com` and `*.example.com` a name and
 * those below it, each with a port for that port alone; an address excepts itself.
 */
export function isExcepted (noProxy: string, hostname: string, port: number): boolean {
  const host = bare(hostname).toLowerCase()
  return noProxy.split(/[,\s]+/).filter((entry) => entry !== '').some((entry) => {
    if (entry === '*') return true
    const [, name = entry, only] = isIP(entry) === 6 ? [] : /^(.+?)(?::(\d+))?$/.exec(entry) ?? []
    if (only !== undefined && Number(only) !== port) return false
    const wanted = bare(name.replace(/^\*?\./, '')).toLowerCase()
    return host === wanted || (isIP(host) === 0 && host.endsWith(`.${wanted}`))
  })
}

function bare (hostname: string): string {
  return hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname
}
