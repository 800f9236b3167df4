import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import t from 'tap'
import { Secret } from '#src/secret.ts'
import type { Grant, Renewal } from '#src/token/token.ts'
import { CognitoWorker } from '#src/token/cognito/source.ts'
import { TokenRefresher } from '#src/token/refresher.ts'
import { FakeClock } from '../../helpers/clock.ts'
import { createTestLog } from '../../helpers/token-source.ts'
import { CLIENT_ID, NEVER, USER, failureOf, sourceFor, startEmulator, startWorker } from '../../helpers/cognito.ts'

const BOB = { username: 'bob', password: 'another password' }

function renewalOf (grant: Grant): Renewal {
  if (grant.renewal === undefined) throw new Error('this grant should renew')
  return grant.renewal
}

// One thread for all tests that do not ask for a special one, as in the proxy: it serves all credentials.
const shared = startWorker(t)

// The numbers are those of the library's behaviours that the worker works around.

t.test('1: credentials of one client id never meet: each refresh sends its own token and its own device', async (t) => {
  const emulator = await startEmulator(t, { users: [USER, BOB], deviceTracking: true })
  const worker = shared
  const alice = sourceFor(emulator.url, worker)
  const bob = sourceFor(emulator.url, worker, { username: new Secret(BOB.username), password: new Secret(BOB.password) })
  const grants = [renewalOf(await alice.token(NEVER)), renewalOf(await bob.token(NEVER))] as const
  const refreshed = [await alice.token(NEVER, grants[0]), await bob.token(NEVER, grants[1])] as const
  t.match(emulator.verify(refreshed[0].value.reveal()), { username: 'alice', token_use: 'access' })
  t.match(emulator.verify(refreshed[1].value.reveal()), { username: 'bob' })
  t.match(emulator.record.slice(-2), [{ deviceKey: grants[0].device?.key }, { deviceKey: grants[1].device?.key }])
  t.not(grants[0].device?.key, grants[1].device?.key)
})

t.test('2: every attempt sends the user name as it is configured', async (t) => {
  const emulator = await startEmulator(t, { users: [{ ...USER, aliases: ['alice@example.com'] }] })
  const source = sourceFor(emulator.url, shared, { username: new Secret('alice@example.com') })
  await source.token(NEVER)
  await source.token(NEVER)
  const names = emulator.record.map(({ username }) => username)
  t.same(names, ['alice@example.com', 'alice', 'alice@example.com', 'alice'])
})

t.test('3: every challenge that needs a person is a failure of its own class, under its name', async (t) => {
  const emulator = await startEmulator(t)
  const source = sourceFor(emulator.url, shared)
  const names = [
    'NEW_PASSWORD_REQUIRED',
    'SMS_MFA',
    'SOFTWARE_TOKEN_MFA',
    'SELECT_MFA_TYPE',
    'MFA_SETUP',
    'CUSTOM_CHALLENGE',
    'EMAIL_OTP',
    'DEVICE_SRP_AUTH',
    'NEVER_HEARD_OF'
  ]
  for (const name of names) {
    emulator.faults.add({ type: 'challenge', name })
    t.match(await failureOf(source.token(NEVER)), { class: 'challenge', code: name, message: name })
  }
  emulator.faults.add({ type: 'challenge', name: 'SELECT_CHALLENGE', flow: 'USER_SRP_AUTH' })
  t.match(await failureOf(source.token(NEVER)), { class: 'challenge', code: 'SELECT_CHALLENGE' })
})

t.test('4: a negotiation ends once, and the next one is not disturbed by it', async (t) => {
  const emulator = await startEmulator(t)
  const source = sourceFor(emulator.url, shared)
  emulator.faults.add({ type: 'challenge', name: 'SMS_MFA' })
  await failureOf(source.token(NEVER))
  await source.token(NEVER)
  t.same(emulator.record.map(({ outcome }) => outcome), ['challenge', 'challenge', 'challenge', 'ok'])
})

t.test('5: a refused refresh costs one call, whatever the reason', async (t) => {
  const emulator = await startEmulator(t)
  const source = sourceFor(emulator.url, shared)
  const renewal = renewalOf(await source.token(NEVER))
  const cases = [
    [{ type: 'dead-refresh-token' }, 'refresh-dead', 'NotAuthorizedException'],
    [{ type: 'throttled' }, 'transient', 'TooManyRequestsException'],
    [{ type: 'bad-gateway' }, 'transient', 'ServerError'],
    [{ type: 'reset' }, 'transient', 'NetworkError'],
    [{ type: 'empty' }, 'transient', 'UnexpectedAnswer']
  ] as const
  for (const [fault, failure, code] of cases) {
    const before = emulator.record.length
    emulator.faults.add(fault)
    t.match(await failureOf(source.token(NEVER, renewal)), { class: failure, code }, fault.type)
    // The library would have tried again, and again, for 6.5 s.
    t.equal(emulator.record.length, before + 1)
    t.equal(emulator.record.at(-1)?.flow, 'REFRESH_TOKEN_AUTH')
  }
  emulator.revokeRefreshTokens()
  t.match(await failureOf(source.token(NEVER, renewal)), { class: 'refresh-dead' })
  t.equal(emulator.record.length, 2 + cases.length + 1)
})

t.test('6: the deadline ends a negotiation that gets no response, and an abort ends it at once', async (t) => {
  const emulator = await startEmulator(t)
  const worker = startWorker(t, { deadlineMs: 1000 })
  const source = sourceFor(emulator.url, worker)
  await source.token(NEVER)
  emulator.faults.add({ type: 'hang', times: 2 })
  t.match(await failureOf(source.token(NEVER)), { class: 'transient', code: 'Timeout', message: /1000 ms/ })

  const patient = sourceFor(emulator.url, shared)
  const abort = new AbortController()
  const calls = emulator.record.length
  const waiting = failureOf(patient.token(abort.signal))
  while (emulator.record.length === calls) await new Promise((resolve) => { setImmediate(resolve) })
  abort.abort()
  t.match(await waiting, { class: 'transient', code: 'Aborted' })
  t.match(await failureOf(patient.token(abort.signal)), { code: 'Aborted' }, 'aborted before it began')
  t.ok(await patient.token(NEVER))
})

t.test('7: the library stays in its thread: this one has neither it nor its fetch', async (t) => {
  const own = globalThis.fetch
  const emulator = await startEmulator(t)
  await sourceFor(emulator.url, shared).token(NEVER)
  t.equal(globalThis.fetch, own)
  const loaded = Object.keys(createRequire(import.meta.url).cache).filter((name) => name.includes('amazon-cognito-identity-js'))
  t.same(loaded, [])
})

t.test('8: a clock that is wrong by minutes is measured and corrected within the login', async (t) => {
  const emulator = await startEmulator(t)
  const source = sourceFor(emulator.url, shared)
  for (const offset of [0, 45_000, -45_000, 600_000, -600_000, 86_400_000 * 400]) {
    emulator.faults.clockOffsetMs = offset
    const { clockSkewMs = NaN } = await source.token(NEVER)
    t.ok(Math.abs(clockSkewMs - offset) < 2000, `${offset} ms`)
  }
  emulator.faults.clockOffsetMs = 600_000
  emulator.faults.add({ type: 'throttled-in-disguise', operation: 'RespondToAuthChallenge' })
  const failure = await failureOf(source.token(NEVER))
  t.equal(failure.class, 'ambiguous')
  t.ok(Math.abs((failure.clockSkewMs ?? NaN) - 600_000) < 2000, 'a failure tells the skew as well')
})

t.test('9: what is no response of Cognito is a transient failure', async (t) => {
  const emulator = await startEmulator(t)
  const source = sourceFor(emulator.url, shared)
  const failures = [
    { type: 'bad-gateway' },
    { type: 'captive-portal' },
    { type: 'truncated' },
    { type: 'empty' },
    { type: 'redirect', location: 'http://127.0.0.1:1/' }
  ] as const
  for (const fault of failures) {
    for (const operation of ['InitiateAuth', 'RespondToAuthChallenge'] as const) {
      emulator.faults.add({ ...fault, operation })
      const failure = await failureOf(source.token(NEVER))
      t.match(
        failure,
        { class: 'transient', code: fault.type === 'bad-gateway' ? 'ServerError' : 'UnexpectedAnswer' },
        `${fault.type} in ${operation}`
      )
    }
  }
  emulator.faults.add({ type: 'no-tokens' })
  t.match(await failureOf(source.token(NEVER)), { class: 'transient', code: 'UnexpectedAnswer' }, '200 without tokens')
  emulator.faults.add({ type: 'no-tokens', flow: 'USER_SRP_AUTH' })
  t.match(await failureOf(source.token(NEVER)), { class: 'transient', code: 'UnexpectedAnswer' }, '200 without a challenge')
})

t.test('10: failures are told apart by their code, with or without a namespace, and carry Retry-After', async (t) => {
  const emulator = await startEmulator(t)
  const source = sourceFor(emulator.url, shared)
  emulator.faults.add({ type: 'error', code: 'com.amazonaws.cognito#TooManyRequestsException', message: 'Rate exceeded', retryAfter: '7' })
  t.match(await failureOf(source.token(NEVER)), { class: 'transient', code: 'TooManyRequestsException', retryAfterMs: 7000 })
  emulator.faults.add({ type: 'error', code: 'InternalErrorException', message: '', status: 500 })
  t.match(await failureOf(source.token(NEVER)), { class: 'transient', code: 'InternalErrorException', retryAfterMs: undefined })
  emulator.faults.add({ type: 'lockout' })
  t.match(await failureOf(source.token(NEVER)), { class: 'lockout', code: 'NotAuthorizedException' })
  const wrong = sourceFor(emulator.url, shared, { password: new Secret('wr0ng') })
  t.match(await failureOf(wrong.token(NEVER)), { class: 'ambiguous', code: 'NotAuthorizedException' })
  const unknown = sourceFor(emulator.url, shared, { clientId: 'nobody' })
  t.match(await failureOf(unknown.token(NEVER)), { class: 'permanent', code: 'ResourceNotFoundException' })
})

t.test('11: the lifetime is that of the response, else that of the token; and a token that is not wanted may be missing', async (t) => {
  const emulator = await startEmulator(t, { client: { lifetimeSeconds: 600 } })
  const worker = shared
  const source = sourceFor(emulator.url, worker)
  t.equal((await source.token(NEVER)).lifetimeMs, 600_000)
  emulator.faults.add({ type: 'expires-in', seconds: 5 })
  t.equal((await source.token(NEVER)).lifetimeMs, 5000)
  emulator.faults.add({ type: 'no-expires-in' })
  const grant = await source.token(NEVER)
  t.equal(grant.lifetimeMs, 600_000)
  emulator.faults.add({ type: 'no-expires-in' })
  t.equal((await source.token(NEVER, renewalOf(grant))).lifetimeMs, 600_000)
  emulator.faults.add({ type: 'no-id-token' })
  t.match(emulator.verify((await source.token(NEVER)).value.reveal()), { token_use: 'access' })
  const id = sourceFor(emulator.url, worker, { tokenUse: 'id' })
  t.match(emulator.verify((await id.token(NEVER)).value.reveal()), { token_use: 'id', aud: CLIENT_ID })
  emulator.faults.add({ type: 'no-id-token' })
  t.match(await failureOf(id.token(NEVER)), { class: 'transient', code: 'UnexpectedAnswer' })
})

t.test('12: a device is confirmed and kept for the refreshes; a device that cannot be confirmed does not fail the login', async (t) => {
  const emulator = await startEmulator(t, { deviceTracking: true })
  const worker = startWorker(t, { deadlineMs: 15_000 })
  const source = sourceFor(emulator.url, worker)
  const first = renewalOf(await source.token(NEVER))
  t.match(first.device, { key: /^eu-west-1_/, groupKey: String })
  t.ok(first.device?.password.reveal())
  const second = renewalOf(await source.token(NEVER, first))
  t.equal(second.device?.key, first.device?.key, 'the refresh keeps it')
  t.ok(await source.token(NEVER, second))

  emulator.faults.add({ type: 'error', code: 'InternalErrorException', message: '', status: 500, operation: 'ConfirmDevice' })
  const unconfirmed = await source.token(NEVER)
  t.ok(emulator.verify(unconfirmed.value.reveal()))
  t.match(await failureOf(source.token(NEVER, renewalOf(unconfirmed))), { class: 'refresh-dead' }, 'the service wants a confirmed one')

  emulator.faults.add({ type: 'hang', operation: 'ConfirmDevice' })
  const silent = await startEmulator(t)
  silent.faults.add({ type: 'hang', times: Infinity })
  // Of two logins with one deadline, the one that has its tokens gives up on the device long before the other ends.
  const over = new AbortController()
  const deadline = failureOf(sourceFor(silent.url, worker).token(over.signal))
  const login = source.token(NEVER)
  t.equal(await Promise.race([login.then(() => 'login'), deadline.then(({ code }) => code)]), 'login', 'a part of the deadline only')
  t.ok(emulator.verify((await login).value.reveal()))
  over.abort()
  await deadline
})

t.test('13: a client secret is proved in both steps of a login and given in a refresh', async (t) => {
  const emulator = await startEmulator(t, { client: { secret: 's3cret' }, users: [{ ...USER, aliases: ['alice@example.com'] }] })
  const worker = shared
  for (const authFlow of ['srp', 'password'] as const) {
    const source = sourceFor(emulator.url, worker, {
      clientSecret: new Secret('s3cret'),
      username: new Secret('alice@example.com'),
      authFlow
    })
    const grant = await source.token(NEVER)
    t.match(emulator.verify((await source.token(NEVER, renewalOf(grant))).value.reveal()), { username: 'alice' })
    t.equal(emulator.record.at(-1)?.operation, 'GetTokensFromRefreshToken')
    const wrong = sourceFor(emulator.url, worker, { clientSecret: new Secret('other'), authFlow })
    t.match(await failureOf(wrong.token(NEVER)), { class: 'permanent', message: /clientSecret/ })
    const without = sourceFor(emulator.url, worker, { authFlow })
    t.match(await failureOf(without.token(NEVER)), { class: 'permanent', message: /clientSecret/ })
  }
})

t.test('13: with rotation the refresh goes the way that knows it, and keeps the new refresh token', async (t) => {
  const emulator = await startEmulator(t, { client: { rotation: { graceMs: 0 } } })
  const source = sourceFor(emulator.url, shared)
  const first = renewalOf(await source.token(NEVER))
  const second = renewalOf(await source.token(NEVER, first))
  t.not(second.refreshToken.reveal(), first.refreshToken.reveal())
  t.match(emulator.record.slice(2), [{ outcome: 'InvalidParameterException' }, { operation: 'GetTokensFromRefreshToken', outcome: 'ok' }])
  t.match(await failureOf(source.token(NEVER, first)), { class: 'refresh-dead', code: 'RefreshTokenReuseException' })
  t.ok(await source.token(NEVER, second))
})

t.test('13: a client that words it otherwise that REFRESH_TOKEN_AUTH is off is refreshed the other way too', async (t) => {
  const emulator = await startEmulator(t, { client: { rotation: { graceMs: 0 } } })
  const source = sourceFor(emulator.url, shared)
  const renewal = renewalOf(await source.token(NEVER))
  emulator.faults.add({
    type: 'error',
    code: 'NotAuthorizedException',
    message: 'Auth flow not enabled for this client',
    flow: 'REFRESH_TOKEN_AUTH'
  })
  t.not(renewalOf(await source.token(NEVER, renewal)).refreshToken.reveal(), renewal.refreshToken.reveal())
})

t.test(
  '13: twenty refreshes in a row with rotation and no grace: each takes the token of the one before, and nobody logs in again',
  async (t) => {
    const emulator = await startEmulator(t, { client: { rotation: { graceMs: 0 } } })
    const clock = new FakeClock()
    const refresher = new TokenRefresher({
      name: 'alice',
      source: sourceFor(emulator.url, shared),
      clock,
      random: () => 0,
      gate: { enter: async () => () => {} },
      log: createTestLog()
    })
    refresher.start()
    await refresher.get()
    for (let count = 1; count <= 20; count++) {
      clock.jump(50 * 60_000)
      refresher.current()
      while (refresher.status().refreshes < count && refresher.status().failures === 0) {
        await new Promise((resolve) => {
          setImmediate(resolve)
        })
      }
    }
    t.match(refresher.status(), { logins: 1, refreshes: 20, failures: 0, lastError: null })
    t.same(
      emulator.record.filter(({ outcome }) => outcome === 'RefreshTokenReuseException'),
      []
    )
    refresher.stop()
  }
)

t.test('without rotation the refresh token stays', async (t) => {
  const emulator = await startEmulator(t)
  const source = sourceFor(emulator.url, shared)
  const first = renewalOf(await source.token(NEVER))
  const second = renewalOf(await source.token(NEVER, first))
  t.equal(second.refreshToken.reveal(), first.refreshToken.reveal())
  t.equal(emulator.record.at(-1)?.flow, 'REFRESH_TOKEN_AUTH')
})

t.test('14: two hundred random users log in, four at a time, each with its own token, and this thread stays responsive', async (t) => {
  const users = Array.from({ length: 200 }, (_, index) => ({
    username: `user-${index}-${randomBytes(4).toString('hex')}`,
    password: `${randomBytes(12).toString('base64')}:ä€𝄞${index}`
  }))
  const emulator = await startEmulator(t, { users })
  const warnings: string[] = []
  const worker = startWorker(t, { onWarning: (message) => { warnings.push(message) } })
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const waiting = [...users]
  const mismatches: string[] = []
  await Promise.all(Array.from({ length: 4 }, async () => {
    for (let user = waiting.pop(); user !== undefined; user = waiting.pop()) {
      const source = sourceFor(emulator.url, worker, { username: new Secret(user.username), password: new Secret(user.password) })
      const { value } = await source.token(NEVER)
      if (emulator.verify(value.reveal())?.['username'] !== user.username) mismatches.push(user.username)
    }
  }))
  delay.disable()
  t.same(mismatches, [])
  t.equal(emulator.record.length, 400)
  t.same(warnings, [], 'OpenSSL computes the powers')
  t.comment(
    `event-loop delay with the emulator in this thread: p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms, max ${(delay.max / 1e6).toFixed(1)} ms`
  )
})

t.test('14: salts and values of B of every awkward shape log in', async (t) => {
  for (const salt of ['7', 'abc', 'f0f0', '8000000000000000', 'abc1234567890abcdef1234567890ab']) {
    const emulator = await startEmulator(t, { users: [{ ...USER, salt }] })
    const source = sourceFor(emulator.url, shared)
    for (const shape of ['odd', 'top-bit', 'any'] as const) {
      emulator.faults.add({ type: 'shape-of-b', shape })
      t.ok(await source.token(NEVER), `salt ${salt}, B ${shape}`)
    }
  }
})

t.test('15: nothing of a negotiation is left for the next one', async (t) => {
  const emulator = await startEmulator(t, { deviceTracking: true })
  const source = sourceFor(emulator.url, shared)
  const first = renewalOf(await source.token(NEVER))
  const second = renewalOf(await source.token(NEVER))
  const logins = emulator.record.filter(({ operation }) => operation === 'InitiateAuth' || operation === 'RespondToAuthChallenge')
  t.same(logins.map(({ deviceKey }) => deviceKey), [undefined, undefined, undefined, undefined], 'a kept device would be named')
  t.not(first.device?.key, second.device?.key)
  await source.token(NEVER, { refreshToken: first.refreshToken }).catch(() => {})
  t.equal(emulator.record.at(-1)?.deviceKey, undefined)
})

t.test('the plain password flow is one call', async (t) => {
  const emulator = await startEmulator(t)
  const worker = shared
  const source = sourceFor(emulator.url, worker, { authFlow: 'password' })
  t.ok(emulator.verify((await source.token(NEVER)).value.reveal()))
  t.match(emulator.record, [{ operation: 'InitiateAuth', flow: 'USER_PASSWORD_AUTH', outcome: 'ok' }])
  const wrong = sourceFor(emulator.url, worker, { authFlow: 'password', password: new Secret('wr0ng') })
  t.match(await failureOf(wrong.token(NEVER)), { class: 'ambiguous' })
})

t.test('no failure repeats what was secret, in any of its forms', async (t) => {
  const emulator = await startEmulator(t)
  const worker = shared
  const canary = 'c4n4ry-password'
  const sources = [
    sourceFor(emulator.url, worker, { password: new Secret(canary) }),
    sourceFor(emulator.url, worker, { username: new Secret(canary) }),
    sourceFor(emulator.url, worker, { clientSecret: new Secret(canary), clientId: 'nobody' }),
    sourceFor('http://127.0.0.1:1', worker, { password: new Secret(canary) }),
    sourceFor(emulator.url, worker, { password: new Secret(canary), userPoolId: 'not a pool' })
  ]
  for (const source of sources) {
    const failure = await failureOf(source.token(NEVER))
    t.notOk(`${failure.stack} ${JSON.stringify(failure)} ${failure.cause}`.includes(canary), failure.code)
  }
})

t.test('a thread that crashes ends its negotiations as transient failures, and the next one starts another', async (t) => {
  const entry = new URL(
    `data:text/javascript,${encodeURIComponent('import { parentPort } from "node:worker_threads"; parentPort.once("message", () => { throw new Error("c4n4ry") })')}`
  )
  const worker = startWorker(t, { entry })
  const source = sourceFor('http://127.0.0.1:1', worker)
  const failures = await Promise.all([failureOf(source.token(NEVER)), failureOf(source.token(NEVER))])
  for (const failure of failures) {
    t.match(failure, { class: 'transient', code: 'WorkerFailed' })
    t.notMatch(failure.stack, /c4n4ry/)
  }
  t.equal(worker.running, false)
  t.match(await failureOf(source.token(NEVER)), { class: 'transient', code: 'WorkerFailed' }, 'another thread, which fails like the first')
})

t.test('a thread that falls silent is replaced, and its negotiations end as transient failures', async (t) => {
  const entry = new URL(
    `data:text/javascript,${encodeURIComponent('import { parentPort } from "node:worker_threads"; parentPort.on("message", () => { for (;;); }); parentPort.postMessage({ type: "pong" })')}`
  )
  const worker = startWorker(t, { entry, silenceMs: 200 })
  const source = sourceFor('http://127.0.0.1:1', worker)
  t.match(await failureOf(source.token(NEVER)), { class: 'transient', code: 'WorkerSilent' })
  t.equal(worker.running, false)
  t.match(await failureOf(source.token(NEVER)), { class: 'transient', code: 'WorkerSilent' }, 'another thread, as silent as the first')
})

t.test('threads that were replaced leave nothing behind', async (t) => {
  const entry = new URL(
    `data:text/javascript,${encodeURIComponent('import { parentPort } from "node:worker_threads"; parentPort.on("message", ({ id }) => { if (id === 1) { for (;;); } else { throw new Error() } }); parentPort.postMessage({ type: "pong" })')}`
  )
  // A report counts threads and handles also where they keep no process alive.
  const held = (): { threads: number, handles: number } => {
    const { workers, libuv } = process.report.getReport() as unknown as {
      readonly workers: readonly unknown[]
      readonly libuv: ReadonlyArray<{ readonly type: string }>
    }
    return { threads: workers.length, handles: libuv.filter(({ type }) => type === 'async').length }
  }
  const before = held()
  for (let round = 0; round < 3; round++) {
    const worker = new CognitoWorker({ entry, silenceMs: 100 })
    const source = sourceFor('http://127.0.0.1:1', worker)
    for (const fate of ['falls silent', 'crashes']) t.equal((await failureOf(source.token(NEVER))).class, 'transient', `one ${fate}`)
    await worker.close()
  }
  const after = held()
  t.ok(
    after.threads <= before.threads && after.handles <= before.handles,
    `${JSON.stringify(before)} before, ${JSON.stringify(after)} after`
  )
})

t.test('a thread that is only slow is left alone', async (t) => {
  const emulator = await startEmulator(t)
  const worker = startWorker(t, { silenceMs: 2000 })
  const source = sourceFor(emulator.url, worker)
  await source.token(NEVER)
  emulator.faults.add({ type: 'slow', ms: 2600 })
  t.ok(await source.token(NEVER), 'it answers pings while it waits')
})

t.test('closing ends negotiations under way, and later ones at once', async (t) => {
  const emulator = await startEmulator(t)
  const worker = startWorker(t)
  const source = sourceFor(emulator.url, worker)
  t.equal(worker.running, false, 'no thread before it is needed')
  emulator.faults.add({ type: 'hang' })
  const waiting = failureOf(source.token(NEVER))
  while (emulator.record.length === 0) await new Promise((resolve) => { setImmediate(resolve) })
  t.equal(worker.running, true)
  const startedAt = performance.now()
  await worker.close()
  t.ok(performance.now() - startedAt < 1900, 'it ended by itself')
  t.match(await waiting, { class: 'transient', code: 'Closed' })
  t.match(await failureOf(source.token(NEVER)), { class: 'transient', code: 'Closed' })
  await worker.close()
})
