import { existsSync } from 'node:fs'
import t from 'tap'
import { interpretCommand, interpretDaemon } from '../helpers/command.ts'
import { startDaemon } from '../helpers/daemon.ts'
import { call } from '../helpers/plain-client.ts'
import { temporaryFolder } from '../helpers/temp.ts'

t.test('the demo shows a request that arrives with credentials, and refreshes; Ctrl-C ends it cleanly', async (t) => {
  const demo = startDaemon(['demo', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'])
  t.teardown(async () => {
    demo.kill('SIGKILL')
    await demo.exit
  })
  const [, proxy] = await demo.shows(/proxy +http:\/\/(127\.0\.0\.1:\d+)/)
  const [, admin] = await demo.shows(/status +http:\/\/(127\.0\.0\.1:\d+)/)
  const [, api] = await demo.shows(/API +http:\/\/(127\.0\.0\.1:\d+)/)
  const [, file = ''] = await demo.shows(/configuration +(\S+)/)
  t.equal((await call(api, '/txs')).status, 401, 'without the proxy the API keeps everybody out')
  const response = await call(proxy, '/relayer/txs', { method: 'POST', body: '{}' })
  t.equal(response.status, 200)
  t.match(JSON.parse(response.body), {
    verdict: /^let in: a genuine access token/,
    arrived: { method: 'POST', path: '/txs', headers: { 'x-api-key': /…/, authorization: /^Bearer .*…/ }, body: '{}' }
  })
  t.equal((await call(proxy, '/maps/tiles')).status, 200)
  t.equal((await call(proxy, '/orders/1')).status, 200)
  t.equal((await call(proxy, '/relayer/x', { method: 'DELETE' })).status, 403)
  t.match(await demo.shows(/ {2}curl -i http:\S+\/relayer\/txs\n/), {})
  await demo.shows(/relayer +login \(SRP\) +new token/)
  t.equal((await call(admin, '/live')).status, 200)
  await demo.shows(/ refresh +new token/)
  demo.kill('SIGINT')
  t.equal(await demo.exit, 0)
  t.match(demo.stdout(), /The demo has ended/)
  t.equal(demo.stderr(), '')
  t.notOk(existsSync(file), 'its secrets are gone')
  t.notMatch(demo.stdout(), /[0-9a-f]{32}/, 'no secret was printed')
})

t.test('the demo listens where the environment says, and where the command line says rather', async (t) => {
  const folder = temporaryFolder(t)
  const [proxy, admin] = [`unix:${folder}/proxy.sock`, `unix:${folder}/admin.sock`]
  // Of the rest of the environment it takes nothing.
  const rest = { COUNTERSIGN_CALLER_TOKEN: 'a-token-that-nobody-knows', COUNTERSIGN_CONFIG: '/nowhere' }
  for (const [env, args] of [
    [{ COUNTERSIGN_LISTEN: proxy, COUNTERSIGN_ADMIN: admin }, []],
    [{ COUNTERSIGN_LISTEN: '127.0.0.1:1', COUNTERSIGN_ADMIN: 'nonsense' }, ['--listen', proxy, '--admin', admin]]
  ] as const) {
    const demo = interpretDaemon(['demo', ...args], { env: { ...rest, ...env, ...(args.length > 0 && { COUNTERSIGN_ADMIN: 'off' }) } })
    await demo.shows(/curl -i --unix-socket/)
    t.equal((await call(proxy, '/maps/tiles')).status, 200)
    t.equal((await call(admin, '/live')).status, 200)
    demo.kill('SIGTERM')
    t.equal(await demo.exit, 0)
  }
  const off = interpretDaemon(['demo'], { env: { COUNTERSIGN_LISTEN: proxy, COUNTERSIGN_ADMIN: 'off' } })
  await off.shows(/probes and status +off/)
  off.kill('SIGTERM')
  t.equal(await off.exit, 0)
})

t.test('an address of the environment is judged as for serve', async (t) => {
  for (const [env, said] of [
    [{ COUNTERSIGN_LISTEN: '' }, /^COUNTERSIGN_LISTEN {2}is empty/m],
    [{ COUNTERSIGN_ADMIN: 'CANARY' }, /^COUNTERSIGN_ADMIN {2}is no address/m],
    [{ COUNTERSIGN_LISTEN: '0.0.0.0:0', COUNTERSIGN_ADMIN: 'off' }, /allow-external|ALLOW_EXTERNAL/]
  ] as const) {
    const { status, stderr } = await interpretCommand(['demo'], { env })
    t.equal(status, 78)
    t.match(stderr, said)
    t.notMatch(stderr, /CANARY/)
  }
  const open = interpretDaemon(['demo'], {
    env: { COUNTERSIGN_LISTEN: '0.0.0.0:0', COUNTERSIGN_ADMIN: 'off', COUNTERSIGN_ALLOW_EXTERNAL: 'true' }
  })
  await open.shows(/curl/)
  open.kill('SIGTERM')
  t.equal(await open.exit, 0)
})
