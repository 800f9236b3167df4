import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { interpretCommand } from '../helpers/command.ts'
import { runCommand } from '../helpers/daemon.ts'

const CONFIG = new URL('../../config/', import.meta.url)
const SECRETS = { KEY: 'CANARY-KEY-4711', SECRET: 'CANARY-PW-4711', CALLER: 'CANARY-CALLER-4711-4711' }

t.test('attack proves a configuration, and touches nothing that it names', async (t) => {
  const [provider, upstream, listen, admin] = await Promise.all([startTripwire(t), startTripwire(t), startTripwire(t), startTripwire(t)])
  // Its own ports are taken, as by the daemon that runs.
  const cwd = t.testdir({
    'countersign.jsonc': `{
      "listen": "127.0.0.1:${listen.port}", "admin": "127.0.0.1:${admin.port}", "callerToken": "\${CALLER}",
      "credentials": { "relayer": { "type": "defender-relayer", "apiKey": "\${KEY}", "apiSecret": "\${SECRET}", "endpoint": "http://127.0.0.1:${provider.port}" } },
      "routes": [{ "prefix": "/relayer", "upstream": "http://127.0.0.1:${upstream.port}/\${KEY}", "credential": "relayer", "allow": ["POST /txs", "GET /txs/*"], "timeoutMs": 50 }]
    }`
  })
  const { status, stdout, stderr } = await runCommand(['attack', '-c', 'countersign.jsonc'], { cwd, env: SECRETS })
  t.equal(status, 0, 'nothing got through', { stdout })
  t.equal(stderr, '')
  t.match(stdout, /^\/relayer\n {2}browser +\d+ refused +1 passed harmlessly +0 got through\n/)
  t.match(stdout, /\n\d{3,} attempts on 1 route: nothing got through\n$/)
  t.notMatch(stdout, 'CANARY')
  for (const place of [provider, upstream, listen, admin]) t.equal(place.accepted(), 0)
})

t.test('attack --json is the same report as data', async (t) => {
  const cwd = t.testdir({
    'countersign.jsonc':
      '{ "admin": "off", "routes": [{ "prefix": "/a", "upstream": "https://api.example.com/v1" }, { "listen": "127.0.0.1:8090", "upstream": "https://api.example.com" }] }'
  })
  const { status, stdout } = await interpretCommand(['attack', '--json', '-c', 'countersign.jsonc'], { cwd })
  t.equal(status, 0)
  const report = JSON.parse(stdout) as {
    attempts: number
    failures: unknown[]
    counts: Array<{ route: string, group: string, refused: number, passed: number, gotThrough: number, notApplicable: string[] }>
  }
  t.same(report.failures, [])
  t.equal(report.attempts, report.counts.reduce((sum, { refused, passed, gotThrough }) => sum + refused + passed + gotThrough, 0))
  t.match(
    report.counts.find(({ route, group }) => route === '/a' && group === 'callers'),
    { refused: 0, notApplicable: ['B11', 'B12'] },
    'no admin listener, no caller token'
  )
  t.match(
    report.counts.find(({ route, group }) => route === '/a' && group === 'policy'),
    { notApplicable: ['P5', 'P6', 'P10'] },
    'no allow list'
  )
})

t.test('the example resists that has a credential in every place, and relayed values', async (t) => {
  const { status, stdout, stderr } = await interpretCommand([
    'attack',
    '-c',
    fileURLToPath(new URL('relay.example.jsonc', CONFIG)),
    '-s',
    fileURLToPath(new URL('secrets.example.env', CONFIG))
  ])
  t.equal(status, 0, 'nothing got through', { stdout, stderr })
})

t.test('a configuration that is not good, or has no route, proves nothing', async (t) => {
  const cwd = t.testdir({ 'bad.jsonc': '{ "routes": 1 }', 'empty.jsonc': '{ "routes": [] }' })
  t.match(await interpretCommand(['attack', '-c', 'bad.jsonc'], { cwd }), { status: 78, stdout: '', stderr: /bad\.jsonc:1:13/ })
  t.match(await interpretCommand(['attack', '-c', 'empty.jsonc'], { cwd }), { status: 1, stderr: /no route/ })
})

/** Something that must not be called. */
async function startTripwire (t: Test): Promise<{ readonly port: number, readonly accepted: () => number }> {
  let accepted = 0
  const server = createServer((socket) => {
    accepted++
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return { port: (server.address() as AddressInfo).port, accepted: () => accepted } // a TCP server that listens
}
