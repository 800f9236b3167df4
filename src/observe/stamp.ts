const SECOND = 1000

/**
 * Makes a clock that says what time it is as RFC 3339, in UTC and with milliseconds. What is the same for a second is written
 * once in it, since lines come by the thousand.
 *
 * @param now epoch milliseconds
 */
export function createStamp (now: () => number): () => string {
  let second = NaN
  let at = NaN
  let start = ''
  let stamp = ''
  return () => {
    const instant = now()
    if (instant === at) return stamp
    at = instant
    const milliseconds = instant % SECOND
    if (instant - milliseconds !== second) {
      second = instant - milliseconds
      start = new Date(second).toISOString().slice(0, -'000Z'.length)
    }
    stamp = `${start}${String(milliseconds).padStart(3, '0')}Z`
    return stamp
  }
}
