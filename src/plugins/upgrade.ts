import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { Duplex } from 'node:stream'
import { ProxyError } from '../errors.ts'
import type { RawHeaders } from '../http/headers.ts'
import { protocolsOf } from '../http/incoming.ts'
import { takesBodyFields } from '../route/body.ts'
import { outgoingHeaders, outgoingQuery } from '../route/outgoing.ts'
import { upstreamTarget, type Route } from '../route/table.ts'
import { Exchange, type Sender } from '../upstream/exchange.ts'
import { upstreamFailure } from '../upstream/failure.ts'
import { malformed } from '../upstream/malformed.ts'
import { joinSockets } from '../upstream/upgrade.ts'
import { answerHeaders, localHeaders } from './answer-headers.ts'
import { apply } from './forward.ts'
import { Handshake } from './handshake.ts'
import { accept, settleAnswer, type Attempt, type RetryOptions } from './retry.ts'
import type { Visit } from './visit.ts'

export interface UpgradeOptions extends RetryOptions {
  /** What sends the request of a visit to the upstream. */
  readonly sender: (visit: Visit) => Sender
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Called as the request leaves for the upstream. */
  readonly onInject: () => void
  /** Called once the connection is no request any more. */
  readonly onSwitch: () => void
}

/**
 * Refuses an upgrade that the route does not take; lets every other request pass.
 *
 * @throws ProxyError 403 where the route has them off, 415 where a credential would have to go into its body
 */
export function checkUpgrade (visit: Visit, route: Route, websocket: boolean): void {
  if (visit.response instanceof Handshake) judgeUpgrade(route, visit.message.method ?? '', websocket)
}

/** As {@link checkUpgrade}, of a request that is one. */
export function judgeUpgrade (route: Route, method: string, websocket: boolean): void {
  if (!websocket) throw new ProxyError('CS_NOT_ALLOWED', { message: 'This route does not let connections be upgraded; set websocket of the route to true if they are wanted.' })
  if (takesBodyFields(route, method)) throw new ProxyError('CS_BODY_UNSUPPORTED', { message: 'A credential of this route goes into the request body, and an upgrade has none; send it as GET.' })
}

/**
 * Relays an upgrade that was let through: nothing is promised to the client before the upstream has answered. 101 joins
 * the two connections; any other answer reaches the client as it is, but for a first 401 to tokens of ours.
 *
 * @param fail takes what is answered where there is nothing to relay
 * @returns false where the request is no upgrade: nothing was done
 */
export function relayUpgrade (visit: Visit, options: UpgradeOptions, fail: (error: ProxyError) => void): boolean {
  const { message, response } = visit
  if (!(response instanceof Handshake)) return false
  const handshake: Handshake = response
  const { route } = options
  const method = message.method ?? ''
  const upgrade = message.headers.upgrade ?? ''
  attempt(false)
  return true

  function attempt (second: boolean): void {
    const { injections } = visit
    const failed = (error: unknown): void => { fail(upstreamFailure(error)) }
    const respond = (statusCode: number): void => {
      const failure = exchange.relay(handshake, refusalHeaders(visit, route, statusCode, exchange.rawHeaders))
      if (failure !== undefined) fail(failure)
    }
    const resend: Attempt['resend'] = ({ tokens }, { relayed }) => {
      apply(visit, route, { tokens, relayed })
      attempt(true)
    }
    const exchange: Exchange = new Exchange({
      start: (statusCode) => { settleAnswer(statusCode, { visit, exchange, second, respond: () => { respond(statusCode) }, resend, fail: failed }, options) },
      switched: switchTo,
      fail: failed
    })
    visit.exchange = exchange
    visit.upstreamStartedAt = options.now()
    options.onInject()
    exchange.send(options.sender(visit), {
      method,
      target: upstreamTarget(route, visit.rest, outgoingQuery(route, method, visit.query, injections)),
      headers: outgoingHeaders(route, message.rawHeaders, injections),
      body: null,
      upgrade
    })
  }

  function switchTo (rawHeaders: RawHeaders, upstream: Duplex): void {
    const head = acceptance(rawHeaders, localHeaders(visit, route, rawHeaders), upgrade)
    if (head === undefined || visit.ended) {
      upstream.on('error', () => {}).destroy()
      fail(malformed())
      return
    }
    if (visit.sent !== undefined) accept(visit.sent, options)
    visit.switched = true
    options.onSwitch()
    const client = handshake.switch()
    client.write(head, 'latin1')
    joinSockets(client, upstream)
  }
}

/**
 * The head of the 101 for the client; undefined where the upstream's cannot be passed on.
 *
 * @param local the headers for the client, without those of the upgrade itself
 */
function acceptance (rawHeaders: RawHeaders, local: readonly string[], offered: string): string | undefined {
  const chosen = rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'upgrade').join(', ')
  const protocols = protocolsOf(chosen)
  const known = protocolsOf(offered)
  // A server must not switch to what was not offered (RFC 9110 section 7.8).
  if (protocols.length === 0 || protocols.some((protocol) => !known.includes(protocol))) return undefined
  const headers = ['Upgrade', chosen, 'Connection', 'Upgrade', ...withoutFraming(local)]
  try {
    for (let index = 0; index < headers.length; index += 2) {
      validateHeaderName(headers[index] ?? '')
      validateHeaderValue(headers[index] ?? '', headers[index + 1] ?? '')
    }
  } catch {
    return undefined
  }
  const lines = headers.map((text, index) => index % 2 === 0 ? `${text}: ` : `${text}\r\n`)
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`
}

// RFC 9110 section 8.6: a 1xx has no Content-Length; a client that believed it would read frames as a body.
function withoutFraming (headers: readonly string[]): string[] {
  return headers.filter((_, index) => headers[index - index % 2]?.toLowerCase() !== 'content-length')
}

function refusalHeaders (visit: Visit, route: Route, statusCode: number, rawHeaders: RawHeaders): string[] {
  const headers = answerHeaders(visit, route, rawHeaders)
  // 426 says which protocol is wanted, and must (RFC 9110 section 15.5.22).
  const wanted = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'upgrade')
  if (statusCode === 426 && wanted !== -1) headers.push('Upgrade', rawHeaders[wanted + 1] ?? '', 'Connection', 'Upgrade, close')
  return headers
}
