import t, { type Test } from 'tap'
import type { Address } from '#src/http/address.ts'
import { message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { startProxy, type TestProxy } from '../helpers/proxy.ts'
import { respondWith, startUpstream } from '../helpers/recording-upstream.ts'

const FREE: Address = { type: 'tcp', host: '127.0.0.1', port: 0 }
const NAVIGATION = ['Sec-Fetch-Site: none', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document', 'Accept: text/html,*/*']
const ORIGIN = 'https://app.example'
const RESPONSE = [
  'Content-Type: text/html',
  'Content-Security-Policy: default-src *',
  'Service-Worker-Allowed: /',
  'clear-site-data: "*"',
  'X-One: 1',
  'x-one: 2',
  'Set-Cookie: a=1',
  'Vary: Accept'
]

/** A proxy with two routes at its own listener, and a third that has one to itself. */
async function start (
  t: Test,
  prefixes: readonly string[] = ['/a', '/b']
): Promise<{
  proxy: TestProxy
  upstream: Awaited<ReturnType<typeof startUpstream>>
  ask: (port: number, path: string, lines: readonly string[], method?: string) => Promise<RawResponse>
  own: number
}> {
  const upstream = await startUpstream(t)
  upstream.respond = () => respondWith('200 OK', RESPONSE)
  const proxy = await startProxy(t, {
    routes: [...prefixes.map((prefix) => ({ prefix, upstream: upstream.origin })), { listen: FREE, upstream: upstream.origin }],
    config: { allowedOrigins: [ORIGIN] }
  })
  const [listener] = proxy.own
  const own = listener?.address.type === 'tcp' ? listener.address.port : 0
  return {
    proxy,
    upstream,
    own,
    ask: (port, path, lines, method = 'GET') =>
      rawRequest(port, message(`${method} ${path} HTTP/1.1`, [`Host: localhost:${port}`, ...lines]), { method })
  }
}

t.test('where routes share a listener, a page is sandboxed, and nothing speaks for all of the origin', async (t) => {
  const { proxy: { port }, ask } = await start(t)
  const navigations = [
    NAVIGATION,
    ['Sec-Fetch-Mode: navigate'],
    ['Sec-Fetch-Dest: iframe'],
    ['sec-fetch-dest: EMBED'],
    ['Accept: text/html'],
    ['Upgrade-Insecure-Requests: 1']
  ]
  for (const lines of navigations) {
    const page = await ask(port, '/a/x', lines)
    t.same(page.all('content-security-policy'), ['default-src *', 'sandbox'], lines.join())
    t.same([page.header('service-worker-allowed'), page.header('clear-site-data')], [undefined, undefined])
  }
  for (const lines of [
    [],
    ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Mode: cors', 'Sec-Fetch-Dest: empty', 'Accept: text/html'],
    ['Accept: */*']
  ]) {
    const response = await ask(port, '/a/x', lines)
    t.same(response.all('content-security-policy'), ['default-src *'], lines.join())
    t.same([response.header('service-worker-allowed'), response.header('clear-site-data')], [undefined, undefined])
  }
})

t.test('a route with a listener of its own, or alone at one, passes all of it', async (t) => {
  const { own, ask } = await start(t)
  const alone = await start(t, ['/a'])
  for (const [call, port, path] of [[ask, own, '/x'], [alone.ask, alone.proxy.port, '/a/x']] as const) {
    const page = await call(port, path, NAVIGATION)
    t.same(page.all('content-security-policy'), ['default-src *'])
    t.same([page.header('service-worker-allowed'), page.header('clear-site-data')], ['/', '"*"'])
    t.equal((await call(port, path, ['Service-Worker: script'])).statusCode, 200)
  }
})

t.test('service worker scripts are refused where routes share a listener', async (t) => {
  const { proxy: { port }, ask, upstream } = await start(t)
  for (const lines of [
    ['Service-Worker: script'],
    ['SERVICE-worker: script', 'Sec-Fetch-Site: same-origin'],
    ['Sec-Fetch-Dest: serviceworker']
  ]) {
    const response = await ask(port, '/a/sw.js', lines)
    t.equal(response.statusCode, 403)
    t.match(JSON.parse(response.text), { code: 'CS_NOT_ALLOWED', message: /service worker/ })
  }
  t.equal(upstream.accepted, 0)
})

t.test('a listed origin may send credentials and read every header, each by its name', async (t) => {
  const { proxy: { port }, ask } = await start(t)
  const response = await ask(port, '/a/x', [`Origin: ${ORIGIN}`, 'Sec-Fetch-Site: cross-site'])
  t.same(response.all('access-control-allow-origin'), [ORIGIN])
  t.same(response.all('access-control-allow-credentials'), ['true'])
  const exposed = (response.header('access-control-expose-headers') ?? '').split(', ').map((name) => name.toLowerCase())
  t.notOk(exposed.includes('*') || exposed.includes('set-cookie'))
  t.equal(new Set(exposed).size, exposed.length, 'each once')
  for (const name of ['content-type', 'x-one']) t.ok(exposed.includes(name), name)
  t.ok(response.all('vary').includes('Origin') && response.all('vary').includes('Accept'))
  const refused = await ask(port, '/none', [`Origin: ${ORIGIN}`])
  t.equal(refused.statusCode, 404)
  t.match(refused.header('access-control-expose-headers'), /proxy-status/)
  t.equal(refused.header('access-control-allow-credentials'), 'true')
  const preflight = await ask(
    port,
    '/a/x',
    [
      `Origin: ${ORIGIN}`,
      'Access-Control-Request-Method: PUT',
      'Access-Control-Request-Headers: x-a',
      'Access-Control-Request-Private-Network: true'
    ],
    'OPTIONS'
  )
  t.match(
    [
      preflight.statusCode,
      preflight.header('access-control-allow-credentials'),
      preflight.header('access-control-allow-headers'),
      preflight.header('access-control-allow-private-network')
    ],
    [204, 'true', 'x-a', 'true']
  )
  t.equal((await ask(port, '/a/x', [])).header('access-control-allow-credentials'), undefined)
})

t.test('a followed link is told that the address must be typed, and a proxy client that this is none', async (t) => {
  const { proxy: { port }, ask, upstream } = await start(t)
  const link = await ask(port, '/a/x', ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document'])
  t.match([link.statusCode, JSON.parse(link.text)], [403, { code: 'CS_ORIGIN_NOT_ALLOWED', message: /type this address/ }])
  for (const target of ['http://evil.example/a/x', `http://localhost:${port}/a/x`, 'https://evil.example/']) {
    const response = await rawRequest(port, message(`GET ${target} HTTP/1.1`, ['Host: evil.example']))
    t.match([response.statusCode, JSON.parse(response.text)], [400, { code: 'CS_BAD_REQUEST', message: /no forward proxy/ }], target)
  }
  t.equal(upstream.accepted, 0)
})

t.test('a client can tell whose Proxy-Status it is', async (t) => {
  const { proxy: { port }, ask, upstream } = await start(t)
  upstream.respond = () =>
    respondWith('503 Busy', ['Proxy-Status: countersign; error=destination_unavailable', 'Proxy-Status: edge; error=dns_error'])
  const response = await ask(port, '/a/x', [])
  t.same(response.all('proxy-status'), ['edge; error=dns_error'])
  t.same(response.all('upstream-proxy-status'), ['countersign; error=destination_unavailable'])
})
