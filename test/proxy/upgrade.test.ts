import t, { type Test } from 'tap'
import { Secret } from '#src/secret.ts'
import type { Binding } from '#src/auth/scheme.ts'
import { connectRaw, message, rawRequest, type RawClient, type RawResponse } from '../helpers/raw-client.ts'
import { apiKey, BEARER, CANARY, startProxy, type ProxyOptions, type TestProxy, type TestRoute } from '../helpers/proxy.ts'
import {
  respondWith,
  startUpstream,
  type ScriptedResponse,
  type RecordingUpstream,
  type UpstreamExchange
} from '../helpers/recording-upstream.ts'
import { createTokenCredential, type TokenCredential } from '../helpers/token-credential.ts'
import { createLateResponse, failure, FakeSource } from '../helpers/token-source.ts'
import { createAgingClock, FakeClock } from '../helpers/clock.ts'

const UPGRADE = [
  'Connection: keep-alive, Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13'
]
const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

t.test('the client gets its 101 only once the upstream has answered 101, and with its headers', async (t) => {
  const { proxy, upstream } = await pair(t, { bindings: [BEARER] }, () => undefined)
  const client = await open(proxy, '/chat?room=1', [
    'Sec-WebSocket-Protocol: v2.chat, v1.chat',
    'Sec-WebSocket-Protocol: soap',
    'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-own',
    'X_Odd: 1'
  ])
  await upstream.until(() => upstream.exchanges.length === 1)
  t.equal(client.unread.length, 0, 'nothing is promised before')
  const { last } = upstream
  t.equal(last.startLine, 'GET /chat?room=1 HTTP/1.1')
  t.same(last.all('upgrade'), ['websocket'])
  t.match(last.header('connection'), /^upgrade$/i)
  t.same(last.all('host'), [`127.0.0.1:${upstream.port}`])
  t.same(last.all('sec-websocket-protocol'), ['v2.chat, v1.chat', 'soap'])
  t.same(last.all('sec-websocket-extensions'), ['permessage-deflate; client_max_window_bits, x-own'])
  t.same(
    [last.header('sec-websocket-key'), last.header('sec-websocket-version'), last.header('x_odd')],
    ['dGhlIHNhbXBsZSBub25jZQ==', '13', '1']
  )
  t.same(last.all('authorization'), [`Bearer ${CANARY.token}`])
  last.send(
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: X-Hop, upgrade\r\nX-Hop: 1\r\nSec-WebSocket-Accept: abc\r\nSec-WebSocket-Protocol: soap\r\nSec-WebSocket-Extensions: x-own\r\nSet-Cookie: a=1\r\nSet-Cookie: b=\xe9\r\nContent-Length: 5\r\nAccess-Control-Allow-Origin: *\r\n\r\n'
  )
  const head = await client.head()
  t.equal(head.startLine, 'HTTP/1.1 101 Switching Protocols')
  t.same(head.fields, [
    ['Upgrade', 'WebSocket'],
    ['Connection', 'Upgrade'],
    ['Sec-WebSocket-Accept', 'abc'],
    ['Sec-WebSocket-Protocol', 'soap'],
    ['Sec-WebSocket-Extensions', 'x-own'],
    ['Set-Cookie', 'a=1'],
    ['Set-Cookie', 'b=\xe9']
  ])
  client.destroy()
})

t.test('every placement: exactly one of each injected field, and none of the client\'s own', async (t) => {
  const bindings = [BEARER, apiKey('header', 'X-Api-Key'), apiKey('query', 'api_key'), apiKey('cookie', 'session')]
  const { proxy, upstream } = await pair(t, { prefix: '/api', upstream: '/v2', bindings })
  const client = await open(proxy, '/api/chat?a=%20&api_key=evil&API%5Fkey=1&api%5Fkey=evil', [
    'Authorization: Bearer evil',
    'authorization: Basic evil',
    'x-api-key: evil',
    'X_Api_Key: evil',
    'Cookie: session=evil; theme=dark',
    'Proxy-Authorization: Bearer evil',
    'X-Forwarded-For: evil',
    'HTTP2-Settings: evil'
  ])
  t.match((await client.head()).startLine, ' 101 ')
  const { last } = upstream
  t.equal(last.target, `/v2/chat?a=%20&API%5Fkey=1&api_key=${CANARY.key}`)
  t.same(last.all('authorization'), [`Bearer ${CANARY.token}`])
  t.same(last.all('x-api-key'), [CANARY.key])
  t.same(last.all('x_api_key'), [])
  t.same(last.all('cookie'), [`theme=dark; session=${CANARY.key}`])
  t.notMatch(upstream.received, 'evil')
  client.destroy()
  await line(proxy)
  t.notMatch(proxy.logged(), /CANARY|evil/)
})

t.test('what the upstream responses instead of 101 reaches the client as it is, and the connection ends', async (t) => {
  const body = '{"why":"no"}'
  for (const [status, lines] of [
    ['401 Unauthorized', ['WWW-Authenticate: Bearer']],
    ['403 Forbidden', []],
    ['500 Oops', ['Retry-After: 1']],
    ['200 OK', []],
    ['404 Nothing Here', ['Content-Encoding: x']],
    ['302 Found', ['Location: /v2/elsewhere']]
  ] as const) {
    const { proxy, upstream } = await pair(t, { prefix: '/api', upstream: '/v2', bindings: [BEARER] }, () =>
      respondWith(status, ['X-Own: 1', 'Access-Control-Allow-Origin: *', 'Keep-Alive: timeout=5', ...lines], body)
    )
    const client = await open(proxy, '/api/chat')
    const response = await client.response()
    t.equal(`${response.statusCode} ${response.reason}`, status)
    t.equal(response.text, body)
    t.same([response.header('x-own'), response.header('content-length'), response.header('connection')], ['1', '12', 'close'])
    t.same([response.all('access-control-allow-origin'), response.all('keep-alive'), response.all('proxy-status')], [[], [], []])
    if (status.startsWith('302')) t.equal(response.header('location'), '/api/elsewhere')
    if (status.startsWith('401')) t.equal(response.header('www-authenticate'), 'Bearer')
    await client.closed()
    t.equal(upstream.exchanges.length, 1, 'asked once')
  }
})

t.test('a 426 keeps its Upgrade header, which is its whole point', async (t) => {
  const { proxy } = await pair(t, {}, () =>
    respondWith('426 Upgrade Required', ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 8'], 'x')
  )
  const response = await (await open(proxy)).response()
  t.match(response, { statusCode: 426, text: 'x' })
  t.same(
    [response.all('upgrade'), response.all('connection'), response.all('sec-websocket-version')],
    [['websocket'], ['Upgrade, close'], ['8']]
  )
})

t.test('a refusal in every framing arrives whole, as it comes, and a broken one arrives broken', async (t) => {
  const { proxy, upstream } = await pair(t, {}, () => undefined)
  const chunked = await open(proxy)
  await upstream.until(() => upstream.exchanges.length === 1)
  upstream.last.send('HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n3\r\nabc\r\n')
  await chunked.until((bytes) => bytes.includes('abc'))
  upstream.last.send('2\r\nde\r\n0\r\nX-End: 1\r\n\r\n')
  t.match(await chunked.response(), { statusCode: 403, text: 'abcde', framing: 'chunked', complete: true, trailers: [['X-End', '1']] })

  const large = Buffer.alloc(5_000_000, 'x')
  upstream.respond = ({ send, connection }) => {
    send('HTTP/1.1 500 No\r\n\r\n')
    send(large)
    connection.socket.end()
    return undefined
  }
  const closed = await open(proxy)
  t.equal((await closed.response()).body.length, large.length)

  upstream.respond = ({ send, connection }) => {
    send('HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\nhalf')
    connection.socket.end()
    return undefined
  }
  t.match(await (await open(proxy)).response(), { statusCode: 500, complete: false })
})

t.test('frames that came with a handshake that is refused do not take the response back, and are never read as a request', async (t) => {
  const { proxy, upstream } = await pair(t, {}, () => respondWith('403 Forbidden', [], 'no'))
  const client = await connectRaw(proxy.port)
  client.send(handshake(proxy, '/') + 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n' + 'x'.repeat(300_000))
  t.match(await client.response(), { statusCode: 403, text: 'no' })
  await client.closed()
  t.equal(client.error, undefined)
  t.notMatch(upstream.received, 'smuggled')
})

t.test('B9: the guards, the route and its limits stand before an upgrade, and nothing is dialled', async (t) => {
  const { proxy, upstream } = await pair(t, { prefix: '/api', allow: ['GET /chat'], bindings: [BEARER] }, undefined, {
    config: { callerToken: new Secret('caller-token-1234') }
  })
  const own = ['X-Countersign-Token: caller-token-1234']
  for (const [request, status, code] of [
    [handshake(proxy, '/api/chat', [...own, 'Origin: https://evil.example']), 403, 'CS_ORIGIN_NOT_ALLOWED'],
    [handshake(proxy, '/api/chat', [...own, 'Sec-Fetch-Site: cross-site']), 403, 'CS_ORIGIN_NOT_ALLOWED'],
    [message('GET /api/chat HTTP/1.1', ['Host: evil.example', ...UPGRADE, ...own]), 421, 'CS_HOST_NOT_ALLOWED'],
    [message('GET /api/chat HTTP/1.1', [...UPGRADE, ...own]), 400, 'CS_BAD_REQUEST'],
    [handshake(proxy, '/api/chat'), 401, 'CS_CALLER_TOKEN'],
    [handshake(proxy, '/api/chat', ['Proxy-Authorization: Bearer wrong']), 401, 'CS_CALLER_TOKEN'],
    [handshake(proxy, '/api/other', own), 403, 'CS_NOT_ALLOWED'],
    [handshake(proxy, '/nothing', own), 404, 'CS_NO_ROUTE'],
    [handshake(proxy, '/api/../chat', own), 400, 'CS_BAD_REQUEST'],
    [handshake(proxy, 'http://x/api/chat', own), 400, 'CS_BAD_REQUEST']
  ] as const) refused(t, await send(proxy, request), status, code)
  t.equal(upstream.accepted, 0)
  const client = await open(proxy, '/api/chat', own)
  t.match((await client.head()).startLine, ' 101 ')
  t.notMatch(upstream.received, 'caller-token')
  client.destroy()
  t.match(await proxy.scrape(), /refused_total\{code="CS_CALLER_TOKEN"\} 2/)
})

t.test('websocket: false refuses every upgrade, and nothing else', async (t) => {
  const { proxy, upstream } = await pair(t, { websocket: false }, () => respondWith('200 OK', [], 'ok'))
  refused(t, await send(proxy, handshake(proxy, '/')), 403, 'CS_NOT_ALLOWED')
  t.equal(upstream.accepted, 0)
  t.match(await send(proxy, message('GET / HTTP/1.1', [host(proxy)])), { statusCode: 200 })
  t.match(await send(proxy, message('GET / HTTP/1.1', [host(proxy), 'Connection: Upgrade', 'Upgrade: h2c'])), { statusCode: 200 })
})

t.test('an upgrade waits for its token, and is refused without one', async (t) => {
  const source = new FakeSource(new FakeClock())
  const late = createLateResponse()
  source.script.push(late.respond)
  const binding: Binding = { scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token', credential: 'late' } }
  const { proxy, upstream } = await pair(t, { bindings: [binding] }, undefined, {
    credentials: [{ name: 'late', type: 'cognito', source }]
  })
  const client = await open(proxy)
  while (source.calls.length === 0) await new Promise((resolve) => { setImmediate(resolve) })
  t.equal(upstream.accepted, 0)
  late.give(source.grant({ value: new Secret('CANARY-LATE') }))
  t.match((await client.head()).startLine, ' 101 ')
  t.same(upstream.last.all('authorization'), ['Bearer CANARY-LATE'])
  client.destroy()

  const broken = new FakeSource(new FakeClock())
  broken.respond = () => failure('permanent')
  const other = await pair(t, { bindings: [binding] }, undefined, { credentials: [{ name: 'late', type: 'cognito', source: broken }] })
  refused(t, await send(other.proxy, handshake(other.proxy, '/')), 502, 'CS_CREDENTIAL_REJECTED')
  t.equal(other.upstream.accepted, 0)
})

t.test('a 401 to an upgrade renews the token, and the upgrade is sent once more', async (t) => {
  let revoked = 1
  const { proxy, upstream, credential } = await renewable(t, (exchange) =>
    tokenOf(exchange) > revoked ? `${SWITCH}frames` : respondWith('401 Unauthorized', ['X-First: yes'], 'who are you')
  )
  const client = await connectRaw(proxy.port)
  client.send(handshake(proxy, '/chat?room=1') + 'early')
  t.match((await client.head()).startLine, ' 101 ')
  await client.until((bytes) => bytes.toString() === 'frames')
  await upstream.until(() => upstream.received.endsWith('\r\n\r\nearly'))
  t.equal(credential.logins(), 2)
  t.same(upstream.exchanges.map(({ target, header }) => [target, header('authorization'), header('sec-websocket-key')]),
    ['api-1', 'api-2'].map((token) => ['/chat?room=1', `Bearer ${token}`, 'dGhlIHNhbXBsZSBub25jZQ==']))
  t.match(await proxy.line(({ msg }) => msg === 'upstream answered 401, request sent once more with a new token'), {
    level: 'info',
    credential: 'api'
  })
  t.match(await proxy.scrape(), 'countersign_replays_total{credential="api"} 1')
  client.destroy()

  revoked = 2
  const again = await open(proxy)
  t.match((await again.head()).startLine, ' 101 ', 'a token that took a 101 was accepted, so it is replaced at once')
  t.equal(credential.logins(), 3)
  again.destroy()
})

t.test('many upgrades that meet 401 at once cost one login and one more try each', async (t) => {
  const { proxy, upstream, credential } = await renewable(t, async (exchange) => {
    if (tokenOf(exchange) > 1) return SWITCH
    await upstream.until(() => upstream.exchanges.length >= 20)
    return respondWith('401 Unauthorized')
  })
  const clients = await Promise.all(Array.from({ length: 20 }, () => open(proxy)))
  for (const client of clients) {
    t.match((await client.head()).startLine, ' 101 ')
    client.destroy()
  }
  t.equal(credential.logins(), 2)
  t.equal(upstream.exchanges.length, 40)
})

t.test('a second 401 to an upgrade is passed on, and so is the first where no token can be had', async (t) => {
  for (const down of [undefined, 'transient', 'permanent'] as const) {
    const { proxy, upstream, credential } = await renewable(t, () =>
      respondWith('401 Unauthorized', ['WWW-Authenticate: Bearer'], 'who are you')
    )
    if (down !== undefined) credential.fail(failure(down))
    const client = await open(proxy)
    const response = await client.response()
    t.match(response, { statusCode: 401, text: 'who are you', complete: true })
    t.same([response.header('www-authenticate'), response.header('proxy-status')], ['Bearer', undefined])
    await client.closed()
    t.equal(upstream.exchanges.length, down === undefined ? 2 : 1)
    t.equal(credential.logins(), 2)
    t.match(await proxy.line(({ msg }) => msg === 'upstream answered 401, which is passed on'), {
      level: 'warn',
      reason: down === undefined ? 'the response to the second attempt' : 'no other token'
    })
    t.match(proxy.store.ready(), { ready: true }, 'the old token stays')
  }
})

t.test('a client that leaves while the token of its upgrade is fetched costs the upstream nothing more', async (t) => {
  const { proxy, upstream, credential } = await renewable(t, () => respondWith('401 Unauthorized'))
  credential.hold()
  const client = await open(proxy)
  await upstream.until(() => upstream.exchanges.length === 1)
  client.reset()
  await proxy.line((line) => line['msg'] === 'request' && line['aborted'] === true)
  credential.release()
  await proxy.fetched(2)
  t.match(await (await open(proxy, '/next')).response(), { statusCode: 401 })
  t.same(upstream.exchanges.map(({ target }) => target), ['/', '/next'])
})

t.test('a POST upgrade on a route whose credential goes into the body is refused', async (t) => {
  const { proxy, upstream } = await pair(t, { bindings: [apiKey('query', 'key')] })
  refused(
    t,
    await send(proxy, message('POST / HTTP/1.1', [host(proxy), 'Connection: Upgrade', 'Upgrade: tcp'])),
    415,
    'CS_BODY_UNSUPPORTED'
  )
  t.equal(upstream.accepted, 0)
})

t.test('any protocol is relayed: SPDY by POST, several on offer', async (t) => {
  const { proxy, upstream } = await pair(t, {}, () => 'HTTP/1.1 101 Go\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\nhello')
  const client = await connectRaw(proxy.port)
  client.send(message('POST /exec HTTP/1.1', [host(proxy), 'Connection: Upgrade', 'Upgrade: x-tunnel, spdy/3.1', 'Content-Length: 0']))
  const head = await client.head()
  t.same(head.fields, [['Upgrade', 'SPDY/3.1'], ['Connection', 'Upgrade']])
  await client.until((bytes) => bytes.toString() === 'hello')
  t.same(upstream.last.all('upgrade'), ['x-tunnel, spdy/3.1'])
  client.destroy()
})

t.test('H11: what is no upgrade for a proxy is the ordinary request that it also is, on a connection that goes on', async (t) => {
  const { proxy, upstream } = await pair(t, {}, ({ target, body }) => respondWith('200 OK', [], `${target} ${body.toString()}`))
  const client = await connectRaw(proxy.port)
  for (const [start, lines, body, sent] of [
    [
      'POST /java HTTP/1.1',
      ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAEAAEAA', 'Content-Length: 5'],
      'hello',
      'hello'
    ],
    [
      'POST /java HTTP/1.1',
      ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAEAAEAA', 'Transfer-Encoding: chunked'],
      '5\r\nhello\r\n0\r\n\r\n',
      'hello'
    ],
    ['GET /tls HTTP/1.1', ['Connection: Upgrade', 'Upgrade: TLS/1.0'], '', ''],
    ['GET /both HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket, h2c'], '', ''],
    ['POST /body HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 5'], 'hello', 'hello'],
    ['PUT /put HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 0'], '', ''],
    ['GET /silent HTTP/1.1', ['Upgrade: websocket'], '', '']
  ] as const) {
    client.send(message(start, [host(proxy), ...lines], body))
    t.match(await client.response(), { statusCode: 200, text: `${start.split(' ')[1]} ${sent}` })
  }
  t.match(await send(proxy, message('GET /old HTTP/1.0', [host(proxy), ...UPGRADE])), { statusCode: 200 })
  t.notMatch(upstream.received, /upgrade|http2/i)
  client.destroy()
})

t.test('a pipelined upgrade is taken up behind the responses in front of it', async (t) => {
  const { proxy, upstream } = await pair(t, {}, ({ method, target }) =>
    method === 'GET' && target === '/ws' ? `${SWITCH}frames` : respondWith('200 OK', [], 'x'.repeat(3_000_000))
  )
  const client = await connectRaw(proxy.port)
  client.send(message('GET /1 HTTP/1.1', [host(proxy)]) + handshake(proxy, '/ws') + 'up')
  t.equal((await client.response()).body.length, 3_000_000)
  t.match((await client.head()).startLine, ' 101 ')
  await client.until((bytes) => bytes.toString() === 'frames')
  await upstream.until(() => upstream.received.endsWith('\r\n\r\nup'))
  client.destroy()
})

t.test('a client that leaves before the response costs the upstream nothing more', async (t) => {
  const { proxy, upstream } = await pair(t, {}, () => undefined)
  for (const leave of [
    (client: RawClient) => {
      client.destroy()
    },
    (client: RawClient) => {
      client.reset()
    },
    (client: RawClient) => {
      client.socket.end()
    }
  ]) {
    const client = await open(proxy)
    const count = upstream.exchanges.length
    await upstream.until(() => upstream.exchanges.length > count)
    leave(client)
    await upstream.last.connection.closed
    client.destroy()
  }
  await proxy.line((line) => line['msg'] === 'request' && line['aborted'] === true)
  t.notMatch(proxy.logged(), 'request failed')
})

t.test('an upgraded connection has one line and one count at its end, and holds no place among requests in flight', async (t) => {
  const { proxy } = await pair(t, { prefix: '/api' }, undefined, { config: { limits: { connections: 100, requests: 1 } } })
  const clients: RawClient[] = []
  for (let count = 0; count < 5; count++) {
    const client = await open(proxy, '/api/chat?secret=1')
    t.match((await client.head()).startLine, ' 101 ')
    clients.push(client)
  }
  t.notMatch(proxy.logged(), '"request"')
  for (const client of clients) client.destroy()
  t.match(await line(proxy), { route: '/api', method: 'GET', path: '/api/chat', status: 101 })
  while (proxy.lines().filter(({ msg }) => msg === 'request').length < 5) await new Promise((resolve) => { setImmediate(resolve) })
  t.ok(proxy.lines().filter(({ msg }) => msg === 'request').every((line) => line['status'] === 101 && !('aborted' in line)))
  t.match(await proxy.scrape(), /requests_total\{route="\/api",method="GET",status="1xx"\} 5/)
  // Nothing was counted down twice: two requests at once are one more than the limit lets through.
  t.match(await send(proxy, handshake(proxy, '/api/chat')), { statusCode: 101 })
})

t.test('an upgraded connection is a connection: the limit of those holds', async (t) => {
  const { proxy } = await pair(t, {}, undefined, { config: { limits: { connections: 1, requests: 10 } } })
  const client = await open(proxy)
  t.match((await client.head()).startLine, ' 101 ')
  refused(t, await send(proxy, message('GET / HTTP/1.1', [host(proxy)])), 503, 'CS_OVERLOADED')
  client.destroy()
})

t.test('the admin listener knows no upgrade: it answers what was asked, and closes', async (t) => {
  const { proxy } = await pair(t, {})
  const client = await connectRaw(proxy.adminPort)
  client.send(message('GET /live HTTP/1.1', [`Host: localhost:${proxy.adminPort}`, ...UPGRADE]))
  t.match(await client.response(), { statusCode: 200 })
  await client.closed()
})

t.test('draining leaves an open upgraded connection its time, puts no byte into it, and ends it at the limit', async (t) => {
  const { proxy, upstream } = await pair(t, {})
  const short = await open(proxy)
  const long = await open(proxy)
  for (const client of [short, long]) t.match((await client.head()).startLine, ' 101 ')
  let drained = false
  const draining = proxy.listener.drain(500).then(() => { drained = true })
  upstream.exchanges[0]?.send('still here')
  upstream.exchanges[1]?.send('still here')
  for (const client of [short, long]) await client.until((bytes) => bytes.toString() === 'still here')
  t.notOk(drained)
  short.destroy()
  await draining
  await long.closed()
  t.equal(long.unread.toString(), 'still here')
  await Promise.all(upstream.connections.map(({ closed }) => closed))
})

t.test('draining ends as soon as the last upgraded connection does', async (t) => {
  const { proxy, upstream } = await pair(t, {})
  const client = await open(proxy)
  t.match((await client.head()).startLine, ' 101 ')
  const draining = proxy.listener.drain(60_000)
  upstream.last.connection.socket.end()
  await client.closed()
  client.socket.end()
  await draining
})

async function pair (
  t: Test,
  route: Partial<TestRoute>,
  respond: ScriptedResponse = () => SWITCH,
  options: Partial<ProxyOptions> = {}
): Promise<{ proxy: TestProxy, upstream: RecordingUpstream }> {
  const upstream = await startUpstream(t, { respond })
  const proxy = await startProxy(t, { ...options, routes: [{ ...route, upstream: upstream.origin + (route.upstream ?? '') }] })
  return { proxy, upstream }
}

/** A proxy with tokens `api-1`, `api-2`, …, the first of which is old enough to be replaced. */
async function renewable (
  t: Test,
  respond: ScriptedResponse
): Promise<{ proxy: TestProxy, upstream: RecordingUpstream, credential: TokenCredential }> {
  const credential = createTokenCredential()
  const clock = createAgingClock()
  const { proxy, upstream } = await pair(t, { bindings: [credential.bearer] }, respond, { credentials: [credential.options], clock })
  await proxy.fetched(1)
  clock.age(3_000)
  return { proxy, upstream, credential }
}

function tokenOf ({ header }: UpstreamExchange): number {
  return Number(header('authorization')?.slice('Bearer api-'.length) ?? 0)
}

function host (proxy: TestProxy): string {
  return `Host: localhost:${proxy.port}`
}

function handshake (proxy: TestProxy, target: string, lines: readonly string[] = []): string {
  return message(`GET ${target} HTTP/1.1`, [host(proxy), ...UPGRADE, ...lines])
}

async function open (proxy: TestProxy, target = '/', lines: readonly string[] = []): Promise<RawClient> {
  const client = await connectRaw(proxy.port)
  client.send(handshake(proxy, target, lines))
  return client
}

function send (proxy: TestProxy, bytes: string): Promise<RawResponse> {
  return rawRequest(proxy.port, bytes)
}

function line (proxy: TestProxy): Promise<Record<string, unknown>> {
  return proxy.line(({ msg }) => msg === 'request')
}

function refused (t: Test, response: RawResponse, status: number, code: string): void {
  t.match(JSON.parse(response.text), { statusCode: status, code })
  t.equal(response.statusCode, status)
  t.match(response.header('proxy-status'), /^countersign; error=/)
  t.equal(response.header('connection'), 'close')
}
