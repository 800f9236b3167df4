import { request as requestPlain, type RequestOptions } from 'node:http'
import { request as requestSecure } from 'node:https'
import { isIP, type Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { ProxyError } from '../errors.ts'
import type { ForwardProxy } from '../http/proxy-url.ts'

type Connector = ReturnType<typeof buildConnector>

export interface TunnelOptions {
  readonly proxy: ForwardProxy
  /** Speaks TLS with the upstream through the tunnel. */
  readonly endpoint: Connector
  readonly timeoutMs: number
  /** Gives up tunnels that are not open yet. */
  readonly signal: AbortSignal
}

/**
 * Connects to an upstream through a forward proxy: a `CONNECT` tunnel (RFC 9110 section 9.3.6), for `http:` upstreams
 * too, so that the proxy sees neither credentials nor, with `https:`, anything of the request. undici's own proxy agents
 * are not used: they pass headers on as an object, which keeps only one of several with the same name.
 */
export function tunnelThrough ({ proxy, endpoint, timeoutMs, signal }: TunnelOptions): Connector {
  return (options, callback) => {
    const port = options.port === '' ? options.protocol === 'https:' ? 443 : 80 : options.port
    const authority = `${isIP(options.hostname) === 6 ? `[${options.hostname}]` : options.hostname}:${port}`
    open(proxy, authority, timeoutMs, signal, (error, socket) => {
      if (socket === undefined) callback(error ?? new Error('no tunnel'), null)
      else if (options.protocol === 'https:') endpoint({ ...options, httpSocket: socket }, callback)
      else callback(null, socket)
    })
  }
}

function open (proxy: ForwardProxy, authority: string, timeoutMs: number, signal: AbortSignal, done: (error: Error | undefined, socket?: Socket) => void): void {
  const options: RequestOptions = {
    host: proxy.host,
    port: proxy.port,
    method: 'CONNECT',
    path: authority,
    headers: { host: authority, ...(proxy.authorization !== undefined && { 'proxy-authorization': proxy.authorization.reveal() }) },
    // A connection of its own, whatever the environment says about agents.
    agent: false,
    signal
  }
  // The proxy is verified by the usual authorities, since a route's own are those of its upstream; and under its own name,
  // which Node would take from Host.
  const request = proxy.secure ? requestSecure({ ...options, servername: isIP(proxy.host) === 0 ? proxy.host : '', rejectUnauthorized: true, minVersion: 'TLSv1.2' }) : requestPlain(options)
  const timer = setTimeout(() => { request.destroy(new Error('the proxy did not answer in time')) }, timeoutMs)
  request.once('connect', ({ statusCode = 0 }, socket: Socket, head: Buffer) => {
    clearTimeout(timer)
    if (statusCode < 200 || statusCode > 299) {
      socket.on('error', () => {}).destroy()
      done(failure(new Error(`the proxy answered CONNECT with ${statusCode}`)))
      return
    }
    if (head.length > 0) socket.unshift(head)
    done(undefined, socket)
  })
  request.once('error', (error) => {
    clearTimeout(timer)
    done(failure(error))
  })
  request.end()
}

// Never CS_UPSTREAM_TLS or a timeout of the upstream: those would send people to the wrong machine.
function failure (cause: Error): ProxyError {
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', { cause, message: 'The forward proxy that the environment names (HTTPS_PROXY, HTTP_PROXY) gave no way to the upstream of this route; correct it, or except the upstream with NO_PROXY.' })
}
