import fc from 'fast-check'
import t from 'tap'
import { Secret } from '#src/secret.ts'
import { fromCached, toCached, type TokenCache } from '#src/token/cache/cache.ts'
import { FakeClock, settle } from '../../helpers/clock.ts'
import { MemoryCache } from '../../helpers/memory-cache.ts'
import { createRenewal, createScene, failure } from '../../helpers/token-source.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** With `random` 0 a token of an hour is refreshed here. */
const REFRESH_AT = 48 * MINUTE

/** A first process, which leaves its token behind, and the clock and cache that a second one finds. */
async function liveOnce () {
  const clock = new FakeClock()
  const cache = new MemoryCache()
  const { source, refresher } = createScene({ clock, cache })
  refresher.start()
  const token = await refresher.get()
  await settle()
  refresher.stop()
  return { clock, cache, value: token.value, source }
}

t.test('a token that was cached serves at once after a restart, while the provider is down', async (t) => {
  const { clock, cache, value } = await liveOnce()
  await clock.advance(10 * MINUTE)
  const { source, refresher, events, log } = createScene({ clock, cache })
  source.respond = () => failure('transient')
  refresher.start()
  t.equal((await refresher.get()).value, value)
  t.match(refresher.status(), {
    state: 'fresh',
    logins: 0,
    refreshes: 0,
    lastError: null,
    expiresAt: new Date(clock.wall() + 50 * MINUTE).toISOString(),
    lastSuccessAt: new Date(clock.wall() - 10 * MINUTE).toISOString(),
    refreshAt: new Date(clock.wall() + REFRESH_AT - 10 * MINUTE).toISOString()
  })
  t.equal(refresher.attempted, true)
  t.equal(source.kinds, '')
  t.same(events, [])
  t.match(log.lines, [{ level: 'info', sentence: 'token taken from the cache' }])
})

t.test('the cached token is refreshed when that is due, with the cached renewal', async (t) => {
  const { clock, cache, value } = await liveOnce()
  await clock.advance(10 * MINUTE)
  const { source, refresher } = createScene({ clock, cache })
  refresher.start()
  await clock.advance(REFRESH_AT - 10 * MINUTE - 1)
  t.equal(source.kinds, '')
  await clock.advance(1)
  t.equal(source.kinds, 'refresh')
  t.same(source.calls[0]?.renewal, createRenewal(1))
  t.not((await refresher.get()).value, value)
  t.equal(cache.held?.value, (await refresher.get()).value, 'and the new one is kept')
})

t.test('a cached token whose refresh is overdue serves as stale, and the refresh starts at once', async (t) => {
  const { clock, cache, value } = await liveOnce()
  await clock.advance(50 * MINUTE)
  const { source, refresher } = createScene({ clock, cache })
  source.respond = () => failure('transient')
  refresher.start()
  t.equal((await refresher.get()).value, value)
  await settle()
  t.equal(source.kinds, 'refresh')
  t.equal(refresher.status().state, 'stale')
})

t.test('a cached token under its minimum life is not used, but its renewal is', async (t) => {
  for (const ageMs of [HOUR - 30_000, HOUR, 30 * 24 * HOUR]) {
    const { clock, cache, value } = await liveOnce()
    await clock.advance(ageMs)
    const { source, refresher } = createScene({ clock, cache })
    refresher.start()
    t.not((await refresher.get()).value, value)
    t.equal(source.kinds, 'refresh')
  }
})

t.test('the last instant of a cached token is that of its minimum life', async (t) => {
  const { clock, cache, value } = await liveOnce()
  await clock.advance(HOUR - 30_001)
  const { refresher } = createScene({ clock, cache })
  refresher.start()
  t.equal((await refresher.get()).value, value)
})

t.test('a cached token that no header can carry is not used, but its renewal is', async (t) => {
  for (const text of ['a\r\nb', ' a', '\u20ac', 'x'.repeat(32_769)]) {
    const clock = new FakeClock()
    const cache = new MemoryCache({ value: new Secret(text), issuedAt: clock.wall(), lifetimeMs: HOUR, renewal: createRenewal('kept') })
    const { source, refresher, log } = createScene({ clock, cache })
    refresher.start()
    t.match((await refresher.get()).value.reveal(), /^token-\d+$/)
    t.same(source.calls.map(({ renewal }) => renewal), [createRenewal('kept')])
    t.match(log.lines[0], { level: 'warn', sentence: /no header can carry/ })
  }
})

t.test('a token from the future is not used: the clock was set back, so nobody knows its age', async (t) => {
  const { clock, cache, value } = await liveOnce()
  await clock.advance(10 * MINUTE)
  clock.jump(-11 * MINUTE)
  const { source, refresher, log } = createScene({ clock, cache })
  refresher.start()
  t.not((await refresher.get()).value, value)
  t.equal(source.kinds, 'refresh')
  t.match(log.lines[0], { level: 'warn', sentence: /from the future/ })
})

t.test(
  "where our clock is ahead of the provider's, a token ages by the provider's: putting the clock right makes no token younger",
  async (t) => {
    const clock = new FakeClock()
    const cache = new MemoryCache()
    const first = createScene({ clock, cache })
    first.source.script.push(first.source.grant({ clockSkewMs: -20 * MINUTE }))
    first.refresher.start()
    const { value } = await first.refresher.get()
    first.refresher.stop()
    await clock.advance(45 * MINUTE)
    clock.jump(-20 * MINUTE)
    const second = createScene({ clock, cache })
    second.refresher.start()
    t.equal((await second.refresher.get()).value, value)
    t.equal(second.refresher.status().expiresAt, new Date(clock.wall() + 15 * MINUTE).toISOString())
  }
)

t.test('a token that an upstream rejected stays until there is another, as it does in memory', async (t) => {
  const { clock, cache } = await liveOnce()
  const second = createScene({ clock, cache })
  second.source.respond = () => failure('transient')
  second.refresher.start()
  const token = await second.refresher.get()
  second.refresher.reject(token, 0)
  await clock.advance(1)
  t.equal(second.refresher.current(), token)
  second.refresher.stop()
  const third = createScene({ clock, cache })
  third.source.respond = () => failure('transient')
  third.refresher.start()
  const again = await third.refresher.get()
  t.equal(again.value, token.value)
  third.source.respond = () => third.source.grant()
  third.refresher.reject(again, 0)
  const other = await third.refresher.another(again)
  t.not(other?.value, token.value)
  t.equal(cache.held?.value, other?.value)
  t.notOk(cache.calls.includes('remove'))
})

t.test('a token is forgotten once its life is over and its credential is refused, and not before', async (t) => {
  const { clock, cache } = await liveOnce()
  const { source, refresher } = createScene({ clock, cache })
  source.respond = () => failure('permanent')
  refresher.start()
  const token = await refresher.get()
  refresher.reject(token, 0)
  await clock.advance(MINUTE)
  t.match(refresher.status(), { state: 'stale', lastError: {} })
  t.ok(cache.held, 'it serves, so it may serve the next process')
  await clock.advance(2 * HOUR)
  t.equal(refresher.status().state, 'rejected')
  t.equal(cache.held, undefined)
  t.equal(cache.calls.filter((call) => call === 'remove').length, 1)
})

t.test('a new secret that is refused takes nothing out of the cache', async (t) => {
  const { clock, cache } = await liveOnce()
  const { source, refresher } = createScene({
    clock,
    cache: { read: async () => undefined, write: (token) => cache.write(token), remove: () => cache.remove() }
  })
  source.respond = () => failure('permanent')
  refresher.start()
  await clock.advance(2 * HOUR)
  t.equal(refresher.status().state, 'rejected')
  t.ok(cache.held)
})

t.test('a cache that fails, throws, hangs or comes late costs nothing but its two seconds', async (t) => {
  const broken = (read: TokenCache['read']): TokenCache => ({
    read,
    write: () => Promise.reject(new Error('CANARY')),
    remove: () => Promise.reject(new Error('CANARY'))
  })
  const late = new MemoryCache((await liveOnce()).cache.held)
  const caches: Array<readonly [waitMs: number, cache: TokenCache]> = [
    [0, broken(() => Promise.reject(new Error('CANARY')))],
    [
      0,
      broken(() => {
        throw new Error('CANARY')
      })
    ],
    [2000, broken(() => new Promise(() => {}))],
    [
      2000,
      broken(async () => {
        await new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))))
        return await late.read()
      })
    ]
  ]
  for (const [waitMs, cache] of caches) {
    const { clock, source, refresher, log } = createScene({ cache })
    refresher.start()
    const waiting = refresher.get()
    await clock.advance(waitMs)
    const token = await waiting
    t.equal(refresher.status().state, 'fresh')
    refresher.reject(token, 0)
    await clock.advance(MINUTE)
    t.notMatch(JSON.stringify(log.lines), /CANARY/)
    t.ok(source.calls.length <= 2)
  }
})

t.test('stop while the cache is being read: nothing is taken over, nothing is fetched', async (t) => {
  const held = (await liveOnce()).cache.held
  let give = (): void => {}
  const cache: TokenCache = {
    read: () =>
      new Promise((resolve) => {
        give = () => resolve(held)
      }),
    write: async () => {},
    remove: async () => {}
  }
  const { clock, source, refresher } = createScene({ cache })
  refresher.start()
  await settle()
  refresher.stop()
  give()
  await clock.advance(MINUTE)
  t.equal(refresher.current(), undefined)
  t.equal(source.kinds, '')
  t.equal(clock.armed, 0)
})

t.test('a refresher that is stopped and started again does not read the cache a second time', async (t) => {
  const { clock, cache } = await liveOnce()
  const { refresher } = createScene({ clock, cache })
  refresher.start()
  await refresher.get()
  refresher.stop()
  refresher.start()
  await settle()
  t.equal(cache.calls.filter((call) => call === 'read').length, 2, 'once by each process')
})

t.test('no restart makes a token younger, however far the wall clock is set forward meanwhile', async (t) => {
  const numbers = fc.record({
    lifetimeMs: fc.integer({ min: 1, max: 24 * HOUR }),
    heldMs: fc.nat(HOUR),
    downMs: fc.nat(48 * HOUR),
    jumpMs: fc.integer({ min: 0, max: 48 * HOUR }),
    skewMs: fc.integer({ min: -HOUR, max: HOUR })
  })
  fc.assert(fc.property(numbers, ({ lifetimeMs, heldMs, downMs, jumpMs, skewMs }) => {
    const wall = Date.UTC(2026, 0, 1)
    const token = { value: new Secret('x'), obtainedAt: 5, lifetimeMs }
    const cached = toCached(token, undefined, { now: 5 + heldMs, wall: wall + heldMs }, skewMs)
    const restored = fromCached(cached, { now: 77, wall: wall + heldMs + downMs + jumpMs })
    return restored !== undefined && 77 - restored.obtainedAt >= heldMs + downMs
  }))
  t.pass()
})
