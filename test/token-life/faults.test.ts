/**
 * Every fault of an identity provider, of either kind, in every state of a credential, with and without traffic: what the
 * provider was asked, what the upstream saw, what clients got. Threats T1 to T4, T6 and T10.
 */
import t, { type Test } from 'tap'
import { startWorker } from '../helpers/cognito.ts'
import { FAULTS } from './provider.ts'
import { createScene, MINUTE, REFRESH_AT, SPENT_AT, type Scene } from './scene.ts'

// Thousands of real negotiations: a busy machine takes its time.
const worker = startWorker(t)
const TRAFFIC = ['no traffic', 'traffic'] as const
const BURST = 5

for (const kind of ['cognito', 'oauth2'] as const) {
  for (const [name, fault] of Object.entries(FAULTS)) {
    const code = fault.codes[kind]
    const error =
      fault.class === 'transient' ? { status: 503, code: 'CS_TOKEN_UNAVAILABLE' } : { status: 502, code: 'CS_CREDENTIAL_REJECTED' }
    const recoveryMs = fault.class === 'transient' ? 61_000 : 15 * MINUTE

    t.test(`${kind}: ${name}`, async (t) => {
      const asked = { starting: new Set<number>(), running: new Set<number>() }
      for (const traffic of TRAFFIC) {
        await t.test(`starting, ${traffic}`, async (t) => {
          const scene = await createScene(t, kind, worker)
          scene.suffer(fault)
          scene.start()
          const responses = burst(scene, traffic)
          await scene.idle()
          isRefused(t, await responses, error)
          t.match(scene.status(), { state: fault.class === 'transient' ? 'pending' : 'rejected', expiresAt: null, lastError: { code } })
          await scene.pass(16 * MINUTE)
          isRefused(t, await burst(scene, traffic), error)
          t.equal(scene.upstream.seen.length, 0, 'nothing was sent')
          isBounded(t, scene, 16 * MINUTE)
          asked.starting.add(scene.provider.calls().length)
          await recovers(t, scene, recoveryMs)
        })

        await t.test(`fresh, stale, expired, ${traffic}`, async (t) => {
          const scene = await createScene(t, kind, worker)
          scene.start()
          await scene.idle()
          const before = scene.provider.calls().length
          scene.suffer(fault)

          await scene.pass(REFRESH_AT - MINUTE)
          t.match(scene.status(), { state: 'fresh', lastError: null })
          await isServed(t, scene, traffic)
          t.equal(scene.provider.calls().length, before, 'fresh: the provider is left alone')

          await scene.pass(MINUTE)
          t.match(scene.status(), { state: 'stale', lastError: { code } })
          await isServed(t, scene, traffic)
          await scene.pass(SPENT_AT - REFRESH_AT - 2 * MINUTE)
          t.match(scene.status(), { state: 'stale', lastError: { code } })
          await isServed(t, scene, traffic)
          t.ok(new Set(scene.sent()).size <= 1, 'stale: the upstream saw the old token and no other')

          const seen = scene.upstream.seen.length
          await scene.pass(4 * MINUTE)
          t.match(scene.status(), { state: fault.class === 'transient' ? 'expired' : 'rejected', lastError: { code } })
          isRefused(t, await burst(scene, traffic), error)
          t.equal(scene.upstream.seen.length, seen, 'expired: nothing was sent')
          isBounded(t, scene, SPENT_AT - REFRESH_AT)
          asked.running.add(scene.provider.calls().length)
          await recovers(t, scene, recoveryMs)
          t.equal(scene.sent().filter((token) => token === scene.sent().at(-1)).length, 1, 'a token that the upstream had not seen')
        })
      }
      t.same([asked.starting.size, asked.running.size], [1, 1], 'the provider was asked as often with traffic as without')
    })
  }
}

for (const traffic of TRAFFIC) {
  t.test(`cognito: a refresh token that is revoked costs a login and nothing else, ${traffic}`, async (t) => {
    const scene = await createScene(t, 'cognito', worker)
    scene.start()
    await scene.idle()
    scene.suffer({ cognito: { type: 'dead-refresh-token' } })
    await scene.pass(REFRESH_AT)
    t.match(scene.status(), { state: 'fresh', lastError: null, logins: 2, refreshes: 0, failures: 1 })
    await isServed(t, scene, traffic)
    t.same(scene.events.map(({ kind, outcome }) => `${kind} ${outcome}`), ['login ok', 'refresh rejected', 'login ok'])
  })

  t.test(`cognito: a lockout is waited out for 15 minutes at a time, ${traffic}`, async (t) => {
    const scene = await createScene(t, 'cognito', worker)
    scene.suffer({ cognito: { type: 'lockout' } })
    scene.start()
    for (const quarters of [1, 2, 3]) {
      await scene.idle()
      t.equal(scene.events.length, quarters)
      isRefused(t, await burst(scene, traffic), { status: 502, code: 'CS_CREDENTIAL_REJECTED' })
      await scene.pass(15 * MINUTE - 1)
      t.equal(scene.events.length, quarters, 'not one attempt within 15 minutes')
      await scene.pass(1)
    }
  })
}

for (const kind of ['cognito', 'oauth2'] as const) {
  t.test(`${kind}: a wrong secret is tried five times in the first hour, and four times in each further one`, async (t) => {
    const scene = await createScene(t, kind, worker)
    const wrong = FAULTS['a wrong secret, or throttling in disguise']
    if (wrong === undefined) throw new Error('the table has this fault')
    scene.suffer(wrong)
    scene.start()
    let before = 0
    for (const most of [5, 4, 4]) {
      for (let minutes = 0; minutes < 60; minutes++) {
        await scene.pass(MINUTE)
        t.equal((await scene.request()).status, 502)
      }
      t.equal(scene.events.length - before, most)
      before = scene.events.length
    }
  })
}

async function burst ({ request }: Scene, traffic: typeof TRAFFIC[number]): Promise<Array<Awaited<ReturnType<Scene['request']>>>> {
  return await Promise.all(Array.from({ length: traffic === 'traffic' ? BURST : 0 }, request))
}

async function isServed (t: Test, scene: Scene, traffic: typeof TRAFFIC[number]): Promise<void> {
  t.ok((await burst(scene, traffic)).every(({ status }) => status === 200), 'clients are served')
}

function isRefused (
  t: Test,
  responses: Awaited<ReturnType<typeof burst>>,
  { status, code }: { readonly status: number, readonly code: string }
): void {
  for (const response of responses) {
    t.match(response, { status, headers: { 'proxy-status': /^countersign; error=/ } })
    t.match(JSON.parse(response.body), { statusCode: status, code })
    t.equal(Number(response.headers['retry-after']) >= 1, status === 503, 'Retry-After with 503 and only there')
  }
}

/** Full jitter at its longest: 2, 4, 8, 16, 32 and then 60 s. Refusals: after 5 s, then every 15 min. */
function isBounded (t: Test, { events, status }: Scene, ms: number): void {
  const attempts = events.filter(({ outcome }) => outcome !== 'ok').length
  const rejected = status().state === 'rejected'
  // A refresh that is refused and the login behind it are one attempt with two negotiations.
  const [least, most] = rejected ? [2, 2 * (2 + Math.ceil(ms / (15 * MINUTE)))] : [5, 6 + Math.ceil((ms + 4 * MINUTE) / MINUTE)]
  t.ok(attempts >= least && attempts <= most, `${attempts} attempts`)
}

/** Within one back-off, or the 15 minutes of a refusal, with nobody's help. */
async function recovers (t: Test, scene: Scene, withinMs: number): Promise<void> {
  scene.recover()
  await scene.pass(withinMs)
  t.match(scene.status(), { state: 'fresh', lastError: null })
  t.equal((await scene.request()).status, 200)
}
