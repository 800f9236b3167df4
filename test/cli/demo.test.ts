import { existsSync } from 'node:fs'
import t from 'tap'
import { startDaemon } from '../helpers/daemon.ts'
import { call } from '../helpers/plain-client.ts'

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
  const answer = await call(proxy, '/relayer/txs', { method: 'POST', body: '{}' })
  t.equal(answer.status, 200)
  t.match(JSON.parse(answer.body), { verdict: /^let in: a genuine access token/, arrived: { method: 'POST', path: '/txs', headers: { 'x-api-key': /…/, authorization: /^Bearer .*…/ }, body: '{}' } })
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
