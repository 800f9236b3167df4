import fc from 'fast-check'
import t from 'tap'
import { timestampProblem } from '#src/demo/srp-timestamp.ts'
import { formatTimestamp } from '#src/token/cognito/timestamp.ts'

t.test('a timestamp has no zero in front of the day, and zeros elsewhere', async (t) => {
  t.equal(formatTimestamp(Date.UTC(2000, 1, 1, 3, 4, 5), undefined), 'Tue Feb 1 03:04:05 UTC 2000')
  t.equal(formatTimestamp(Date.UTC(2026, 0, 13, 17, 8, 9), 0), 'Tue Jan 13 17:08:09 UTC 2026')
})

t.test('a clock that is off by more than a minute is corrected, a smaller difference is left alone', async (t) => {
  const now = Date.UTC(2026, 5, 1, 12, 0, 0)
  t.equal(formatTimestamp(now, 60_000), 'Mon Jun 1 12:00:00 UTC 2026')
  t.equal(formatTimestamp(now, 61_000), 'Mon Jun 1 12:01:01 UTC 2026')
  t.equal(formatTimestamp(now, -86_400_000), 'Sun May 31 12:00:00 UTC 2026')
})

t.test('the emulator reads every timestamp that we write, and finds it in time', async () => {
  const instant = fc.integer({ min: 0, max: Date.UTC(2199, 11, 31) })
  fc.assert(fc.property(instant, (now) => timestampProblem(formatTimestamp(now, undefined), now) === undefined))
})
