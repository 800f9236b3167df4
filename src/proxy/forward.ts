import { ProxyError } from '../errors.ts'
import { respondToPreflight, isPreflight } from '../guard/cors.ts'
import { admit } from '../guard/guard.ts'
import { Handshake } from '../http/handshake.ts'
import type { Exchange } from '../upstream/exchange.ts'
import { upstreamFailure } from '../upstream/failure.ts'
import type { Attempt } from './attempt.ts'
import { authorise } from './authorise.ts'
import type { Context, RoutedContext } from './context.ts'
import { credentials } from './credentials.ts'
import type { AttemptEvents } from './dispatch.ts'
import { inject } from './inject.ts'
import { refuse } from './refuse.ts'
import { relay } from './relay.ts'
import { accept, renew, type Renewed } from './renew.ts'
import { send } from './send.ts'
import { sendUpgrade } from './upgrade.ts'

/**
 * Takes a request through its steps. Each adds to the context, refuses (throws a ProxyError), waits, or ends it. Never throws.
 *
 *     open → guard → preflight → route → limits → authorise → credentials → inject → send → relay
 *                                                                             ▲  401: renew, once │
 *                                                                             └───────────────────┘
 */
export function forward (context: Context): void {
  try {
    guard(context)
    if (preflight(context)) return
    requireRoute(context)
    limits(context)
    authorise(context)
    const pending = credentials(context)
    if (pending === undefined) attempt(context)
    // Nothing is sent for a client that left meanwhile.
    else pending.then(() => { if (!context.ended) attempt(context) }).catch((error: unknown) => { refuse(context, error) })
  } catch (error) {
    refuse(context, error)
  }
}

function guard (context: Context): void {
  context.corsOrigin = admit(context.message, context.proxy.guard, context.target).corsOrigin
}

/** @returns whether the request was a preflight, which gets its response here and reaches no upstream */
function preflight ({ message, response, corsOrigin }: Context): boolean {
  if (corsOrigin === undefined || !isPreflight(message)) return false
  respondToPreflight(message, response, corsOrigin)
  return true
}

function requireRoute (context: Context): asserts context is RoutedContext {
  if (context.misrouted !== undefined) throw context.misrouted
}

function limits ({ proxy: { inFlight, maxRequests } }: Context): void {
  if (inFlight.requests > maxRequests) throw new ProxyError('CS_OVERLOADED', { retryAfter: 1 })
}

/** inject → send → relay, or once more. */
function attempt (context: RoutedContext): void {
  const made = inject(context)
  context.attempt = made
  const events: AttemptEvents = {
    responded: (exchange, statusCode) => { settle(context, made, exchange, statusCode) },
    failed: (error) => { fail(context, error) }
  }
  if (context.response instanceof Handshake) sendUpgrade(context, context.response, made, events)
  else send(context, made, events)
}

/**
 * Passes a response on, but for a first 401 to tokens of ours: that one is held until it is known whether there is another
 * token (contract section 4).
 */
function settle (context: RoutedContext, { second }: Attempt, exchange: Exchange, statusCode: number): void {
  const { values: { tokens }, proxy: { observer }, route } = context
  if (tokens.size === 0 || statusCode !== 401) {
    if (tokens.size > 0) accept(context)
    relay(context, exchange)
    return
  }
  if (second) {
    observer.passedOn(route, 'the response to the second attempt')
    relay(context, exchange)
    return
  }
  exchange.hold()
  renew(context).then((renewed) => {
    context.body.held?.release()
    if (context.ended) {
      exchange.discard()
    } else if (typeof renewed === 'string') {
      observer.passedOn(route, renewed)
      relay(context, exchange)
    } else {
      exchange.discard()
      repeat(context, renewed)
    }
  }).catch((error: unknown) => { fail(context, error) })
}

function repeat (context: RoutedContext, { values, credentials: renewed, body }: Renewed): void {
  const { proxy: { observer }, route } = context
  context.values = values
  context.body = body === undefined ? {} : { whole: body }
  observer.replayed(route, renewed)
  attempt(context)
}

function fail (context: RoutedContext, error: unknown): void {
  context.body.held?.release()
  refuse(context, upstreamFailure(error))
}
