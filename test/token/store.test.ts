import t from 'tap'
import { Secret } from '#src/secret.ts'
import { CredentialStore, type CredentialOptions } from '#src/token/store.ts'
import { FakeClock, settle } from '../helpers/clock.ts'
import { createLateResponse, createTestLog, failure, FakeSource, withoutRenewal } from '../helpers/token-source.ts'
import type { FetchEvent } from '#src/token/report.ts'
import type { Grant } from '#src/token/token.ts'

const HOUR = 3_600_000

function createStoreScene (sources: Record<string, FakeSource>, clock: FakeClock, fixed: string[] = []) {
  const events: FetchEvent[] = []
  const credentials: CredentialOptions[] = [
    ...Object.entries(sources).map(([name, source]) => ({ name, type: 'cognito' as const, source })),
    ...fixed.map((name) => ({ name, type: 'static' as const, value: new Secret(`value of ${name}`) }))
  ]
  const store = new CredentialStore({
    credentials,
    clock,
    random: () => 0,
    log: createTestLog(),
    logins: { concurrency: 4, perSecond: 20 },
    onFetch: (event) => {
      events.push(event)
    }
  })
  return { store, events }
}

t.test('get gives a promise while the login is running, and the token itself afterwards', async (t) => {
  const clock = new FakeClock()
  const { store } = createStoreScene({ orders: new FakeSource(clock) }, clock)
  store.start()
  const promised = store.get('orders')
  t.type(promised, Promise)
  const token = await promised
  t.equal(store.get('orders'), token)
})

t.test('get passes the signal of the request on', async (t) => {
  const clock = new FakeClock()
  const source = new FakeSource(clock)
  source.script.push(createLateResponse().respond)
  const { store } = createStoreScene({ orders: source }, clock)
  store.start()
  await t.rejects(async () => await store.get('orders', AbortSignal.abort(new Error('client gone'))), { message: 'client gone' })
})

t.test('a static secret is a token at once, never expires, and a 401 changes nothing', async (t) => {
  const clock = new FakeClock()
  const { store } = createStoreScene({}, clock, ['maps'])
  const token = store.get('maps')
  t.notOk(token instanceof Promise)
  store.start()
  await clock.advance(400 * 24 * HOUR)
  store.reject('maps', await token, 0)
  t.equal(await store.another('maps', await token), undefined)
  t.equal(store.get('maps'), token)
  t.equal((await token).value.equals('value of maps'), true)
  t.match(store.statuses(), [{ name: 'maps', type: 'static', state: 'static', expiresAt: null, refreshAt: null }])
  t.equal(clock.armed, 0)
})

t.test('reject replaces a token of that credential only', async (t) => {
  const clock = new FakeClock()
  const [orders, billing] = [new FakeSource(clock), new FakeSource(clock)]
  const { store } = createStoreScene({ orders, billing }, clock)
  store.start()
  const [first, other] = [await store.get('orders'), await store.get('billing')]
  store.reject('billing', first, 0)
  store.reject('orders', first, 0)
  t.not(await store.another('orders', first), first)
  t.equal(await store.another('billing', first), other)
  t.equal(store.get('billing'), other)
  t.same([orders.kinds, billing.kinds], ['login refresh', 'login'])
})

t.test('one credential in trouble does not touch another', async (t) => {
  const clock = new FakeClock()
  const [good, bad, mute] = [new FakeSource(clock), new FakeSource(clock), new FakeSource(clock)]
  bad.respond = () => failure('permanent')
  mute.respond = createLateResponse().respond as never
  const { store } = createStoreScene({ bad, mute, good }, clock, ['maps'])
  store.start()
  await clock.advance(10 * HOUR)
  t.same(store.ready(), { ready: false, missing: ['bad', 'mute'] })
  t.ok(good.calls.length > 10)
})

t.test('ready names the credentials that cannot serve now', async (t) => {
  const clock = new FakeClock()
  const [orders, billing] = [new FakeSource(clock), new FakeSource(clock)]
  const { store } = createStoreScene({ orders, billing }, clock)
  t.same(store.ready(), { ready: false, missing: ['orders', 'billing'] })
  store.start()
  await settle()
  t.same(store.ready(), { ready: true, missing: [] })
  billing.respond = () => failure('permanent')
  await clock.advance(50 * 60_000)
  t.same(store.ready(), { ready: true, missing: [] }, 'a refused credential with a usable token can serve')
  await clock.advance(10 * 60_000)
  t.same(store.ready(), { ready: false, missing: ['billing'] })
})

t.test('whenReady resolves once every credential has a token', async (t) => {
  const clock = new FakeClock()
  const [orders, billing] = [new FakeSource(clock), new FakeSource(clock)]
  billing.script.push(failure('transient'))
  const { store } = createStoreScene({ orders, billing }, clock, ['maps'])
  let ready = false
  store.whenReady().then(() => { ready = true })
  store.start()
  await settle()
  t.equal(ready, false)
  await clock.advance(1_000)
  t.equal(ready, true)
})

t.test('whenReady resolves at the start where there is nothing to fetch', async (t) => {
  const { store } = createStoreScene({}, new FakeClock(), ['maps'])
  store.start()
  await store.whenReady()
  t.same(store.ready(), { ready: true, missing: [] })
  t.equal(store.attempted(), true)
})

t.test('attempted once the first fetch of every credential is over, however it ended', async (t) => {
  const clock = new FakeClock()
  const [good, bad, late] = [new FakeSource(clock), new FakeSource(clock), new FakeSource(clock)]
  const response = createLateResponse()
  bad.script.push(failure('permanent'))
  late.script.push(response.respond)
  const { store } = createStoreScene({ good, bad, late }, clock)
  t.equal(store.attempted(), false)
  store.start()
  await settle()
  t.equal(store.attempted(), false)
  response.fail(failure('transient'))
  await settle()
  t.equal(store.attempted(), true)
})

t.test('a thousand credentials log in four at a time and twenty a second', async (t) => {
  const clock = new FakeClock()
  let running = 0
  let most = 0
  const starts: number[] = []
  const sources = Object.fromEntries(Array.from({ length: 1000 }, (_, id) => {
    const source = new FakeSource(clock)
    source.respond = () => async () => {
      starts.push(clock.monotonic())
      most = Math.max(most, ++running)
      await new Promise<void>((resolve) => clock.setTimer(resolve, 100))
      running -= 1
      return source.grant()
    }
    return [`key-${id}`, source]
  }))
  const { store } = createStoreScene(sources, clock)
  store.start()
  await clock.advance(50_500)
  t.equal(store.ready().ready, true)
  t.equal(most, 4)
  t.notOk(starts.some((at, index) => (starts[index + 20] ?? Infinity) - at < 1000))
})

t.test('credentials whose logins hang never keep the others from theirs', async (t) => {
  const clock = new FakeClock()
  const hang = (): Promise<Grant> => new Promise((_resolve, reject) => { clock.setTimer(() => reject(failure('transient')), 10_000) })
  const hung = Array.from({ length: 100 }, (_, id) => {
    const source = new FakeSource(clock)
    source.respond = () => hang
    return { name: `hung-${id}`, type: 'oauth2' as const, provider: 'https://away.example', source: withoutRenewal(source) }
  })
  const good = Array.from({ length: 10 }, (_, id) => {
    const source = new FakeSource(clock, 120_000)
    return { name: `good-${id}`, type: 'oauth2' as const, provider: 'https://well.example', source: withoutRenewal(source) }
  })
  const store = new CredentialStore({
    credentials: [...hung, ...good],
    clock,
    random: Math.random,
    log: createTestLog(),
    logins: { concurrency: 4, perSecond: 20 }
  })
  store.start()
  await clock.advance(10_500)
  for (const { name } of good) {
    t.equal(
      store.statuses().find((status) => status.name === name)?.state,
      'fresh',
      'one deadline after the start everybody has had a turn'
    )
  }
  const missing: string[] = []
  for (let second = 0; second < 1800; second += 5) {
    await clock.advance(5_000)
    missing.push(...store.ready().missing.filter((name) => name.startsWith('good')))
  }
  t.same(missing, [], 'and in the half hour after that none of the others is without a token')
  await store.stop()
})

t.test('the listener hears of every fetch, and one that throws harms nothing', async (t) => {
  const clock = new FakeClock()
  const source = new FakeSource(clock)
  source.script.push(failure('transient'), source.grant(), failure('refresh-dead'), failure('ambiguous'))
  const { store, events } = createStoreScene({ orders: source }, clock)
  const start = clock.wall()
  store.start()
  await clock.advance(HOUR)
  t.same(events.map(({ credential, kind, outcome }) => `${credential} ${kind} ${outcome}`), [
    'orders login transient', 'orders login ok', 'orders refresh rejected', 'orders login rejected', 'orders login ok'
  ])
  t.equal(events[1]?.at, start + 1_000)

  const deaf = new CredentialStore({
    credentials: [{ name: 'orders', type: 'oauth2', source: new FakeSource(clock) }],
    clock,
    random: () => 0,
    log: createTestLog(),
    logins: { concurrency: 1, perSecond: 1 },
    onFetch: () => { throw new Error('listener') }
  })
  deaf.start()
  await deaf.whenReady()
})

t.test('stop ends every fetch, every wait and every timer; held tokens still serve', async (t) => {
  const clock = new FakeClock()
  const sources = Object.fromEntries(Array.from({ length: 8 }, (_, id) => [`key-${id}`, new FakeSource(clock)]))
  const names = Object.keys(sources)
  for (const [id, source] of Object.values(sources).entries()) if (id > 0) source.respond = () => createLateResponse().respond
  const { store, events } = createStoreScene(sources, clock, ['maps'])
  store.start()
  await settle()
  const token = store.get('key-0')
  const waits = names.slice(1).map(async (name) => await t.rejects(async () => await store.get(name), { code: 'CS_TOKEN_UNAVAILABLE' }))
  await store.stop()
  await Promise.all(waits)
  t.equal(store.get('key-0'), token)
  t.equal(clock.armed, 0)
  await clock.advance(10 * HOUR)
  t.equal(events.length, 1)
  t.ok(
    Object.values(sources).every((source) =>
      source.calls.every((call, index) => index > 0 || call.signal.aborted || source === sources['key-0'])
    )
  )
})

t.test('stop in the middle of a crowd that waits to log in leaves no timer', async (t) => {
  const clock = new FakeClock()
  const { store } = createStoreScene(Object.fromEntries(Array.from({ length: 30 }, (_, id) => [`key-${id}`, new FakeSource(clock)])), clock)
  store.start()
  await settle()
  t.equal(store.ready().missing.length, 10)
  await store.stop()
  await settle()
  t.equal(clock.armed, 0)
  t.equal(store.ready().missing.length, 10)
})

t.test('a name that is not configured, or configured twice, is a mistake of the caller', async (t) => {
  const { store } = createStoreScene({}, new FakeClock(), ['maps'])
  t.throws(() => store.get('constructor'), { message: 'a credential that is not configured was asked for' })
  t.throws(() => createStoreScene({}, new FakeClock(), ['maps', 'maps']), { message: 'two credentials are named maps' })
})

t.test('a store takes over from another: same, rotated, removed, new and replaced credentials, each in its way', async (t) => {
  const clock = new FakeClock()
  const sources = Object.fromEntries(['same', 'rotated', 'removed', 'replaced'].map((name) => [name, new FakeSource(clock)]))
  const { store: old, events } = createStoreScene(sources, clock)
  old.start()
  await settle()
  const before = Object.fromEntries(await Promise.all(Object.keys(sources).map(async (name) => [name, await old.get(name)] as const)))
  const late = createLateResponse()
  sources['removed']?.script.push(late.respond)
  const { removed } = before
  if (removed === undefined) throw new Error('it has a token')
  old.reject('removed', removed, 0)
  const waiting = old.another('removed', removed).then((other) => { t.equal(other, undefined, 'who waits for a removed one is told') })
  await settle()

  const next = Object.fromEntries(['same', 'rotated', 'replaced', 'new'].map((name) => [name, new FakeSource(clock)]))
  const proof = createLateResponse()
  next['rotated']?.script.push(proof.respond)
  const heard: FetchEvent[] = []
  const store = new CredentialStore({
    credentials: Object.entries(next).map(([name, source]) => ({ name, type: 'cognito' as const, source })),
    clock,
    random: () => 0,
    log: createTestLog(),
    logins: { concurrency: 4, perSecond: 20 },
    onFetch: (event) => { heard.push(event) },
    previous: { store: old, identityChange: (name) => name === 'same' || name === 'rotated' ? name : 'other' }
  })
  await settle()
  t.same(Object.values(next).map((source) => source.kinds).join(''), '', 'nothing begins before start')
  t.match(old.statuses().find(({ name }) => name === 'removed'), { state: 'stale' })

  store.start()
  store.start()
  await waiting
  await settle()
  t.equal(next['same']?.kinds, '', 'the same credential logs in no second time')
  t.equal(store.get('same'), before['same'])
  t.equal(next['rotated']?.kinds, 'login')
  t.equal(store.get('rotated'), before['rotated'], 'the old secret serves until the new one is proven')
  t.not(await store.get('replaced'), before['replaced'], 'never the token of another identity')
  t.equal(old.get('replaced'), before['replaced'], 'whose requests go on with it')
  t.equal(next['new']?.kinds, 'login')
  t.ok(store.attempted())
  const grant = next['rotated']?.grant() ?? { value: new Secret('') }
  proof.give(grant)
  late.give(sources['removed']?.grant() ?? { value: new Secret('') })
  await settle()
  t.equal((await store.get('rotated')).value, grant.value)
  t.equal((await old.get('rotated')).value, grant.value, 'requests of before share what is the same identity')
  t.same(store.statuses().map(({ name }) => name), ['same', 'rotated', 'replaced', 'new'])

  const told = events.length
  await clock.advance(10 * HOUR)
  t.same(
    [sources['removed']?.kinds, sources['replaced']?.kinds, sources['rotated']?.kinds],
    ['login refresh', 'login', 'login'],
    'what was replaced is asked no more'
  )
  t.equal(events.length, told, 'the store of before hears no more')
  t.ok(heard.some(({ credential }) => credential === 'same'), 'the new one hears of what was handed over')
  await store.stop()
  t.equal(clock.armed, 0)
})

t.test('a store that never takes over changes nothing', async (t) => {
  const clock = new FakeClock()
  const source = new FakeSource(clock)
  const { store } = createStoreScene({ orders: source }, clock)
  store.start()
  await settle()
  const next = new FakeSource(clock)
  const unused = new CredentialStore({
    credentials: [{ name: 'orders', type: 'cognito', source: next }],
    clock,
    random: () => 0,
    log: createTestLog(),
    logins: { concurrency: 1, perSecond: 1 },
    previous: { store, identityChange: () => 'rotated' }
  })
  t.equal(unused.get('orders'), store.get('orders'))
  await clock.advance(HOUR)
  t.equal(source.kinds, 'login refresh')
  t.equal(next.kinds, '')
  await store.stop()
  t.equal(clock.armed, 0)
})

t.test('readiness is told by the store that has taken over', async (t) => {
  const clock = new FakeClock()
  const bad = new FakeSource(clock)
  bad.respond = () => failure('permanent')
  const { store: old } = createStoreScene({ orders: bad }, clock)
  old.start()
  await settle()
  const late = createLateResponse()
  const next = new FakeSource(clock)
  next.script.push(late.respond)
  const store = new CredentialStore({
    credentials: [{ name: 'orders', type: 'cognito', source: next }],
    clock,
    random: () => 0,
    log: createTestLog(),
    logins: { concurrency: 4, perSecond: 20 },
    previous: { store: old, identityChange: () => 'rotated' }
  })
  store.start()
  let ready = false
  store.whenReady().then(() => { ready = true }, () => {})
  await settle()
  t.notOk(ready)
  late.give(next.grant())
  await settle()
  t.ok(ready)
  await store.stop()
})
