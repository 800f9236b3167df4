import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { startDaemon } from '../helpers/daemon.ts'
import { call } from '../helpers/plain-client.ts'
import { ANY_PORT, startReloadable } from '../helpers/reloadable.ts'
import { until } from '../helpers/until.ts'
import { openWebSocket, startWebSocketUpstream } from '../helpers/websocket.ts'
import { startWorld } from '../helpers/world.ts'

/** An upstream whose responses the test ends. */
async function startStreams (t: Test): Promise<{ readonly url: string, readonly responses: readonly ServerResponse[] }> {
  const responses: ServerResponse[] = []
  const server = createServer((_request, response) => {
    response.write('first ')
    responses.push(response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, responses }
}

t.test('SIGTERM during the first login ends it at once, and whoever waits for it is told', async (t) => {
  const world = await startWorld()
  t.teardown(() => world.close())
  world.emulator.faults.add({ type: 'hang', times: Infinity })
  const { address, daemon } = await startReloadable(t, world.config.replace('{', '{ "shutdownTimeoutMs": 300,'), { env: world.secrets })
  await until('the logins to hang', () => world.emulator.record.length === 3)
  const waiting = call(address, '/a').then(({ status }) => status, (error: Error) => error.message)
  await until('a request to wait', async () => (await call(address, '/nowhere')).status === 404)
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
  t.match(await waiting, /socket hang up|ECONNRESET|503/)
  t.same(world.api.seen, [])
})

t.test('SIGTERM during a refresh and a stream: the stream ends in its own time, with exit 0', async (t) => {
  const world = await startWorld({ lifetimeSeconds: 5 })
  t.teardown(() => world.close())
  const { url, responses } = await startStreams(t)
  const { address, daemon } = await startReloadable(t, world.config.replaceAll(world.api.url, url), { env: world.secrets })
  await daemon.line('ready')
  world.emulator.faults.add({ type: 'hang', operation: 'InitiateAuth', flow: 'REFRESH_TOKEN_AUTH', times: Infinity })
  const streaming = call(address, '/a')
  await until('the stream to begin', () => responses.length === 1)
  await until('a refresh to hang', () => world.emulator.record.some(({ outcome }) => outcome === 'hang'))
  daemon.kill('SIGTERM')
  await daemon.line('draining')
  responses[0]?.end('last')
  t.equal((await streaming).body, 'first last')
  t.equal(await daemon.exit, 0)
  t.equal(daemon.lines().at(-1)?.['msg'], 'stopped')
})

t.test('what outlasts shutdownTimeoutMs is cut off: a stream and a WebSocket, also of an earlier configuration', async (t) => {
  const { url, responses } = await startStreams(t)
  const chat = await startWebSocketUpstream(t)
  const config = {
    ...ANY_PORT,
    shutdownTimeoutMs: 300,
    routes: [
      { prefix: '/stream', upstream: url },
      { prefix: '/chat', upstream: chat.url }
    ]
  }
  const { address, daemon, configure } = await startReloadable(t, config)
  const streams = [call(address, '/stream')]
  const sockets = [openWebSocket(`ws://${address}/chat`)]
  await Promise.all(sockets.map((socket) => once(socket, 'open')))
  await until('the stream to begin', () => responses.length === 1)
  await configure({ ...config, accessLog: false })
  streams.push(call(address, '/stream'))
  const second = openWebSocket(`ws://${address}/chat`)
  sockets.push(second)
  await once(second, 'open')
  await until('the second stream to begin', () => responses.length === 2)
  const cut = streams.map((stream) => t.rejects(stream, 'a stream that is cut off is never completed'))
  const closed = sockets.map((socket) => once(socket, 'close'))
  daemon.kill('SIGINT')
  await daemon.line('draining')
  await Promise.all([...cut, ...closed])
  t.equal(await daemon.exit, 0)
  const lines = daemon.lines()
  t.same(
    lines
      .filter(({ msg }) => msg === 'request')
      .map(({ path }) => path)
      .sort(),
    ['/chat', '/stream'],
    'the first configuration logs them'
  )
  t.equal(lines.at(-1)?.['msg'], 'stopped', 'behind all that it ended')
})

t.test('SIGHUP and SIGTERM together, in either order, end it in order', async (t) => {
  for (const signals of [['SIGHUP', 'SIGTERM'], ['SIGTERM', 'SIGHUP'], ['SIGHUP', 'SIGHUP', 'SIGTERM', 'SIGHUP']] as const) {
    const { daemon } = await startReloadable(t, { ...ANY_PORT, routes: [] })
    for (const signal of signals) daemon.kill(signal)
    t.equal(await daemon.exit, 0, signals.join())
    t.equal(daemon.lines().at(-1)?.['msg'], 'stopped')
  }
})

t.test('a reload while it drains is ignored, and a second signal ends it at once', async (t) => {
  const { url, responses } = await startStreams(t)
  const { address, daemon, status } = await startReloadable(t, { ...ANY_PORT, routes: [{ prefix: '/', upstream: url }] })
  const streaming = call(address, '/').then(() => 'whole', () => 'cut off')
  await until('the stream to begin', () => responses.length === 1)
  daemon.kill('SIGTERM')
  await daemon.line('draining')
  daemon.kill('SIGHUP')
  await daemon.line('reload ignored, the proxy is about to end')
  t.match(await status(), { ready: false, reload: null })
  daemon.kill('SIGINT')
  t.equal(await daemon.exit, 130)
  t.equal(await streaming, 'cut off')
})

t.test('a defect of ours ends it with 70, at once', async (t) => {
  const dir = t.testdir({ 'countersign.jsonc': JSON.stringify({ ...ANY_PORT, routes: [] }) })
  const daemon = startDaemon(['serve', '-c', `${dir}/countersign.jsonc`], {
    node: ['--import', 'data:text/javascript,process.on("SIGUSR2",()=>{throw new Error("a defect")})']
  })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  await daemon.line('listening')
  daemon.kill('SIGUSR2')
  t.equal(await daemon.exit, 70)
  t.match(daemon.lines().at(-1), { level: 'fatal', msg: 'internal failure' })
})
