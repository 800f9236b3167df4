/**
 * Pipelines and disconnects (R9), from outside: what is sent behind a request must neither end the process, nor keep a
 * place among the limits, nor go on at the upstream once its client has left.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDaemon, type Daemon } from '../helpers/daemon.ts'
import { connectRaw, message, rawRequest, type RawClient } from '../helpers/raw-client.ts'
import { OK, startUpstream, type RecordingUpstream } from '../helpers/recording-upstream.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket']
const ADMIN_CONNECTIONS = 64

interface Scene {
  readonly daemon: Daemon
  readonly upstream: RecordingUpstream
  readonly port: number
  readonly adminPort: number
}

t.test('a full listener outlives a request with an upgrade behind it, at the proxy and at the admin listener', async (t) => {
  const { daemon, port, adminPort } = await start(t, { connections: 2, requests: 10 })
  for (const place of [port, adminPort]) {
    const crowd = await Promise.all(Array.from({ length: place === port ? 2 : ADMIN_CONNECTIONS }, () => connectRaw(place)))
    for (const host of [`127.0.0.1:${place}`, 'evil.example']) {
      for (const behind of [
        message('GET /x HTTP/1.1', [`Host: ${host}`, ...UPGRADE]),
        message('CONNECT a:1 HTTP/1.1', [`Host: ${host}`]),
        message('POST /x HTTP/1.1', [`Host: ${host}`, 'Content-Length: 9'], 'abc'),
        'nonsense\r\n\r\n'
      ]) {
        for (const first of ['', message('GET /x HTTP/1.1', [`Host: ${host}`])]) {
          const client = await connectRaw(place)
          client.send(first + behind)
          await client.response().catch(() => undefined)
          client.destroy()
        }
      }
    }
    for (const client of crowd) client.destroy()
  }
  await isAlive(t, { daemon, port, adminPort })
})

t.test('silent connections do not keep probes out of the admin listener', async (t) => {
  const { daemon, port, adminPort } = await start(t, { connections: 10, requests: 10 })
  const live = message('GET /live HTTP/1.1', [`Host: 127.0.0.1:${adminPort}`])
  const kept = await connectRaw(adminPort)
  kept.send(live)
  t.match(await kept.response(), { statusCode: 200 })
  // Nothing, half a header, half a body that nobody reads, an answered request.
  for (const bytes of [
    '',
    'GET / HTTP/1.1\r\nX: ',
    message('GET /live HTTP/1.1', [`Host: 127.0.0.1:${adminPort}`, 'Content-Length: 100'], 'abc'),
    live
  ]) {
    const crowd: RawClient[] = []
    for (let count = 0; count < ADMIN_CONNECTIONS + 16; count++) {
      const client = await connectRaw(adminPort)
      client.send(bytes)
      crowd.push(client)
      if (count % 16 === 15) {
        t.match(await rawRequest(adminPort, live), { statusCode: 200 }, `among ${count + 1} of ${JSON.stringify(bytes.slice(0, 30))}`)
      }
    }
    for (const client of crowd) client.destroy()
  }
  t.ok(kept.ended, 'the oldest that was idle made room')
  await isAlive(t, { daemon, port, adminPort })
})

t.test('the admin listener waits 5 s for a header, not a minute', async (t) => {
  const { adminPort } = await start(t, { connections: 10, requests: 10 })
  const client = await connectRaw(adminPort)
  client.send('GET /live HTTP/1.1\r\n')
  const rejection = await client.response()
  t.match(rejection, { statusCode: 408, text: /within 5 s/ })
})

t.test('a client that leaves in the middle of a pipeline costs nothing: no place, no upstream work, no process', async (t) => {
  const { daemon, upstream, port, adminPort } = await start(t, { connections: 100, requests: 3 })
  const held = message('GET /held HTTP/1.1', [`Host: 127.0.0.1:${port}`])
  const behind = [
    message('POST /held HTTP/1.1', [`Host: 127.0.0.1:${port}`, 'Content-Length: 100'], 'abc'),
    message('GET /held HTTP/1.1', ['Host: evil.example']).repeat(2100),
    held.repeat(2100),
    held + message('GET /held HTTP/1.1', [`Host: 127.0.0.1:${port}`, ...UPGRADE]),
    message('GET /held HTTP/1.1', [`Host: 127.0.0.1:${port}`, ...UPGRADE]) + held,
    'nonsense\r\n\r\n'
  ]
  upstream.respond = ({ target }) => target === '/held' ? undefined : OK
  for (const how of ['reset', 'destroy'] as const) {
    for (const bytes of behind) {
      const before = upstream.exchanges.length
      const clients = await Promise.all(Array.from({ length: 3 }, () => connectRaw(port)))
      for (const client of clients) await client.sendAll(held + bytes)
      await upstream.until(() => upstream.exchanges.length === before + 3)
      t.match(await rawRequest(port, message('GET /x HTTP/1.1', [`Host: 127.0.0.1:${port}`])), { statusCode: 503 }, 'three are in flight')
      for (const client of clients) client[how]()
      await Promise.all(upstream.exchanges.slice(before).map(({ connection }) => connection.closed))
      await until(
        'their places',
        async () => (await rawRequest(port, message('GET /x HTTP/1.1', [`Host: 127.0.0.1:${port}`]))).statusCode === 200
      )
      t.equal(upstream.exchanges.slice(before).filter(({ target }) => target === '/held').length, 3, 'what was behind them was never sent')
    }
    // Refused ones alone, as many as there are; and one connection can have one place.
    const client = await connectRaw(port)
    client.send(message('GET /x HTTP/1.1', ['Host: evil.example']).repeat(2100))
    await client.response()
    client[how]()
    const greedy = await connectRaw(port)
    const before = upstream.exchanges.length
    greedy.send(held.repeat(50))
    await upstream.until(() => upstream.exchanges.length === before + 1)
    const others = await Promise.all(Array.from({ length: 2 }, () => connectRaw(port)))
    for (const other of others) other.send(held)
    await upstream.until(() => upstream.exchanges.length === before + 3)
    for (const one of [greedy, ...others]) one[how]()
    await until(
      'their places',
      async () => (await rawRequest(port, message('GET /x HTTP/1.1', [`Host: 127.0.0.1:${port}`]))).statusCode === 200
    )
  }
  await isAlive(t, { daemon, port, adminPort })
})

async function start (t: Test, limits: { readonly connections: number, readonly requests: number }): Promise<Scene> {
  const upstream = await startUpstream(t)
  const folder = temporaryFolder(t)
  const file = join(folder, 'countersign.jsonc')
  writeFileSync(
    file,
    `{ "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "limits": ${JSON.stringify(limits)}, "routes": [{ "prefix": "/", "upstream": "${upstream.origin}" }] }`
  )
  const daemon = startDaemon(['serve', '-c', file], { cwd: folder })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const { address, admin } = await daemon.line('listening')
  const [port = 0, adminPort = 0] = [address, admin].map((text) => Number(String(text).split(':').at(-1)))
  return { daemon, upstream, port, adminPort }
}

async function isAlive (t: Test, { daemon, port, adminPort }: Omit<Scene, 'upstream'>): Promise<void> {
  const statusOf = async (place: number, path: string): Promise<number | undefined> =>
    (await rawRequest(place, message(`GET ${path} HTTP/1.1`, [`Host: 127.0.0.1:${place}`])).catch(() => undefined))?.statusCode
  await until('the proxy to serve', async () => await statusOf(port, '/x') === 200)
  t.equal(await statusOf(adminPort, '/live'), 200)
  t.same(daemon.lines().filter(({ level }) => level === 'error' || level === 'fatal'), [])
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
}
