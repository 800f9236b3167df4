/**
 * The provider's clock minus ours. `Date` has whole seconds, so half a second is added; the response was made about half-way between
 * sending and receiving.
 */
export function skewOf (date: string | string[] | undefined, sentAt: number, receivedAt: number): number | undefined {
  const instant = typeof date === 'string' ? Date.parse(date) : NaN
  return Number.isNaN(instant) ? undefined : Math.round(instant + 500 - (sentAt + receivedAt) / 2)
}

/** RFC 9110 section 10.2.3: seconds, or a date, which is one of the provider's clock. */
export function retryAfterMs (value: string | string[] | undefined, providerNow: number): number | undefined {
  if (typeof value !== 'string') return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - providerNow
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_LIMIT_MS)
}

const RETRY_AFTER_LIMIT_MS = 24 * 3_600_000
