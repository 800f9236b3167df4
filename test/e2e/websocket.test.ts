import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { interpretDaemon } from '../helpers/command.ts'
import { startDaemon, type Daemon } from '../helpers/daemon.ts'
import { call } from '../helpers/plain-client.ts'
import { canariesIn } from '../helpers/world.ts'
import { openWebSocket, startWebSocketUpstream, type WebSocketUpstream, type WsSocket } from '../helpers/websocket.ts'

const SECRETS = { TOKEN: 'CANARY-WS-token-1', KEY: 'CANARY-WS-key-2' }
const SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000]

t.test('messages of every size and kind come back as they went, compressed or not', async (t) => {
  const upstream = await startWebSocketUpstream(t, { perMessageDeflate: { threshold: 0 } })
  const { url } = await serve(t, upstream)
  for (const perMessageDeflate of [true, false]) {
    const socket = openWebSocket(`${url}/chat`, [], { perMessageDeflate })
    await once(socket, 'open')
    t.equal(socket.extensions, perMessageDeflate ? 'permessage-deflate' : '')
    for (const size of SIZES) {
      for (const binary of [true, false]) {
        const data = Buffer.alloc(size, 'abc')
        socket.send(data, { binary })
        const [received, isBinary] = await once(socket, 'message') as [Buffer, boolean] // what ws emits
        t.ok(received.equals(data) && isBinary === binary, `${size} bytes`)
      }
    }
    socket.send('frag', { fin: false })
    socket.ping(Buffer.from('between'))
    socket.send('ment', { fin: false })
    socket.send('ed', { fin: true })
    const pong = once(socket, 'pong') as Promise<[Buffer]>
    t.equal(String((await once(socket, 'message'))[0]), 'fragmented')
    t.equal(String((await pong)[0]), 'between', 'a control frame between fragments')
    socket.close()
    await once(socket, 'close')
  }
})

t.test('subprotocols, and pings of the upstream, are between the two sides', async (t) => {
  const upstream = await startWebSocketUpstream(t)
  const { url } = await serve(t, upstream)
  const socket = openWebSocket(`${url}/chat`, ['v1.chat', 'v2.chat', 'v3.chat'])
  await once(socket, 'open')
  t.equal(socket.protocol, 'v3.chat', 'all were offered')
  const [other] = upstream.sockets
  const pinged = once(socket, 'ping') as Promise<[Buffer]>
  const ponged = once(other ?? socket, 'pong') as Promise<[Buffer]>
  other?.ping(Buffer.alloc(125, 'p'))
  t.equal((await pinged)[0].length, 125)
  t.equal((await ponged)[0].length, 125)
  socket.close()
})

t.test('close codes and reasons arrive on the other side, whoever closes', async (t) => {
  const upstream = await startWebSocketUpstream(t)
  const { url } = await serve(t, upstream)
  for (const [code, reason] of [[1000, ''], [1001, 'going away'], [1011, 'x'.repeat(123)], [3000, 'ü'], [4999, 'own']] as const) {
    for (const byClient of [true, false]) {
      const { client, server } = await both(upstream, `${url}/chat`)
      const [closer, other] = byClient ? [client, server] : [server, client]
      const seen = [once(other, 'close'), once(closer, 'close')]
      closer.close(code, reason)
      for (const [gotCode, gotReason] of (await Promise.all(seen)) as Array<[number, Buffer]>) {
        t.same([gotCode, gotReason.toString()], [code, reason])
      }
    }
  }
  for (const byClient of [true, false]) {
    const { client, server } = await both(upstream, `${url}/chat`)
    const [closer, other] = byClient ? [client, server] : [server, client]
    const seen = once(other, 'close')
    closer.terminate()
    t.equal((await seen)[0], 1006, 'one that dies is no close')
  }
})

t.test('credentials go into the handshake in every placement, and the refusal of an upstream reaches the client', async (t) => {
  const upstream = await startWebSocketUpstream(t, {
    verifyClient: ({ req }: { req: IncomingMessage }, done: (ok: boolean, code?: number, message?: string, headers?: object) => void) => {
      if (req.headers.authorization === `Bearer ${SECRETS.TOKEN}` && !req.url?.startsWith('/v2/forbidden')) done(true)
      else done(false, 403, 'not you', { 'X-Why': 'no' })
    }
  })
  const { url, daemon } = await serve(t, upstream)
  const socket = openWebSocket(`${url}/chat?a=1&key=evil`, [], {
    headers: {
      Authorization: 'Bearer evil',
      Cookie: 'session=evil; theme=dark',
      'X-Api-Key': 'evil',
      Origin: url.replace('ws:', 'http:').replace(/\/api$/, '')
    }
  })
  await once(socket, 'open')
  const [seen] = upstream.handshakes
  t.equal(seen?.url, `/v2/chat?a=1&key=${SECRETS.KEY}`)
  t.equal(seen?.headers.cookie, `theme=dark; session=${SECRETS.KEY}`)
  t.equal(seen?.headers['x-api-key'], SECRETS.KEY)
  t.notMatch(JSON.stringify(seen?.rawHeaders), 'evil')
  socket.terminate()

  const refused = openWebSocket(`${url}/forbidden`)
  const [, response] = await once(refused, 'unexpected-response') as [unknown, IncomingMessage] // what ws emits
  t.equal(response.statusCode, 403)
  t.equal(response.headers['x-why'], 'no')
  let body = ''
  for await (const chunk of response) body += String(chunk)
  t.equal(body, 'not you')

  const foreign = openWebSocket(`${url}/chat`, [], { headers: { Origin: 'https://evil.example' } })
  const [, answer] = await once(foreign, 'unexpected-response') as [unknown, IncomingMessage]
  t.equal(answer.statusCode, 403)
  t.match(answer.headers['proxy-status'], /^countersign;/)
  answer.resume()
  t.equal(upstream.handshakes.length, 1)
  t.same(canariesIn(daemon.stdout() + daemon.stderr(), SECRETS), [])
})

t.test('SIGTERM leaves open WebSockets their time, ends them at the limit, and exits with 0', async (t) => {
  const upstream = await startWebSocketUpstream(t)
  const { url, daemon, admin } = await serve(t, upstream, 700)
  const { client: short } = await both(upstream, `${url}/short`)
  const { client: long, server } = await both(upstream, `${url}/long`)
  daemon.kill('SIGTERM')
  await daemon.line('draining')
  t.equal((await call(admin, '/ready')).status, 503)
  server.send('still here')
  t.equal(String((await once(long, 'message'))[0]), 'still here')
  short.close(1000, 'done')
  t.equal((await once(short, 'close'))[0], 1000)
  const ended = Promise.all([once(long, 'close'), once(server, 'close')])
  t.equal(await daemon.exit, 0)
  for (const [code] of await ended) t.equal(code, 1006, 'nothing was put into the stream')
  t.match(daemon.stdout(), /"path":"\/api\/long","status":101/)
})

t.test('SIGTERM with a WebSocket that its client closes ends at once', async (t) => {
  const upstream = await startWebSocketUpstream(t)
  const { url, daemon } = await serve(t, upstream, 600_000)
  const { client } = await both(upstream, `${url}/chat`)
  daemon.kill('SIGTERM')
  await daemon.line('draining')
  client.close(1001)
  t.equal(await daemon.exit, 0)
})

/** With a time for its end it is a process, to be ended. */
async function serve (
  t: Test,
  upstream: WebSocketUpstream,
  shutdownTimeoutMs?: number
): Promise<{ readonly url: string, readonly admin: unknown, readonly daemon: Daemon }> {
  const config = {
    listen: '127.0.0.1:0',
    admin: '127.0.0.1:0',
    ...(shutdownTimeoutMs !== undefined && { shutdownTimeoutMs }),
    credentials: { token: { type: 'static', value: '${TOKEN}' }, key: { type: 'static', value: '${KEY}' } },
    routes: [
      {
        prefix: '/api',
        upstream: `${upstream.url}/v2`,
        credential: 'token',
        inject: [
          { type: 'http', scheme: 'bearer' },
          ...['header', 'query', 'cookie'].map((place) => ({
            type: 'apiKey',
            in: place,
            name: { header: 'X-Api-Key', query: 'key', cookie: 'session' }[place],
            credential: 'key'
          }))
        ]
      }
    ]
  }
  const dir = t.testdir({ 'countersign.jsonc': JSON.stringify(config) })
  const daemon = (shutdownTimeoutMs === undefined ? interpretDaemon : startDaemon)(['serve', '-c', `${dir}/countersign.jsonc`], {
    env: { ...SECRETS, COUNTERSIGN_LOG_LEVEL: 'trace' }
  })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const { address, admin } = await daemon.line('listening')
  return { url: `ws://${String(address)}/api`, admin, daemon }
}

/** Both ends of a WebSocket that was opened just now. */
async function both (upstream: WebSocketUpstream, url: string): Promise<{ readonly client: WsSocket, readonly server: WsSocket }> {
  const client = openWebSocket(url)
  await once(client, 'open')
  const server = upstream.sockets.at(-1)
  if (server === undefined) throw new Error('the upstream has seen no WebSocket')
  return { client, server }
}
