import t from 'tap'
import { startDaemon } from '../helpers/daemon.ts'
import { call, type PlainResponse } from '../helpers/plain-client.ts'
import { canariesIn, startWorld, type World } from '../helpers/world.ts'

const BODY = JSON.stringify({ to: '0x1', data: 'x'.repeat(10_000) })

t.test('an API that revokes tokens early', async (t) => {
  const revoked = new Set<string>()
  const world = await startWorld({
    respond: ({ headers }) =>
      revoked.has(headers.authorization ?? '') ? { status: 401, body: '{"message":"revoked"}' } : { status: 200, body: '{}' }
  })
  const dir = t.testdir({ 'countersign.jsonc': world.config })
  const daemon = startDaemon(['serve', '-c', `${dir}/countersign.jsonc`], { env: { ...world.secrets, COUNTERSIGN_LOG_LEVEL: 'trace' } })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
    await world.close()
  })
  const { address, admin } = await daemon.line('listening')
  await daemon.line('ready')
  const post = (): Promise<PlainResponse> =>
    call(address, '/a/txs', { method: 'POST', headers: { 'content-type': 'application/json' }, body: BODY })
  const revoke = (): void => { revoked.add(world.api.seen.at(-1)?.headers.authorization ?? '') }

  await t.test('costs no caller an error, and the identity provider one refresh', async (t) => {
    t.equal((await post()).status, 200)
    revoke()
    const before = world.api.seen.length
    const responses = await Promise.all(Array.from({ length: 50 }, post))
    t.ok(responses.every(({ status }) => status === 200))
    t.equal(refreshesOf(world, world.secrets.KEY_A), 1)
    t.equal(refreshesOf(world, world.secrets.KEY_B), 0, 'another key on the same client id is another credential')
    const seen = world.api.seen.slice(before)
    t.equal(seen.filter(({ headers }) => !revoked.has(headers.authorization ?? '')).length, 50, 'each was let through once')
    t.ok(seen.length <= 100, 'and sent twice at most')
    t.ok(seen.every(({ body }) => body === BODY))
    t.match((await call(admin, '/metrics')).body, /countersign_replays_total\{credential="a"\} \d+/)
  })

  await t.test('a token that was replaced a moment ago, and accepted since, is replaced at once as well', async (t) => {
    for (const turn of [2, 3]) {
      revoke()
      t.equal((await post()).status, 200)
      t.equal(refreshesOf(world, world.secrets.KEY_A), turn)
    }
  })

  await t.test('while the identity provider is down the API\'s own response is passed on', async (t) => {
    world.emulator.faults.add({ type: 'bad-gateway', times: Infinity })
    t.equal((await call(address, '/orders/1')).status, 200)
    revoke()
    t.match(await call(address, '/orders/1'), { status: 401, body: '{"message":"revoked"}' })
    t.equal((await call(address, '/b/1')).status, 200, 'nobody else notices')
    revoked.delete(world.api.seen.find(({ url }) => url === '/v2/1')?.headers.authorization ?? '')
    t.equal((await call(address, '/orders/1')).status, 200, 'and the token is still there')
  })

  await t.test('no secret or token was printed', async (t) => {
    daemon.kill('SIGTERM')
    t.equal(await daemon.exit, 0)
    const output = daemon.stdout() + daemon.stderr()
    t.same(canariesIn(output, world.secrets), [])
    t.notMatch(output, /eyJ[\w-]{20,}/)
  })
})

function refreshesOf (world: World, user: string): number {
  return world.emulator.record.filter(
    ({ username, flow, tokenId }) => username === user && flow === 'REFRESH_TOKEN_AUTH' && tokenId !== undefined
  ).length
}
