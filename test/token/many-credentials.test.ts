import { randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { systemClock, type Clock } from '#src/token/clock.ts'
import { createCognitoSource } from '#src/token/cognito/source.ts'
import { CredentialStore } from '#src/token/store.ts'
import { Secret } from '#src/secret.ts'
import { CLIENT_ID, POOL_ID, startEmulator, startWorker } from '../helpers/cognito.ts'
import { FakeClock } from '../helpers/clock.ts'
import { createTestLog } from '../helpers/token-source.ts'
import type { EmulatorCall } from '#src/demo/cognito-calls.ts'
import type { Grant } from '#src/token/token.ts'

const COUNT = 1000
const CONCURRENCY = 3
const PER_SECOND = 10
// Each login is a real one; a machine with two busy cores needs its time.

t.test('a hundred real logins: the provider never sees more at once, nor in a second, than is configured', async (t) => {
  const users = Array.from({ length: 100 }, (_, id) => ({ username: `key-${id}`, password: `password-${id}` }))
  const seen: EmulatorCall[] = []
  const begun: number[] = []
  let underWay = 0
  let mostUnderWay = 0
  const emulator = await startEmulator(t, {
    users,
    onEvent: (call) => {
      seen.push(call)
      if (call.flow === 'USER_SRP_AUTH') {
        begun.push(performance.now())
        mostUnderWay = Math.max(mostUnderWay, ++underWay)
      } else underWay -= 1
    }
  })
  const worker = startWorker(t)
  const warnings: unknown[] = []
  const onWarning = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', onWarning)
  t.teardown(() => { process.off('warning', onWarning) })
  const { clock, mostTimers } = countTimers(systemClock())
  const store = new CredentialStore({
    credentials: users.map(({ username, password }) => ({
      name: username,
      type: 'cognito',
      provider: emulator.url,
      source: createCognitoSource(
        {
          userPoolId: POOL_ID,
          clientId: CLIENT_ID,
          username: new Secret(username),
          password: new Secret(password),
          tokenUse: 'access',
          endpoint: emulator.url
        },
        worker
      )
    })),
    clock,
    random: Math.random,
    log: createTestLog(),
    logins: { concurrency: CONCURRENCY, perSecond: PER_SECOND }
  })
  store.start()
  await store.whenReady()
  await store.stop()
  t.equal(seen.filter(({ operation, outcome }) => operation === 'RespondToAuthChallenge' && outcome === 'ok').length, users.length)
  t.equal(seen.length, 2 * users.length)
  t.ok(mostUnderWay <= CONCURRENCY, `${mostUnderWay} at once`)
  // A login may take longer on its way than the next one, so a few more arrive within a second than left.
  const crowd = Math.max(...begun.map((at, index) => begun.slice(index).filter((later) => later < at + 1000).length))
  t.ok(crowd <= PER_SECOND + CONCURRENCY, `${crowd} in a second`)
  t.ok(mostTimers() <= users.length + CONCURRENCY + 1, `${mostTimers()} timers: one per credential, one for the gate, a deadline per login`)
  t.same(warnings, [])
})

t.test('a thousand credentials through rounds of refreshes: a timer each, and memory stays where it is', async (t) => {
  const fake = new FakeClock()
  const { clock, mostTimers } = countTimers(fake)
  const grant = async (): Promise<Grant> => ({
    value: new Secret(randomBytes(1000).toString('hex')),
    lifetimeMs: 600_000,
    renewal: { refreshToken: new Secret(randomBytes(500).toString('hex')) }
  })
  const events = { login: 0, refresh: 0 }
  const store = new CredentialStore({
    credentials: Array.from({ length: COUNT }, (_, id) => ({
      name: `key-${id}`,
      type: 'cognito',
      provider: 'https://one.example',
      source: { token: grant }
    })),
    clock,
    random: Math.random,
    log: { info () {}, warn () {}, error () {} },
    logins: { concurrency: 4, perSecond: 20 },
    onFetch: ({ kind }) => {
      events[kind] += 1
    }
  })
  store.start()
  await fake.advance(50_000)
  t.equal(store.ready().ready, true)
  const heaps: number[] = []
  for (let round = 0; round < 4; round++) {
    await fake.advance(480_000)
    heaps.push(heapUsed())
    t.equal(fake.armed, COUNT)
  }
  t.equal(events.login, COUNT)
  t.ok(events.refresh >= 4 * COUNT, `${events.refresh} refreshes`)
  t.ok(mostTimers() <= COUNT + 5, `${mostTimers()} timers`)
  const grownBy = ((heaps.at(-1) ?? NaN) - (heaps[0] ?? NaN)) / 2 ** 20
  t.ok(grownBy < 4, `${grownBy.toFixed(1)} MiB more after three further rounds`)
  await store.stop()
  t.equal(fake.armed, 0)
})

/** Bytes on the heap that something still holds. */
function heapUsed (): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}

/** A clock that remembers how many timers were armed at the same time. */
function countTimers (inner: Clock): { readonly clock: Clock, readonly mostTimers: () => number } {
  let armed = 0
  let most = 0
  const setTimer = (fn: () => void, ms: number): () => void => {
    most = Math.max(most, ++armed)
    let over = false
    const end = (): void => {
      if (!over) armed -= 1
      over = true
    }
    const cancel = inner.setTimer(() => {
      end()
      fn()
    }, ms)
    return () => {
      end()
      cancel()
    }
  }
  return { clock: { monotonic: () => inner.monotonic(), wall: () => inner.wall(), setTimer }, mostTimers: () => most }
}
