import type { Route } from '../route/table.ts'
import type { Exchange } from '../upstream/exchange.ts'
import { renew, type PassedOn, type Renewed, type Sent, type TokenPort } from './replay.ts'
import type { Visit } from './visit.ts'

export interface RetryOptions extends TokenPort {
  readonly route: Route
  /** Called as a request leaves once more after a 401, with the credentials whose token is another one now. */
  readonly onReplay: (credentials: readonly string[]) => void
  /** Called as an upstream's 401 to our tokens is passed on. */
  readonly onRejected: (credentials: readonly string[], reason: PassedOn) => void
}

/** One sending of a request, and what may follow from its answer. */
export interface Attempt {
  readonly visit: Visit
  readonly exchange: Exchange
  readonly second: boolean
  /** Passes the answer on as it is. */
  readonly respond: () => void
  /** Sends the request once more. */
  readonly resend: (renewed: Renewed, sent: Sent) => void
  readonly fail: (error: unknown) => void
}

/**
 * What becomes of an upstream's answer, be it to an upgrade or not: it is passed on, but for a first 401 to tokens of ours.
 * That one is held until it is known whether there is another token (contract section 4).
 */
export function settleAnswer (statusCode: number, attempt: Attempt, options: RetryOptions): void {
  const { visit: { sent }, exchange, second, respond, fail } = attempt
  if (statusCode !== 401 || sent === undefined) {
    if (sent !== undefined) accept(sent, options)
    respond()
    return
  }
  if (second) {
    options.onRejected(options.route.credentials, 'the answer to the second attempt')
    respond()
    return
  }
  exchange.hold()
  renew(sent, options).then((renewed) => { decide(attempt, sent, renewed, options) }).catch(fail)
}

/** The upstream took what it was sent: its next 401 to the same tokens is a revocation. */
export function accept (sent: Sent, { accept: tell }: TokenPort): void {
  sent.held?.release()
  for (const [credential, token] of sent.tokens) tell(credential, token)
}

function decide ({ visit, exchange, respond, resend }: Attempt, sent: Sent, renewed: Renewed | PassedOn, { route, onReplay, onRejected }: RetryOptions): void {
  sent.held?.release()
  if (visit.ended) {
    exchange.discard()
    return
  }
  if (typeof renewed === 'string') {
    onRejected(route.credentials, renewed)
    respond()
    return
  }
  exchange.discard()
  visit.spent = visit.injections
  onReplay(renewed.credentials)
  resend(renewed, sent)
}
