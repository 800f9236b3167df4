import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Handshake } from '../http/handshake.ts'
import { protocolsOf } from '../http/incoming.ts'
import { pairs, valueOf, without, type RawHeaders } from '../http/raw-headers.ts'
import { malformed } from '../upstream/malformed.ts'
import { joinSockets } from '../upstream/upgrade.ts'
import type { Attempt } from './attempt.ts'
import type { RoutedContext } from './context.ts'
import { dispatch, type AttemptEvents } from './dispatch.ts'
import { refuse } from './refuse.ts'
import { accept } from './renew.ts'
import { localHeaders } from './response-headers.ts'
import { requestOf } from './send.ts'

/**
 * Sends an attempt at an upgrade upstream: the client is promised nothing before the upstream has responded. A 101 joins the two
 * connections; any other response is relayed as usual.
 */
export function sendUpgrade (context: RoutedContext, handshake: Handshake, attempt: Attempt, events: AttemptEvents): void {
  const offered = context.message.headers.upgrade ?? ''
  dispatch(context, attempt, { ...requestOf(context, attempt), upgrade: offered }, events, (rawHeaders, upstream) => {
    const head = switchingHead(rawHeaders, localHeaders(context, rawHeaders), offered)
    if (head === undefined || context.ended) {
      upstream.on('error', () => {}).destroy()
      refuse(context, malformed())
      return
    }
    accept(context)
    join(context, handshake, head, upstream)
  })
}

function join (context: RoutedContext, handshake: Handshake, head: string, upstream: Duplex): void {
  context.switched = true
  // From now on it counts among limits.connections alone.
  context.proxy.inFlight.requests--
  const client = handshake.switch()
  client.write(head, 'latin1')
  joinSockets(client, upstream)
}

/**
 * The head of the 101 for the client; undefined where the upstream's cannot be passed on.
 *
 * @param local the headers for the client, without those of the upgrade itself
 */
function switchingHead (rawHeaders: RawHeaders, local: readonly string[], offered: string): string | undefined {
  const chosen = valueOf(rawHeaders, 'upgrade') ?? ''
  const protocols = protocolsOf(chosen)
  const known = protocolsOf(offered)
  // A server must not switch to what was not offered (RFC 9110 section 7.8).
  if (protocols.length === 0 || protocols.some((protocol) => !known.includes(protocol))) return undefined
  // RFC 9110 section 8.6: a 1xx has no Content-Length; a client that believed it would read frames as a body.
  const headers = pairs(['Upgrade', chosen, 'Connection', 'Upgrade', ...without(local, 'content-length')])
  try {
    for (const [name, value] of headers) {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    }
  } catch {
    return undefined
  }
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`
}
