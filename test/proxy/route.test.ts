import { METHODS } from 'node:http'
import t, { type Test } from 'tap'
import type { Binding } from '#src/auth/scheme.ts'
import { Secret } from '#src/secret.ts'
import { connectRaw, message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { apiKey, BEARER, CANARY, startProxy, type TestProxy, type TestRoute } from '../helpers/proxy.ts'
import { respondWith, startUpstream, type RecordingUpstream } from '../helpers/recording-upstream.ts'

const FORWARDED = METHODS.filter((method) => method !== 'CONNECT' && method !== 'TRACE')

t.test('the prefix is removed, the base path kept, and the credential set', async (t) => {
  const { proxy, upstream } = await pair(t, { prefix: '/orders', path: '/v2', bindings: [BEARER, apiKey('header', 'X-Api-Key')] })
  const response = await send(proxy, 'GET /orders/a/b?x=1 HTTP/1.1', ['X-Client: yes'])
  t.match(response, { statusCode: 200, text: 'ok' })
  t.equal(upstream.last.startLine, 'GET /v2/a/b?x=1 HTTP/1.1')
  t.same(upstream.last.all('authorization'), [`Bearer ${CANARY.token}`])
  t.same(upstream.last.all('x-api-key'), [CANARY.key])
  t.same(upstream.last.all('host'), [`127.0.0.1:${upstream.port}`])
  t.same(upstream.last.all('x-client'), ['yes'])
  t.equal(response.header('proxy-status'), undefined, 'the response is the upstream\'s own')
})

t.test('paths and queries arrive byte for byte', async (t) => {
  const { proxy, upstream } = await pair(t, { prefix: '/api', path: '/v2' })
  for (const rest of [
    '',
    '/',
    '/a//b',
    '/a/',
    '/%C3%A9',
    '/a%2Fb',
    '/%2f',
    '/{id}|"<>^`',
    '/a;v=1',
    '/a%252eb',
    '/~user/.well-known/...',
    '/a:b@c',
    '/100%25',
    '?',
    '?a=1&a=2&b=%20+%2B&c=%C3%A9&=x&d',
    '/x?../..//\\&%zz&%00&?',
    '/x?u=http://evil.example/%23',
    '/x?a=[1]{2}|"\'^`'
  ]) {
    await send(proxy, `GET /api${rest} HTTP/1.1`)
    t.equal(upstream.last.target, `/v2${rest}`, rest)
  }
})

t.test('every method is forwarded, with and without a body, of either framing', async (t) => {
  const { proxy, upstream } = await pair(t, { bindings: [BEARER] })
  for (const method of FORWARDED) {
    for (const [lines, body, expected] of [
      [[], '', ''],
      [['Content-Length: 0'], '', ''],
      [['Content-Type: application/json', 'Content-Length: 7'], '{"a" :1', '{"a" :1'],
      [['Content-Type: x y z', 'Transfer-Encoding: chunked'], '3\r\nab\n\r\n2;ext=1\r\nc\0\r\n0\r\n\r\n', 'ab\nc\0']
    ] as const) {
      const response = await send(proxy, `${method} /m HTTP/1.1`, lines, body)
      t.match(response, { statusCode: 200, complete: true }, `${method} ${lines.join()}`)
      await upstream.last.whole
      t.equal(upstream.last.startLine, `${method} /m HTTP/1.1`)
      t.equal(upstream.last.body.toString('latin1'), expected, `${method} ${lines.join()}`)
      t.same(upstream.last.all('authorization'), [`Bearer ${CANARY.token}`])
      t.ok(upstream.last.all('content-length').length + upstream.last.all('transfer-encoding').length < 2, 'one framing')
    }
  }
  t.equal(upstream.exchanges.length, FORWARDED.length * 4)
})

t.test('TRACE and CONNECT are refused, unknown and lower-case methods are malformed', async (t) => {
  const { proxy, upstream } = await pair(t, { bindings: [BEARER] })
  refused(t, await send(proxy, 'TRACE /x HTTP/1.1'), 405, 'CS_METHOD_NOT_ALLOWED')
  refused(t, await send(proxy, 'CONNECT 169.254.169.254:80 HTTP/1.1'), 405, 'CS_METHOD_NOT_ALLOWED')
  for (const method of ['post', 'Get', 'FOO']) refused(t, await send(proxy, `${method} /x HTTP/1.1`), 400, 'CS_BAD_REQUEST')
  t.equal(upstream.accepted, 0)
})

t.test('headers of a client reach the upstream as they were sent, and ours behind them', async (t) => {
  const { proxy, upstream } = await pair(t, { bindings: [BEARER] })
  await send(proxy, 'GET / HTTP/1.1', [
    'X-CASE: A',
    'x-case: b',
    'Accept-Version: 2.x',
    'User-Agent: a\xe9b',
    'X_Under: 1',
    'Cookie: a=1',
    'cookie: b=2',
    'X-Empty:',
    'constructor: 1',
    '__proto__: 2',
    'Via: 1.1 other',
    'Accept-Encoding: gzip, br'
  ])
  const own = new Set(['host', 'connection'])
  t.same(
    upstream.last.fields.filter(([name]) => !own.has(name)),
    [
      ['X-CASE', 'A'],
      ['x-case', 'b'],
      ['Accept-Version', '2.x'],
      ['User-Agent', 'a\xe9b'],
      ['X_Under', '1'],
      ['Cookie', 'a=1'],
      ['cookie', 'b=2'],
      ['X-Empty', ''],
      ['constructor', '1'],
      ['__proto__', '2'],
      ['Via', '1.1 other'],
      ['Accept-Encoding', 'gzip, br'],
      ['authorization', `Bearer ${CANARY.token}`]
    ]
  )
})

t.test('H1, H2, H3: no spelling, repetition or Connection list changes what is injected', async (t) => {
  const { proxy, upstream } = await pair(t, {
    bindings: [BEARER, apiKey('header', 'X-Api-Key'), apiKey('cookie', 'session'), apiKey('query', 'key')]
  })
  for (const lines of [
    ['Connection: close, X-Api-Key, Authorization, Cookie'],
    ['Connection: x-api-key', 'CONNECTION: AUTHORIZATION'],
    ['Proxy-Connection: authorization'],
    ['X_Api_Key: evil', 'X_API_KEY: evil', 'x-api_key: evil', 'X-Api-Key: evil'],
    ['Authorization: Bearer evil'],
    ['Authorization: Bearer evil', 'AUTHORIZATION: Bearer evil', 'authorization: Basic evil'],
    ['Cookie: session=evil; a=1', 'cookie: session=evil']
  ]) {
    t.match(await send(proxy, 'GET /x?key=evil&%6bey=evil&a=1 HTTP/1.1', lines), { statusCode: 200 }, lines.join())
    t.same(upstream.last.all('authorization'), [`Bearer ${CANARY.token}`])
    t.same(upstream.last.fields.filter(([name]) => /^x[-_]api[-_]key$/i.test(name)), [['X-Api-Key', CANARY.key]])
    t.equal(upstream.last.all('cookie').join('; ').match(/session=/g)?.length, 1)
    t.match(upstream.last.header('cookie'), `session=${CANARY.key}`)
    t.equal(upstream.last.target, `/x?a=1&key=${CANARY.key}`)
    t.notMatch(upstream.last.connection.received, 'evil')
  }
})

t.test('a public route passes Authorization on and injects nothing', async (t) => {
  const { proxy, upstream } = await pair(t, {})
  await send(proxy, 'GET / HTTP/1.1', ['Authorization: Basic own', 'authorization: Basic twice'])
  t.same(upstream.last.all('authorization'), ['Basic own', 'Basic twice'])
  t.notMatch(upstream.received, 'CANARY')
})

t.test('H6: credentials for proxies, forwarding headers, TE and request trailers never reach the upstream', async (t) => {
  const { proxy, upstream } = await pair(t, { bindings: [BEARER] })
  await send(
    proxy,
    'POST / HTTP/1.1',
    [
      'Proxy-Authorization: Bearer evil',
      'TE: trailers, gzip',
      'Trailer: Authorization',
      'Forwarded: for=evil',
      'X-Forwarded-For: evil',
      'X_Forwarded_Host: evil',
      'X-Countersign-Token: evil',
      'Keep-Alive: 300',
      'Transfer-Encoding: chunked'
    ],
    '2\r\nok\r\n0\r\nAuthorization: evil\r\nX-Trailer: evil\r\n\r\n'
  )
  t.equal(await upstream.last.whole, true)
  t.same(
    upstream.last.fields
      .map(([name]) => name)
      .filter((name) => !/^(?:transfer-encoding|content-length)$/.test(name))
      .sort(),
    ['authorization', 'connection', 'host']
  )
  t.same(upstream.last.trailers, [])
  t.notMatch(upstream.received, 'evil')
})

t.test('H11: what ordinary clients send succeeds', async (t) => {
  const { proxy, upstream } = await pair(t, { bindings: [BEARER] })
  t.match(await send(proxy, 'GET / HTTP/1.1', ['Keep-Alive: 300', 'Connection: keep-alive']), { statusCode: 200 })
  t.match(
    await send(proxy, 'GET / HTTP/1.1', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']),
    { statusCode: 200 }
  )
  t.notMatch(upstream.received, /upgrade|h2c|http2/i)
  t.match(
    await send(proxy, 'GET / HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x', 'Sec-WebSocket-Version: 13']),
    { statusCode: 200 }
  )
  t.match(await rawRequest(proxy.port, message('GET / HTTP/1.0', [`Host: localhost:${proxy.port}`])), { statusCode: 200, text: 'ok' })
})

t.test('a client that expects 100-continue gets it once the request is let through, and only then sends', async (t) => {
  const { proxy, upstream } = await pair(t, { bindings: [BEARER], allow: ['POST /in'] })
  const client = await connectRaw(proxy.port)
  const body = Buffer.alloc(2_000_000, 'x')
  client.send(message('POST /in HTTP/1.1', [host(proxy), 'Expect: 100-continue', `Content-Length: ${body.length}`]))
  t.equal((await client.head()).startLine, 'HTTP/1.1 100 Continue')
  client.send(body)
  t.match(await client.response(), { statusCode: 200, interim: [] })
  t.equal(upstream.last.bodyBytes, body.length)
  t.same(upstream.last.all('expect'), [])
  client.destroy()

  const other = await connectRaw(proxy.port)
  other.send(message('POST /out HTTP/1.1', [host(proxy), 'Expect: 100-continue', 'Content-Length: 5']))
  const response = await other.response()
  refused(t, response, 403, 'CS_NOT_ALLOWED')
  t.same(response.interim, [], 'a refused upload is never asked for')
  t.equal(response.header('connection'), 'close')
  await other.closed()
})

t.test('an allow list is matched on the bytes that are sent', async (t) => {
  const { proxy, upstream } = await pair(t, { prefix: '/relayer', bindings: [BEARER], allow: ['POST /txs', 'GET /txs/*', 'GET /pub/**'] })
  for (const line of ['POST /relayer/txs', 'GET /relayer/txs/1', 'GET /%72elayer/txs/1', 'GET /relayer/pub', 'GET /relayer/pub/a%2Fb']) {
    t.match(await send(proxy, `${line} HTTP/1.1`), { statusCode: 200 }, line)
  }
  const seen = upstream.exchanges.length
  for (const line of [
    'GET /relayer/txs',
    'GET /relayer/txs/a%2Fadmin',
    'GET /relayer/txs/a%252Fadmin',
    'GET /relayer/%74xs/1',
    'GET /relayer/TXS/1',
    'GET /relayer/txs/',
    'GET /relayer//txs/1x',
    'PUT /relayer/txs',
    'GET /relayer',
    'GET /relayer/pub;x/a',
    'GET /relayer/pub%2fa'
  ]) {
    const response = await send(proxy, `${line} HTTP/1.1`, [
      'X-HTTP-Method-Override: POST',
      'X-Original-URL: /txs',
      'X-Rewrite-URL: /pub/a'
    ])
    t.ok(response.statusCode === 403 || response.statusCode === 400, `${line} ${response.statusCode}`)
  }
  for (const rest of [
    '/pub/../txs',
    '/pub/%2e%2e/txs',
    '/pub/..%2ftxs',
    '/pub/..;/txs',
    '/pub/%252e%252e/txs',
    '/pub/\\..\\txs',
    '/pub/%5c..%5ctxs'
  ]) { refused(t, await send(proxy, `GET /relayer${rest} HTTP/1.1`), 400, 'CS_BAD_REQUEST', rest) }
  t.equal(upstream.exchanges.length, seen)
})

t.test('P1: no spelling of a traversal leaves the base path', async (t) => {
  const { proxy, upstream } = await pair(t, { prefix: '/api', path: '/pub', bindings: [BEARER] })
  for (const rest of [
    '/../priv',
    '/%2e%2e/priv',
    '/..%2fpriv',
    '/.%2e/priv',
    '/%252e%252e/priv',
    '/..;/priv',
    '/.%00./priv',
    '/..%5cpriv',
    '/a/..',
    '/./x',
    '/..'
  ]) {
    refused(t, await send(proxy, `GET /api${rest} HTTP/1.1`), 400, 'CS_BAD_REQUEST', rest)
  }
  t.equal(upstream.accepted, 0)
})

t.test('P3, P8, P9: other spellings of a prefix and other forms of a target give nothing away', async (t) => {
  const { proxy, upstream } = await pair(t, { prefix: '/api', bindings: [BEARER], allow: ['GET /open'] })
  refused(t, await send(proxy, 'GET /%61pi/secret HTTP/1.1'), 403, 'CS_NOT_ALLOWED')
  for (const target of ['/api%2fopen', '/API/open', '/', '/apiopen', '/other']) {
    refused(t, await send(proxy, `GET ${target} HTTP/1.1`), 404, 'CS_NO_ROUTE', target)
  }
  for (const target of [
    'http://169.254.169.254/latest/meta-data/',
    `http://localhost:${proxy.port}/api/open`,
    '//evil.example/api/open',
    '/api//open',
    '/%',
    '/%zz',
    '/%00',
    '/%ff',
    '/api/a#b',
    '/api/\\open'
  ]) {
    refused(t, await send(proxy, `GET ${target} HTTP/1.1`), 400, 'CS_BAD_REQUEST', target)
  }
  refused(t, await send(proxy, 'OPTIONS * HTTP/1.1'), 400, 'CS_BAD_REQUEST')
  refused(t, await send(proxy, `GET /api/${'a'.repeat(65_536)} HTTP/1.1`), 431, 'CS_HEADERS_TOO_LARGE')
  t.equal(upstream.accepted, 0)
})

t.test('routes share nothing: the longest prefix takes its own credential to its own upstream', async (t) => {
  const one = await startUpstream(t)
  const two = await startUpstream(t)
  const proxy = await startProxy(t, {
    routes: [
      { prefix: '/', upstream: one.origin, bindings: [] },
      { prefix: '/a', upstream: `${two.origin}/base`, bindings: [BEARER] }
    ]
  })
  await send(proxy, 'GET /a/x HTTP/1.1')
  await send(proxy, 'GET /ab HTTP/1.1')
  await send(proxy, 'GET /%61 HTTP/1.1')
  t.same(two.exchanges.map(({ target }) => target), ['/base/x', '/base'])
  t.same(one.exchanges.map(({ target }) => target), ['/ab'])
  t.notMatch(one.received, 'CANARY')
})

t.test('an upstream 503 with Retry-After is passed on after exactly one request', async (t) => {
  const { proxy, upstream } = await pair(t, { bindings: [BEARER] })
  upstream.respond = () => respondWith('503 Service Unavailable', ['Retry-After: 120'], 'later')
  for (const method of ['GET', 'POST']) {
    const response = await send(proxy, `${method} / HTTP/1.1`)
    t.match(response, { statusCode: 503, text: 'later' })
    t.equal(response.header('retry-after'), '120')
    t.equal(response.header('proxy-status'), undefined)
  }
  t.equal(upstream.exchanges.length, 2)
})

t.test('redirects are returned, and a Location leads into the route or to the upstream', async (t) => {
  const { proxy, upstream } = await pair(t, { prefix: '/orders', path: '/v2' })
  for (const [location, expected] of [
    [`${upstream.origin}/v2/a?b`, '/orders/a?b'],
    ['/v2/a', '/orders/a'],
    [`//127.0.0.1:${upstream.port}/v2/a`, '/orders/a'],
    ['a/b', 'a/b'],
    ['/v2x', `${upstream.origin}/v2x`],
    [`//127.0.0.1:${upstream.port}/v2x`, `${upstream.origin}/v2x`],
    ['https://evil.example/v2/a', 'https://evil.example/v2/a'],
    [`${upstream.origin.replace('http', 'https')}/v2/a`, `${upstream.origin.replace('http', 'https')}/v2/a`],
    [`http://user@127.0.0.1:${upstream.port}/v2`, `http://user@127.0.0.1:${upstream.port}/v2`],
    ['/v2/../x', `${upstream.origin}/v2/../x`],
    ['../pay', `${upstream.origin}/pay`]
  ] as const) {
    for (const status of [201, 301, 302, 303, 307, 308]) upstream.respond = () => respondWith(`${status} X`, [`Location: ${location}`])
    const response = await send(proxy, 'GET /orders/x HTTP/1.1')
    t.same(response.all('location'), [expected], location)
  }
  t.equal(upstream.exchanges.length, 11, 'none was followed')
})

t.test('cookies of the upstream work at the local address, below the prefix, or are dropped', async (t) => {
  const { proxy, upstream } = await pair(t, { prefix: '/orders', path: '/v2' })
  upstream.respond = () =>
    respondWith(
      '200 OK',
      [
        'set-cookie: a=1; Path=/v2/x; Secure; HttpOnly',
        'Set-Cookie: b=2; Domain=evil.example',
        'Set-Cookie: c=3; Domain=127.0.0.1; Path=/; SameSite=None; Secure',
        'Set-Cookie: d=4'
      ],
      'ok'
    )
  t.same((await send(proxy, 'GET /orders/x HTTP/1.1')).all('set-cookie'), ['a=1; HttpOnly; Path=/orders/x', 'c=3; Path=/orders', 'd=4'])
  t.same((await send(proxy, 'GET /orders?x HTTP/1.1')).all('set-cookie'), [
    'a=1; HttpOnly; Path=/orders/x',
    'c=3; Path=/orders',
    'd=4; Path=/orders'
  ])
})

t.test('a client that left while its token was fetched costs the upstream nothing', async (t) => {
  const upstream = await startUpstream(t)
  let asked = (): void => {}
  let release = (): void => {}
  const login = new Promise<void>((resolve) => { asked = resolve })
  const proxy = await startProxy(t, {
    routes: [
      {
        upstream: upstream.origin,
        bindings: [{ scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token', credential: 'slow' } } satisfies Binding]
      }
    ],
    credentials: [
      {
        name: 'slow',
        type: 'oauth2',
        source: {
          token: async () => {
            asked()
            await new Promise<void>((resolve) => {
              release = resolve
            })
            return { value: new Secret('CANARY-LATE'), lifetimeMs: 3_600_000 }
          }
        }
      }
    ]
  })
  await login
  const client = await connectRaw(proxy.port)
  client.send(message('GET /x HTTP/1.1', [host(proxy)]))
  const stayed = await connectRaw(proxy.port)
  stayed.send(message('GET /y HTTP/1.1', [host(proxy)]))
  client.reset()
  await proxy.line(({ path }) => path === '/x')
  release()
  t.match(await stayed.response(), { statusCode: 200 })
  t.same(upstream.exchanges.map(({ target }) => target), ['/y'])
  stayed.destroy()
})

async function pair (
  t: Test,
  { path = '', ...route }: Partial<TestRoute> & { readonly path?: string }
): Promise<{ proxy: TestProxy, upstream: RecordingUpstream }> {
  const upstream = await startUpstream(t)
  return { upstream, proxy: await startProxy(t, { routes: [{ ...route, upstream: upstream.origin + path }] }) }
}

function host (proxy: TestProxy): string {
  return `Host: localhost:${proxy.port}`
}

function send (proxy: TestProxy, line: string, lines: readonly string[] = [], body = ''): Promise<RawResponse> {
  return rawRequest(proxy.port, message(line, [host(proxy), ...lines], body), { method: line.split(' ')[0] ?? '' })
}

function refused (t: Test, response: RawResponse, statusCode: number, code: string, what = code): void {
  t.match(response, { statusCode, complete: true }, what)
  t.match(JSON.parse(response.text), { statusCode, code }, what)
  t.match(response.header('proxy-status'), /^countersign; error=\w+$/, what)
}
