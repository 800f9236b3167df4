import t from 'tap'
import { Secret } from '#src/secret.ts'
import { TokenRefresher } from '#src/token/refresher.ts'
import { RotatingRefresher } from '#src/token/rotation.ts'
import { FakeClock, settle } from '../helpers/clock.ts'
import { createLateResponse, createTestLog, failure, FakeSource } from '../helpers/token-source.ts'
import type { FetchEvent } from '#src/token/report.ts'

const HOUR = 3_600_000

function createRotation () {
  const clock = new FakeClock()
  const [old, next] = [new FakeSource(clock), new FakeSource(clock)]
  const events: FetchEvent[] = []
  const log = createTestLog()
  const credential = new RotatingRefresher({
    name: 'orders',
    supply: { source: old },
    create: (material, onFetch) =>
      new TokenRefresher({ ...material, name: 'orders', clock, random: () => 0, gate: { enter: async () => () => {} }, log, onFetch }),
    log,
    onFetch: (event) => {
      events.push(event)
    }
  })
  return { clock, old, next, events, log, credential, sentences: () => log.lines.map(({ sentence }) => sentence) }
}

t.test('the old secret serves until the new one has given a token, which then serves at once', async (t) => {
  const { credential, clock, old, next, sentences } = createRotation()
  credential.start()
  await settle()
  const first = credential.current()
  const late = createLateResponse()
  next.script.push(late.respond)
  credential.rotate({ source: next })
  await settle()
  t.equal(next.kinds, 'login')
  t.ok(first)
  t.equal(credential.current(), first)
  t.equal(await credential.get(), first)
  t.match(credential.status(), { state: 'fresh', logins: 1, lastError: null })
  const grant = next.grant()
  late.give(grant)
  await settle()
  t.equal(credential.current()?.value, grant.value)
  t.match(credential.status(), { state: 'fresh', logins: 2, failures: 0 }, 'what the old one did still counts')
  t.same(
    sentences().filter((one) => one.includes('secret')),
    ['secret changed, the new one is tried while the old one serves', 'the new secret is proven and has taken over']
  )
  await clock.advance(10 * HOUR)
  t.equal(old.kinds, 'login', 'the old one is used no more')
  t.ok(next.calls.length > 5)
  credential.stop()
  t.equal(clock.armed, 0)
})

t.test('a new secret that is refused is seen and tried rarely, and the old one goes on with refreshing', async (t) => {
  const { credential, clock, old, next, events, sentences } = createRotation()
  credential.start()
  await settle()
  next.respond = () => failure('permanent')
  credential.rotate({ source: next })
  await clock.advance(5000)
  t.equal(next.kinds, 'login login', 'at once, and after 5 s')
  await clock.advance(HOUR - 6000)
  t.ok(next.calls.length <= 6, `every 15 minutes then, ${next.calls.length} in an hour`)
  t.match(credential.status(), { state: 'stale', lastError: { code: 'Code-permanent' }, logins: 1 })
  t.ok(sentences().includes('the new secret is refused, the old one serves as long as it can'))
  await clock.advance(9 * HOUR)
  t.match(old.kinds, /^login refresh refresh/)
  t.ok(credential.current(), 'served throughout')
  t.match(credential.status(), { state: 'stale' })
  t.equal(events.filter(({ outcome }) => outcome === 'rejected').length, next.calls.length)

  const good = new FakeSource(clock)
  credential.rotate({ source: good })
  await settle()
  t.equal(good.kinds, 'login')
  t.match(credential.status(), { state: 'fresh', lastError: null })
  const asked = old.calls.length + next.calls.length
  await clock.advance(HOUR)
  t.equal(old.calls.length + next.calls.length, asked, 'neither of the other two is asked again')
  credential.stop()
  t.equal(clock.armed, 0)
})

t.test('without a usable token the new secret takes over at once', async (t) => {
  const { credential, clock, old, next } = createRotation()
  old.respond = () => failure('permanent')
  credential.start()
  await clock.advance(60_000)
  t.equal(old.kinds, 'login login')
  await t.rejects(credential.get(), { code: 'CS_CREDENTIAL_REJECTED' })
  credential.rotate({ source: next })
  t.ok(await credential.get())
  await clock.advance(HOUR)
  t.equal(old.kinds, 'login login')
  t.match(credential.status(), { logins: 1, failures: 2, state: 'fresh' })
})

t.test('who waits for the token of a secret that is replaced gets the new one\'s', async (t) => {
  const { credential, clock, old, next } = createRotation()
  old.script.push(createLateResponse().respond)
  credential.start()
  const waiting = credential.get()
  await settle()
  credential.rotate({ source: next })
  t.ok(await waiting)
  t.equal(old.calls[0]?.signal.aborted, true)

  next.respond = createLateResponse().respond as never
  const impatient = new AbortController()
  clock.sleep(2 * HOUR)
  const left = credential.get(impatient.signal)
  impatient.abort(new Error('client gone'))
  await t.rejects(left, { message: 'client gone' })
})

t.test('while neither secret has a usable token, the first that brings one serves; 502 only where both are refused', async (t) => {
  const { credential, clock, old, next } = createRotation()
  credential.start()
  await settle()
  next.respond = () => failure('permanent')
  old.respond = () => failure('transient')
  credential.rotate({ source: next })
  await clock.advance(2 * HOUR)
  t.match(credential.status(), { state: 'expired', lastError: { code: 'Code-permanent' } })
  await t.rejects(credential.get(), { code: 'CS_TOKEN_UNAVAILABLE' }, 'the provider may yet give the old one a token')
  old.respond = () => failure('permanent')
  await clock.advance(2 * 60_000)
  t.match(credential.status(), { state: 'rejected' })
  await t.rejects(credential.get(), { code: 'CS_CREDENTIAL_REJECTED' })
  old.respond = () => old.grant()
  await clock.advance(15 * 60_000)
  t.ok(await credential.get(), 'the new secret was a mistake, and the old one is good again')
})

t.test('an upstream\'s 401 to the old token brings another one from the old secret while the new one is not proven', async (t) => {
  const { credential, old, next } = createRotation()
  credential.start()
  await settle()
  next.respond = () => failure('permanent')
  credential.rotate({ source: next })
  await settle()
  const first = credential.current()
  if (first === undefined) throw new Error('no token')
  credential.reject(first, 0)
  const other = await credential.another(first)
  t.ok(other)
  t.not(other, first)
  t.equal(old.kinds, 'login refresh')
})

t.test('a secret and its token that are revoked together: who met 401 gets the token of the new secret', async (t) => {
  for (const end of ['refused', 'slow'] as const) {
    const { credential, old, next } = createRotation()
    credential.start()
    const first = await credential.get()
    const late = createLateResponse()
    next.script.push(late.respond)
    old.respond = end === 'refused' ? () => failure('permanent') : createLateResponse().respond as never
    credential.rotate({ source: next })
    credential.reject(first, 0)
    const waiting = credential.another(first)
    await settle()
    t.equal(credential.current(), first)
    late.give(next.grant())
    const other = await waiting
    t.ok(other)
    t.not(other, first, end)
  }
})

t.test('stop ends both secrets, and a late response of either changes nothing', async (t) => {
  const { credential, clock, old, next, events } = createRotation()
  credential.start()
  await settle()
  const late = createLateResponse()
  next.script.push(late.respond)
  credential.rotate({ source: next })
  await settle()
  const held = credential.current()
  credential.stop()
  late.give(next.grant())
  await clock.advance(10 * HOUR)
  t.equal(credential.current(), undefined, 'nothing is renewed')
  t.ok(held)
  t.same([old.kinds, next.kinds], ['login', 'login'])
  t.equal(events.length, 1)
  t.equal(clock.armed, 0)
})

t.test('a new secret is proven by a login, whatever a cache holds for it, and its token is written there', async (t) => {
  const { credential, clock, next, old } = createRotation()
  credential.start()
  await settle()
  const written: string[] = []
  const cached = { value: new Secret('a token of the cache'), issuedAt: clock.wall(), lifetimeMs: HOUR }
  credential.rotate({
    source: next,
    cache: {
      read: async () => cached,
      write: async ({ value }) => { written.push(value.reveal()) },
      remove: async () => {}
    }
  })
  await settle()
  t.equal(old.kinds, 'login')
  t.equal(next.kinds, 'login')
  t.same(written, [credential.current()?.value.reveal()])
  t.not(written[0], 'a token of the cache')
})
