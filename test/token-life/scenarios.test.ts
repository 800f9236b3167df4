/**
 * What happened to others, one by one: the table "Token life" of the threats (T1 to T14) and the issues of peers, each with
 * both kinds of provider where both can have it. T8 is in test/proxy/replay.test.ts.
 */
import t, { type Test } from 'tap'
import { startWorker } from '../helpers/cognito.ts'
import { settle } from '../helpers/clock.ts'
import { FAULTS, type Kind } from './provider.ts'
import { createScene, HOUR, MINUTE, REFRESH_AT, SPENT_AT, type Scene } from './scene.ts'

// Thousands of real negotiations: a busy machine takes its time.
const worker = startWorker(t)
const UNAVAILABLE = { status: 503, headers: { 'retry-after': /^[1-9]\d*$/ }, body: /CS_TOKEN_UNAVAILABLE/ }
const REJECTED = { status: 502, body: /CS_CREDENTIAL_REJECTED/ }
const DOWN = faultNamed('a connection that is closed without a response')

type Scenario = (t: Test, scene: Scene, kind: Kind) => Promise<void>

const scenarios: Readonly<Record<string, Scenario>> = {
  'T1, hashicorp/vault#28305: the provider is away at the start: the proxy listens, is not ready, answers 503, and recovers by itself':
    async (t, scene) => {
      scene.suffer(DOWN)
      scene.start()
      await scene.idle()
      t.match(await scene.request(), UNAVAILABLE)
      t.equal((await scene.ready()).status, 503)
      scene.recover()
      await scene.pass(3_000)
      t.equal((await scene.request()).status, 200)
      t.equal((await scene.ready()).status, 200)
    },

  'hashicorp/vault#15204: the first back-off is two seconds at the longest, and no credential waits more than a minute': async (
    t,
    scene
  ) => {
    scene.suffer(DOWN)
    scene.start()
    await scene.pass(10 * MINUTE)
    const pauses = scene.events.slice(1).map(({ at }, index) => Math.round((at - (scene.events[index]?.at ?? NaN)) / 1000))
    t.same(pauses.slice(0, 7), [2, 4, 8, 16, 32, 60, 60])
  },

  'cloud-run-proxy, iron-proxy, Dapr: without a token nothing goes out bare, and nobody gets an empty 200': async (t, scene) => {
    scene.suffer(DOWN)
    scene.start()
    await scene.idle()
    for (const response of await Promise.all(Array.from({ length: 10 }, scene.request))) t.match(response, UNAVAILABLE)
    t.same(scene.upstream.seen, [])
  },

  'T2: a refresh fails while the token is good: 200, stale, counted, and ready': async (t, scene) => {
    await begin(scene)
    scene.suffer(DOWN)
    await scene.pass(REFRESH_AT + 3 * MINUTE)
    t.equal((await scene.request()).status, 200)
    t.match(scene.status(), { state: 'stale', lastError: { code: 'NetworkError' } })
    t.ok(scene.status().failures >= 5)
    t.equal((await scene.ready()).status, 200)
  },

  'T3, envoyproxy/envoy#44674, nono: an expired token is never sent on, however long the provider is away': async (t, scene) => {
    await begin(scene)
    await scene.request()
    scene.suffer(DOWN)
    for (const minutes of [60, 60, 600]) {
      await scene.pass(minutes * MINUTE)
      t.match(await scene.request(), UNAVAILABLE)
      t.equal((await scene.ready()).status, 503, 'readiness tells')
    }
    t.equal(scene.upstream.seen.length, 1, 'only the one before')
  },

  'aad-auth-proxy: the loop does not end at its first failure': async (t, scene) => {
    await begin(scene)
    scene.suffer(DOWN)
    await scene.pass(REFRESH_AT)
    t.equal(scene.status().failures, 1)
    scene.recover()
    await scene.pass(12 * HOUR)
    t.ok(scene.status().logins + scene.status().refreshes > 12, 'and goes on for hours')
    t.match(scene.status(), { state: 'fresh', failures: 1, lastError: null })
  },

  'T4, envoyproxy/envoy#42009: a 200 that is rubbish is tried again, and the credential is not called wrong': async (t, scene) => {
    const rubbish = ['an empty 200', 'a 200 without a token', 'half a response', "a captive portal's 200 in HTML"]
    for (const [index, name] of rubbish.entries()) {
      scene.recover()
      scene.suffer(faultNamed(name))
      scene.start()
      await scene.pass(2 ** index * 1_000)
      t.match(await scene.request(), UNAVAILABLE)
      t.match(scene.status(), { state: 'pending', failures: index + 1, lastError: { code: 'UnexpectedAnswer' } })
    }
    scene.recover()
    await scene.pass(MINUTE)
    t.equal((await scene.request()).status, 200)
  },

  'T6, aws-amplify/amplify-js#7464: a provider that accepts and never answers is given up, and asked again': async (t, scene) => {
    scene.suffer(faultNamed('no answer at all'))
    scene.start()
    const waiting = scene.request()
    await scene.idle()
    t.match(await waiting, UNAVAILABLE)
    t.match(scene.status(), { lastError: { code: 'Timeout' } })
    scene.recover()
    await scene.pass(3_000)
    t.equal((await scene.request()).status, 200)
  },

  'T7, Dapr: two thousand requests after the expiry, five hundred at a time, cause one negotiation, and each waits for it': async (
    t,
    scene,
    kind
  ) => {
    await begin(scene)
    const before = scene.provider.calls().length
    // Nobody had a reason to wake: the machine slept past the end of the token.
    scene.clock.sleep(2 * HOUR)
    for (let round = 0; round < 4; round++) {
      const responses = await Promise.all(Array.from({ length: 500 }, scene.request))
      if (!responses.every(({ status }) => status === 200)) t.fail('a request was not served', { responses })
    }
    t.equal(scene.provider.calls().length - before, 1, `one ${kind === 'cognito' ? 'refresh' : 'login'}`)
    t.equal(new Set(scene.sent()).size, 1)
  },

  'golang/oauth2 users: a provider that is down is not asked by requests': async (t, scene) => {
    scene.suffer(DOWN)
    scene.start()
    await scene.pass(2 * MINUTE)
    const before = scene.provider.calls().length
    await Promise.all(Array.from({ length: 50 }, scene.request))
    t.equal(scene.provider.calls().length, before)
  },

  'T10: a wrong secret is tried after 5 s once and then every 15 min, and says so at once': async (t, scene) => {
    scene.suffer(faultNamed('a wrong secret, or throttling in disguise'))
    scene.start()
    await scene.idle()
    t.match(await scene.request(), REJECTED)
    await scene.pass(31 * MINUTE)
    const start = scene.events[0]?.at ?? NaN
    t.same(
      scene.events.map(({ at }) => Math.round((at - start) / 1000)),
      [0, 5, 905, 1805]
    )
    t.match(await scene.request(), REJECTED)
  },

  'OpenZeppelin/defender-client#153: throttling that looks like a wrong password is over after five seconds': async (t, scene) => {
    scene.suffer(faultNamed('a wrong secret, or throttling in disguise'))
    scene.start()
    await scene.idle()
    t.match(await scene.request(), REJECTED)
    scene.recover()
    await scene.pass(5_001)
    t.equal((await scene.request()).status, 200)
  },

  'T11: a challenge appears, or access is denied: the old one serves to its end, and then the error names it': async (t, scene, kind) => {
    await begin(scene)
    scene.suffer(faultNamed('a challenge, or a grant that is not allowed'))
    await scene.pass(REFRESH_AT)
    t.equal((await scene.request()).status, 200)
    t.match(scene.status(), { state: 'stale', lastError: { code: kind === 'cognito' ? 'SMS_MFA' : 'access_denied' } })
    await scene.pass(HOUR - REFRESH_AT)
    t.match(await scene.request(), REJECTED)
    t.equal(scene.status().state, 'rejected')
  },

  'T13, gravitational/teleport#53091: after two hours of sleep the first request is served, with a new token': async (t, scene) => {
    await begin(scene)
    await scene.request()
    for (const counted of [false, true]) {
      scene.clock.sleep(2 * HOUR, { counted })
      t.equal((await scene.request()).status, 200)
    }
    t.equal(new Set(scene.sent()).size, 3, 'the old token was not sent again')
  },

  'T13: a wall clock that is set back by an hour changes nothing, one that is set forward costs one negotiation': async (t, scene) => {
    await begin(scene)
    const before = scene.provider.calls().length
    scene.clock.jump(-HOUR)
    await scene.pass(MINUTE)
    t.equal(scene.provider.calls().length, before)
    t.equal((await scene.request()).status, 200)
    scene.clock.jump(HOUR)
    t.equal((await scene.request()).status, 200)
    await scene.pass(MINUTE)
    t.equal(scene.provider.calls().length, before + 1)
  },

  'T14, CherryHQ/stella#722: a token with 30 s left is replaced first, one with more is not': async (t, scene) => {
    await begin(scene)
    scene.suffer(DOWN)
    await scene.pass(SPENT_AT - 10)
    t.equal((await scene.request()).status, 200)
    await scene.pass(10)
    t.match(await scene.request(), UNAVAILABLE)
    scene.recover()
    await scene.pass(MINUTE)
    t.equal((await scene.request()).status, 200)
    const [first, last] = scene.sent()
    t.not(first, last)
  }
}

for (const kind of ['cognito', 'oauth2'] as const) {
  for (const [name, run] of Object.entries(scenarios)) {
    t.test(`${kind}: ${name}`, async (t) => {
      await run(t, await createScene(t, kind, worker), kind)
    })
  }

  t.test(`${kind}: OpenZeppelin/defender-sdk: an upstream that refuses every token causes no loop`, async (t) => {
    const scene = await createScene(t, kind, worker, () => ({ status: 401, body: '{"message":"not for you"}' }))
    await begin(scene)
    await scene.pass(3_000)
    const before = scene.provider.calls().length
    t.match(await scene.request(), { status: 401, body: '{"message":"not for you"}' })
    t.equal(scene.upstream.seen.length, 2, 'the request, and once more with another token')
    const end = scene.clock.wall() + MINUTE
    while (scene.clock.wall() < end) {
      const request = scene.request()
      // It may wait for the token to be old enough, by a clock that only this moves: once five others were answered it does.
      const waited = async (): Promise<undefined> => {
        for (let turn = 0; turn < 5; turn++) await scene.ready()
      }
      let response
      do {
        response = await Promise.race([request, waited()])
        await scene.pass(1_000)
      } while (response === undefined)
      t.equal(response.status, 401)
    }
    t.ok(scene.provider.calls().length - before <= 8, `${scene.provider.calls().length - before} negotiations in a minute`)
  })
}

t.test('cognito: T11, aws-amplify/amplify-js#13973: revoked refresh tokens cost one call and one login', async (t) => {
  const scene = await createScene(t, 'cognito', worker)
  await begin(scene)
  scene.suffer({ cognito: { type: 'dead-refresh-token' } })
  const before = scene.provider.calls().length
  await scene.pass(REFRESH_AT)
  t.same(scene.provider.calls().slice(before), ['REFRESH_TOKEN_AUTH', 'USER_SRP_AUTH', 'PASSWORD_VERIFIER'])
  t.equal((await scene.request()).status, 200)
})

async function begin (scene: Scene): Promise<void> {
  scene.start()
  await scene.idle()
  await settle()
}

function faultNamed (name: string): NonNullable<typeof FAULTS[string]> {
  const fault = FAULTS[name]
  if (fault === undefined) throw new Error(`the table has no ${name}`)
  return fault
}
