import fc from 'fast-check'
import t from 'tap'
import { Secret } from '#src/secret.ts'
import { createAcceptance } from '#src/token/acceptance.ts'
import { TokenRefresher } from '#src/token/refresher.ts'
import { minimumLifeMs } from '#src/token/schedule.ts'
import { FakeClock, settle } from '../helpers/clock.ts'
import { createLateResponse, createRenewal, createScene, failure, withoutRenewal } from '../helpers/token-source.ts'
import type { Grant, Renewal } from '#src/token/token.ts'

const HOUR = 3_600_000
const MINUTE = 60_000
const UNAVAILABLE = { code: 'CS_TOKEN_UNAVAILABLE', statusCode: 503 }
const REJECTED = { code: 'CS_CREDENTIAL_REJECTED', statusCode: 502 }
/** With `random` 0 a token of an hour is refreshed here. */
const REFRESH_AT = 48 * MINUTE

t.test('fifty simultaneous requests cause one login and get one token', async (t) => {
  const { source, refresher } = createScene()
  refresher.start()
  const tokens = await Promise.all(Array.from({ length: 50 }, async () => await refresher.get()))
  t.equal(source.kinds, 'login')
  t.equal(new Set(tokens).size, 1)
  t.equal(refresher.current(), tokens[0])
})

t.test('a second start does nothing', async (t) => {
  const { source, refresher } = createScene()
  refresher.start()
  refresher.start()
  await settle()
  refresher.start()
  await settle()
  t.equal(source.kinds, 'login')
})

t.test('before it is started there is no token and no fetch', async (t) => {
  const { source, refresher } = createScene()
  await t.rejects(refresher.get(), { ...UNAVAILABLE, retryAfter: 1 })
  t.equal(source.kinds, '')
  t.match(refresher.status(), { state: 'pending', expiresAt: null, refreshAt: null, lastSuccessAt: null, lastError: null })
})

t.test('a token is refreshed ahead of its expiry, in the background', async (t) => {
  const { clock, source, refresher } = createScene()
  refresher.start()
  await clock.advance(REFRESH_AT - 1)
  t.equal(source.kinds, 'login')
  const first = refresher.current()
  await clock.advance(1)
  t.equal(source.kinds, 'login refresh')
  t.not(refresher.current(), first)
  t.same(source.calls[1]?.renewal, createRenewal(1))
})

t.test('the old token serves while its refresh is running', async (t) => {
  const { clock, source, refresher } = createScene()
  refresher.start()
  await settle()
  const late = createLateResponse()
  source.script.push(late.respond)
  const first = refresher.current()
  await clock.advance(REFRESH_AT)
  t.equal(refresher.status().state, 'stale')
  t.equal(await refresher.get(), first)
  late.give(source.grant())
  await settle()
  t.equal(refresher.status().state, 'fresh')
  t.not(await refresher.get(), first)
})

t.test('a refresh without a new renewal keeps the old one, with one it takes it', async (t) => {
  const { clock, source, refresher } = createScene()
  const { renewal: _, ...bare } = source.grant()
  source.script.push(source.grant({ renewal: createRenewal('a') }), bare, source.grant({ renewal: createRenewal('b') }))
  refresher.start()
  await clock.advance(4 * HOUR)
  t.same(source.calls.slice(1, 4).map((call) => call.renewal), [createRenewal('a'), createRenewal('a'), createRenewal('b')])
})

t.test('a login without a renewal leaves none, so the next fetch is a login', async (t) => {
  const { clock, source, refresher } = createScene()
  source.respond = () => ({ value: new Secret('x'), lifetimeMs: HOUR })
  refresher.start()
  await clock.advance(REFRESH_AT)
  t.equal(source.kinds, 'login login')
})

t.test('a source that cannot refresh logs in', async (t) => {
  const { clock, source, log } = createScene()
  const refresher = new TokenRefresher({
    name: 'billing',
    source: withoutRenewal(source),
    clock,
    random: () => 0,
    gate: { enter: async () => () => {} },
    log
  })
  refresher.start()
  await clock.advance(REFRESH_AT)
  t.equal(source.kinds, 'login login')
})

t.test('a refresh that is refused leads to a login at once, while the old token serves', async (t) => {
  for (const verdict of ['refresh-dead', 'ambiguous', 'permanent'] as const) {
    const { clock, source, refresher, events, log } = createScene()
    refresher.start()
    await settle()
    const first = refresher.current()
    const late = createLateResponse()
    source.script.push(failure(verdict), late.respond)
    await clock.advance(REFRESH_AT)
    t.equal(source.kinds, 'login refresh login')
    t.equal(await refresher.get(), first)
    t.match(refresher.status(), { state: 'stale', lastError: null, failures: 1 })
    late.give({ value: new Secret('new'), lifetimeMs: HOUR })
    await settle()
    t.not(await refresher.get(), first)
    t.same(events.map((event) => `${event.kind} ${event.outcome}`), ['login ok', 'refresh rejected', 'login ok'])
    t.match(log.lines[1], { level: 'warn', sentence: 'refresh token refused, logging in' })
    await clock.advance(HOUR)
    t.equal(source.kinds, 'login refresh login login', 'the dead renewal is gone')
  }
})

t.test('a lockout on a refresh is not answered with a login', async (t) => {
  const { clock, source, refresher } = createScene()
  source.script.push(source.grant(), failure('lockout'))
  refresher.start()
  await clock.advance(REFRESH_AT + 15 * MINUTE - 1)
  t.equal(source.kinds, 'login refresh')
  await clock.advance(1)
  t.equal(source.kinds, 'login refresh refresh')
})

t.test('transient failures back off, the token serves while usable, and then recovery is complete', async (t) => {
  const { clock, source, refresher, events } = createScene({ random: () => 0.5 })
  refresher.start()
  await settle()
  const first = refresher.current()
  const respond = source.respond
  source.respond = () => failure('transient')
  const refreshAt = HOUR * 0.8 * 0.95
  await clock.advance(refreshAt + 3 * MINUTE)
  const start = source.calls[1]?.at ?? NaN
  t.same(source.calls.slice(1, 9).map((call) => call.at - start), [0, 1_500, 4_000, 8_500, 17_000, 33_500, 64_000, 94_500])
  t.equal(source.calls[3]?.kind, 'refresh', 'a transient failure keeps the renewal')
  t.equal(await refresher.get(), first)
  t.match(refresher.status(), { state: 'stale', lastError: { code: 'Code-transient', message: 'a transient failure' } })

  await clock.advance(HOUR - refreshAt - 3 * MINUTE - 30_000)
  t.match(refresher.status(), { state: 'expired' })
  await t.rejects(refresher.get(), UNAVAILABLE)

  source.respond = respond
  await clock.advance(60_000)
  t.match(refresher.status(), { state: 'fresh', lastError: null })
  t.not(await refresher.get(), first)
  t.match(events.at(-1), { kind: 'refresh', outcome: 'ok' })

  source.script.push(failure('transient'))
  await clock.advance(refreshAt + 1_500)
  t.equal((source.calls.at(-1)?.at ?? NaN) - (source.calls.at(-2)?.at ?? NaN), 1_500, 'the backoff starts anew')
})

t.test('the provider is down at the start: requests get 503 with Retry-After, and it recovers by itself', async (t) => {
  const { clock, source, refresher } = createScene()
  source.script.push(failure('transient', { retryAfterMs: 7_500 }))
  refresher.start()
  await t.rejects(refresher.get(), { ...UNAVAILABLE, retryAfter: 8 })
  await t.rejects(refresher.get(), { ...UNAVAILABLE, retryAfter: 8 })
  t.match(refresher.status(), { state: 'pending', failures: 1, logins: 0 })
  await clock.advance(7_499)
  t.equal(source.kinds, 'login')
  await clock.advance(1)
  t.equal(refresher.status().state, 'fresh')
})

t.test('Retry-After is honoured', async (t) => {
  const { clock, source, refresher } = createScene({ random: () => 0.999 })
  source.script.push(failure('transient', { retryAfterMs: 120_000 }))
  refresher.start()
  await clock.advance(119_999)
  t.equal(source.calls.length, 1)
  await clock.advance(12_001)
  t.equal(source.calls.length, 2)
})

t.test('a refused credential is tried again after 5 s once, then every 15 min', async (t) => {
  for (const verdict of ['ambiguous', 'permanent', 'refresh-dead'] as const) {
    const { clock, source, refresher, log } = createScene()
    source.respond = () => failure(verdict)
    refresher.start()
    await clock.advance(HOUR)
    const start = source.calls[0]?.at ?? NaN
    t.same(source.calls.map((call) => call.at - start), [0, 5_000, 5_000 + 15 * MINUTE, 5_000 + 30 * MINUTE, 5_000 + 45 * MINUTE])
    t.match(refresher.status(), { state: 'rejected', lastError: { code: `Code-${verdict}` } })
    t.ok(log.lines.every((line) => line.level === 'error' && line.sentence === 'credential rejected'))
  }
})

t.test('after a success the early second try is there again', async (t) => {
  const { clock, source, refresher } = createScene()
  source.script.push(failure('ambiguous'), { value: new Secret('x'), lifetimeMs: HOUR }, failure('ambiguous'))
  refresher.start()
  await clock.advance(5_000 + REFRESH_AT + 5_000)
  const start = source.calls[0]?.at ?? NaN
  t.same(source.calls.map((call) => call.at - start), [0, 5_000, 5_000 + REFRESH_AT, 5_000 + REFRESH_AT + 5_000])
})

t.test('a lockout is waited out without a try in between', async (t) => {
  const { clock, source, refresher } = createScene()
  source.respond = () => failure('lockout')
  refresher.start()
  await clock.advance(31 * MINUTE)
  const start = source.calls[0]?.at ?? NaN
  t.same(source.calls.map((call) => call.at - start), [0, 15 * MINUTE, 30 * MINUTE])
})

t.test('a refused credential without a token answers at once, also while the next login is running', async (t) => {
  const { clock, source, refresher } = createScene()
  source.script.push(failure('ambiguous'))
  refresher.start()
  await t.rejects(refresher.get(), REJECTED)
  const late = createLateResponse()
  source.script.push(late.respond)
  await clock.advance(5_000)
  t.equal(source.running, 1)
  await t.rejects(refresher.get(), REJECTED)
  late.give(source.grant())
  await settle()
  t.type((await refresher.get()).value, Secret)
  t.equal(refresher.status().lastError, null)
})

t.test('a refused credential with a usable token keeps serving, until the token is spent', async (t) => {
  const { clock, source, refresher } = createScene()
  refresher.start()
  await settle()
  source.respond = () => failure('permanent')
  await clock.advance(REFRESH_AT)
  t.equal(refresher.status().state, 'stale')
  t.ok(await refresher.get())
  await clock.advance(HOUR - REFRESH_AT - 30_001)
  t.ok(await refresher.get())
  await clock.advance(1)
  t.equal(refresher.status().state, 'rejected')
  await t.rejects(refresher.get(), REJECTED)
})

t.test('a request waits for the fetch in flight, at most 10 s', async (t) => {
  const { clock, source, refresher } = createScene()
  source.script.push(createLateResponse().respond)
  refresher.start()
  const waiting = t.rejects(refresher.get(), { ...UNAVAILABLE, retryAfter: 1 })
  let over = false
  waiting.then(() => { over = true })
  await clock.advance(9_999)
  t.equal(over, false)
  await clock.advance(1)
  await waiting
})

t.test('a request that is gone waits no longer', async (t) => {
  const { source, refresher } = createScene()
  source.script.push(createLateResponse().respond)
  refresher.start()
  const controller = new AbortController()
  const waiting = t.rejects(refresher.get(controller.signal), { message: 'client gone' })
  controller.abort(new Error('client gone'))
  await waiting
  await t.rejects(refresher.get(controller.signal), { message: 'client gone' })
})

t.test('a late response after stop is dropped', async (t) => {
  const { clock, source, refresher, log, events } = createScene()
  const late = createLateResponse()
  source.script.push(late.respond)
  refresher.start()
  const waiting = t.rejects(refresher.get(), UNAVAILABLE)
  await settle()
  refresher.stop()
  await waiting
  t.ok(source.calls[0]?.signal.aborted)
  late.give(source.grant())
  await clock.advance(HOUR)
  t.equal(refresher.current(), undefined)
  t.match(refresher.status(), { state: 'pending', logins: 0, failures: 0, refreshAt: null })
  t.same([log.lines, events], [[], []])
  t.equal(clock.armed, 0)
})

t.test('a late failure after stop is dropped', async (t) => {
  const { clock, source, refresher } = createScene()
  const late = createLateResponse()
  source.script.push(late.respond)
  refresher.start()
  await settle()
  refresher.stop()
  late.fail(failure('permanent'))
  await settle()
  t.match(refresher.status(), { state: 'pending', failures: 0 })
  t.equal(clock.armed, 0)
})

t.test('a refresh that is refused after stop does not lead to a login', async (t) => {
  const { clock, source, refresher } = createScene()
  refresher.start()
  await settle()
  source.script.push(
    async () =>
      await new Promise((_resolve, reject) => source.calls[1]?.signal.addEventListener('abort', () => reject(failure('refresh-dead'))))
  )
  await clock.advance(REFRESH_AT)
  refresher.stop()
  await clock.advance(HOUR)
  t.equal(source.kinds, 'login refresh')
})

t.test('from stop on nothing changes, at whichever step between the response and its end it comes', async (t) => {
  for (const end of ['grant', 'refresh-dead', 'transient', 'permanent'] as const) {
    for (let steps = 0; steps < 15; steps++) {
      const { clock, source, refresher, events, log } = createScene()
      refresher.start()
      await settle()
      const late = createLateResponse()
      source.script.push(late.respond, createLateResponse().respond)
      await clock.advance(REFRESH_AT)
      if (end === 'grant') late.give(source.grant())
      else late.fail(failure(end))
      for (let step = 0; step < steps; step++) await Promise.resolve()
      refresher.stop()
      const facts = (): unknown => ({ ...refresher.status(), kinds: source.kinds, events: events.length, lines: log.lines.length })
      const atStop = facts()
      await settle()
      t.equal(clock.armed, 0)
      t.same(facts(), atStop, `${end}, ${steps} steps`)
    }
  }
})

t.test('a turn to log in that comes at the very moment of stop is given back unused', async (t) => {
  const { clock, source, log } = createScene()
  let admit = (): void => {}
  let left = 0
  const turn = new Promise<() => void>((resolve) => { admit = () => resolve(() => { left++ }) })
  const refresher = new TokenRefresher({ name: 'late', source, clock, random: () => 0, gate: { enter: async () => await turn }, log })
  refresher.start()
  admit()
  refresher.stop()
  await settle()
  t.equal(source.calls.length, 0)
  t.equal(left, 1)
})

t.test('after stop a usable token still serves what drains, and nothing is fetched', async (t) => {
  const { clock, source, refresher } = createScene()
  refresher.start()
  const token = await refresher.get()
  refresher.stop()
  t.equal(await refresher.get(), token)
  refresher.reject(token, 0)
  await clock.advance(2 * HOUR)
  await t.rejects(refresher.get(), { ...UNAVAILABLE, retryAfter: 1 })
  t.equal(source.kinds, 'login')
  t.equal(clock.armed, 0)
})

t.test('started again after stop, it fetches again, and the response of the first life is dropped', async (t) => {
  const { source, refresher } = createScene()
  const late = createLateResponse()
  source.script.push(late.respond)
  refresher.start()
  await settle()
  refresher.stop()
  refresher.start()
  const token = await refresher.get()
  late.give(source.grant())
  await settle()
  t.equal(refresher.current(), token)
  t.equal(refresher.status().logins, 1)
})

t.test('two hundred simultaneous 401s with one token cause one fetch, which all of them wait for', async (t) => {
  const { source, refresher } = createScene()
  refresher.start()
  const first = await refresher.get()
  const next = await Promise.all(Array.from({ length: 200 }, async () => {
    refresher.reject(first, 0)
    return await refresher.another(first)
  }))
  t.equal(source.kinds, 'login refresh')
  t.equal(new Set(next).size, 1)
  t.ok(next[0])
  t.not(next[0], first)
})

t.test('a rejected token serves others until the new one is here, and who met the 401 waits', async (t) => {
  const { source, refresher } = createScene()
  refresher.start()
  const first = await refresher.get()
  const late = createLateResponse()
  source.script.push(late.respond)
  refresher.reject(first, 0)
  const waiting = refresher.another(first)
  t.equal(refresher.current(), first)
  t.equal(await refresher.get(), first)
  t.equal(refresher.status().state, 'stale')
  late.give(source.grant())
  const second = await waiting
  t.not(second, first)
  t.equal(refresher.current(), second)
  t.equal(await refresher.another(first), second, 'a late 401 gets it at once')
})

t.test('where no other token can be had the old one stays until its life ends, and is renewed by itself later', async (t) => {
  for (const verdict of ['transient', 'ambiguous', 'lockout', 'permanent', 'challenge'] as const) {
    const { clock, source, refresher } = createScene()
    refresher.start()
    const first = await refresher.get()
    const { respond } = source
    source.respond = () => failure(verdict)
    refresher.reject(first, 0)
    t.equal(await refresher.another(first), undefined, verdict)
    t.equal(refresher.current(), first)
    t.match(refresher.status(), { state: 'stale' })
    const count = source.calls.length
    for (let time = 0; time < 50; time++) {
      refresher.reject(first, 0)
      t.equal(await refresher.another(first), undefined)
    }
    t.equal(source.calls.length, count, 'no further 401 asks the provider')
    t.equal(await refresher.get(), first)
    await clock.advance(HOUR - 30_001)
    t.equal(refresher.current(), first)
    await clock.advance(1)
    t.equal(refresher.current(), undefined)
    source.respond = respond
    await clock.advance(16 * MINUTE)
    t.equal(refresher.status().state, 'fresh')
  }
})

t.test('a provider that hangs holds a 401 for ten seconds, and the old token serves all the while', async (t) => {
  const { clock, source, refresher } = createScene()
  refresher.start()
  const first = await refresher.get()
  source.script.push(createLateResponse().respond)
  refresher.reject(first, 0)
  let found: unknown = 'none yet'
  refresher.another(first).then((token) => { found = token }, () => {})
  await clock.advance(9_999)
  t.equal(found, 'none yet')
  t.equal(refresher.current(), first)
  await clock.advance(1)
  t.equal(found, undefined)
  await clock.advance(1_000)
  t.match(refresher.status(), { lastError: { code: 'Timeout' } })
  t.equal(refresher.current(), first)
})

t.test('a 401 with an old token does nothing', async (t) => {
  const { clock, source, refresher } = createScene()
  refresher.start()
  const first = await refresher.get()
  await clock.advance(REFRESH_AT)
  const second = await refresher.get()
  t.not(second, first)
  refresher.reject(first, 0)
  await settle()
  t.equal(await refresher.get(), second)
  t.equal(source.kinds, 'login refresh')
})

t.test('a 401 while a refresh is running waits for that one', async (t) => {
  const { clock, source, refresher } = createScene()
  refresher.start()
  const first = await refresher.get()
  const late = createLateResponse()
  source.script.push(late.respond)
  await clock.advance(REFRESH_AT)
  refresher.reject(first, 0)
  const waiting = refresher.another(first)
  late.give(source.grant())
  t.not(await waiting, first)
  t.equal(source.kinds, 'login refresh')
})

t.test('a token that is too young is replaced when it is old enough; who waits for that waits two seconds at most', async (t) => {
  const { clock, source, refresher } = createScene()
  refresher.start()
  const first = await refresher.get()
  refresher.reject(first, 2_000)
  const waiting = refresher.another(first)
  await clock.advance(1_999)
  t.equal(source.calls.length, 1)
  await clock.advance(1)
  const second = await waiting
  if (second === undefined) throw new Error('there is another')
  t.not(second, first)
  refresher.reject(second, 4_000)
  t.equal(await refresher.another(second), undefined, 'four seconds are too long')
  await clock.advance(3_999)
  t.equal(source.calls.length, 2)
  await clock.advance(1)
  t.equal(source.calls.length, 3, 'replaced all the same')
})

t.test('an upstream that answers 401 to every token causes a fetch a minute at most, and tokens keep coming', async (t) => {
  const { clock, source, refresher } = createScene()
  const { refuse } = createAcceptance()
  refresher.start()
  await settle()
  for (let second = 0; second < 600; second++) {
    const token = await refresher.get()
    refresher.reject(token, refuse('orders', token))
    await clock.advance(1_000)
  }
  const start = source.calls[0]?.at ?? NaN
  t.same(source.calls.slice(0, 8).map((call) => (call.at - start) / 1000), [0, 2, 6, 14, 30, 62, 122, 182])
  t.equal(source.calls.length, 8 + 6)
  t.equal(refresher.status().state, 'fresh')
})

t.test('a 401 does not bring a fetch forward that waits out a failure', async (t) => {
  const { clock, source, refresher } = createScene()
  refresher.start()
  const token = await refresher.get()
  source.respond = () => failure('ambiguous')
  source.script.push(failure('refresh-dead'))
  await clock.advance(REFRESH_AT)
  const count = source.calls.length
  refresher.reject(token, 0)
  await clock.advance(4_999)
  t.equal(source.calls.length, count)
  t.equal(await refresher.get(), token)
})

t.test('a source that never settles is left behind after 11 s, and tried again', async (t) => {
  const { clock, source, refresher } = createScene()
  source.respond = () => async () => await new Promise<Grant>(() => {})
  refresher.start()
  await clock.advance(10_999)
  t.equal(source.calls[0]?.signal.aborted, false)
  await clock.advance(1)
  t.equal(source.calls[0]?.signal.aborted, true)
  t.match(refresher.status(), { state: 'pending', failures: 1, lastError: { code: 'Timeout' } })
  await clock.advance(1_000)
  t.equal(source.calls.length, 2)
})

t.test('a source that answers after it was left behind changes nothing', async (t) => {
  const { clock, source, refresher } = createScene()
  const late = createLateResponse()
  source.script.push(late.respond)
  refresher.start()
  await clock.advance(13_000)
  const token = await refresher.get()
  late.give(source.grant())
  await settle()
  t.equal(await refresher.get(), token)
  t.equal(refresher.status().logins, 1)
})

t.test('a login that waits for its turn is not counted against its deadline', async (t) => {
  const { clock, source, log } = createScene()
  let admit = (): void => {}
  const turn = new Promise<() => void>((resolve) => { admit = () => resolve(() => {}) })
  const refresher = new TokenRefresher({ name: 'late', source, clock, random: () => 0, gate: { enter: async () => await turn }, log })
  refresher.start()
  await clock.advance(5 * MINUTE)
  t.equal(refresher.status().failures, 0)
  t.equal(source.calls.length, 0)
  admit()
  await settle()
  t.equal(refresher.status().state, 'fresh')
  await clock.advance(REFRESH_AT - 1)
  t.equal(source.calls.length, 1, 'and its life counts from when it was asked for')
})

t.test('refreshes do not pass the login gate', async (t) => {
  const { clock, source, log } = createScene()
  let turns = 0
  const refresher = new TokenRefresher({
    name: 'a',
    source,
    clock,
    random: () => 0,
    gate: {
      enter: async () => {
        turns++
        return () => {}
      }
    },
    log
  })
  refresher.start()
  await clock.advance(REFRESH_AT)
  t.equal(source.kinds, 'login refresh')
  t.equal(turns, 1)
})

t.test('the life of a token counts from the question, however late the response', async (t) => {
  const { clock, source, refresher } = createScene()
  const late = createLateResponse()
  source.script.push(late.respond)
  refresher.start()
  const asked = clock.wall()
  await clock.advance(9_000)
  late.give(source.grant({ lifetimeMs: HOUR }))
  await settle()
  t.equal(refresher.status().expiresAt, new Date(asked + HOUR).toISOString())
})

t.test('a suspend of two hours: the dead token is given to nobody, and a new one is fetched on waking', async (t) => {
  for (const counted of [false, true]) {
    const { clock, source, refresher } = createScene()
    refresher.start()
    const first = await refresher.get()
    await clock.advance(MINUTE)
    clock.sleep(2 * HOUR, { counted })
    t.equal(refresher.status().state, 'expired')
    const next = await refresher.get()
    t.not(next, first)
    t.equal(source.kinds, 'login refresh')
  }
})

t.test('after a suspend nobody has to ask: the refresh comes within a minute', async (t) => {
  const { clock, source, refresher } = createScene()
  refresher.start()
  await clock.advance(MINUTE)
  clock.sleep(2 * HOUR)
  await clock.advance(MINUTE)
  t.equal(source.kinds, 'login refresh')
  t.equal(refresher.status().state, 'fresh')
})

t.test('a wall clock that jumps back does nothing, one that jumps forward costs one refresh', async (t) => {
  const { clock, source, refresher } = createScene()
  refresher.start()
  await clock.advance(MINUTE)
  clock.jump(-24 * HOUR)
  await clock.advance(MINUTE)
  t.equal(source.kinds, 'login')
  t.equal(refresher.status().state, 'fresh')
  clock.jump(24 * HOUR)
  await clock.advance(10 * MINUTE)
  t.equal(source.kinds, 'login refresh')
})

t.test('a token of sixty days is refreshed after forty-eight', async (t) => {
  const { clock, source, refresher } = createScene({ lifetimeMs: 60 * 24 * HOUR })
  refresher.start()
  await clock.advance(48 * 24 * HOUR - 1)
  t.equal(source.calls.length, 1)
  await clock.advance(1)
  t.equal(source.calls.length, 2)
})

t.test('absurd lifetimes neither busy-loop nor break the status', async (t) => {
  for (const lifetimeMs of [0, -1, NaN, 1e-9, 1, 20, Number.MAX_VALUE, Infinity]) {
    const { clock, source, refresher } = createScene({ lifetimeMs })
    refresher.start()
    await clock.advance(10_000)
    t.ok(source.calls.length <= 21, `${lifetimeMs}: ${source.calls.length} fetches in 10 s`)
    t.match(refresher.status().expiresAt, /^\d{4}-/)
    t.equal(clock.armed, 1)
  }
})

t.test('no timer is longer than a minute, however long a token lives or a provider asks to wait', async (t) => {
  for (const [lifetimeMs, retryAfterMs] of [
    [365 * 24 * HOUR, undefined],
    [Number.MAX_VALUE, undefined],
    [1, 24 * HOUR],
    [60 * 24 * HOUR, Number.MAX_VALUE]
  ] as const) {
    const clock = new FakeClock()
    const longest: number[] = []
    const setTimer = clock.setTimer.bind(clock)
    clock.setTimer = (fn, ms) => {
      longest.push(ms)
      return setTimer(fn, ms)
    }
    const { source, refresher } = createScene({ clock, lifetimeMs })
    refresher.start()
    await settle()
    if (retryAfterMs !== undefined) source.respond = () => failure('transient', { retryAfterMs })
    await clock.advance(2 * HOUR)
    t.ok(Math.max(...longest) <= MINUTE, `${Math.max(...longest)} ms`)
    refresher.stop()
    t.equal(clock.armed, 0)
  }
})

t.test('a suspend in the middle of a fetch: the token that comes at last is as old as its question', async (t) => {
  const { clock, source, refresher } = createScene()
  const late = createLateResponse()
  source.script.push(late.respond)
  refresher.start()
  await settle()
  clock.sleep(2 * HOUR)
  late.give(source.grant({ value: new Secret('dead on arrival') }))
  await settle()
  t.equal(refresher.current(), undefined)
  await clock.advance(1_000)
  t.match(refresher.status(), { state: 'fresh' })
  t.not(refresher.current()?.value.equals('dead on arrival'), true)
})

t.test('waking ends a wait for the next try: nobody sits out 15 minutes of a machine that slept', async (t) => {
  const { clock, source, refresher } = createScene()
  source.respond = () => failure('permanent')
  refresher.start()
  await clock.advance(6_000)
  t.equal(source.calls.length, 2)
  source.respond = () => source.grant()
  clock.sleep(8 * HOUR)
  await clock.advance(MINUTE)
  t.equal(refresher.status().state, 'fresh')
})

t.test('clocks that differ by more than a minute are told when that begins, and shown for as long as it lasts', async (t) => {
  const { clock, source, refresher, log } = createScene()
  const told = (): number => log.lines.filter(({ sentence }) => sentence.startsWith('the clocks')).length
  const skews = [0, 59_000, -61_000, -3_600_000, 1_000, 61_000]
  source.script.push(
    ...skews.map((clockSkewMs, index) => (index === 3 ? failure('transient', { clockSkewMs }) : source.grant({ clockSkewMs })))
  )
  const seen: unknown[] = []
  refresher.start()
  for (let index = 0; index < skews.length; index++) {
    await settle()
    seen.push([refresher.status().clockSkewMs, told()])
    await clock.advance(Date.parse(refresher.status().refreshAt ?? '') - clock.wall())
  }
  t.same(seen, [[0, 0], [59_000, 0], [-61_000, 1], [-3_600_000, 1], [1_000, 1], [61_000, 2]])
  t.match(
    log.lines.find(({ sentence }) => sentence.startsWith('the clocks')),
    { level: 'warn', fields: { credential: 'orders', clockSkewMs: -61_000 } }
  )
})

t.test('a response without a token is a transient failure', async (t) => {
  for (const grant of [undefined, null, {}, { value: '' }, { value: undefined, lifetimeMs: 5 }]) {
    const { clock, source, refresher } = createScene()
    source.script.push(async () => grant as unknown as Grant)
    refresher.start()
    await settle()
    t.equal(refresher.current(), undefined)
    t.match(refresher.status(), { state: 'pending', failures: 1 })
    await clock.advance(1_000)
    t.equal(refresher.status().state, 'fresh')
  }
})

t.test('whatever is thrown, at whichever step, the next attempt comes', async (t) => {
  const canary = 'CANARY-PW-1'
  const hostile = new Proxy(failure('transient'), { get (_target, key) { if (key !== 'then') throw new Error(canary) } })
  const thrown: unknown[] = [
    new Error(canary),
    new TypeError(canary),
    canary,
    undefined,
    null,
    0,
    Object.create(null),
    hostile,
    failure('transient')
  ]
  const fields = ['value', 'lifetimeMs', 'renewal', 'clockSkewMs']
  const steps = [
    'login, at once',
    'login, later',
    'login, no promise',
    'login, then',
    'refresh, at once',
    'refresh, later',
    'getter',
    'gate, at once',
    'gate, later',
    'gate, no turn',
    'leave',
    'random',
    'log',
    'onFetch',
    ...fields
  ]
  for (const step of steps) {
    for (const what of thrown) {
      let broken = false
      const raise = (): never => { throw what }
      const scene = createScene()
      const { clock, source } = scene
      const breakAt = (name: string): void => { if (broken && step === name) raise() }
      const say = (level: 'info' | 'warn' | 'error') => (fields: object, sentence: string): void => {
        breakAt('log')
        scene.log[level](fields, sentence)
      }
      const refresher = new TokenRefresher({
        name: 'orders',
        source: {
          get token () {
            breakAt('getter')
            return (signal: AbortSignal, renewal?: Renewal) => {
              if (renewal !== undefined) {
                breakAt('refresh, at once')
                if (broken && step === 'refresh, later') return Promise.reject(what)
                return source.token(signal, renewal)
              }
              breakAt('login, at once')
              if (broken && step === 'login, later') return Promise.reject(what)
              if (broken && step === 'login, no promise') return what
              if (broken && step === 'login, then') return { then: raise }
              if (broken && fields.includes(step)) {
                return Promise.resolve(Object.defineProperty({ value: new Secret('x'), lifetimeMs: HOUR }, step, { get: raise }))
              }
              return (step.startsWith('refresh') ? source : withoutRenewal(source)).token(signal)
            }
          }
        } as never,
        clock,
        random: () => { breakAt('random'); return 0 },
        gate: {
          enter (_signal: AbortSignal) {
            breakAt('gate, at once')
            if (broken && step === 'gate, later') return Promise.reject(what)
            if (broken && step === 'gate, no turn') return Promise.resolve(what as never)
            return Promise.resolve(() => breakAt('leave'))
          }
        },
        log: { info: say('info'), warn: say('warn'), error: say('error') },
        onFetch: () => breakAt('onFetch')
      })
      refresher.start()
      await settle()
      const first = refresher.current()
      t.ok(first)
      broken = true
      await clock.advance(REFRESH_AT + 30_000)
      t.ok(refresher.current(), 'it serves while it is usable')
      broken = false
      await clock.advance(2 * MINUTE)
      t.match(refresher.status(), { state: 'fresh', lastError: null }, step)
      t.not(refresher.current(), first)
      const told = JSON.stringify([scene.log.lines, refresher.status()])
      t.notOk(told.includes(canary), 'what was thrown is not quoted')
    }
  }
})

t.test(
  'a token that no header can carry is none, from whichever source it comes: a transient failure, and the old one serves',
  async (t) => {
    const unsendable = [
      '',
      ' ',
      ' a',
      'a ',
      'a b',
      'a\tb',
      'a\r\nX-Evil: 1',
      'a\nb',
      'a\n',
      'a\0b',
      '\x7f',
      'caf\u00e9',
      '\u20ac',
      'a\u2028b',
      '\ud800',
      '\ufeffa',
      'x'.repeat(32_769)
    ]
    for (const text of unsendable) {
      const { clock, source, refresher, events } = createScene()
      refresher.start()
      const first = await refresher.get()
      source.script.push(source.grant({ value: new Secret(text), renewal: createRenewal('poisoned') }))
      await clock.advance(REFRESH_AT)
      t.match(refresher.status(), { state: 'stale', lastError: { code: 'UnusableToken' } }, Buffer.from(text.slice(0, 20)).toString('hex'))
      t.equal(refresher.current(), first)
      t.match(events.at(-1), { kind: 'refresh', outcome: 'transient' })
      await clock.advance(MINUTE)
      t.match(refresher.status(), { state: 'fresh', lastError: null })
      t.same(source.calls.at(-1)?.renewal, createRenewal(1), 'nothing was taken from that answer')
    }
    for (const text of ['a', '123|aB-_.~+/=', '!"#$%&\'()*,:;<>?@[\\]^`{}', 'x'.repeat(32_768)]) {
      const { source, refresher } = createScene()
      source.script.push(source.grant({ value: new Secret(text) }))
      refresher.start()
      t.equal((await refresher.get()).value.reveal(), text)
    }
  }
)

t.test('an unclear refusal is tried again like a transient failure five times, then it counts; a success begins anew', async (t) => {
  const { clock, source, refresher, events } = createScene()
  const { respond } = source
  source.respond = () => failure('unclear')
  refresher.start()
  await clock.advance(4_000)
  t.match(refresher.status(), { state: 'pending', failures: 5, lastError: { code: 'Code-unclear' } })
  await t.rejects(refresher.get(), UNAVAILABLE)
  source.script.push(failure('transient'))
  await clock.advance(1_000)
  t.equal(refresher.status().state, 'pending', 'another failure in between is none of them')
  await clock.advance(1_000)
  t.equal(refresher.status().state, 'rejected')
  await t.rejects(refresher.get(), REJECTED)
  t.same(events.map(({ outcome }) => outcome), [...Array<string>(6).fill('transient'), 'rejected'])
  await clock.advance(5_000 + 15 * MINUTE - 1)
  t.equal(source.calls.length, 8, 'after 5 s once, then every 15 min')
  source.respond = respond
  await clock.advance(1)
  t.equal(refresher.status().state, 'fresh')
  source.respond = () => failure('unclear')
  await clock.advance(REFRESH_AT + 4_000)
  t.match(refresher.status(), { state: 'stale', failures: 8 + 5 })
  t.equal(events.at(-1)?.outcome, 'transient')
})

t.test('what is no TokenError is logged with its place and without its message', async (t) => {
  const { source, refresher, log } = createScene()
  source.script.push(new TypeError('CANARY-PW-1\n    at CANARY-PW-2'))
  refresher.start()
  await settle()
  t.match(refresher.status(), { lastError: { code: 'Unexpected' } })
  t.match(log.lines, [
    {
      level: 'warn',
      sentence: 'token fetch failed',
      fields: { credential: 'orders', kind: 'login', code: 'Unexpected', frames: [/^at .*refresher\.test/] }
    }
  ])
  t.notMatch(JSON.stringify(log.lines), /CANARY/)
})

t.test('never is a token given out under its minimum life, whatever the provider, the upstream and the clocks do', async (t) => {
  const step = fc.record({
    waitMs: fc.oneof(fc.nat(2_000), fc.nat(600_000), fc.nat(5 * HOUR)),
    action: fc.constantFrom('get', 'reject', 'sleep', 'jump back', 'jump forward'),
    amountMs: fc.nat(3 * HOUR),
    response: fc.constantFrom('ok', 'ok', 'slow', 'never', 'transient', 'ambiguous', 'lockout', 'refresh-dead', 'permanent')
  })
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 30 * 24 * HOUR }),
      fc.array(step, { maxLength: 25 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      async (lifetimeMs, steps, random) => {
        const { clock, source, refresher } = createScene({ lifetimeMs, random: () => random })
        // What the provider knows: real time, that is, with suspends, and without what was done to the wall clock.
        let suspendedMs = 0
        const realNow = (): number => clock.monotonic() + suspendedMs
        const diesAt = new Map<Secret, number>()
        const grant = (): Grant => {
          const made = source.grant({ lifetimeMs })
          diesAt.set(made.value, realNow() + lifetimeMs)
          return made
        }
        source.respond = grant
        refresher.start()
        await settle()
        let last = refresher.current()
        for (const { waitMs, action, amountMs, response } of steps) {
          if (response === 'ok') source.respond = grant
          else if (response === 'never') source.respond = () => async () => await new Promise<Grant>(() => {})
          else if (response === 'slow') {
            source.respond = () => async () =>
              await new Promise((resolve) => {
                const made = grant()
                clock.setTimer(() => resolve(made), 8_000)
              })
          } else source.respond = () => failure(response)
          // The fetches of a month at one a second are not what is tested here.
          await clock.advance(lifetimeMs < 60_000 ? waitMs % 5_000 : waitMs % (lifetimeMs * 3))
          if (action === 'sleep' && amountMs >= 60_000) {
            clock.sleep(amountMs)
            suspendedMs += amountMs
          }
          if (action === 'jump back') clock.jump(-amountMs)
          if (action === 'jump forward') clock.jump(amountMs)
          if (action === 'reject' && last !== undefined) refresher.reject(last, 0)
          const token = refresher.current()
          if (token === undefined) continue
          const leftMs = (diesAt.get(token.value) ?? -Infinity) - realNow()
          if (leftMs < minimumLifeMs(lifetimeMs) - 1e-3) return false
          last = token
        }
        refresher.stop()
        await settle()
        return true
      }
    ),
    { numRuns: 200 }
  )
  t.pass()
})

t.test('single flight holds whatever happens', async (t) => {
  const { clock, source, refresher } = createScene({ lifetimeMs: 10_000 })
  source.respond = () => async () =>
    await new Promise((resolve) => {
      clock.setTimer(() => resolve(source.grant({ lifetimeMs: 10_000 })), 3_000)
    })
  refresher.start()
  for (let step = 0; step < 200; step++) {
    const token = refresher.current()
    if (token !== undefined && step % 7 === 0) refresher.reject(token, 0)
    refresher.get().catch(() => {})
    if (step % 50 === 0) clock.sleep(HOUR)
    await clock.advance(700)
  }
  t.equal(source.mostRunning, 1)
})

t.test('the status tells everything in RFC 3339, counters and milliseconds', async (t) => {
  const { clock, source, refresher } = createScene()
  source.script.push(failure('transient', { clockSkewMs: 4_000 }), source.grant({ clockSkewMs: -1_500 }))
  const start = clock.wall()
  refresher.start()
  await settle()
  t.same(refresher.status(), {
    name: 'orders',
    state: 'pending',
    expiresAt: null,
    refreshAt: new Date(start + 1_000).toISOString(),
    lastSuccessAt: null,
    lastError: { code: 'Code-transient', message: 'a transient failure', at: new Date(start).toISOString() },
    logins: 0,
    refreshes: 0,
    failures: 1,
    clockSkewMs: 4_000
  })
  await clock.advance(1_000)
  t.same(refresher.status(), {
    name: 'orders',
    state: 'fresh',
    expiresAt: new Date(start + 1_000 + HOUR).toISOString(),
    refreshAt: new Date(start + 1_000 + REFRESH_AT).toISOString(),
    lastSuccessAt: new Date(start + 1_000).toISOString(),
    lastError: null,
    logins: 1,
    refreshes: 0,
    failures: 1,
    clockSkewMs: -1_500
  })
  await clock.advance(REFRESH_AT)
  t.match(refresher.status(), { logins: 1, refreshes: 1, clockSkewMs: -1_500 })
})

t.test('no log line, status or event holds a secret', async (t) => {
  const { clock, source, refresher, log, events } = createScene()
  source.script.push(failure('transient'), source.grant(), failure('refresh-dead'), failure('ambiguous'))
  refresher.start()
  await clock.advance(2 * HOUR)
  t.ok(log.lines.length >= 4)
  const told = JSON.stringify([log.lines, events, refresher.status()])
  t.notMatch(told, /token-\d|refresh-\d/)
})
