import t, { type Test } from 'tap'
import type { Binding } from '#src/auth/scheme.ts'
import { ERRORS } from '#src/errors.ts'
import { Secret } from '#src/secret.ts'
import { TokenError, type Grant } from '#src/token/token.ts'
import { connectRaw, message, rawRequest, type RawClient, type RawResponse } from './helpers/raw-client.ts'
import { apiKey, BEARER, CANARY, startProxy, type ProxyOptions, type TestProxy } from './helpers/proxy.ts'
import { respondWith, startUpstream, type RecordingUpstream } from './helpers/recording-upstream.ts'

const from = (credential: string): Binding => ({ scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token', credential } })
const source = (token: () => Promise<Grant>): { readonly type: 'oauth2', readonly source: { readonly token: () => Promise<Grant> } } => ({
  type: 'oauth2',
  source: { token }
})

t.test('a route whose token cannot be had is 503 with Retry-After, and nothing is sent', async (t) => {
  const { proxy, upstream } = await pair(t, {
    routes: [{ upstream: '', bindings: [apiKey('header', 'X-Api-Key'), from('down')] }],
    credentials: [{ name: 'down', ...source(async () => { throw new TokenError('transient', 'Timeout', 'no response') }) }]
  })
  await proxy.line(({ credential }) => credential === 'down')
  for (const line of ['GET / HTTP/1.1', 'POST / HTTP/1.1']) {
    const response = await send(proxy, line)
    refused(t, response, 503, 'CS_TOKEN_UNAVAILABLE')
    t.match(response.header('retry-after'), /^\d+$/)
  }
  t.equal(upstream.accepted, 0)
})

t.test('a route whose credential is rejected is 502, and nothing is sent', async (t) => {
  const { proxy, upstream } = await pair(t, {
    routes: [
      { prefix: '/bad', upstream: '', bindings: [from('rejected')] },
      { prefix: '/good', upstream: '', bindings: [BEARER] }
    ],
    credentials: [
      {
        name: 'rejected',
        ...source(async () => {
          throw new TokenError('permanent', 'NotAuthorizedException', 'Incorrect username or password.')
        })
      }
    ]
  })
  await proxy.line(({ credential }) => credential === 'rejected')
  refused(t, await send(proxy, 'GET /bad HTTP/1.1'), 502, 'CS_CREDENTIAL_REJECTED')
  t.equal(upstream.accepted, 0)
  t.match(await send(proxy, 'GET /good HTTP/1.1'), { statusCode: 200 }, 'another credential is not touched by it')
})

t.test('a request that comes before the first token waits for it', async (t) => {
  let grant = (_grant: Grant): void => {}
  const { proxy, upstream } = await pair(t, {
    routes: [{ upstream: '', bindings: [from('slow')] }],
    credentials: [{ name: 'slow', ...source(() => new Promise((resolve) => { grant = resolve })) }]
  })
  const clients = await Promise.all(Array.from({ length: 20 }, () => connectRaw(proxy.port)))
  for (const client of clients) client.send(message('POST /x HTTP/1.1', [host(proxy), 'Content-Length: 5'], 'hello'))
  grant({ value: new Secret('CANARY-LATE'), lifetimeMs: 3_600_000 })
  for (const client of clients) {
    t.match(await client.response(), { statusCode: 200 })
    client.destroy()
  }
  t.equal(upstream.exchanges.length, 20)
  for (const { all, body } of upstream.exchanges) t.same([all('authorization'), body.toString()], [['Bearer CANARY-LATE'], 'hello'])
})

t.test('P11: two credentials never cross among a thousand parallel requests', async (t) => {
  const { proxy, upstream } = await pair(t, {
    routes: [{ prefix: '/a', upstream: '', bindings: [from('a:bc')] }, { prefix: '/ab', upstream: '', bindings: [from('a:b')] }],
    credentials: [
      { name: 'a:bc', ...source(async () => ({ value: new Secret('token-one'), lifetimeMs: 3_600_000 })) },
      { name: 'a:b', ...source(async () => ({ value: new Secret('token-two'), lifetimeMs: 3_600_000 })) }
    ]
  })
  const clients = await Promise.all(Array.from({ length: 50 }, () => connectRaw(proxy.port)))
  await Promise.all(clients.map(async (client, index) => {
    for (let turn = 0; turn < 20; turn++) {
      client.send(message(`GET ${(index + turn) % 2 === 0 ? '/a/one' : '/ab/two'} HTTP/1.1`, [host(proxy)]))
      const { statusCode } = await client.response()
      if (statusCode !== 200) throw new Error(`status ${statusCode}`)
    }
    client.destroy()
  }))
  t.equal(upstream.exchanges.length, 1000)
  t.notOk(upstream.exchanges.some(({ target, header }) => header('authorization') !== `Bearer token-${target.slice(1)}`))
})

t.test('one request more than limits.requests is 503 with Retry-After, and the place is free again afterwards', async (t) => {
  const { proxy, upstream } = await pair(t, { config: { limits: { connections: 100, requests: 2 } } })
  upstream.respond = ({ target }) => target === '/held' ? undefined : respondWith('200 OK')
  const held: RawClient[] = []
  for (let count = 0; count < 2; count++) {
    const client = await connectRaw(proxy.port)
    client.send(message('GET /held HTTP/1.1', [host(proxy)]))
    held.push(client)
  }
  await upstream.until(() => upstream.exchanges.length === 2)
  const over = await send(proxy, 'GET /over HTTP/1.1')
  refused(t, over, 503, 'CS_OVERLOADED')
  t.match(over.header('retry-after'), /^\d+$/)
  refused(t, await send(proxy, 'GET /../x HTTP/1.1'), 400, 'CS_BAD_REQUEST', 'what is refused anyway needs no place')
  for (const { send: respond } of upstream.exchanges) respond(respondWith('200 OK'))
  for (const client of held) t.match(await client.response(), { statusCode: 200 })
  t.match(await send(proxy, 'GET /after HTTP/1.1'), { statusCode: 200 })
  held[0]?.send(message('GET /held HTTP/1.1', [host(proxy)]))
  await upstream.until(() => upstream.exchanges.length === 4)
  for (const client of held) client.destroy()
  await proxy.line(({ aborted }) => aborted === true)
  t.equal(upstream.exchanges.length, 4)
})

t.test('one connection more than limits.connections is 503', async (t) => {
  const { proxy } = await pair(t, { config: { limits: { connections: 1, requests: 10 } } })
  const kept = await connectRaw(proxy.port)
  kept.send(message('GET / HTTP/1.1', [host(proxy)]))
  t.match(await kept.response(), { statusCode: 200 })
  refused(t, await send(proxy, 'GET / HTTP/1.1'), 503, 'CS_OVERLOADED')
  kept.destroy()
})

t.test('the access log has one line per request, without query or secret, of bounded length', async (t) => {
  const { proxy, upstream } = await pair(t, { routes: [{ prefix: '/api', upstream: '', bindings: [BEARER, apiKey('query', 'key')] }] })
  await send(proxy, 'GET /api/a?b=CANARY-QUERY HTTP/1.1', ['User-Agent: CANARY-AGENT'])
  t.match(upstream.last.target, `key=${CANARY.key}`)
  const line = await proxy.line(({ path }) => path === '/api/a')
  t.match(line, { level: 'info', msg: 'request', route: '/api', method: 'GET', status: 200, ms: Number })
  t.notOk('code' in line)
  await send(proxy, `GET /api/${'x'.repeat(5000)} HTTP/1.1`)
  const long = await proxy.line(({ path }) => String(path).includes('xxx'))
  t.equal(String(long['path']).length, 512)
  refused(t, await send(proxy, 'GET /none HTTP/1.1'), 404, 'CS_NO_ROUTE')
  t.match(await proxy.line(({ path }) => path === '/none'), { status: 404, code: 'CS_NO_ROUTE' })
  t.equal(proxy.lines().filter(({ msg }) => msg === 'request').length, 3)
  t.notMatch(proxy.logged(), 'CANARY')
})

t.test('the access log can be off or a sample', async (t) => {
  const off = await pair(t, { config: { accessLog: false } })
  await send(off.proxy, 'GET / HTTP/1.1')
  await send(off.proxy, 'GET / HTTP/1.1')
  t.same(off.proxy.lines().filter(({ msg }) => msg === 'request'), [])
})

t.test('L1: no secret is in any log line, error, metric or status, whatever goes wrong', async (t) => {
  const bindings = [BEARER, apiKey('header', 'X-Api-Key'), apiKey('query', 'key'), apiKey('cookie', 'session')]
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, {
    routes: [
      { prefix: '/ok', upstream: upstream.origin, bindings, credential: 'orders' },
      { prefix: '/dead', upstream: 'http://127.0.0.1:1', bindings },
      { prefix: '/lost', upstream: 'http://nowhere.invalid', bindings },
      { prefix: '/slow', upstream: upstream.origin, bindings, timeoutMs: 50 },
      { prefix: '/limited', upstream: upstream.origin, bindings, maxBodyBytes: 1, allow: ['POST /x'] }
    ],
    config: { callerToken: new Secret(CANARY.password) }
  })
  upstream.respond = ({ target, connection }) => {
    if (target.startsWith('/hang') || target.startsWith('/x')) return undefined
    if (target.startsWith('/die')) connection.socket.resetAndDestroy()
    return target.startsWith('/bad') ? 'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n' : respondWith('200 OK', [], 'fine')
  }
  const responses: RawResponse[] = []
  for (const line of [
    'GET /ok/x1?a=b',
    'GET /ok/die',
    'GET /ok/bad',
    'GET /ok/%',
    'GET /ok/../x',
    'TRACE /ok',
    'GET /dead/x',
    'POST /dead/x',
    'GET /lost/x',
    'GET /slow/hang',
    'GET /limited/x',
    'POST /limited/x',
    'GET /none'
  ]) {
    const lines = [host(proxy), `X-Countersign-Token: ${CANARY.password}`, 'Content-Length: 2', 'Cookie: a=1']
    if (line.includes('/ok/x1')) continue
    responses.push(await rawRequest(proxy.port, message(`${line} HTTP/1.1`, lines, 'hi')))
  }
  t.ok(responses.every(({ statusCode }) => statusCode >= 400), responses.map(({ statusCode }) => statusCode).join())
  const admin = (path: string): Promise<RawResponse> =>
    rawRequest(proxy.adminPort, message(`GET ${path} HTTP/1.1`, [`Host: localhost:${proxy.adminPort}`]))
  const status = await admin('/status')
  const everything = [
    proxy.logged(),
    await proxy.scrape(),
    status.text,
    (await admin('/metrics')).text,
    ...responses.map(({ fields, text }) => fields.flat().join('\n') + text)
  ].join('\n')
  for (const secret of Object.values(CANARY)) {
    for (const form of [
      secret,
      Buffer.from(secret).toString('base64').replace(/=+$/, ''),
      encodeURIComponent(secret),
      Buffer.from(secret).toString('hex'),
      secret.slice(0, 12)
    ]) { t.notMatch(everything, form) }
  }
  t.notMatch(everything, 'CANARY')
})

t.test('L3: a thousand random paths, methods, agents and hosts add no series', async (t) => {
  const { proxy } = await pair(t, { routes: [{ prefix: '/api', upstream: '', bindings: [BEARER] }] })
  const series = async (): Promise<string[]> =>
    (await proxy.scrape())
      .split('\n')
      .filter((line) => line.startsWith('countersign_'))
      .map((line) => line.replace(/ \S+$/, ''))
  const noise = async (from: number, to: number): Promise<void> => {
    const client = await connectRaw(proxy.port)
    for (let index = from; index < to; index++) {
      const method = ['GET', 'POST', 'PROPFIND', 'MKCOL', 'REPORT', 'PURGE'][index % 6] ?? 'GET'
      const target = [`/api/${index}`, `/${index}`, `/api/..${index}`, `/%2e%2e/${index}`][Math.floor(index / 6) % 4] ?? '/'
      const name = index % 50 === 49 ? `h${index}.example` : `localhost:${proxy.port}`
      client.send(message(`${method} ${target} HTTP/1.1`, [`Host: ${name}`, `User-Agent: ${index}`, `X-Forwarded-For: ${index}`]))
      await client.response({ method })
    }
    client.destroy()
  }
  await noise(0, 300)
  const before = await series()
  await noise(300, 1300)
  const after = await series()
  t.same(after.sort(), before.sort())
  t.ok(after.length < 300, `${after.length}`)
})

t.test('metrics count what happened, under the names that are documented', async (t) => {
  const { proxy, upstream } = await pair(t, {
    routes: [
      { prefix: '/api', upstream: '', bindings: [BEARER, apiKey('header', 'X-Api-Key')] },
      { prefix: '/open', upstream: '' }
    ]
  })
  for (const line of ['GET /api/a', 'GET /api/b', 'POST /api', 'GET /open', 'PROPFIND /open']) await send(proxy, `${line} HTTP/1.1`)
  upstream.respond = () => respondWith('404 Not Found')
  await send(proxy, 'GET /api/c HTTP/1.1')
  await send(proxy, 'GET /none HTTP/1.1')
  await proxy.line(({ path }) => path === '/none')
  const text = await proxy.scrape()
  for (const line of [
    'countersign_requests_total{route="/api",method="GET",status="2xx"} 2',
    'countersign_requests_total{route="/api",method="POST",status="2xx"} 1',
    'countersign_requests_total{route="/api",method="GET",status="4xx"} 1',
    'countersign_requests_total{route="/open",method="other",status="2xx"} 1',
    'countersign_requests_total{route="",method="GET",status="4xx"} 1',
    'countersign_requests_refused_total{code="CS_NO_ROUTE"} 1',
    'countersign_injected_total{credential="orders"} 4',
    'countersign_injected_total{credential="maps"} 4',
    'countersign_request_duration_seconds_count{route="/api"} 4',
    'countersign_upstream_duration_seconds_count{route="/api"} 4',
    'countersign_ready 1',
    'countersign_build_info{version="0.0.0"} 1'
  ]) { t.ok(text.split('\n').includes(line), line) }
  for (const name of [
    'countersign_token_expiry_timestamp_seconds',
    'countersign_token_fetches_total',
    'countersign_token_last_success_timestamp_seconds',
    'countersign_clock_skew_seconds',
    'process_cpu_seconds_total',
    'nodejs_heap_size_total_bytes'
  ]) { t.match(text, `# TYPE ${name} `, name) }
  t.notMatch(text, /countersign_upstream_duration_seconds_count\{route=""\}/)
})

t.test('every message of the error table says something and holds no place', async (t) => {
  for (const [code, { message: text }] of Object.entries(ERRORS)) {
    t.match(text, /\.$/, code)
    t.notMatch(text, /127\.0\.0\.1|localhost|https?:/, code)
  }
})

t.test('an application that is closed leaves no connection open', async (t) => {
  const { proxy, upstream } = await pair(t, {})
  t.match(await send(proxy, 'GET / HTTP/1.1'), { statusCode: 200 })
  await proxy.close()
  await Promise.all(upstream.connections.map(({ closed }) => closed))
  t.equal(upstream.connections.length, 1)
})

async function pair (t: Test, options: Partial<ProxyOptions>): Promise<{ proxy: TestProxy, upstream: RecordingUpstream }> {
  const upstream = await startUpstream(t)
  const routes = (options.routes ?? [{ upstream: '', bindings: [BEARER] }]).map((route) => ({ ...route, upstream: upstream.origin }))
  return { upstream, proxy: await startProxy(t, { ...options, routes }) }
}

function host (proxy: TestProxy): string {
  return `Host: localhost:${proxy.port}`
}

function send (proxy: TestProxy, line: string, lines: readonly string[] = []): Promise<RawResponse> {
  return rawRequest(proxy.port, message(line, [host(proxy), ...lines]), { method: line.split(' ')[0] ?? '' })
}

function refused (t: Test, response: RawResponse, statusCode: number, code: string, what = code): void {
  t.match(response, { statusCode, complete: true }, what)
  t.match(JSON.parse(response.text), { statusCode, code, error: /./, message: /\.$/ }, what)
  t.match(response.header('proxy-status'), /^countersign; error=\w+$/, what)
}
