/** The problem of a TIMESTAMP: the service cannot read it, or reads it and refuses the login. */
export type TimestampProblem = 'unreadable' | 'refused'

/**
 * Checks a TIMESTAMP, `EEE MMM d HH:mm:ss 'UTC' yyyy` in English. The service reads a zero-padded day and a wrong weekday, and then
 * refuses the login like a wrong password (ministackorg/ministack#1758), as it does with a clock that is off by more than five minutes.
 *
 * @param now the service's clock, in epoch milliseconds
 */
export function timestampProblem (text: string, now: number): TimestampProblem | undefined {
  const match = /^([A-Z][a-z]{2}) ([A-Z][a-z]{2}) (\d{1,2}) (\d\d):(\d\d):(\d\d) UTC (\d{4})$/.exec(text)
  if (match === null) return 'unreadable'
  const [, weekday = '', month = '', day = '', hours, minutes, seconds, year] = match
  if (!WEEKDAYS.includes(weekday) || !MONTHS.includes(month)) return 'unreadable'
  const instant = Date.UTC(Number(year), MONTHS.indexOf(month), Number(day), Number(hours), Number(minutes), Number(seconds))
  if (day.startsWith('0') || new Date(instant).getUTCDay() !== WEEKDAYS.indexOf(weekday)) return 'refused'
  return Math.abs(instant - now) > WINDOW_MS ? 'refused' : undefined
}

const WINDOW_MS = 5 * 60_000
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
