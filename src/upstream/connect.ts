import { EnvHttpProxyAgent, Pool, type Dispatcher } from 'undici'
import { isLoopbackHost } from '../http/address.ts'

/** The proxy variables of the environment, as `curl` and others read them. */
export interface ProxyEnvironment {
  readonly httpProxy?: string
  readonly httpsProxy?: string
  readonly noProxy?: string
}

export interface ConnectOptions {
  /** `https://api.example.com:8443` */
  readonly origin: string
  /** Longest wait for response headers, in milliseconds. */
  readonly timeoutMs: number
  /** Longest silence within a response body, in milliseconds. */
  readonly idleTimeoutMs: number
  readonly proxies: ProxyEnvironment
}

const CONNECT_TIMEOUT_MS = 10_000

/**
 * The connections to one upstream. TLS is always verified, with TLS 1.2 at least; there is no option against it, and
 * nothing is left to a default: reply-from turns verification off where it makes the connections itself (CVE-2026-107318).
 *
 * Routes never share connections. Loopback upstreams are never reached through an environment proxy, as in Go's
 * `http.ProxyFromEnvironment`: the proxy's own loopback is another machine's.
 */
export function connectUpstream (options: ConnectOptions): Dispatcher {
  const { hostname, protocol } = new URL(options.origin)
  const tls = { rejectUnauthorized: true, minVersion: 'TLSv1.2' } as const
  const common = { headersTimeout: options.timeoutMs, bodyTimeout: options.idleTimeoutMs, pipelining: 1, allowH2: false }
  const { httpProxy, httpsProxy, noProxy } = options.proxies
  // By the upstream's scheme alone: EnvHttpProxyAgent would take HTTP_PROXY for `https:` as well, which curl and Go do not.
  const proxy = protocol === 'https:' ? httpsProxy : httpProxy
  if (proxy === undefined || isLoopbackHost(hostname)) {
    return new Pool(options.origin, { ...common, connect: { ...tls, timeout: CONNECT_TIMEOUT_MS } })
  }
  return new EnvHttpProxyAgent({
    ...common,
    connect: { ...tls, timeout: CONNECT_TIMEOUT_MS },
    requestTls: tls,
    proxyTls: tls,
    httpProxy: proxy,
    httpsProxy: proxy,
    // An empty string rather than undefined: undici would read the process environment by itself.
    noProxy: noProxy ?? ''
  })
}
