import { TOLERATED_SKEW_MS } from '../schedule.ts'

/**
 * The time as SRP signs it, `EEE MMM d HH:mm:ss 'UTC' yyyy`; the day is not padded (qwigo/warrant#12). A clock that is off by
 * more than a minute is corrected: beyond some five minutes the service takes a right password for a wrong one.
 *
 * @param now our clock, in epoch milliseconds
 * @param skewMs the provider's clock minus ours, where it is known
 */
export function formatTimestamp (now: number, skewMs: number | undefined): string {
  const corrected = skewMs !== undefined && Math.abs(skewMs) > TOLERATED_SKEW_MS ? now + skewMs : now
  // `Tue, 01 Feb 2000 03:04:05 GMT` (ECMA-262, Date.prototype.toUTCString)
  const [weekday = '', day, month, year, time] = new Date(corrected).toUTCString().split(' ')
  return `${weekday.slice(0, 3)} ${month} ${Number(day)} ${time} UTC ${year}`
}

/**
 * How long a token lives, in milliseconds: from `ExpiresIn`, else from the token's own `exp` and `iat`. Never from `exp` and our
 * clock, which may be wrong.
 */
export function lifetimeOf (token: string, expiresIn: number | undefined): number | undefined {
  if (expiresIn !== undefined) return expiresIn * 1000
  const { exp, iat } = claimsOf(token)
  return typeof exp === 'number' && typeof iat === 'number' && exp > iat ? (exp - iat) * 1000 : undefined
}

// Read, not verified: the token came over TLS from its issuer, and only its lifetime is of interest.
function claimsOf (token: string): { readonly exp?: unknown, readonly iat?: unknown } {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
    return typeof claims === 'object' && claims !== null ? claims : {}
  } catch {
    return {}
  }
}
