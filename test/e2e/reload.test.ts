import { once } from 'node:events'
import { existsSync, readdirSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { Agent, createServer, get, type ServerResponse } from 'node:http'
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { startApi } from '../helpers/api.ts'
import { createAuthority } from '../helpers/certificates.ts'
import { interpretDaemon } from '../helpers/command.ts'
import { call } from '../helpers/plain-client.ts'
import { startUpstream } from '../helpers/recording-upstream.ts'
import { ANY_PORT, startReloadable } from '../helpers/reloadable.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'
import { openWebSocket, startWebSocketUpstream } from '../helpers/websocket.ts'
import { startWorld } from '../helpers/world.ts'

t.test('bursts of fifty requests meet ten reloads, and every one is answered by one configuration or the other', async (t) => {
  const world = await startWorld()
  t.teardown(() => world.close())
  const version = (number: number): string => world.config.replace(`"${world.api.url}"`, `"${world.api.url}/v${number}"`)
    .replace('"routes": [', `"routes": [${number % 2 === 0 ? '' : `{ "prefix": "/odd", "upstream": "${world.api.url}" },`}`)
  const { address, configure, daemon } = await startReloadable(t, version(0), { env: world.secrets })
  await daemon.line('ready')
  const agent = new Agent({ keepAlive: true, maxSockets: 25 })
  t.teardown(() => { agent.destroy() })
  const failures = new Set<string>()
  let bursts = 0
  const over = new AbortController()
  const fire = async (): Promise<void> => {
    while (!over.signal.aborted) {
      bursts++
      const responses = await Promise.all(Array.from({ length: 50 }, async (_, index) => {
        if (index % 2 === 0) return (await call(address, '/a/x')).status
        return await new Promise<number>((resolve, reject) => {
          get(`http://${address}/orders/x`, { agent }, (response) => {
            response.resume().on('end', () => { resolve(response.statusCode ?? 0) }).on('error', reject)
          }).on('error', reject)
        })
      }).map((response) => response.catch((error: Error) => error.message)))
      for (const response of responses) if (response !== 200) failures.add(String(response))
    }
  }
  const firing = fire()
  for (let number = 1; number <= 10; number++) {
    const before = bursts
    await configure(version(number))
    t.equal((await call(address, '/a/x')).status, 200)
    t.ok(world.api.seen.some(({ url }) => url === `/v${number}/x`), `version ${number} serves`)
    t.equal((await call(address, '/odd/x')).status, number % 2 === 0 ? 404 : 200)
    await until('a burst under the new configuration', () => bursts > before + 1)
  }
  over.abort()
  await firing
  t.same([...failures], [])
  t.ok(bursts > 20, `${bursts} bursts`)
  t.equal(world.emulator.record.filter(({ flow }) => flow === 'PASSWORD_VERIFIER').length, 3, 'each credential has logged in once')
})

t.test('a stream and a WebSocket go on under the configuration that they began with', async (t) => {
  const responses: ServerResponse[] = []
  const streaming = createServer((_request, response) => {
    response.write('first ')
    responses.push(response)
  }).listen(0, '127.0.0.1')
  await once(streaming, 'listening')
  t.teardown(() => {
    streaming.closeAllConnections()
    streaming.close()
  })
  const chat = await startWebSocketUpstream(t)
  const socketPath = `${temporaryFolder(t)}/own.sock`
  const routes = [
    { prefix: '/stream', upstream: `http://127.0.0.1:${(streaming.address() as AddressInfo).port}` },
    { prefix: '/chat', upstream: chat.url },
    { listen: `unix:${socketPath}`, upstream: chat.url }
  ]
  const { address, configure, daemon } = await startReloadable(t, { ...ANY_PORT, routes }, { here: true })
  const received = call(address, '/stream')
  const sockets = [openWebSocket(`ws://${address}/chat`), openWebSocket(`ws+unix://${socketPath}:/chat`)]
  await Promise.all(sockets.map((socket) => once(socket, 'open')))
  await until('the stream to begin', () => responses.length === 1)

  await configure({ ...ANY_PORT, routes: [{ prefix: '/other', upstream: chat.url }] })
  t.equal((await call(address, '/stream')).status, 404)
  t.notOk(existsSync(socketPath), 'the listener of the removed route is closed')
  for (let round = 1; round <= 3; round++) {
    await configure({ ...ANY_PORT, routes: [{ prefix: `/other${round}`, upstream: chat.url }] })
    for (const socket of sockets) {
      socket.send(`round ${round}`)
      t.equal(String((await once(socket, 'message'))[0]), `round ${round}`)
    }
  }
  responses[0]?.end('last')
  t.equal((await received).body, 'first last')
  for (const socket of sockets) socket.close()
  await Promise.all(sockets.map((socket) => once(socket, 'close')))
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
})

t.test('a bad configuration is told with all its problems, and the old one keeps serving', async (t) => {
  const api = await startApi()
  t.teardown(() => api.close())
  const good = { ...ANY_PORT, routes: [{ prefix: '/a', upstream: api.url }] }
  const { address, configure, refuse, daemon, dir, status, metric } = await startReloadable(t, good, { here: true })
  t.equal((await status()).reload, null)
  await refuse(`{
  "listen": "127.0.0.1:0", "admin": "127.0.0.1:0",
  "routes": [
    { "prefix": "/b", "upstream": "http://example.com" },
    { "prefix": "/c", "upstream": "${api.url}", "credential": "nobody" }
  ]
}`)
  const problems = daemon.lines().filter(({ msg }) => msg === 'configuration problem').map(({ problem }) => String(problem))
  t.match(problems, [/countersign\.jsonc:4:\d+ {2}routes\[0\]\.upstream {2}/, /countersign\.jsonc:5:\d+ {2}routes\[1\]\.credential {2}/])
  t.equal((await call(address, '/a')).status, 200)
  t.match(await status(), { reload: { outcome: 'invalid' }, routes: [{ prefix: '/a' }] })
  t.equal(await metric('countersign_reloads_total{outcome="invalid"}'), 1)

  await refuse('{')
  unlinkSync(`${dir}/countersign.jsonc`)
  await daemon.line('reload failed, the old configuration keeps serving', 3)
  t.match(daemon.lines().filter(({ msg }) => msg === 'configuration problem').at(-1), { problem: /does not exist/ })
  t.equal((await call(address, '/a')).status, 200)

  await configure({ ...good, routes: [{ prefix: '/b', upstream: api.url }] })
  t.equal((await call(address, '/b')).status, 200)
  t.match(await status(), { reload: { outcome: 'ok' } })
  t.equal(await metric('countersign_reloads_total{outcome="ok"}'), 1)
  t.ok((await metric('countersign_config_last_reload_success_timestamp_seconds') ?? 0) > Date.now() / 1000 - 60)
  t.ok((await metric('countersign_requests_total{route="/a",method="GET",status="2xx"}') ?? 0) >= 2, 'counters go on')
})

t.test('a usual file that is gone is a problem, even where the environment could do without', async (t) => {
  const api = await startApi()
  t.teardown(() => api.close())
  const dir = t.testdir({ config: { 'countersign.jsonc': JSON.stringify({ ...ANY_PORT, routes: [{ prefix: '/a', upstream: api.url }] }) } })
  const daemon = interpretDaemon(['serve'], { cwd: dir, env: { RELAYER_API_KEY: 'key', RELAYER_API_SECRET: 'secret' } })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const { address } = await daemon.line('listening')
  renameSync(`${dir}/config/countersign.jsonc`, `${dir}/config/away`)
  daemon.kill('SIGHUP')
  await daemon.line('reload failed, the old configuration keeps serving')
  t.match(daemon.lines().find(({ msg }) => msg === 'configuration problem'), { problem: /countersign\.jsonc {2}this file does not exist/ })
  t.equal((await call(address, '/a')).status, 200)
})

t.test('SIGHUP reads everything again, and credentials that did not change log in no second time', async (t) => {
  const world = await startWorld()
  t.teardown(() => world.close())
  const { address, daemon, reloaded, status } = await startReloadable(t, world.config, { env: world.secrets })
  await daemon.line('ready')
  await call(address, '/a/x')
  const calls = world.emulator.record.length
  for (let count = 0; count < 3; count++) await reloaded(() => { daemon.kill('SIGHUP') })
  await call(address, '/a/x')
  t.equal(world.emulator.record.length, calls)
  t.equal(new Set(world.api.seen.map(({ headers }) => headers.authorization)).size, 1, 'the very token')
  t.match((await status()).credentials, [{ state: 'fresh', logins: 1 }, { state: 'fresh', logins: 1 }, { state: 'fresh', logins: 1 }])
  t.match(daemon.lines().filter(({ msg }) => msg === 'reloading'), [{ reason: 'SIGHUP' }, { reason: 'SIGHUP' }, { reason: 'SIGHUP' }])
})

t.test('guards, limits and the caller token of the new configuration hold on connections that are open', async (t) => {
  const api = await startApi()
  t.teardown(() => api.close())
  const routes = [{ prefix: '/', upstream: api.url }]
  const { address, configure } = await startReloadable(t, { ...ANY_PORT, routes }, { here: true })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => { agent.destroy() })
  const sockets = new Set<unknown>()
  const ask = (headers: Readonly<Record<string, string>> = {}): Promise<number> => new Promise((resolve, reject) => {
    get(`http://${address}/x`, { agent, headers }, (response) => {
      sockets.add(response.socket)
      response.resume().on('end', () => { resolve(response.statusCode ?? 0) })
    }).on('error', reject)
  })
  t.equal(await ask(), 200)
  t.equal(await ask({ host: 'proxy.example' }), 421)
  await configure({ ...ANY_PORT, routes, allowedHosts: ['proxy.example'] })
  t.equal(await ask({ host: 'proxy.example' }), 200)
  await configure({ ...ANY_PORT, routes, callerToken: 'a-token-that-is-long' })
  t.equal(await ask(), 401)
  t.equal(await ask({ 'x-countersign-token': 'a-token-that-is-long' }), 200)
  t.equal(await ask({ host: 'proxy.example', 'x-countersign-token': 'a-token-that-is-long' }), 421)
  t.equal(sockets.size, 1, 'one connection throughout')
  await configure({ ...ANY_PORT, routes, limits: { connections: 1, requests: 5 } })
  t.equal(await ask(), 200)
  t.equal((await call(address, '/x')).status, 503, 'a second connection')
})

t.test(
  'addresses change: the new ones are open before the old ones close, and one that is taken fails the reload as a whole',
  async (t) => {
    const api = await startApi()
    t.teardown(() => api.close())
    const routes = [{ prefix: '/a', upstream: api.url }]
    const { address, admin, configure, refuse, daemon } = await startReloadable(t, { ...ANY_PORT, routes }, { here: true })
    const folder = temporaryFolder(t)

    const taken = createTcpServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    t.teardown(() => {
      taken.close()
    })
    const { port } = taken.address() as AddressInfo
    await refuse({
      ...ANY_PORT,
      listen: `unix:${folder}/new.sock`,
      routes: [...routes, { listen: `127.0.0.1:${port}`, upstream: api.url }]
    })
    t.match(
      daemon.lines().find(({ msg }) => msg === 'the new configuration cannot be put to use'),
      { error: { message: new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: something else listens there`) } }
    )
    t.notOk(existsSync(`${folder}/new.sock`), 'what was opened for it is closed again')
    t.equal((await call(address, '/a')).status, 200)
    t.match(JSON.parse((await call(admin, '/status')).body), { reload: { outcome: 'failed' } })

    const line = await configure({
      ...ANY_PORT,
      listen: `unix:${folder}/new.sock`,
      routes: [...routes, { listen: '127.0.0.1:0', upstream: api.url }]
    })
    t.match(line, { address: `unix:${folder}/new.sock`, admin, routes: [{ address: /^127\.0\.0\.1:\d+$/ }] })
    const [own] = line['routes'] as Array<{ address: string }>
    t.equal((await call(`unix:${folder}/new.sock`, '/a')).status, 200)
    t.equal((await call(own?.address, '/y')).status, 200)
    await until('the old port to close', () =>
      call(address, '/a').then(
        () => false,
        () => true
      )
    )

    // What was a route's own address becomes the proxy's, and the other way round.
    const swapped = await configure({
      listen: own?.address,
      admin: `unix:${folder}/admin.sock`,
      routes: [...routes, { listen: `unix:${folder}/new.sock`, upstream: api.url }]
    })
    t.match(swapped, { address: own?.address, admin: `unix:${folder}/admin.sock` })
    t.equal((await call(own?.address, '/a')).status, 200)
    t.equal((await call(own?.address, '/y')).status, 404)
    t.equal((await call(`unix:${folder}/new.sock`, '/y')).status, 200)
    t.equal((await call(`unix:${folder}/admin.sock`, '/ready')).status, 200)
    await until('the old admin port to close', () =>
      call(admin, '/live').then(
        () => false,
        () => true
      )
    )
    await configure({ listen: own?.address, admin: 'off', routes })
    await until('the admin socket to go', () => !existsSync(`${folder}/admin.sock`))
    daemon.kill('SIGTERM')
    t.equal(await daemon.exit, 0)
  }
)

t.test('a removed credential is not resurrected by its refresh in flight', async (t) => {
  const world = await startWorld({ lifetimeSeconds: 5 })
  t.teardown(() => world.close())
  const { address, daemon, configure, status, metric } = await startReloadable(t, world.config, { env: world.secrets, here: true })
  await daemon.line('ready')
  const { record, faults } = world.emulator
  faults.add({ type: 'hang', operation: 'InitiateAuth', flow: 'REFRESH_TOKEN_AUTH', times: Infinity })
  const hangs = (): number => record.filter(({ outcome, clientId }) => outcome === 'hang' && clientId === 'orders').length
  await until('the refresh of orders to hang', () => hangs() === 1)
  faults.clear()
  await configure(world.config.replace(/,\s*"orders": \{[^\n]*/, '').replace(/,\s*\{ "prefix": "\/orders"[^\n]*/, ''))
  t.same((await status()).credentials.map(({ name }) => name), ['a', 'b'])
  t.equal(await metric('countersign_token_expiry_timestamp_seconds{credential="orders"}'), undefined)
  t.equal((await call(address, '/orders')).status, 404)
  const asked = record.length
  // The others go on to refresh, twice the life of a token.
  await until('more refreshes of the others', () => record.slice(asked).filter(({ outcome }) => outcome === 'ok').length >= 6)
  t.same(record.slice(asked).filter(({ clientId }) => clientId === 'orders'), [])
  t.equal(await metric('countersign_token_expiry_timestamp_seconds{credential="orders"}'), undefined)
})

t.test('the file of a certificate authority is watched too', async (t) => {
  const authority = createAuthority()
  const upstream = await startUpstream(t, { tls: authority.issue({ names: ['localhost'] }) })
  const config = { ...ANY_PORT, routes: [{ prefix: '/', upstream: `https://localhost:${upstream.port}`, tls: { ca: 'ca.pem' } }] }
  const { address, dir, reloaded } = await startReloadable(t, config, { here: true, files: { 'ca.pem': createAuthority('Another').cert } })
  t.match(await call(address, '/'), { status: 502, body: /CS_UPSTREAM_TLS/ })
  await reloaded(() => { writeFileSync(`${dir}/ca.pem`, authority.cert) })
  t.equal((await call(address, '/')).status, 200)
})

t.test('fifty reloads leave nothing behind', { skip: existsSync('/proc/self/fd') ? false : 'no /proc here' }, async (t) => {
  const world = await startWorld()
  t.teardown(() => world.close())
  const { address, daemon, reloaded, metric } = await startReloadable(t, world.config, { env: world.secrets })
  await daemon.line('ready')
  const countLogins = (): number => world.emulator.record.filter(({ flow }) => flow === 'PASSWORD_VERIFIER').length
  // On a busy machine a first login may have taken too long, and been tried again.
  const logins = countLogins()
  const handles = async (): Promise<{ files: number, resources: number }> => ({
    files: readdirSync(`/proc/${daemon.pid}/fd`).length,
    resources: await metric('nodejs_active_resources_total') ?? -1
  })
  const round = async (): Promise<void> => {
    await Promise.all(['/a', '/b', '/orders'].map((path) => call(address, path)))
    await reloaded(() => { daemon.kill('SIGHUP') })
  }
  for (let count = 0; count < 5; count++) await round()
  const before = await handles()
  for (let count = 0; count < 50; count++) await round()
  // Connections of the last round may still be closing.
  const after = await until('as few handles as before', async () => {
    const now = await handles()
    return now.files <= before.files && now.resources <= before.resources ? now : undefined
  })
  t.ok(after.files > 0)
  t.equal(countLogins(), logins)
})

t.test('the port of a listener that stays is never closed: a connection that waits to be accepted is served', async (t) => {
  const api = await startApi()
  t.teardown(() => api.close())
  const { address, configure } = await startReloadable(t, { ...ANY_PORT, routes: [{ prefix: '/0', upstream: api.url }] })
  const port = Number(address.split(':')[1])
  for (let count = 1; count <= 5; count++) {
    let refused = 0
    const over = new AbortController()
    const knock = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const socket = connect(port, '127.0.0.1')
        await once(socket, 'connect').catch(() => { refused++ })
        socket.destroy()
      }
    }
    const knocking = knock()
    await configure({ ...ANY_PORT, routes: [{ prefix: `/${count}`, upstream: api.url }] })
    over.abort()
    await knocking
    t.equal(refused, 0)
    t.equal((await call(address, `/${count}`)).status, 200)
  }
})
