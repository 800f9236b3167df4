import fc from 'fast-check'
import t from 'tap'
import { backoffDelayMs, minimumLifeMs, refreshDelayMs, rejectedDelayMs, rejectionPauseMs, usableLifetimeMs } from '#src/token/schedule.ts'
import { isUsable, tokenState } from '#src/token/state.ts'
import { Secret } from '#src/secret.ts'

const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const lifetime = fc.double({ min: 1, max: 365 * 86_400_000, noNaN: true })
const failures = fc.integer({ min: 1, max: 5000 })
const minutes = (count: number): number => count * 60_000

t.test('a refresh is due between 72 % and 80 % of the lifetime', async (t) => {
  fc.assert(fc.property(lifetime, chance, (ms, random) => {
    const delay = refreshDelayMs(ms, () => random)
    return delay <= ms * 0.8 && delay >= ms * 0.72 - 1e-3
  }))
  t.equal(refreshDelayMs(3_600_000, () => 0), 2_880_000)
})

t.test('a refresh is due while the token is still usable', async (t) => {
  fc.assert(fc.property(lifetime, chance, (ms, random) => refreshDelayMs(ms, () => random) < ms - minimumLifeMs(ms)))
  t.pass()
})

t.test('the minimum life is 30 s, or a tenth of a short lifetime', async (t) => {
  t.equal(minimumLifeMs(3_600_000), 30_000)
  t.equal(minimumLifeMs(300_000), 30_000)
  t.equal(minimumLifeMs(60_000), 6_000)
})

t.test('a lifetime that is missing or makes no sense is 300 s', async (t) => {
  t.equal(usableLifetimeMs({}), 300_000)
  for (const lifetimeMs of [0, -1, NaN, Infinity, -Infinity]) t.equal(usableLifetimeMs({ lifetimeMs }), 300_000, String(lifetimeMs))
})

t.test('a lifetime of sixty days is taken as it is, one of a million years is cut to a year', async (t) => {
  t.equal(usableLifetimeMs({ lifetimeMs: 60 * 86_400_000 }), 60 * 86_400_000)
  t.equal(usableLifetimeMs({ lifetimeMs: 1e300 }), 365 * 86_400_000)
})

t.test('a backoff is between 1 s and a ceiling that doubles up to 60 s', async (t) => {
  fc.assert(fc.property(failures, chance, (count, random) => {
    const delay = backoffDelayMs(count, () => random)
    return delay >= 1_000 && delay <= Math.min(60_000, 1_000 * 2 ** count)
  }))
  t.equal(backoffDelayMs(1, () => 0), 1_000)
  t.equal(backoffDelayMs(3, () => 0.5), 4_500)
})

t.test('Retry-After wins over the backoff, never earlier than it says, within 1 s and 1 h', async (t) => {
  fc.assert(fc.property(failures, chance, fc.integer({ min: 1, max: 1e12 }), (count, random, retryAfterMs) => {
    const delay = backoffDelayMs(count, () => random, retryAfterMs)
    return (
      delay >= 1_000 &&
      delay <= 3_600_000 &&
      (retryAfterMs > 3_600_000 || (delay >= retryAfterMs && delay <= Math.max(1_000, retryAfterMs) * 1.1))
    )
  }))
  t.equal(backoffDelayMs(9, () => 0, 2_000), 2_000)
  t.equal(backoffDelayMs(9, () => 0, 86_400_000), 3_600_000)
})

t.test('a Retry-After that makes no sense is ignored', async (t) => {
  for (const retryAfterMs of [0, -5, NaN]) t.equal(backoffDelayMs(1, () => 0.5, retryAfterMs), 1_500, String(retryAfterMs))
})

t.test('a refused credential is tried after 5 s once, then every 15 min', async (t) => {
  for (const failure of ['ambiguous', 'permanent', 'refresh-dead'] as const) {
    t.equal(rejectedDelayMs(1, failure), 5_000)
    t.equal(rejectedDelayMs(2, failure), minutes(15))
    t.equal(rejectedDelayMs(99, failure), minutes(15))
  }
})

t.test('a lockout is waited out without a try in between', async (t) => {
  t.equal(rejectedDelayMs(1, 'lockout'), minutes(15))
  t.equal(rejectedDelayMs(2, 'lockout'), minutes(15))
})

t.test('the pause between rejected tokens grows from nothing to 60 s', async (t) => {
  t.same([1, 2, 5, 6, 1000].map(rejectionPauseMs), [2_000, 4_000, 32_000, 60_000, 60_000])
})

t.test('a token is usable exactly while more than its minimum life is left', async (t) => {
  fc.assert(fc.property(lifetime, fc.double({ min: 0, max: 2, noNaN: true }), (lifetimeMs, share) => {
    const age = lifetimeMs * share
    const usable = isUsable({ value: new Secret('x'), obtainedAt: 0, lifetimeMs }, age)
    return usable === (lifetimeMs - age > minimumLifeMs(lifetimeMs))
  }))
  t.notOk(isUsable({ value: new Secret('x'), obtainedAt: 5, lifetimeMs: 0 }, 5), 'spent at the instant it was obtained')
})

t.test('every state is derived from the token, the next fetch and the last failure', async (t) => {
  const token = { value: new Secret('x'), obtainedAt: 0, lifetimeMs: 100_000 }
  const fixed = { ...token, lifetimeMs: Infinity }
  t.equal(tokenState({ token: undefined, dueAt: 0, failure: undefined }, 0), 'pending')
  t.equal(tokenState({ token: undefined, dueAt: 0, failure: 'transient' }, 0), 'pending')
  t.equal(tokenState({ token: undefined, dueAt: 0, failure: 'permanent' }, 0), 'rejected')
  t.equal(tokenState({ token, dueAt: 80_000, failure: undefined }, 79_999), 'fresh')
  t.equal(tokenState({ token, dueAt: 80_000, failure: undefined }, 80_000), 'stale')
  t.equal(tokenState({ token, dueAt: 85_000, failure: 'transient' }, 81_000), 'stale')
  t.equal(tokenState({ token, dueAt: 85_000, failure: 'lockout' }, 81_000), 'stale')
  t.equal(tokenState({ token, dueAt: 80_000, failure: undefined }, 90_000), 'expired')
  t.equal(tokenState({ token, dueAt: 95_000, failure: 'transient' }, 91_000), 'expired')
  t.equal(tokenState({ token, dueAt: 95_000, failure: 'ambiguous' }, 91_000), 'rejected')
  t.equal(tokenState({ token: fixed, dueAt: Infinity, failure: undefined }, 1e15), 'static')
})
