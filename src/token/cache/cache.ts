import type { Secret } from '../../secret.ts'
import { usableLifetimeMs } from '../schedule.ts'
import type { Renewal, Token } from '../token.ts'

/** A token as it outlives its process: with an instant of the wall clock, since a monotonic one ends with its machine. */
export interface CachedToken {
  readonly value: Secret
  /** Epoch milliseconds: when it was asked for, by our clock or by the provider's, whichever was behind. */
  readonly issuedAt: number
  readonly lifetimeMs: number
  readonly renewal?: Renewal
}

/**
 * Keeps one credential's token beyond the process. Calls take effect in the order in which they are made, and requests never
 * wait for them. A cache tells its own troubles: what fails reads as "nothing there", and a rejection changes nothing.
 */
export interface TokenCache {
  /** Reads what was written last, where that is still there and certainly this credential's. The caller judges its age. */
  readonly read: () => Promise<CachedToken | undefined>
  readonly write: (token: CachedToken) => Promise<void>
  readonly remove: () => Promise<void>
}

/** One moment, on both clocks. */
export interface Instants {
  /** On the clock of `Token.obtainedAt`. */
  readonly now: number
  /** Epoch milliseconds. */
  readonly wall: number
}

/**
 * Converts a held token for the cache. Where our clock is ahead of the provider's, the provider's counts: a clock that is put right
 * before the next start can then make a token look older than it is, never younger.
 */
export function toCached (token: Token, renewal: Renewal | undefined, { now, wall }: Instants, clockSkewMs = 0): CachedToken {
  const issuedAt = wall - (now - token.obtainedAt) + Math.min(0, clockSkewMs)
  return { value: token.value, issuedAt, lifetimeMs: token.lifetimeMs, ...(renewal !== undefined && { renewal }) }
}

/**
 * Converts a token of the cache into one that is held.
 *
 * @returns undefined where it comes from the future: our clock was set back, so its age is not known
 */
export function fromCached (cached: CachedToken, { now, wall }: Instants): Token | undefined {
  const ageMs = wall - cached.issuedAt
  return ageMs >= 0 ? { value: cached.value, obtainedAt: now - ageMs, lifetimeMs: usableLifetimeMs(cached) } : undefined
}
