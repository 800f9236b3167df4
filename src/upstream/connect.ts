import { setMaxListeners } from 'node:events'
import { isIP, type LookupFunction } from 'node:net'
import { buildConnector, Pool, type Dispatcher } from 'undici'
import { isLoopbackHost } from '../http/address.ts'
import { isExcepted, readProxyUrl } from '../http/proxy-url.ts'
import type { Secret } from '../secret.ts'
import { RenewingPool } from './renewing-pool.ts'
import { tunnelThrough } from './tunnel.ts'

/** The proxy variables of the environment, as `curl` and others read them. */
export interface ProxyEnvironment {
  readonly httpProxy?: string
  readonly httpsProxy?: string
  readonly noProxy?: string
}

/** Whom to trust and who to be, where that is not the usual. */
export interface UpstreamTls {
  /** PEM of the authorities that are trusted instead of the usual ones. */
  readonly ca?: string
  /** The client certificate, in PEM. */
  readonly client?: { readonly cert: string, readonly key: Secret }
  /** Sent as SNI, and the name that the certificate must have; default: the upstream's host. */
  readonly serverName?: string
}

export interface ConnectOptions {
  /** `https://api.example.com:8443` */
  readonly origin: string
  /** Connects to this unix socket instead of the origin's host. */
  readonly socketPath?: string
  readonly tls?: UpstreamTls
  /** Longest wait for response headers, in milliseconds. */
  readonly timeoutMs: number
  /** Longest silence within a response body, in milliseconds. */
  readonly idleTimeoutMs: number
  readonly proxies: ProxyEnvironment
  /** Resolves host names; default: the system's resolver. */
  readonly lookup?: LookupFunction
  /** How long connections are taken for new requests, so that a changed address is noticed. */
  readonly renewAfterMs?: number
}

const CONNECT_TIMEOUT_MS = 10_000
const RENEW_AFTER_MS = 60_000

/**
 * The connections to one upstream (HTTP/1.1: docs/decisions/0008-http2-upstreams.md), as many as there are requests at a time (`limits.requests` bounds them), kept alive and
 * reused. TLS is always verified, with TLS 1.2 at least; there is no option against it, and nothing is left to a default:
 * reply-from turns verification off where it makes the connections itself (CVE-2026-107318).
 *
 * Routes never share connections. Loopback upstreams are never reached through an environment proxy, as in Go's
 * `http.ProxyFromEnvironment`: the proxy's own loopback is another machine's.
 */
export function connectUpstream (options: ConnectOptions): Dispatcher {
  const ending = new AbortController()
  // One listener for each tunnel that is being opened.
  setMaxListeners(0, ending.signal)
  const connect = connectorOf(options, ending.signal)
  return new RenewingPool({
    create: () => new Pool(options.origin, { headersTimeout: options.timeoutMs, bodyTimeout: options.idleTimeoutMs, pipelining: 1, allowH2: false, connect }),
    renewAfterMs: options.renewAfterMs ?? RENEW_AFTER_MS,
    onDestroy: () => { ending.abort() }
  })
}

function connectorOf ({ origin, socketPath, tls = {}, proxies, lookup }: ConnectOptions, signal: AbortSignal): ReturnType<typeof buildConnector> {
  const { hostname, protocol, port } = new URL(origin)
  const direct = buildConnector({
    timeout: CONNECT_TIMEOUT_MS,
    allowH2: false,
    ...(socketPath !== undefined && { socketPath }),
    ...(lookup !== undefined && { lookup }),
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...(tls.client !== undefined && { cert: tls.client.cert, key: tls.client.key.reveal() })
  })
  const servername = tls.serverName ?? (isIP(hostname.replace(/^\[|\]$/g, '')) === 0 ? hostname : undefined)
  // Said here for every connection: undici would derive it from the Host of a request.
  const endpoint: typeof direct = (target, callback) => { direct({ ...target, ...(servername !== undefined && { servername }) }, callback) }

  // By the upstream's scheme alone: HTTP_PROXY is not for `https:`, as in curl and Go.
  const url = protocol === 'https:' ? proxies.httpsProxy : proxies.httpProxy
  if (url === undefined || isLoopbackHost(hostname)) return endpoint
  if (isExcepted(proxies.noProxy ?? '', hostname, port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port))) return endpoint
  const proxy = readProxyUrl(url)
  // Refused when the configuration is loaded; going there directly is not what was asked for.
  if (proxy === undefined) throw new TypeError('a proxy variable of the environment is no URL of an HTTP proxy')
  return tunnelThrough({ proxy, endpoint, timeoutMs: CONNECT_TIMEOUT_MS, signal })
}
