import { setInterval } from 'node:timers/promises'
import t from 'tap'
import { startDaemon } from '../helpers/daemon.ts'
import { call } from '../helpers/plain-client.ts'
import { startWorld } from '../helpers/world.ts'

const LIFETIME_MS = 20_000
const RUN_MS = 120_000
const REFRESH_TAKES_MS = 1000
// Several of each user while a refresh is under way.
const BETWEEN_REQUESTS_MS = 50

t.test(
  'in two minutes of 20-second tokens no request sees a token with under a tenth of its life left, and none waits for a refresh',
  async (t) => {
    const world = await startWorld({ lifetimeSeconds: LIFETIME_MS / 1000, extra: '"accessLog": false' })
    const dir = t.testdir({ 'countersign.jsonc': world.config })
    const daemon = startDaemon(['-c', `${dir}/countersign.jsonc`], { env: world.secrets })
    t.teardown(async () => {
      daemon.kill('SIGKILL')
      await daemon.exit
      await world.close()
    })
    const { address } = await daemon.line('listening')
    await daemon.line('ready')
    world.emulator.faults.add({
      type: 'slow',
      ms: REFRESH_TAKES_MS,
      operation: 'InitiateAuth',
      flow: 'REFRESH_TOKEN_AUTH',
      times: Infinity
    })

    const paths = ['/a', '/b', '/orders']
    const calls: Array<Promise<number>> = []
    const end = Date.now() + RUN_MS
    const pace = setInterval(BETWEEN_REQUESTS_MS)[Symbol.asyncIterator]()
    while (Date.now() < end) {
      await pace.next()
      calls.push(call(address, paths[calls.length % paths.length] ?? '').then(({ status }) => status))
    }
    await pace.return?.()
    const statuses = await Promise.all(calls)
    t.same(
      statuses.filter((status) => status !== 200),
      [],
      'every request is answered by the API'
    )
    t.equal(world.api.seen.length, calls.length, 'each once')

    const issued = new Map(world.emulator.record.flatMap(({ tokenId, at }) => (tokenId === undefined ? [] : [[tokenId, at] as const])))
    const seen = world.api.seen
      .map((request) => ({ at: request.at, claims: world.claimsOf(request) }))
      .map(({ at, claims }) => ({ at, token: String(claims?.['jti']), user: String(claims?.['username']) }))
    const least = Math.min(...seen.map(({ at, token }) => (issued.get(token) ?? -Infinity) + LIFETIME_MS - at))
    t.ok(least >= LIFETIME_MS / 10, `the token nearest to its end had ${least} ms left`)

    const refreshes = world.emulator.record.filter(
      ({ operation, flow, tokenId }) => operation === 'InitiateAuth' && flow === 'REFRESH_TOKEN_AUTH' && tokenId !== undefined
    )
    t.ok(refreshes.length >= 3 * 6, `${refreshes.length} refreshes`)
    // While the answer with the new token is held back, requests of that user reach the API with the old one.
    for (const refresh of refreshes.filter(({ at }) => at + REFRESH_TAKES_MS < end)) {
      const during = seen.filter(({ user, at }) => user === refresh.username && at > refresh.at && at < refresh.at + REFRESH_TAKES_MS)
      if (during.length === 0) t.fail('requests waited for a refresh', { refresh })
      if (during.some(({ token }) => token === refresh.tokenId)) t.fail('a token was used before it was given out', { refresh })
    }
    t.comment(`${calls.length} requests, ${refreshes.length} refreshes, ${least} ms left at the least`)
  }
)
