import { bindsConnection } from '../http/connection-auth.ts'
import { Exchange, type ExchangeEvents, type Sender, type UpstreamRequest } from '../upstream/exchange.ts'
import { writeInterim } from '../upstream/interim.ts'
import type { Attempt } from './attempt.ts'
import type { RoutedContext } from './context.ts'
import { localHeaders } from './response-headers.ts'

/** The outcome of an attempt; one of the two is called, once. */
export interface AttemptEvents {
  /** The headers of the response are here: relay it, hold it, or abort the exchange. */
  readonly responded: (exchange: Exchange, statusCode: number) => void
  /** No response, or none that can be passed on. Nothing was written to the client. */
  readonly failed: (error: unknown) => void
}

/**
 * Sends an attempt over a connection that fits it.
 *
 * @param switched takes the connection of a request that offers to switch protocols
 */
export function dispatch (
  context: RoutedContext,
  attempt: Attempt,
  request: UpstreamRequest,
  events: AttemptEvents,
  switched?: ExchangeEvents['switched']
): void {
  const { proxy, route, response } = context
  const exchange: Exchange = new Exchange({
    interim: (statusCode, rawHeaders) => {
      if (switched === undefined) writeInterim(response, statusCode, localHeaders(context, rawHeaders))
    },
    start: (statusCode) => {
      events.responded(exchange, statusCode)
    },
    switched,
    fail: events.failed
  })
  attempt.exchange = exchange
  context.sentAt ??= proxy.clock.monotonic()
  proxy.observer.sent(route)
  exchange.send(maskingSender(context, attempt, plainSender(context)), request)
}

// Where nothing is injected the client's own Authorization passes, and may prove something of the whole connection.
function plainSender ({ route, message: { socket, rawHeaders } }: RoutedContext): Sender {
  return route.bindings.length > 0 ? route.pool : route.pool.senderOf(socket, bindsConnection(rawHeaders))
}

/**
 * Wraps a sender so that no credential of the request comes back in its response (contract section 3, `scrub`). Relayed values
 * are the caller's own and are not masked.
 */
function maskingSender ({ route, proxy: { observer } }: RoutedContext, { injections, spent }: Attempt, sender: Sender): Sender {
  if (route.scrubber === undefined) return sender
  // Injections stand in the order of the bindings, those of an earlier attempt too.
  const credentials = [injections, spent].flatMap((list) => list.filter((_, index) => route.bindings[index]?.value.type !== 'relay'))
  let first = true
  return route.scrubber.over(sender, credentials, (count) => {
    observer.masked(route, count, first)
    first = false
  })
}
