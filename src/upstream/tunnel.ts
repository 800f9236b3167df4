import { request as requestHttp } from 'node:http'
import { isIP, type Socket } from 'node:net'
import { ForwardProxyError, type ForwardProxy } from '../http/proxy-url.ts'

export interface TunnelOptions {
  readonly proxy: ForwardProxy
  /** Connects to the proxy itself. */
  readonly connect: () => Promise<Socket>
  /** The destination behind the proxy. */
  readonly host: string
  readonly port: number
  /** Gives up a tunnel that is not open yet. */
  readonly signal: AbortSignal
}

/**
 * Connects through a forward proxy: a `CONNECT` tunnel (RFC 9110 section 9.3.6), for `http:` destinations too, so that the
 * proxy sees neither credentials nor, with `https:`, anything of the request. undici's own proxy agents are not used: they pass
 * headers on as an object, which keeps only one of several with the same name, and take the environment by rules of their own.
 *
 * @throws ForwardProxyError whatever goes wrong
 */
export async function openTunnel ({ proxy, connect, host, port, signal }: TunnelOptions): Promise<Socket> {
  const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
  try {
    return await askFor(authority, proxy, await connect(), signal)
  } catch (cause) {
    throw cause instanceof ForwardProxyError ? cause : new ForwardProxyError('the forward proxy could not be used', { cause })
  }
}

function askFor (authority: string, { authorization }: ForwardProxy, connection: Socket, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const request = requestHttp({
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...(authorization !== undefined && { 'proxy-authorization': authorization.reveal() }) },
      // A connection of its own, whatever the environment says about agents.
      createConnection: () => connection,
      signal
    })
    request.once('connect', ({ statusCode = 0 }, socket: Socket, head: Buffer) => {
      socket.on('error', () => {})
      if (statusCode < 200 || statusCode > 299) {
        socket.destroy()
        reject(new ForwardProxyError(`the forward proxy answered CONNECT with ${statusCode}`, { status: statusCode }))
        return
      }
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    request.on('error', (error) => {
      connection.destroy()
      reject(signal.aborted ? signal.reason as Error : error)
    })
    request.end()
  })
}
