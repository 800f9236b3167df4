import { isIP, type LookupFunction, type Socket } from 'node:net'
import type { DuplexOptions } from 'node:stream'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import type { PeerTls } from '../http/peer-tls.ts'
import { createProxyRule, type Destination, type ProxyEnvironment } from '../http/proxies.ts'
import type { ForwardProxy } from '../http/proxy-url.ts'
import { dial } from './dial.ts'
import { TlsCarrier } from './tls-carrier.ts'
import { openTunnel } from './tunnel.ts'

export interface ConnectorOptions {
  readonly proxies: ProxyEnvironment
  /** Connects to this unix socket, whatever the host. */
  readonly socketPath?: string
  readonly tls?: PeerTls
  /** Longest wait for name, connection, tunnel and TLS together, in milliseconds; without it the signal alone decides. */
  readonly timeoutMs?: number
  /** Gives up connections that are not open yet. */
  readonly signal: AbortSignal
  /** Resolves host names; default: the system's resolver. */
  readonly lookup?: LookupFunction
}

/** A connection that is open, and verified where it has TLS. */
export interface Line {
  readonly socket: Socket
  /** Whether the end that the socket has told was the other side's, rather than made by somebody on the way (TLS). */
  readonly whole: () => boolean
}

/**
 * Makes connections to upstreams and identity providers alike: by the one rule for proxies, over whichever address answers first,
 * with TLS that is always verified and 1.2 at least. There is no option against it, and nothing is left to a default:
 * NODE_TLS_REJECT_UNAUTHORIZED=0 would turn verification off (as in CVE-2026-107318).
 *
 * @returns a function that connects to a destination, whose IPv6 address has no brackets
 */
export function createDialer (options: ConnectorOptions): (target: Destination) => Promise<Line> {
  const { proxies, socketPath, tls = {}, lookup } = options
  const proxyOf = createProxyRule(proxies)
  const sessions = new Map<string, Buffer>()
  const own: ConnectionOptions = {
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...(tls.client !== undefined && { cert: tls.client.cert, key: tls.client.key.reveal() })
  }
  return (target) => within(options, (signal) => open(target, signal))

  async function open (target: Destination, signal: AbortSignal): Promise<Line> {
    const { hostname: host } = target
    const secure = target.protocol === 'https:'
    const port = target.port === '' ? (secure ? 443 : 80) : Number(target.port)
    const proxy = socketPath === undefined ? proxyOf(target) : undefined
    const line = proxy !== undefined
      ? await throughProxy(proxy, { host, port }, signal)
      : lineOf(await dial(socketPath === undefined ? { host, port } : { path: socketPath }, { signal, lookup }), socketPath === undefined)
    if (!secure) return line
    const key = `${host}:${port}`
    const session = sessions.get(key)
    try {
      const peer = { ...own, host, ...serverName(tls.serverName ?? host), ...(session !== undefined && { session }) }
      return await encrypt(line.socket, peer, signal, (fresh) => { sessions.set(key, fresh) })
    } catch (error) {
      sessions.delete(key)
      throw error
    }
  }

  /** Opens a tunnel. The connection to the proxy tells how it ended. */
  async function throughProxy (
    proxy: ForwardProxy,
    target: { readonly host: string, readonly port: number },
    signal: AbortSignal
  ): Promise<Line> {
    let whole: Line['whole'] | undefined
    const connect = async (): Promise<Socket> => {
      const line = await connectProxy(proxy, signal)
      whole = line.whole
      return line.socket
    }
    const socket = await openTunnel({ proxy, connect, ...target, signal })
    return { socket, whole: () => whole?.() === true }
  }

  // The usual authorities verify a proxy, for its own name: `tls` of a route is for the upstream.
  async function connectProxy ({ secure, host, port }: ForwardProxy, signal: AbortSignal): Promise<Line> {
    const socket = await dial({ host, port }, { signal, lookup })
    return secure ? await encrypt(socket, { host, ...serverName(host) }, signal) : lineOf(socket, true)
  }
}

/**
 * A connection without TLS. libuv tells a plain end where a reset comes along with the last bytes. The kernel has no peer address
 * any more then, which shows the reset. A unix socket has no reset.
 */
function lineOf (socket: Socket, tcp: boolean): Line {
  return { socket, whole: () => !tcp || socket.remoteAddress !== undefined }
}

/** RFC 6066 section 3: an address is no server name. */
function serverName (name: string): ConnectionOptions {
  return isIP(name) === 0 ? { servername: name } : {}
}

function encrypt (
  socket: Socket,
  peer: ConnectionOptions,
  signal: AbortSignal,
  onSession: (session: Buffer) => void = () => {}
): Promise<Line> {
  return new Promise((resolve, reject) => {
    const carrier = new TlsCarrier(socket)
    const options: ConnectionOptions & DuplexOptions = {
      ...peer,
      socket: carrier,
      highWaterMark: 16_384,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2'
    }
    const encrypted = connectTls(options).on('session', onSession)
    const onAbort = (): void => {
      fail(signal.reason as Error)
    }
    const fail = (error: Error): void => {
      signal.removeEventListener('abort', onAbort)
      encrypted.destroy()
      carrier.destroy()
      reject(error)
    }
    // The first listener stays, since the socket changes hands; the second is taken off.
    encrypted
      .on('error', () => {})
      .once('error', fail)
      .once('secureConnect', () => {
        signal.removeEventListener('abort', onAbort)
        encrypted.off('error', fail)
        carrier.carry(encrypted)
        resolve({ socket: encrypted, whole: () => carrier.closedOrderly })
      })
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}

/** Runs a function with a signal that aborts after `timeoutMs`, or with the given signal. */
async function within<Result> ({ timeoutMs, signal }: ConnectorOptions, run: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  signal.throwIfAborted()
  const attempt = new AbortController()
  const onAbort = (): void => { attempt.abort(signal.reason) }
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => { attempt.abort(tooLong(timeoutMs)) }, timeoutMs).unref()
  try {
    return await run(attempt.signal)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

function tooLong (timeoutMs: number): Error {
  return Object.assign(new Error(`no connection within ${timeoutMs} ms`), { code: 'ETIMEDOUT' })
}
