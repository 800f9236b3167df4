import fc from 'fast-check'
import t from 'tap'
import { timestampProblem } from '#src/demo/srp-timestamp.ts'
import { usableLifetimeMs } from '#src/token/schedule.ts'
import { formatTimestamp, lifetimeOf } from '#src/token/cognito/token.ts'

const token = (claims: object): string => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`

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

t.test('the lifetime is ExpiresIn, else exp minus iat, and never depends on our clock', async (t) => {
  t.equal(lifetimeOf(token({ iat: 1000, exp: 4600 }), 300), 300_000)
  t.equal(lifetimeOf(token({ iat: 1000, exp: 4600 }), undefined), 3_600_000)
})

t.test('a token that tells no lifetime has none', async (t) => {
  for (const value of [
    token({ exp: 5 }),
    token({ iat: 5 }),
    token({ iat: 9, exp: 9 }),
    token({ iat: '1', exp: '2' }),
    'h.bnVsbA.s',
    'opaque',
    'a.%%%.c',
    ''
  ]) {
    t.equal(lifetimeOf(value, undefined), undefined, value)
  }
})

t.test('whatever a token and its response claim, it lives for more than nothing and at most a year', async (t) => {
  const now = Math.floor(Date.now() / 1000)
  const absurd = [-1, 0, 1e20, -1e20, '3600', null, true, [], {}, Number.MAX_VALUE, Number.MIN_VALUE, NaN, Infinity, 2 ** 31, 2 ** 53]
  for (const exp of absurd) {
    for (const iat of [...absurd, now]) {
      const lifetimeMs = usableLifetimeMs({ lifetimeMs: lifetimeOf(token({ exp, iat }), undefined) ?? NaN })
      t.ok(lifetimeMs > 0 && lifetimeMs <= 365 * 86_400_000, `exp ${String(exp)}, iat ${String(iat)}: ${lifetimeMs}`)
    }
  }
  t.equal(usableLifetimeMs({ lifetimeMs: lifetimeOf(token({ exp: 1e20, iat: now }), undefined) ?? NaN }), 365 * 86_400_000)
  t.equal(
    lifetimeOf(token({ iat: 1_000_000, exp: 1_003_600 }), undefined),
    3_600_000,
    'one that ended long ago by our clock lives as long as its provider said'
  )
})
