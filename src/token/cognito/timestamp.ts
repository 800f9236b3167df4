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
