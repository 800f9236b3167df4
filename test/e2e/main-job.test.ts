import t from 'tap'
import { startDaemon } from '../helpers/daemon.ts'
import { valuesOf } from '../helpers/api.ts'
import { call } from '../helpers/plain-client.ts'
import { canariesIn, startWorld } from '../helpers/world.ts'

t.test('an app without credentials reaches a protected API', async (t) => {
  const world = await startWorld()
  const dir = t.testdir({ 'countersign.jsonc': world.config })
  const daemon = startDaemon(['serve', '-c', `${dir}/countersign.jsonc`], { env: { ...world.secrets, COUNTERSIGN_LOG_LEVEL: 'trace' } })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
    await world.close()
  })
  const { address, admin, routes } = await daemon.line('listening')
  t.match(address, /^127\.0\.0\.1:\d+$/, 'the real address is logged')
  t.same(routes, [], 'no route has a listener of its own')

  await t.test('fifty concurrent first requests cause one login', async (t) => {
    const responses = await Promise.all(Array.from({ length: 50 }, () => call(address, '/a/txs?x=1')))
    t.ok(responses.every(({ status }) => status === 200))
    const logins = world.emulator.record.filter(
      ({ username, operation }) => username === world.secrets.KEY_A && operation === 'RespondToAuthChallenge'
    )
    t.equal(logins.length, 1)
    t.equal(world.api.seen.length, 50)
    for (const request of world.api.seen) {
      t.same(valuesOf(request.rawHeaders, 'x-api-key'), [world.secrets.KEY_A], 'one X-Api-Key')
      const [authorization, ...more] = valuesOf(request.rawHeaders, 'authorization')
      t.equal(more.length, 0, 'one Authorization')
      t.match(world.emulator.verify(String(authorization).slice('Bearer '.length)), { token_use: 'access', username: world.secrets.KEY_A })
      t.equal(request.url, '/txs?x=1')
    }
  })

  await t.test('what the client sends under an injected name is gone', async (t) => {
    const before = world.api.seen.length
    await call(address, '/b/x', {
      headers: {
        Authorization: 'Bearer evil',
        'X-Api-Key': 'evil',
        x_api_key: 'evil',
        'Proxy-Authorization': 'Basic evil',
        'X-Forwarded-For': '1.2.3.4'
      }
    })
    const [request] = world.api.seen.slice(before)
    t.same(valuesOf(request?.rawHeaders ?? [], 'x-api-key'), [world.secrets.KEY_B])
    t.notOk(JSON.stringify(request?.rawHeaders).includes('evil'))
    t.same(valuesOf(request?.rawHeaders ?? [], 'x-forwarded-for'), [])
  })

  await t.test('the base path of the upstream is kept and the prefix removed', async (t) => {
    const before = world.api.seen.length
    await call(address, '/orders/1?a=%20+&b')
    await call(address, '/orders')
    t.same(world.api.seen.slice(before).map(({ url }) => url), ['/v2/1?a=%20+&b', '/v2'])
  })

  await t.test('the admin listener tells what is going on', async (t) => {
    await daemon.line('ready')
    for (const path of ['/startup', '/live', '/ready']) t.equal((await call(admin, path)).status, 200, path)
    const status = JSON.parse((await call(admin, '/status')).body) as { ready: boolean, credentials: object[], routes: object[] }
    t.match(status, {
      ready: true,
      version: /^\d/,
      credentials: [
        { name: 'a', type: 'defender-relayer', state: 'fresh', logins: 1, failures: 0, lastError: null },
        { name: 'b' },
        { name: 'orders', type: 'cognito' }
      ]
    })
    t.match(status.routes, [
      { prefix: '/a', listen: address, upstream: world.api.url, credential: 'a', schemes: ['apiKey header X-Api-Key', 'http bearer'] },
      {},
      {}
    ])
    const metrics = (await call(admin, '/metrics')).body
    t.match(metrics, /countersign_requests_total\{route="\/a",method="GET",status="2xx"\} 50/)
    t.match(metrics, /countersign_token_fetches_total\{credential="a",kind="login",outcome="ok"\} 1/)
  })

  await t.test('SIGTERM ends it with 0, and no secret was ever printed', async (t) => {
    daemon.kill('SIGTERM')
    t.equal(await daemon.exit, 0)
    const output = daemon.stdout() + daemon.stderr()
    t.same(canariesIn(output, world.secrets), [])
    t.notMatch(output, /eyJ[\w-]{20,}/, 'no token either')
    t.ok(output.split('\n').some((line) => line.includes('"msg":"stopped"')))
  })
})
