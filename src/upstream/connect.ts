import { setMaxListeners } from 'node:events'
import type { LookupFunction } from 'node:net'
import { ProxyError } from '../errors.ts'
import { HEADER_BYTES } from '../http/headers.ts'
import type { PeerTls } from '../http/peer-tls.ts'
import type { ProxyEnvironment } from '../http/proxies.ts'
import { ForwardProxyError, withoutBrackets } from '../http/proxy-url.ts'
import { createDialer, type Line } from './connector.ts'
import { Pool } from './pool.ts'

export type { ProxyEnvironment } from '../http/proxies.ts'

export interface ConnectOptions {
  /** `https://api.example.com:8443` */
  readonly origin: string
  /** Connects to this unix socket instead of the origin's host. */
  readonly socketPath?: string
  readonly tls?: PeerTls
  /** Longest wait for response headers, in milliseconds. */
  readonly timeoutMs: number
  /** Longest silence within a response body, in milliseconds. */
  readonly idleTimeoutMs: number
  readonly proxies: ProxyEnvironment
  /** Resolves host names; default: the system's resolver. */
  readonly lookup?: LookupFunction
  /** How long a connection serves new requests, in milliseconds, so that a changed address is noticed. */
  readonly renewAfterMs?: number
  /** The longest header section of a response, in bytes; default {@link HEADER_BYTES}. */
  readonly headerBytes?: number
}

const CONNECT_TIMEOUT_MS = 10_000
const RENEW_AFTER_MS = 60_000

/**
 * The connections to one upstream (HTTP/1.1: docs/decisions/0008-http2-upstreams.md), as many as there are requests at a time
 * (`limits.requests` bounds them), kept alive and reused. Routes never share connections.
 */
export function connectUpstream (options: ConnectOptions): Pool {
  const { origin, socketPath, tls, timeoutMs, idleTimeoutMs, proxies, lookup } = options
  const ending = new AbortController()
  // One listener for each connection that is being opened.
  setMaxListeners(0, ending.signal)
  const connect = createDialer({
    proxies,
    signal: ending.signal,
    timeoutMs: CONNECT_TIMEOUT_MS,
    ...(socketPath !== undefined && { socketPath }),
    ...(tls !== undefined && { tls }),
    ...(lookup !== undefined && { lookup })
  })
  const { protocol, hostname, port, host } = new URL(origin)
  const target = { protocol, hostname: withoutBrackets(hostname), port }
  return new Pool({
    host,
    connect: () => blamingTheProxy(connect(target)),
    timeoutMs,
    idleTimeoutMs,
    headerBytes: options.headerBytes ?? HEADER_BYTES,
    renewAfterMs: options.renewAfterMs ?? RENEW_AFTER_MS,
    onDestroy: () => { ending.abort() }
  })
}

// CS_UPSTREAM_TLS or a timeout of the upstream would send people to the wrong machine.
async function blamingTheProxy (opening: Promise<Line>): Promise<Line> {
  try {
    return await opening
  } catch (error) {
    throw error instanceof ForwardProxyError ? proxyFailure(error) : error
  }
}

function proxyFailure (cause: ForwardProxyError): ProxyError {
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', {
    cause,
    message:
      'The forward proxy that the environment names (HTTPS_PROXY, HTTP_PROXY) gave no way to the upstream of this route; correct it, or except the upstream with NO_PROXY.'
  })
}
