import type { FailureClass } from './token.ts'

/** What follows from a failed fetch. State, schedule and refresher read it from here, and so does docs/failures.md. */
export type FailurePolicy = {
  /** A refresh that fails so: the refresh token is kept for the next attempt, or dropped, and a login follows at once. */
  readonly refreshToken: 'keep' | 'drop'
} & (
  /** The provider failed to answer: the next attempt comes after a growing, jittered pause. */
  | { readonly judged: false, readonly retry: 'backoff' }
  /** The provider judged the credential itself: the pause after the first rejection since the last success, and after each further one. */
  | { readonly judged: true, readonly retry: { readonly firstMs: number, readonly thenMs: number } }
)

// Cognito locks a user after five failed sign-ins, for up to 15 min: so no hour has more than five attempts.
const QUARTER_OF_AN_HOUR_MS = 15 * 60_000
// Throttling has been seen disguised as a wrong password (OpenZeppelin/defender-client#143): hence one early second try,
const refused = { firstMs: 5_000, thenMs: QUARTER_OF_AN_HOUR_MS } as const
// and none once the provider speaks of a lockout.
const lockedOut = { firstMs: QUARTER_OF_AN_HOUR_MS, thenMs: QUARTER_OF_AN_HOUR_MS } as const

/**
 * The policy of each class. Most rejections of a refresh drop the refresh token, because the login that follows tells more. A lockout
 * keeps it: a login would be one more failed sign-in.
 */
export const FAILURE_POLICIES = {
  transient: { judged: false, retry: 'backoff', refreshToken: 'keep' },
  ambiguous: { judged: true, retry: refused, refreshToken: 'drop' },
  lockout: { judged: true, retry: lockedOut, refreshToken: 'keep' },
  'refresh-dead': { judged: true, retry: refused, refreshToken: 'drop' },
  unclear: { judged: false, retry: 'backoff', refreshToken: 'keep' },
  permanent: { judged: true, retry: refused, refreshToken: 'drop' },
  challenge: { judged: true, retry: refused, refreshToken: 'drop' }
} as const satisfies Record<FailureClass, FailurePolicy>

/**
 * How many `unclear` failures since the last success are tried again like transient ones; the next one counts as `permanent`.
 */
export const UNCLEAR_RETRIES = 5

/** The classes of a failure in which the provider judged the credential. */
export type Rejection = Exclude<FailureClass, 'transient' | 'unclear'>

/** Whether the identity provider judged the credential, rather than failed to answer. */
export function isRejection (failure: FailureClass | undefined): failure is Rejection {
  return failure !== undefined && FAILURE_POLICIES[failure].judged
}
