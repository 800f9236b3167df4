import { connect, createServer, type AddressInfo } from 'node:net'
import { existsSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { interpretCommand, interpretDaemon } from '../helpers/command.ts'
import { runCommand, startDaemon, type Daemon } from '../helpers/daemon.ts'
import { call } from '../helpers/plain-client.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { canariesIn, startWorld, type World } from '../helpers/world.ts'

type Begin = typeof startDaemon | typeof interpretDaemon

async function serve (t: Test, world: World, begin: Begin = startDaemon, args: readonly string[] = []): Promise<Daemon> {
  const dir = t.testdir({ 'countersign.jsonc': world.config })
  const daemon = begin(['serve', '-c', `${dir}/countersign.jsonc`, ...args], { env: { ...world.secrets, COUNTERSIGN_LOG_LEVEL: 'trace' } })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
    await world.close()
  })
  return daemon
}

t.test('a wrong password is 502, said once to people, and never shown', async (t) => {
  const world = await startWorld()
  world.emulator.setPassword('us-west-2_Relayers1', world.secrets.KEY_A, 'another')
  const daemon = await serve(t, world)
  const { address, admin } = await daemon.line('listening')
  const response = await call(address, '/a/txs')
  t.equal(response.status, 502)
  t.match(JSON.parse(response.body), { statusCode: 502, code: 'CS_CREDENTIAL_REJECTED', error: 'Bad Gateway' })
  t.equal(response.headers['proxy-status'], 'countersign; error=proxy_configuration_error')
  t.equal(response.headers['cache-control'], 'no-store')
  t.same(world.api.seen, [], 'nothing was sent')
  t.equal((await call(address, '/b/txs')).status, 200, 'the other key works')
  t.equal((await call(admin, '/ready')).status, 503)
  t.match(JSON.parse((await call(admin, '/ready')).body), { missing: ['a'] })
  t.equal((await call(admin, '/startup')).status, 200)
  const status = (await call(admin, '/status')).body
  t.match(JSON.parse(status), {
    ready: false,
    credentials: [{ name: 'a', state: 'rejected', lastError: { code: 'NotAuthorizedException' } }, { state: 'fresh' }, {}]
  })
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
  t.same(canariesIn(daemon.stdout() + daemon.stderr() + status + response.body, world.secrets), [])
})

t.test('an identity provider that is away is 503 with Retry-After, and nothing is sent', async (t) => {
  const world = await startWorld()
  await world.emulator.close()
  const daemon = await serve(t, world, interpretDaemon)
  const { address, admin } = await daemon.line('listening')
  const response = await call(address, '/a/txs')
  t.equal(response.status, 503)
  t.match(JSON.parse(response.body), { code: 'CS_TOKEN_UNAVAILABLE' })
  t.match(response.headers['retry-after'], /^\d+$/)
  t.same(world.api.seen, [])
  t.equal((await call(admin, '/live')).status, 200)
  t.equal((await call(admin, '/ready')).status, 503)
  daemon.kill('SIGINT')
  t.equal(await daemon.exit, 0)
  t.same(canariesIn(daemon.stdout() + daemon.stderr(), world.secrets), [])
})

t.test('bad configuration is 78 with every problem and its place', async (t) => {
  const dir = t.testdir({
    'broken.jsonc': '{\n  "listen": "127.0.0.1:0"\n  "routes": []\n}\n',
    'missing.jsonc':
      '{\n  "credentials": {\n    "a": { "type": "static", "value": "${NOT_THERE}" },\n    "b": { "type": "static", "value": "${NEITHER}", "colour": "red" }\n  },\n  "routes": [{ "prefix": "/a", "upstream": "http://example.com", "credential": "c" }]\n}\n',
    folder: {}
  })
  const broken = await runCommand(['serve', '-c', `${dir}/broken.jsonc`])
  t.equal(broken.status, 78)
  t.match(broken.stderr, /broken\.jsonc:3:3 {2}/)
  t.equal(broken.stdout, '', 'stdout carries results only')

  const missing = await interpretCommand(['serve', '-c', `${dir}/missing.jsonc`])
  t.equal(missing.status, 78)
  for (const pattern of [
    /missing\.jsonc:3:\d+ {2}credentials\.a\.value .*NOT_THERE/,
    /missing\.jsonc:4:\d+ .*NEITHER/,
    /colour/,
    /missing\.jsonc:6:\d+ {2}routes\[0\]\.upstream/,
    /missing\.jsonc:6:\d+ {2}routes\[0\]\.credential/
  ]) { t.match(missing.stderr, pattern) }
  t.match((await interpretCommand(['check', '-c', `${dir}/missing.jsonc`])).stderr, /NOT_THERE[^]*NEITHER/, 'check says the same')

  const absent = await interpretCommand(['serve', '-c', `${dir}/nothing.jsonc`])
  t.equal(absent.status, 78)
  t.match(absent.stderr, /nothing\.jsonc.*does not exist/)
  const folder = await interpretCommand(['serve', '-c', `${dir}/folder`])
  t.equal(folder.status, 78)
  t.match(folder.stderr, /is a directory/)
})

t.test('with nothing configured the three ways to start are shown', async (t) => {
  const { status, stderr } = await runCommand(['serve'], { cwd: t.testdir({}) })
  t.equal(status, 78)
  t.match(stderr, /RELAYER_API_KEY/)
  t.match(stderr, /countersign\.jsonc|--config/)
  t.match(stderr, /countersign demo/)
})

t.test('a port in use is 69 with what to do', async (t) => {
  const world = await startWorld()
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => { taken.once('listening', resolve) })
  t.teardown(() => { taken.close() })
  const { port } = taken.address() as AddressInfo
  for (const option of ['--listen', '--admin']) {
    const daemon = await serve(t, world, option === '--listen' ? startDaemon : interpretDaemon, [option, `127.0.0.1:${port}`])
    t.equal(await daemon.exit, 69)
    t.match(daemon.stderr(), new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: something else listens there`))
  }
})

t.test(
  'routes with a listener of their own are listed, shown and drained; one that cannot be opened is 69 and leaves nothing',
  async (t) => {
    const world = await startWorld()
    const socket = `${temporaryFolder(t)}/route.sock`
    const routes = (address: string): string =>
      world.config.replace(
        '"routes": [',
        `"routes": [
    { "listen": "127.0.0.1:0", "upstream": "${world.api.url}", "credential": "a" },
    { "prefix": "/socket", "listen": "unix:${socket}", "upstream": "${world.api.url}/v2", "credential": "b" },
    { "listen": "${address}", "upstream": "${world.api.url}" },`
      )
    const daemon = await serve(t, { ...world, config: routes('127.0.0.1:0') }, interpretDaemon)
    const {
      address,
      admin,
      routes: listed
    } = (await daemon.line('listening')) as { address: string, admin: string, routes: Array<{ listen: string, address: string }> }
    t.match(listed, [
      { listen: '127.0.0.1:0', address: /^127\.0\.0\.1:\d+$/ },
      { listen: `unix:${socket}`, address: `unix:${socket}` },
      { listen: '127.0.0.1:0', address: /^127\.0\.0\.1:\d+$/ }
    ])
    const [own = '', , open = ''] = listed.map((one) => one.address)
    t.equal(new Set([address, admin, own, open]).size, 4)
    t.equal((await call(own, '/a/b?c')).status, 200)
    t.equal(world.api.seen.at(-1)?.url, '/a/b?c')
    t.equal((await call(`unix:${socket}`, '/x')).status, 200)
    t.equal(world.api.seen.at(-1)?.url, '/v2/x')
    t.equal((await call(address, '/orders/x')).status, 200)
    const status = JSON.parse((await call(admin, '/status')).body) as { routes: Array<{ prefix: string | null, listen: string }> }
    t.same(
      status.routes.slice(0, 4).map(({ prefix, listen }) => [prefix, listen]),
      [
        [null, own],
        ['/socket', `unix:${socket}`],
        [null, open],
        ['/a', address]
      ]
    )
    daemon.kill('SIGTERM')
    t.equal(await daemon.exit, 0)
    for (const closed of [address, own, `unix:${socket}`, open]) await t.rejects(call(closed, '/'))

    const taken = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => {
      taken.once('listening', resolve)
    })
    t.teardown(() => {
      taken.close()
    })
    const { port } = taken.address() as AddressInfo
    const failing = await serve(t, { ...world, config: routes(`127.0.0.1:${port}`) }, interpretDaemon)
    t.equal(await failing.exit, 69)
    t.match(failing.stderr(), new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: something else listens there; .*listen`))
    t.notMatch(failing.stdout(), '"listening"')
    t.notOk(existsSync(socket), 'the socket of the route before it is gone')
  }
)

t.test('an address that other machines can reach is refused without --allow-external', async (t) => {
  const world = await startWorld()
  for (const address of ['0.0.0.0:0', '[::]:0', 'example.com:0']) {
    const daemon = await serve(t, world, interpretDaemon, ['--listen', address])
    t.equal(await daemon.exit, 78, address)
    t.match(daemon.stderr(), /allow-external/)
  }
  const allowed = await serve(t, world, interpretDaemon, ['--listen', '0.0.0.0:0', '--allow-external'])
  const { address } = await allowed.line('listening')
  t.match(address, /^0\.0\.0\.0:\d+$/)
  t.equal((await call(String(address).replace('0.0.0.0', '127.0.0.1'), '/a')).status, 200)
})

t.test('environment alone starts the Relayer and Admin presets, with secrets from files', async (t) => {
  const dir = t.testdir({ secret: 'CANARY-relayer-secret\n' })
  const socket = `unix:${temporaryFolder(t)}/proxy.sock`
  const daemon = startDaemon(['serve', '--listen', socket, '--admin', '127.0.0.1:0'], {
    // The preset's own hosts are out of reach here: a proxy that refuses stands for every network.
    env: {
      RELAYER_API_KEY: 'CANARY-relayer-key',
      RELAYER_API_SECRET_FILE: `${dir}/secret`,
      ADMIN_API_KEY: 'CANARY-admin-key',
      ADMIN_API_SECRET: 'CANARY-admin-secret',
      HTTPS_PROXY: 'http://user:CANARY-proxy@127.0.0.1:1'
    },
    cwd: dir
  })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const { address, admin } = await daemon.line('listening')
  t.equal(address, socket)
  const status = (await call(admin, '/status')).body
  t.match(JSON.parse(status), {
    credentials: [
      { name: 'relayer', type: 'defender-relayer' },
      { name: 'admin', type: 'defender-admin' }
    ],
    routes: [
      { prefix: '/relayer', upstream: 'https://api.defender.openzeppelin.com' },
      { prefix: '/admin', upstream: 'https://defender-api.openzeppelin.com' }
    ]
  })
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
  t.notMatch(daemon.stdout() + daemon.stderr() + status, /CANARY/)
})

t.test('requests in flight finish after SIGTERM, readiness goes first, and new connections are refused', async (t) => {
  const world = await startWorld()
  const daemon = await serve(t, world)
  const { address, admin } = await daemon.line('listening')
  await daemon.line('ready')
  const [host = '', port = ''] = String(address).split(':')
  const socket = connect(Number(port), host)
  let received = ''
  socket.setEncoding('utf8').on('data', (text: string) => { received += text })
  socket.write(`POST /a/txs HTTP/1.1\r\nHost: ${String(address)}\r\nContent-Length: 2\r\n\r\n{`)
  await new Promise((resolve) => { socket.once('ready', resolve) })
  // Answered in order: behind this one the daemon has seen the first half of the other.
  await call(address, '/b')
  daemon.kill('SIGTERM')
  await daemon.line('draining')
  t.equal((await call(admin, '/ready')).status, 503, 'the admin listener stays until the end')
  await t.rejects(call(address, '/b'), 'no new connection')
  socket.write('}')
  await new Promise((resolve) => { socket.once('close', resolve) })
  t.match(received, /^HTTP\/1\.1 200 OK\r\n/)
  t.equal(await daemon.exit, 0)
})

t.test('a second signal ends it at once', async (t) => {
  const world = await startWorld()
  const daemon = await serve(t, world)
  const { address } = await daemon.line('listening')
  await daemon.line('ready')
  const [host = '', port = ''] = String(address).split(':')
  const socket = connect(Number(port), host)
  socket.on('error', () => {})
  socket.write(`POST /a/txs HTTP/1.1\r\nHost: ${String(address)}\r\nContent-Length: 2\r\n\r\n{`)
  await call(address, '/b')
  daemon.kill('SIGTERM')
  await daemon.line('draining')
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 143)
})

t.test('a secrets file beside the configuration is read, and its secrets stay in it', async (t) => {
  const world = await startWorld()
  t.teardown(() => world.close())
  const dir = t.testdir({ config: { 'countersign.jsonc': world.config } })
  writeFileSync(
    `${dir}/config/secrets.env`,
    Object.entries(world.secrets)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
    { mode: 0o600 }
  )
  const { status, stdout, stderr } = await runCommand(['check'], { cwd: dir })
  t.equal(status, 0)
  t.equal(stdout, 'configuration is good: 3 credentials, 3 routes\n')
  t.same(canariesIn(stdout + stderr, world.secrets), [])
})
