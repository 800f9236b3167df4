import { once } from 'node:events'
import { createServer } from 'node:http'
import type { LookupFunction } from 'node:net'
import t from 'tap'
import { connectUpstream, type ConnectOptions } from '#src/upstream/connect.ts'
import { ask, send } from '../helpers/ask.ts'
import { message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { BEARER, startProxy, type TestProxy } from '../helpers/proxy.ts'
import { OK, startUpstream, type UpstreamExchange } from '../helpers/recording-upstream.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const OPTIONS: Omit<ConnectOptions, 'origin'> = { timeoutMs: 60_000, idleTimeoutMs: 60_000, proxies: {} }

t.test('requests that follow one another share a connection, also from different clients', async (t) => {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin }] })
  for (let turn = 0; turn < 20; turn++) t.equal((await get(proxy, `/${turn}`)).statusCode, 200)
  t.equal(upstream.accepted, 1)
  t.equal(upstream.exchanges.length, 20)
})

t.test('requests at the same time get a connection each, which later ones use again', async (t) => {
  const waiting: UpstreamExchange[] = []
  const upstream = await startUpstream(t, {
    respond: (exchange) => {
      waiting.push(exchange)
      return undefined
    }
  })
  const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin }] })
  for (let turn = 1; turn <= 2; turn++) {
    const responses = Array.from({ length: 8 }, () => get(proxy))
    await upstream.until(() => waiting.length === 8)
    for (const exchange of waiting.splice(0)) exchange.send(OK)
    t.same((await Promise.all(responses)).map(({ statusCode }) => statusCode), Array(8).fill(200))
  }
  t.equal(upstream.accepted, 8)
})

t.test('routes to one upstream never share a connection: a credential belongs to its route', async (t) => {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, {
    routes: [
      { prefix: '/a', upstream: upstream.origin, bindings: [BEARER] },
      { prefix: '/b', upstream: upstream.origin }
    ]
  })
  for (const path of ['/a', '/b', '/a', '/b']) await get(proxy, path)
  t.same(upstream.connections.map(({ exchanges }) => exchanges.map((exchange) => exchange.all('authorization').length)), [[1, 1], [0, 0]])
})

t.test('closing ends every connection to an upstream, idle or not', async (t) => {
  const upstream = await startUpstream(t, { respond: ({ target }) => target === '/held' ? undefined : OK })
  const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin }] })
  const held = get(proxy, '/held').catch(() => {})
  await upstream.until(() => upstream.exchanges.length === 1)
  await get(proxy, '/idle')
  t.equal(upstream.connections.length, 2)
  await proxy.close()
  await Promise.all([held, ...upstream.connections.map(({ closed }) => closed)])
})

t.test('a process that was stopped takes its own silence for nobody else\'s', async (t) => {
  const stop = (ms: number): void => { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms) }
  const upstream = await startUpstream(t, {
    respond: (exchange) => {
      // The clock has looked at the connection by then.
      setTimeout(() => {
        setImmediate(() => { exchange.send(OK) })
        stop(900)
      }, 100)
      return undefined
    }
  })
  const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin, timeoutMs: 300, idleTimeoutMs: 300 }] })
  t.match(await get(proxy), { statusCode: 200 })
})

t.test('after a while the name is looked up again, though connections are idle or busy', async (t) => {
  const upstream = await startUpstream(t, {
    respond: ({ target }) => (target === '/stream' ? 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n12' : OK)
  })
  let lookups = 0
  const lookup: LookupFunction = (_name, { all }, done) => {
    lookups++
    if (all === true) done(null, [{ address: '127.0.0.1', family: 4 }])
    else done(null, '127.0.0.1', 4)
  }
  const origin = `http://upstream.test:${upstream.port}`
  const text = async (pool: ReturnType<typeof connectUpstream>, target: string): Promise<string> =>
    (await ask(pool, { target })).body.toString()

  const usual = connectUpstream({ ...OPTIONS, origin, lookup })
  for (let turn = 0; turn < 3; turn++) {
    await text(usual, '/')
  }
  t.equal(lookups, 1, 'not with every request')
  await usual.destroy()

  // Older than minus one millisecond is every connection.
  const renewing = connectUpstream({ ...OPTIONS, origin, lookup, renewAfterMs: -1 })
  const stream = await send(renewing, { target: '/stream' }).until(({ head }) => head !== undefined)
  for (let turn = 2; turn <= 4; turn++) {
    await text(renewing, '/')
    t.equal(lookups, 1 + turn)
  }
  const busy = upstream.exchanges.find(({ target }) => target === '/stream')
  busy?.send('34')
  t.equal((await stream.until(({ ends }) => ends > 0)).body.toString(), '1234', 'what was under way arrives whole')
  await busy?.connection.closed
  await renewing.close()
  await Promise.all(upstream.connections.map(({ closed }) => closed))
})

t.test('an upstream on a unix socket: no port, no name, Host is localhost, and Location leads back', async (t) => {
  const socketPath = `${temporaryFolder(t)}/upstream.sock`
  const seen: Array<readonly string[]> = []
  const server = createServer((incoming, response) => {
    seen.push([incoming.url ?? '', incoming.headers.host ?? '', incoming.headers.authorization ?? ''])
    response.writeHead(302, { location: 'http://localhost/v1/next' }).end('moved')
  }).listen(socketPath)
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const proxy = await startProxy(t, {
    routes: [{ prefix: '/engine', upstream: 'http://localhost/v1', socketPath, bindings: [BEARER] }],
    proxies: { httpProxy: 'http://127.0.0.1:1' }
  })
  const response = await get(proxy, '/engine/x?y=z')
  t.match(response, { statusCode: 302, text: 'moved' })
  t.equal(response.header('location'), '/engine/next')
  t.same(seen, [['/v1/x?y=z', 'localhost', 'Bearer CANARY-JWT-eyJhbGciOi']])
})

t.test('a unix socket that nobody listens on is 502, without its path', async (t) => {
  const proxy = await startProxy(t, {
    routes: [{ upstream: 'http://localhost', socketPath: `${temporaryFolder(t)}/none.sock`, bindings: [BEARER] }]
  })
  const response = await get(proxy)
  t.match(JSON.parse(response.text), { statusCode: 502, code: 'CS_UPSTREAM_UNREACHABLE' })
  t.notMatch(response.text, /none|sock/)
})

function get (proxy: TestProxy, path = '/'): Promise<RawResponse> {
  return rawRequest(proxy.port, message(`GET ${path} HTTP/1.1`, [`Host: localhost:${proxy.port}`]))
}
