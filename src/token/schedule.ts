import { FAILURE_POLICIES, isRejection, type Rejection } from './failure-policy.ts'
import type { Grant, TokenError } from './token.ts'

// All durations are milliseconds; `random` gives numbers from 0 (included) to 1 (excluded), as Math.random does.

/** Clocks that differ by no more are left alone: a request's way and the whole seconds of `Date` make a second or two. */
export const TOLERATED_SKEW_MS = 60_000

/** The shortest wait after a transient failure. */
export const SHORTEST_BACKOFF_MS = 1_000

/** The longest wait after a transient failure without `Retry-After`. */
export const LONGEST_BACKOFF_MS = 60_000

/**
 * When to refresh, counted from when the token was asked for: at 80 % of its life, or up to 10 % of that earlier, so that
 * the credentials of one configuration, and of many replicas, drift apart.
 */
export function refreshDelayMs (lifetimeMs: number, random: () => number): number {
  return lifetimeMs * 0.8 * (1 - 0.1 * random())
}

/** A token with no more than this left is never sent: 30 s, or a tenth of its life where that is shorter. */
export function minimumLifeMs (lifetimeMs: number): number {
  return Math.min(30_000, lifetimeMs / 10)
}

/**
 * How long a grant lives. What is missing or makes no sense (zero, negative, not a number) becomes 300 s, the shortest life
 * that Cognito gives; more than a year is cut to a year, so that every instant can be written as a date.
 */
export function usableLifetimeMs (grant: Pick<Grant, 'lifetimeMs'>): number {
  const { lifetimeMs } = grant
  if (lifetimeMs === undefined || !Number.isFinite(lifetimeMs) || lifetimeMs <= 0) return FALLBACK_LIFETIME_MS
  return Math.min(lifetimeMs, LONGEST_LIFETIME_MS)
}

/**
 * The wait after a transient failure: anywhere between 1 s and a ceiling that doubles from 2 s to 60 s (full jitter).
 * `Retry-After` wins, within 1 s and 1 h (a provider's typing error must not switch a credential off for a day) and up to
 * 10 % later than it says, never earlier, so that a throttled crowd does not come back at one instant. One that is no
 * number or not positive is ignored.
 *
 * @param failures transient failures in a row, this one included
 */
export function backoffDelayMs (failures: number, random: () => number, retryAfterMs?: number): number {
  if (retryAfterMs !== undefined && retryAfterMs > 0) {
    return Math.min(Math.max(retryAfterMs, SHORTEST_BACKOFF_MS) * (1 + 0.1 * random()), LONGEST_RETRY_AFTER_MS)
  }
  const ceilingMs = doubled(failures)
  return SHORTEST_BACKOFF_MS + random() * (ceilingMs - SHORTEST_BACKOFF_MS)
}

/**
 * The wait after the identity provider rejected the credential itself. Trying on locks the key for everybody who uses it.
 *
 * @param rejections rejections since the last success, this one included
 */
export function rejectedDelayMs (rejections: number, failure: Rejection): number {
  const { firstMs, thenMs } = FAILURE_POLICIES[failure].retry
  return rejections <= 1 ? firstMs : thenMs
}

/**
 * The wait after an attempt that failed, for either kind of failure.
 *
 * @param times failures of this kind since the last success, this one included
 */
export function retryDelayMs (error: Pick<TokenError, 'class' | 'retryAfterMs'>, times: number, random: () => number): number {
  return isRejection(error.class) ? rejectedDelayMs(times, error.class) : backoffDelayMs(times, random, error.retryAfterMs)
}

/** The longest that a request which met 401 waits for its token to be old enough to be replaced; with the first one, any does. */
export const LONGEST_HOLD_MS = 2_000

/**
 * How old a token that an upstream never accepted must be before that upstream's 401 replaces it: 2 s, doubling up to 60 s with
 * each further one in a row. An upstream that refuses every token would otherwise cost a fetch per request.
 *
 * @param refusedInARow tokens that the upstream refused since it accepted one, this one included
 */
export function rejectionPauseMs (refusedInARow: number): number {
  return doubled(refusedInARow)
}

const FALLBACK_LIFETIME_MS = 300_000
/** More than that is cut to it. */
export const LONGEST_LIFETIME_MS = 365 * 86_400_000
const LONGEST_RETRY_AFTER_MS = 3_600_000

/** 2 s, 4 s, 8 s … 60 s. */
function doubled (times: number): number {
  return Math.min(LONGEST_BACKOFF_MS, 1_000 * 2 ** times)
}
