import { isRejection } from './failure-policy.ts'
import { minimumLifeMs } from './schedule.ts'
import type { FailureClass, Token } from './token.ts'

/**
 * - `pending`: no token yet
 * - `fresh`: usable, nothing to do
 * - `stale`: usable, a refresh is due or failing, for whatever reason
 * - `expired`: there was a token, and no usable one is left
 * - `rejected`: the identity provider refuses the credential itself, and no usable token is left
 * - `static`: a fixed secret
 */
export type CredentialState = 'pending' | 'fresh' | 'stale' | 'expired' | 'rejected' | 'static'

/** What a credential's state is derived from. */
export interface TokenFacts {
  readonly token: Token | undefined
  /** When the next fetch is due, on the clock of `token.obtainedAt`. */
  readonly dueAt: number
  /** Why the last fetch failed; `undefined` after a success. */
  readonly failure: FailureClass | undefined
}

/** Whether a token may still be sent (contract: never with its minimum life or less left). `now` is on the clock of `obtainedAt`. */
export function isUsable (token: Token, now: number): boolean {
  return token.obtainedAt + token.lifetimeMs - now > minimumLifeMs(token.lifetimeMs)
}

/** The state of a credential at `now`, on the clock of `obtainedAt`. */
export function tokenState ({ token, dueAt, failure }: TokenFacts, now: number): CredentialState {
  if (token !== undefined && isUsable(token, now)) {
    if (token.lifetimeMs === Infinity) return 'static'
    return failure !== undefined || now >= dueAt ? 'stale' : 'fresh'
  }
  if (isRejection(failure)) return 'rejected'
  return token === undefined ? 'pending' : 'expired'
}
