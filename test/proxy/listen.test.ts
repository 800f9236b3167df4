import { statSync } from 'node:fs'
import t from 'tap'
import { formatAddress, type Address } from '#src/http/address.ts'
import { message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { BEARER, startProxy, type TestProxy } from '../helpers/proxy.ts'
import { respondWith, startUpstream } from '../helpers/recording-upstream.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const FREE: Address = { type: 'tcp', host: '127.0.0.1', port: 0 }

t.test('a route with a listener of its own sees every path there as it is, and no other route does', async (t) => {
  const [upstream, other] = [await startUpstream(t), await startUpstream(t)]
  const proxy = await startProxy(t, {
    routes: [
      { listen: FREE, upstream: `${upstream.origin}/v2`, bindings: [BEARER] },
      { prefix: '/orders', upstream: other.origin }
    ]
  })
  for (const path of ['/', '/orders', '/orders/1?a=b', '/%6Frders/%2F;x', '/a/b/?q']) {
    t.equal((await send(proxy, `GET ${path} HTTP/1.1`)).statusCode, 200)
    t.equal(upstream.last.target, `/v2${path}`)
    t.same(upstream.last.all('authorization'), ['Bearer CANARY-JWT-eyJhbGciOi'])
  }
  t.same(other.exchanges, [])
  t.match(
    await rawRequest(proxy.port, message('GET /x HTTP/1.1', [`Host: localhost:${proxy.port}`])),
    { statusCode: 404 },
    'the main listener does not have the route'
  )
  t.match(await rawRequest(proxy.port, message('GET /orders/x HTTP/1.1', [`Host: localhost:${proxy.port}`])), { statusCode: 200 })
  t.equal(other.last.target, '/x')
})

t.test('a route with both is behind its prefix on the main listener, and without it on its own', async (t) => {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, { routes: [{ prefix: '/api', listen: FREE, upstream: upstream.origin, allow: ['GET /x'] }] })
  t.equal((await rawRequest(proxy.port, message('GET /api/x HTTP/1.1', [`Host: localhost:${proxy.port}`]))).statusCode, 200)
  t.equal(upstream.last.target, '/x')
  t.equal((await send(proxy, 'GET /x HTTP/1.1')).statusCode, 200)
  t.equal(upstream.last.target, '/x')
  t.match(
    JSON.parse((await send(proxy, 'GET /api/x HTTP/1.1')).text),
    { code: 'CS_NOT_ALLOWED' },
    'the allow list holds the path that is sent'
  )
})

t.test(
  "paths that readers take differently, and methods that are never forwarded, are refused on a route's own listener as well",
  async (t) => {
    const upstream = await startUpstream(t)
    const proxy = await startProxy(t, { routes: [{ listen: FREE, upstream: upstream.origin }] })
    for (const path of ['/../x', '/%2e%2e/x', '//evil.example', '/a%00', 'http://evil.example/']) {
      t.match(await send(proxy, `GET ${path} HTTP/1.1`), { statusCode: 400 }, path)
    }
    t.match(await send(proxy, 'TRACE / HTTP/1.1'), { statusCode: 405 })
    t.same(upstream.exchanges, [])
  }
)

t.test('the guards take the port of the listener that was called, and no other', async (t) => {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, { routes: [{ listen: FREE, upstream: upstream.origin }, { listen: FREE, upstream: upstream.origin }] })
  const [first, second] = [portOf(proxy, 0), portOf(proxy, 1)]
  const call = (port: number, ...lines: string[]): Promise<RawResponse> => rawRequest(port, message('GET / HTTP/1.1', lines))
  t.match(await call(first, `Host: localhost:${first}`), { statusCode: 200 })
  t.match(await call(first, `Host: 127.0.0.1:${first}`, `Origin: http://127.0.0.1:${first}`), { statusCode: 200 })
  for (const host of [`localhost:${second}`, `localhost:${proxy.port}`, `evil.example:${first}`]) {
    t.match(await call(first, `Host: ${host}`), { statusCode: 421 }, host)
  }
  t.match(
    await call(first, `Host: localhost:${first}`, `Origin: http://localhost:${second}`),
    { statusCode: 403 },
    'the page of another listener'
  )
  t.equal(upstream.exchanges.length, 2)
})

t.test('a Location into the base leads back to the listener that was called', async (t) => {
  const upstream = await startUpstream(t)
  upstream.respond = () => respondWith('302 Found', [`Location: ${upstream.origin}/v2/next?a=b`, 'Content-Location: /v2'])
  const proxy = await startProxy(t, { routes: [{ prefix: '/api', listen: FREE, upstream: `${upstream.origin}/v2` }] })
  const own = await send(proxy, 'GET / HTTP/1.1')
  t.equal(own.header('location'), '/next?a=b')
  t.equal(own.header('content-location'), '/v2', 'is no redirect')
  const main = await rawRequest(proxy.port, message('GET /api HTTP/1.1', [`Host: localhost:${proxy.port}`]))
  t.equal(main.header('location'), '/api/next?a=b')
  t.equal(main.header('content-location'), '/v2')
})

t.test('a unix socket of a route is for its owner alone, and takes any Host', async (t) => {
  const path = `${temporaryFolder(t)}/route.sock`
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, { routes: [{ listen: { type: 'unix', path }, upstream: upstream.origin }] })
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.match(await rawRequest(path, message('GET /x HTTP/1.1', ['Host: whatever'])), { statusCode: 200 })
  await proxy.line((line) => line['route'] === `unix:${path}`)
  t.match(await proxy.scrape(), `countersign_requests_total{route="unix:${path}",method="GET",status="2xx"} 1`)
})

t.test('logs and metrics call a route by its prefix, else by the address that the configuration has', async (t) => {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, {
    routes: [
      { listen: FREE, upstream: upstream.origin },
      { prefix: '/api', listen: FREE, upstream: upstream.origin }
    ]
  })
  for (const index of [0, 1]) await rawRequest(portOf(proxy, index), message('GET / HTTP/1.1', [`Host: localhost:${portOf(proxy, index)}`]))
  await proxy.line((line) => line['route'] === '/api')
  const metrics = await proxy.scrape()
  t.match(metrics, 'countersign_requests_total{route="127.0.0.1:0",method="GET",status="2xx"} 1')
  t.match(metrics, 'countersign_requests_total{route="/api",method="GET",status="2xx"} 1')
})

function send (proxy: TestProxy, startLine: string): Promise<RawResponse> {
  return rawRequest(portOf(proxy, 0), message(startLine, [`Host: localhost:${portOf(proxy, 0)}`]))
}

function portOf (proxy: TestProxy, index: number): number {
  const address = proxy.own[index]?.address
  if (address?.type !== 'tcp') throw new Error(`route ${index} listens on ${address === undefined ? 'nothing' : formatAddress(address)}`)
  return address.port
}
