import t, { type Test } from 'tap'
import { Secret } from '#src/secret.ts'
import { TokenError } from '#src/token/token.ts'
import { connectRaw, message, rawRequest, type RawResponse } from './helpers/raw-client.ts'
import { apiKey, BEARER, CANARY, startProxy, type TestProxy } from './helpers/proxy.ts'
import { startUpstream } from './helpers/recording-upstream.ts'

const PATHS = ['/startup', '/live', '/ready', '/status', '/metrics']
const UPSTREAM = 'https://api.example.com/v2'

t.test('every path answers GET, and HEAD without a body', async (t) => {
  const proxy = await start(t)
  for (const path of PATHS) {
    const response = await send(proxy, `GET ${path} HTTP/1.1`)
    t.equal(response.statusCode, 200, path)
    t.ok(response.body.length > 0)
    isOurs(t, response)
    const client = await connectRaw(proxy.adminPort)
    for (let turn = 0; turn < 2; turn++) {
      client.send(message(`HEAD ${path} HTTP/1.1`, [host(proxy)]))
      t.match(await client.response({ method: 'HEAD' }), { statusCode: 200 })
      t.equal(client.unread.length, 0)
    }
    client.destroy()
  }
})

t.test('B11: other methods, hosts and origins change nothing and are refused', async (t) => {
  const proxy = await start(t)
  for (const path of [...PATHS, '/', '/quitquitquit', '/reload']) {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'TRACE', 'CONNECT']) {
      const response = await send(proxy, `${method} ${path} HTTP/1.1`)
      refused(t, response, 405, 'CS_METHOD_NOT_ALLOWED', `${method} ${path}`)
      if (method !== 'CONNECT') t.equal(response.header('allow'), 'GET, HEAD')
    }
    refused(
      t,
      await rawRequest(proxy.adminPort, message(`GET ${path} HTTP/1.1`, [`Host: evil.example:${proxy.adminPort}`])),
      421,
      'CS_HOST_NOT_ALLOWED',
      path
    )
    refused(
      t,
      await rawRequest(proxy.adminPort, message(`GET ${path} HTTP/1.1`, [`Host: localhost:${proxy.port}`])),
      421,
      'CS_HOST_NOT_ALLOWED',
      "the proxy's port"
    )
    refused(t, await rawRequest(proxy.adminPort, message(`GET ${path} HTTP/1.1`)), 400, 'CS_BAD_REQUEST', path)
    for (const line of [
      'Origin: https://evil.example',
      'Origin: https://app.example',
      'Origin: null',
      'Sec-Fetch-Site: cross-site',
      'Sec-Fetch-Site: same-site'
    ]) {
      const response = await send(proxy, `GET ${path} HTTP/1.1`, [line])
      refused(t, response, 403, 'CS_ORIGIN_NOT_ALLOWED', `${line} ${path}`)
      t.same(
        response.fields.filter(([name]) => /^access-control/i.test(name)),
        []
      )
    }
  }
  refused(
    t,
    await send(proxy, 'POST /status HTTP/1.1', ['Content-Type: application/json', 'Content-Length: 5'], '{"a":'),
    405,
    'CS_METHOD_NOT_ALLOWED'
  )
})

t.test('a listed origin of the proxy may not read the admin listener, its own page may', async (t) => {
  const proxy = await start(t)
  refused(
    t,
    await send(proxy, 'OPTIONS /status HTTP/1.1', ['Origin: https://app.example', 'Access-Control-Request-Method: GET']),
    403,
    'CS_ORIGIN_NOT_ALLOWED'
  )
  t.match(await send(proxy, 'GET /status HTTP/1.1', [`Origin: http://localhost:${proxy.adminPort}`, 'Sec-Fetch-Site: same-origin']), {
    statusCode: 200
  })
})

t.test('unknown and malformed targets are answered in our own format, behind the guards', async (t) => {
  const proxy = await start(t)
  for (const path of [
    '/nothing',
    '/status/',
    '/STATUS',
    '/statusx',
    '/%',
    '/%zz',
    '/status%00',
    '/a%2fb',
    '//status',
    '/../status',
    'http://localhost/status',
    '*'
  ]) {
    const response = await send(proxy, `GET ${path} HTTP/1.1`)
    t.ok(response.statusCode === 404 || response.statusCode === 400, `${path} ${response.statusCode}`)
    t.match(JSON.parse(response.text), { code: /^CS_(?:NO_ROUTE|BAD_REQUEST)$/ }, path)
    isOurs(t, response)
    const foreign = await rawRequest(proxy.adminPort, message(`GET ${path} HTTP/1.1`, ['Host: evil.example']))
    if (path.startsWith('http:')) refused(t, foreign, 400, 'CS_BAD_REQUEST', path)
    else refused(t, foreign, 421, 'CS_HOST_NOT_ALLOWED', path)
  }
  t.match(await send(proxy, 'GET /live?x=%zz HTTP/1.1'), { statusCode: 200 })
})

t.test('the caller token is not asked for', async (t) => {
  const proxy = await startProxy(t, { routes: [{ upstream: UPSTREAM }], config: { callerToken: new Secret(CANARY.password) } })
  for (const path of PATHS) t.match(await send(proxy, `GET ${path} HTTP/1.1`), { statusCode: 200 }, path)
})

t.test('/startup waits for the listeners and the first attempt of every credential', async (t) => {
  const proxy = await startProxy(t, { routes: [{ upstream: UPSTREAM }], credentials: [failing('broken')], started: false })
  t.match(await send(proxy, 'GET /startup HTTP/1.1'), { statusCode: 503 })
  proxy.store.start()
  await proxy.line(({ credential }) => credential === 'broken')
  t.match(await send(proxy, 'GET /startup HTTP/1.1'), { statusCode: 200 })
  proxy.state.listening = false
  t.match(await send(proxy, 'GET /startup HTTP/1.1'), { statusCode: 503 })
  t.match(await send(proxy, 'GET /live HTTP/1.1'), { statusCode: 200 })
})

t.test('/ready names what is missing, and is not ready from the drain on', async (t) => {
  const proxy = await startProxy(t, { routes: [{ upstream: UPSTREAM }], credentials: [failing('broken')] })
  const response = await send(proxy, 'GET /ready HTTP/1.1')
  t.match(response, { statusCode: 503 })
  t.same(JSON.parse(response.text), { ready: false, missing: ['broken'] })
  const good = await start(t)
  t.same(JSON.parse((await send(good, 'GET /ready HTTP/1.1')).text), { ready: true })
  good.state.draining = true
  t.match(await send(good, 'GET /ready HTTP/1.1'), { statusCode: 503 })
  t.match(JSON.parse((await send(good, 'GET /status HTTP/1.1')).text), { ready: false })
  t.match(await send(good, 'GET /live HTTP/1.1'), { statusCode: 200 })
})

t.test('an upstream\'s health changes nothing', async (t) => {
  const proxy = await startProxy(t, { routes: [{ upstream: 'http://nowhere.invalid' }] })
  await rawRequest(proxy.port, message('GET / HTTP/1.1', [`Host: localhost:${proxy.port}`]))
  t.match(await send(proxy, 'GET /ready HTTP/1.1'), { statusCode: 200 })
})

t.test('/status tells of credentials and routes, and holds no secret', async (t) => {
  const proxy = await startProxy(t, {
    routes: [
      {
        prefix: '/orders',
        upstream: 'https://api.example.com/CANARY-IN-PATH',
        upstreamLabel: 'https://api.example.com/${NAME}',
        credential: 'orders',
        bindings: [BEARER, apiKey('header', 'X-Api-Key')]
      },
      { prefix: '/public', upstream: 'https://public.example.com' }
    ],
    credentials: [failing('broken')]
  })
  await proxy.line(({ credential }) => credential === 'broken')
  const response = await send(proxy, 'GET /status HTTP/1.1')
  t.match(response.header('content-type'), 'application/json')
  const status = JSON.parse(response.text) as { credentials: Array<Record<string, unknown>>, routes: unknown }
  t.match(status, { version: '0.0.0', startedAt: '2026-01-01T00:00:00.000Z', ready: false })
  t.same(status.routes, [
    {
      prefix: '/orders',
      listen: `127.0.0.1:${proxy.port}`,
      upstream: 'https://api.example.com/${NAME}',
      credential: 'orders',
      schemes: ['http bearer', 'apiKey header X-Api-Key']
    },
    { prefix: '/public', listen: `127.0.0.1:${proxy.port}`, upstream: 'https://public.example.com', credential: null, schemes: [] }
  ])
  t.same(status.credentials[0], {
    type: 'static',
    name: 'orders',
    state: 'static',
    expiresAt: null,
    refreshAt: null,
    lastSuccessAt: null,
    lastError: null,
    logins: 0,
    refreshes: 0,
    failures: 0,
    clockSkewMs: null
  })
  t.match(
    status.credentials.find(({ name }) => name === 'broken'),
    { type: 'oauth2', state: 'pending', failures: 1, lastError: { code: 'Timeout', message: /./, at: /^\d{4}-/ } }
  )
  t.notMatch(response.text, 'CANARY')
})

t.test('/metrics is Prometheus text, or OpenMetrics where that is asked for', async (t) => {
  const proxy = await start(t)
  const plain = await send(proxy, 'GET /metrics HTTP/1.1', ['Accept: */*'])
  t.match(plain.header('content-type'), /^text\/plain; version=0\.0\.4/)
  t.notMatch(plain.text, '# EOF')
  const open = await send(proxy, 'GET /metrics HTTP/1.1', [
    'Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5'
  ])
  t.match(open.header('content-type'), /^application\/openmetrics-text/)
  t.match(open.text, /# EOF\n$/)
  const both = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      send(proxy, 'GET /metrics HTTP/1.1', [`Accept: ${index % 2 === 0 ? 'text/plain' : 'application/openmetrics-text'}`])
    )
  )
  for (const [index, { text }] of both.entries()) t.equal(text.endsWith('# EOF\n'), index % 2 === 1)
})

async function start (t: Test): Promise<TestProxy> {
  const upstream = await startUpstream(t)
  return startProxy(t, { routes: [{ upstream: upstream.origin, bindings: [BEARER] }], config: { allowedOrigins: ['https://app.example'] } })
}

function failing (name: string): {
  readonly name: string
  readonly type: 'oauth2'
  readonly source: { readonly token: () => Promise<never> }
} {
  return {
    name,
    type: 'oauth2',
    source: {
      token: async () => {
        throw new TokenError('transient', 'Timeout', 'the identity provider did not answer')
      }
    }
  }
}

function host (proxy: TestProxy): string {
  return `Host: localhost:${proxy.adminPort}`
}

function send (proxy: TestProxy, line: string, lines: readonly string[] = [], body = ''): Promise<RawResponse> {
  return rawRequest(proxy.adminPort, message(line, [host(proxy), ...lines], body))
}

function isOurs (t: Test, response: RawResponse): void {
  t.same(response.all('x-content-type-options'), ['nosniff'])
  t.same(response.all('cross-origin-resource-policy'), ['same-origin'])
  t.same(response.all('cache-control'), ['no-store'])
}

function refused (t: Test, response: RawResponse, statusCode: number, code: string, what = code): void {
  t.match(response, { statusCode, complete: true }, what)
  t.match(JSON.parse(response.text), { statusCode, code }, what)
  t.match(response.header('proxy-status'), /^countersign; error=\w+$/, what)
  isOurs(t, response)
}
