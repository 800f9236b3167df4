import { once } from 'node:events'
import { Writable } from 'node:stream'
import t, { type Test } from 'tap'
import type { LoadResult } from '#src/config/load.ts'
import { formatAddress } from '#src/http/address.ts'
import { createLogger } from '#src/logger.ts'
import { startServer, type RunningServer } from '#src/server.ts'
import { startApi } from './helpers/api.ts'
import { call } from './helpers/plain-client.ts'
import { configOf, type TestRoute } from './helpers/proxy.ts'
import { openWebSocket, startWebSocketUpstream } from './helpers/websocket.ts'

function loaded (...routes: TestRoute[]): Extract<LoadResult, { ok: true }> {
  return { ok: true, config: configOf({ routes, config: { shutdownTimeoutMs: 300 } }), warnings: [], files: [], variables: [] }
}

async function start (t: Test, { config }: Extract<LoadResult, { ok: true }>): Promise<RunningServer> {
  const log = createLogger({ level: 'silent', destination: new Writable(), readable: false, colour: false })
  const server = await startServer({ config, log, proxies: {} })
  t.teardown(() => server.stop())
  return server
}

t.test('what is open outlives fifty reloads; the next one ends it', async (t) => {
  const chat = await startWebSocketUpstream(t)
  const server = await start(t, loaded({ upstream: chat.url }))
  const address = formatAddress(server.address)
  const [first, second] = [openWebSocket(`ws://${address}/`), openWebSocket(`ws://${address}/`)]
  await Promise.all([once(first, 'open'), once(second, 'open')])
  // Generations that nothing is open under do not count.
  for (let count = 0; count < 5; count++) t.ok(await server.reload(loaded({ upstream: chat.url })))
  const later = []
  for (let count = 0; count < 50; count++) {
    const socket = openWebSocket(`ws://${address}/`)
    await once(socket, 'open')
    later.push(socket)
    if (count === 49) break
    await server.reload(loaded({ upstream: chat.url }))
  }
  first.send('still here')
  t.equal(String((await once(first, 'message'))[0]), 'still here')
  const closed = Promise.all([once(first, 'close'), once(second, 'close')])
  await server.reload(loaded({ upstream: chat.url }))
  await closed
  const [next] = later
  next?.send('here too')
  t.equal(next === undefined ? '' : String((await once(next, 'message'))[0]), 'here too')
  for (const socket of later) socket.terminate()
})

t.test('reloads at the same time happen one after the other, in order', async (t) => {
  const api = await startApi()
  t.teardown(() => api.close())
  const server = await start(t, loaded({ prefix: '/0', upstream: api.url }))
  const address = formatAddress(server.address)
  const bad: LoadResult = { ok: false, problems: [{ severity: 'error', source: 'a file', message: 'is bad; mend it' }], files: [] }
  const outcomes = await Promise.all([
    server.reload(loaded({ prefix: '/1', upstream: api.url })),
    server.reload(bad),
    server.reload(loaded({ prefix: '/2', upstream: api.url })),
    server.reload(bad)
  ])
  t.same(outcomes, [true, false, true, false])
  t.equal((await call(address, '/2')).status, 200)
  t.equal((await call(address, '/1')).status, 404)
  t.equal(formatAddress(server.address), address)
})

t.test('a configuration that no application can be made of changes nothing', async (t) => {
  const api = await startApi()
  t.teardown(() => api.close())
  const server = await start(t, loaded({ upstream: api.url }))
  // The loader lets no such upstream through.
  t.notOk(await server.reload(loaded({ upstream: 'no URL' })))
  t.equal((await call(formatAddress(server.address), '/')).status, 200)
})

t.test('a reload that meets the end, at whatever point, is given up, and leaves no listener', async (t) => {
  const api = await startApi()
  t.teardown(() => api.close())
  const server = await start(t, loaded({ upstream: api.url }))
  const own: TestRoute = { listen: { type: 'tcp', host: '127.0.0.1', port: 0 }, upstream: api.url }
  const reloading = server.reload(loaded({ upstream: api.url }, own))
  await server.stop()
  t.notOk(await reloading)
  t.same(server.routes, [])
  t.notOk(await server.reload(loaded({ upstream: api.url })))
  await t.rejects(call(formatAddress(server.address), '/'))
})
