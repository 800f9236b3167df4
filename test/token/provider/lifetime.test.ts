import t from 'tap'
import { lifetimeOf } from '#src/token/provider/lifetime.ts'
import { usableLifetimeMs } from '#src/token/schedule.ts'

const token = (claims: object): string => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`

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
