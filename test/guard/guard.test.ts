import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Secret } from '#src/secret.ts'
import { connectRaw, message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { BEARER, CANARY, startProxy, type ProxyOptions, type TestProxy } from '../helpers/proxy.ts'
import { respondWith, startUpstream, type RecordingUpstream } from '../helpers/recording-upstream.ts'

const TOKEN = CANARY.password

t.test('B1, B3: a foreign, doubled, missing or malformed Host sends nothing upstream', async (t) => {
  const { proxy, upstream } = await pair(t)
  const { port } = proxy
  for (const name of [
    `evil.example:${port}`,
    `localhost.evil.example:${port}`,
    `127.0.0.1.nip.io:${port}`,
    'evil.example#localhost',
    'localhost@evil.example',
    `127.1:${port}`,
    `2130706433:${port}`,
    `localhost:${port + 1}`,
    'localhost'
  ]) {
    refused(t, await rawRequest(port, message('GET /x HTTP/1.1', [`Host: ${name}`])), 421, 'CS_HOST_NOT_ALLOWED', name)
  }
  for (const lines of [
    [],
    ['Host:'],
    ['Host: '],
    [`Host: :${port}`],
    [`Host: localhost:${port}`, `Host: localhost:${port}`],
    [`Host: localhost:${port}`, 'HOST: evil.example'],
    ['Host: a b'],
    [`Host: localhost:${port}, evil.example`],
    ['Host: localhost:port']
  ]) {
    const response = await rawRequest(port, message('GET /x HTTP/1.1', lines))
    refused(t, response, 400, 'CS_BAD_REQUEST', lines.join())
    t.equal(response.header('connection'), 'close')
  }
  refused(t, await rawRequest(port, 'GET /x HTTP/1.0\r\n\r\n'), 400, 'CS_BAD_REQUEST', 'HTTP/1.0 without Host')
  refused(t, await rawRequest(port, 'GET /x\r\n\r\n'), 400, 'CS_BAD_REQUEST', 'HTTP/0.9')
  const hidden = Array.from({ length: 1200 }, (_, index) => `a${index}:b`)
  refused(
    t,
    await rawRequest(port, message('GET /x HTTP/1.1', [`Host: localhost:${port}`, ...hidden, 'Host: evil.example'])),
    400,
    'CS_BAD_REQUEST',
    'a second Host behind more headers than Node keeps'
  )
  refused(
    t,
    await rawRequest(port, message('GET /x HTTP/1.1', [`Host: localhost:${port}`, ...hidden, 'Origin: https://evil.example'])),
    403,
    'CS_ORIGIN_NOT_ALLOWED',
    'an Origin behind them'
  )
  t.equal(upstream.accepted, 0)
})

t.test('the names of this listener and the listed ones are let through', async (t) => {
  const { proxy, upstream } = await pair(t, { config: { allowedHosts: ['proxy.internal'] } })
  const names = [
    `localhost:${proxy.port}`,
    `127.0.0.1:${proxy.port}`,
    `[::1]:${proxy.port}`,
    `LOCALHOST:${proxy.port}`,
    'proxy.internal',
    'Proxy.Internal:99'
  ]
  for (const name of names) t.match(await rawRequest(proxy.port, message('GET /x HTTP/1.1', [`Host: ${name}`])), { statusCode: 200 }, name)
  t.same(upstream.exchanges.map(({ header }) => header('host')), names.map(() => `127.0.0.1:${upstream.port}`))
})

t.test('a unix socket takes any one Host, and still no browser', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cs-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  const path = join(folder, 'a.sock')
  const { upstream } = await pair(t, { address: { type: 'unix', path } })
  t.match(await rawRequest(path, message('GET /x HTTP/1.1', ['Host: anything.example'])), { statusCode: 200 })
  refused(t, await rawRequest(path, message('GET /x HTTP/1.1', ['Host: a', 'Host: a'])), 400, 'CS_BAD_REQUEST')
  refused(t, await rawRequest(path, message('GET /x HTTP/1.1')), 400, 'CS_BAD_REQUEST')
  refused(t, await rawRequest(path, message('GET /x HTTP/1.1', ['Host: a', 'Origin: https://evil.example'])), 403, 'CS_ORIGIN_NOT_ALLOWED')
  t.equal(upstream.exchanges.length, 1)
})

t.test('B4: absolute form is refused, whatever it and Host say', async (t) => {
  const { proxy, upstream } = await pair(t)
  const own = `localhost:${proxy.port}`
  for (const [target, name] of [
    ['http://evil.example/api', own],
    ['http://evil.example/api', 'evil.example'],
    [`http://${own}/api`, 'evil.example'],
    [`http://${own}/api`, own],
    ['https://evil.example', 'evil.example:443'],
    ['ftp://x/', 'a b'],
    ['http:/api', own]
  ] as const) {
    const response = await rawRequest(proxy.port, message(`GET ${target} HTTP/1.1`, [`Host: ${name}`]))
    refused(t, response, 400, 'CS_BAD_REQUEST', target)
    t.match(response.text, /this is no forward proxy/i, 'a client that takes it for one hears so, and not of its Host')
  }
  const tunnel = await rawRequest(proxy.port, message('CONNECT evil.example:443 HTTP/1.1', ['Host: evil.example:443']))
  refused(t, tunnel, 405, 'CS_METHOD_NOT_ALLOWED')
  t.match(tunnel.text, /this is no forward proxy/)
  t.equal(upstream.accepted, 0)
})

t.test('a Content-Length that numbers cannot tell apart is refused, and sends nothing upstream', async (t) => {
  const { proxy, upstream } = await pair(t)
  for (const length of ['9007199254740992', '9007199254740993', '18446744073709551615', '00009007199254740992']) {
    const response = await send(proxy, 'POST /x HTTP/1.1', [`Content-Length: ${length}`])
    refused(t, response, 400, 'CS_BAD_REQUEST', length)
    t.match(response.text, /Content-Length/)
    t.equal(response.header('connection'), 'close')
  }
  t.equal(upstream.accepted, 0)
  const client = await connectRaw(proxy.port)
  client.send(message('POST /x HTTP/1.1', [`Host: localhost:${proxy.port}`, 'Content-Length: 9007199254740991'], 'begin'))
  await upstream.until(() => upstream.connections[0]?.exchanges[0]?.header('content-length') === '9007199254740991')
  client.destroy()
})

t.test('B5, B7: what a browser sends for another site is refused, for every method', async (t) => {
  const { proxy, upstream } = await pair(t)
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND']) {
    for (const lines of [
      ['Origin: https://evil.example', 'Content-Type: text/plain'],
      ['Origin: null'],
      ['Origin: http://localhost:1'],
      ['Origin:'],
      [`Origin: https://localhost:${proxy.port}`],
      [`Origin: http://127.0.0.1:${proxy.port}`],
      ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors'],
      ['Sec-Fetch-Site: same-site'],
      [`Origin: http://localhost:${proxy.port}`, 'Origin: https://evil.example'],
      [`Origin: http://localhost:${proxy.port}`, 'Sec-Fetch-Site: cross-site']
    ]) {
      const response = await send(proxy, `${method} /x HTTP/1.1`, lines, method)
      t.match(response, { statusCode: 403 }, `${method} ${lines.join()}`)
      if (method !== 'HEAD') refused(t, response, 403, 'CS_ORIGIN_NOT_ALLOWED')
      noCors(t, response)
    }
  }
  t.match(await send(proxy, 'GET /x HTTP/1.1', [`Origin: http://localhost:${proxy.port}`, 'Sec-Fetch-Site: same-origin']), {
    statusCode: 200
  })
  t.match(await send(proxy, 'GET /x HTTP/1.1', ['Sec-Fetch-Site: none']), { statusCode: 200 })
  t.equal(upstream.exchanges.length, 2)
})

t.test('B8: no preflight of a foreign origin succeeds, and the upstream\'s CORS headers stay behind', async (t) => {
  const { proxy, upstream } = await pair(t)
  upstream.respond = () => respondWith('200 OK', ['Access-Control-Allow-Origin: *', 'Access-Control-Allow-Credentials: true'])
  const response = await send(proxy, 'OPTIONS /x HTTP/1.1', [
    'Origin: https://evil.example',
    'Access-Control-Request-Method: POST',
    'Access-Control-Request-Private-Network: true'
  ])
  refused(t, response, 403, 'CS_ORIGIN_NOT_ALLOWED')
  noCors(t, response)
  t.equal(upstream.accepted, 0)
  noCors(t, await send(proxy, 'GET /x HTTP/1.1'))
})

t.test('a listed origin gets its preflight answered here, and CORS headers on responses and errors', async (t) => {
  const { proxy, upstream } = await pair(t, {
    config: { allowedOrigins: ['https://app.example'], callerToken: new Secret(TOKEN) },
    routes: [{ prefix: '/api', upstream: '', bindings: [BEARER] }]
  })
  upstream.respond = () => respondWith('200 OK', ['Access-Control-Allow-Origin: *', 'Vary: Accept'], 'ok')
  const preflight = await send(proxy, 'OPTIONS /api/x HTTP/1.1', [
    'Origin: https://app.example',
    'Sec-Fetch-Site: cross-site',
    'Access-Control-Request-Method: PUT',
    'Access-Control-Request-Headers: x-countersign-token, content-type'
  ])
  t.equal(preflight.statusCode, 204)
  t.same(preflight.all('access-control-allow-origin'), ['https://app.example'])
  t.equal(preflight.header('access-control-allow-methods'), 'PUT')
  t.equal(preflight.header('access-control-allow-headers'), 'x-countersign-token, content-type')
  t.equal(preflight.header('vary'), 'Origin')
  t.same(preflight.all('access-control-allow-credentials'), ['true'])
  t.equal(preflight.header('x-content-type-options'), 'nosniff')
  t.equal(preflight.header('cross-origin-resource-policy'), 'same-origin')
  t.equal(upstream.accepted, 0)

  const response = await send(proxy, 'PUT /api/x HTTP/1.1', [
    'Origin: https://app.example',
    'Sec-Fetch-Site: cross-site',
    `X-Countersign-Token: ${TOKEN}`
  ])
  t.match(response, { statusCode: 200, text: 'ok' })
  t.same(response.all('access-control-allow-origin'), ['https://app.example'])
  t.same(response.all('vary'), ['Accept', 'Origin'])
  const missing = await send(proxy, 'GET /other HTTP/1.1', ['Origin: https://app.example', `X-Countersign-Token: ${TOKEN}`])
  refused(t, missing, 404, 'CS_NO_ROUTE')
  t.same(missing.all('access-control-allow-origin'), ['https://app.example'])
  const anonymous = await send(proxy, 'GET /api/x HTTP/1.1', ['Origin: https://app.example'])
  refused(t, anonymous, 401, 'CS_CALLER_TOKEN')
  refused(
    t,
    await send(proxy, 'OPTIONS /api/x HTTP/1.1', ['Origin: https://app.example']),
    401,
    'CS_CALLER_TOKEN',
    'OPTIONS that is no preflight'
  )
  t.equal(upstream.exchanges.length, 1)
})

t.test('B9: an upgrade passes the same guards before anything is dialled', async (t) => {
  const { proxy, upstream } = await pair(t)
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13']
  refused(t, await send(proxy, 'GET /x HTTP/1.1', [...upgrade, 'Origin: https://evil.example']), 403, 'CS_ORIGIN_NOT_ALLOWED')
  refused(t, await rawRequest(proxy.port, message('GET /x HTTP/1.1', ['Host: evil.example', ...upgrade])), 421, 'CS_HOST_NOT_ALLOWED')
  t.equal(upstream.accepted, 0)
})

t.test('B12: the caller token is wanted once, in one of two places, and never reaches the upstream', async (t) => {
  const { proxy, upstream } = await pair(t, { config: { callerToken: new Secret(TOKEN) } })
  for (const lines of [
    [],
    ['Proxy-Authorization: Bearer wrong'],
    ['Proxy-Authorization: Bearer'],
    ['Proxy-Authorization: Bearer '],
    ['Proxy-Authorization:'],
    [`Proxy-Authorization: ${TOKEN}`],
    [`Proxy-Authorization: Basic ${TOKEN}`],
    [`Authorization: Bearer ${TOKEN}`],
    ['X-Countersign-Token:'],
    ['X-Countersign-Token: wrong'],
    [`X-Countersign-Token: ${TOKEN}x`],
    [`X-Countersign-Token: ${TOKEN.slice(0, -1)}`],
    [`X-Countersign-Token: Bearer ${TOKEN}`],
    [`X-Countersign-Token: ${TOKEN}`, `X-Countersign-Token: ${TOKEN}`],
    [`Proxy-Authorization: Bearer ${TOKEN}`, `X-Countersign-Token: ${TOKEN}`],
    [`Proxy-Authorization: Bearer ${TOKEN}`, 'Proxy-Authorization: Bearer wrong'],
    [`X_Countersign_Token: ${TOKEN}`],
    [`Cookie: X-Countersign-Token=${TOKEN}`]
  ]) {
    const response = await send(proxy, 'GET /x HTTP/1.1', lines)
    refused(t, response, 401, 'CS_CALLER_TOKEN', lines.join())
    t.notMatch(response.text, 'CANARY')
  }
  t.equal(upstream.accepted, 0)
  for (const lines of [
    [`Proxy-Authorization: Bearer ${TOKEN}`],
    [`proxy-authorization: BEARER  ${TOKEN}`],
    [`X-Countersign-Token: ${TOKEN}`]
  ]) { t.match(await send(proxy, 'GET /x HTTP/1.1', lines), { statusCode: 200 }, lines.join()) }
  t.equal(upstream.exchanges.length, 3)
  t.notMatch(upstream.received, TOKEN)
  t.notMatch(proxy.logged(), 'CANARY')
})

t.test('S1: a coding other than one chunked is refused, and nothing behind it is read as a request', async (t) => {
  const { proxy, upstream } = await pair(t)
  for (const lines of [
    ['Transfer-Encoding: identity'],
    ['Transfer-Encoding: xchunked'],
    ['Transfer-Encoding: chunked, identity'],
    ['Transfer-Encoding: gzip, chunked'],
    ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
    ['Transfer-Encoding:'],
    ['Transfer-Encoding: chunked;a=b'],
    ['Transfer-Encoding: "chunked"']
  ]) {
    for (const packets of [1, 2]) {
      const client = await connectRaw(proxy.port)
      const first = message('POST /x HTTP/1.1', [`Host: localhost:${proxy.port}`, ...lines], '0\r\n\r\n')
      const second = message('GET /smuggled HTTP/1.1', [`Host: localhost:${proxy.port}`])
      client.send(packets === 1 ? first + second : first)
      const response = await client.response()
      refused(t, response, 400, 'CS_BAD_REQUEST', lines.join())
      t.equal(response.header('connection'), 'close', lines.join())
      if (packets === 2) client.send(second)
      t.equal((await client.rest()).length, 0, 'nothing more is answered')
    }
  }
  t.equal(upstream.accepted, 0)
})

t.test('V2, S8: what is framed like HTTP/1.1 and says that it is another version is refused, and a coding in HTTP/1.0', async (t) => {
  const { proxy, upstream } = await pair(t)
  for (const [version, lines] of [
    ['HTTP/2.0', []],
    ['HTTP/0.9', []],
    ['HTTP/1.0', ['Transfer-Encoding: chunked']],
    ['HTTP/1.0', ['Connection: keep-alive', 'Transfer-Encoding: chunked']]
  ] as const) {
    const response = await rawRequest(proxy.port, message(`POST /x ${version}`, [`Host: localhost:${proxy.port}`, ...lines], '0\r\n\r\n'))
    refused(t, response, 400, 'CS_BAD_REQUEST', version)
    t.equal(response.header('connection'), 'close', version)
  }
  t.equal(upstream.accepted, 0)
})

t.test('guards come before everything else that could be wrong', async (t) => {
  const { proxy } = await pair(t, { config: { callerToken: new Secret(TOKEN) } })
  const response = await rawRequest(proxy.port, message('TRACE /../x HTTP/1.1', ['Host: evil.example', 'Origin: https://evil.example']))
  refused(t, response, 421, 'CS_HOST_NOT_ALLOWED')
  refused(t, await send(proxy, 'GET /nowhere/../x HTTP/1.1'), 401, 'CS_CALLER_TOKEN')
})

async function pair (t: Test, options: Partial<ProxyOptions> = {}): Promise<{ proxy: TestProxy, upstream: RecordingUpstream }> {
  const upstream = await startUpstream(t)
  const routes = (options.routes ?? [{ upstream: '', bindings: [BEARER] }]).map((route) => ({ ...route, upstream: upstream.origin }))
  return { upstream, proxy: await startProxy(t, { ...options, routes }) }
}

function send (proxy: TestProxy, line: string, lines: readonly string[] = [], method = 'GET'): Promise<RawResponse> {
  return rawRequest(proxy.port, message(line, [`Host: localhost:${proxy.port}`, ...lines]), { method })
}

function noCors (t: Test, response: RawResponse): void {
  t.same(response.fields.filter(([name]) => /^access-control/i.test(name)), [])
}

function refused (t: Test, response: RawResponse, statusCode: number, code: string, what = code): void {
  t.match(response, { statusCode, complete: true }, what)
  t.match(JSON.parse(response.text), { statusCode, code }, what)
  t.match(response.header('proxy-status'), /^countersign; error=\w+$/, what)
  t.equal(response.header('x-content-type-options'), 'nosniff')
  t.equal(response.header('cross-origin-resource-policy'), 'same-origin')
}
