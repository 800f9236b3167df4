import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { ProxyError } from '../errors.ts'
import type { RawHeaders } from '../http/headers.ts'
import { breakOff } from './break-off.ts'
import type { Exchange, Sender, UpstreamRequest } from './exchange.ts'
import { rawText } from './raw-text.ts'

export interface UpgradeRequest extends UpstreamRequest {
  /** The value of `Upgrade`: the protocols that the client offers. */
  readonly upgrade: string
}

/** The upstream has switched protocols: its headers as they came, and the connection with what it has sent behind them. */
export type Switched = (rawHeaders: RawHeaders, socket: Duplex) => void

// Far more than anybody sends; each one makes undici wait anew, so a flood would never end by itself.
const MOST_INTERIM_ANSWERS = 100

// Long enough to cost nothing, short enough for the tables of NAT routers; a quiet connection may last for ever.
const KEEP_ALIVE_MS = 60_000

/**
 * Sends a request that offers to switch protocols, over the connections of every other request of its route: the same
 * verified TLS, environment proxies and deadlines. Any answer but 101 is an ordinary exchange.
 */
export function sendUpgrade (dispatcher: Sender, origin: string, request: UpgradeRequest, exchange: Exchange, switched: Switched): void {
  let interim = 0
  dispatcher.dispatch({
    origin,
    method: request.method as Dispatcher.HttpMethod, // undici takes every token; its type lists the usual ones
    path: request.target,
    headers: request.headers as string[], // undici only reads it
    body: null,
    upgrade: request.upgrade
  }, {
    onRequestStart: (controller) => { exchange.onRequestStart(controller) },
    onRequestUpgrade: (controller, _statusCode, _headers, socket) => { switched(rawText(controller.rawHeaders), socket) },
    onResponseStart: (controller, statusCode, headers, statusMessage) => {
      // A 101 that names no protocol comes here, since it is no upgrade to a parser.
      if (statusCode === 101 || (statusCode < 200 && ++interim > MOST_INTERIM_ANSWERS)) {
        exchange.onResponseError(controller, malformed())
        controller.abort(new Error('the upstream sent no usable answer'))
        return
      }
      exchange.onResponseStart(controller, statusCode, headers, statusMessage)
    },
    onResponseData: (controller, chunk) => { exchange.onResponseData(controller, chunk) },
    onResponseEnd: (controller) => { exchange.onResponseEnd(controller) },
    onResponseError: (controller, error) => { exchange.onResponseError(controller, error) }
  })
}

/** The answer for a client whose upstream switched to something that nobody asked for, or wrote that down malformed. */
export function malformed (): ProxyError {
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', { proxyStatus: 'http_protocol_error' })
}

/**
 * Makes one connection of two: bytes go both ways as they come, as fast as the slower side takes them, each end passes
 * on by itself (half-close), and one that breaks breaks the other. No timeout: what runs over it may be quiet for hours.
 */
export function joinSockets (client: Socket, upstream: Duplex): void {
  // Has to be said before the stream ends; undici's connections would close as a whole.
  upstream.allowHalfOpen = true
  for (const socket of [client, upstream]) {
    if (socket instanceof Socket) socket.setTimeout(0).setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS)
  }
  tie(client, upstream)
  tie(upstream, client)
  client.pipe(upstream)
  upstream.pipe(client)
}

function tie (one: Duplex, other: Duplex): void {
  one.on('error', () => {}) // `close` follows
  one.once('close', () => {
    // What was ended on both sides is still flushed to the slower one.
    if (one.readableEnded && one.writableFinished) return
    breakOff(other)
  })
}
