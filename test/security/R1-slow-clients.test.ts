/**
 * Slowloris (R1): a client opens many connections and keeps each just alive, with a byte of a header now and then, a body
 * that never comes, or a response that it never reads. None of them is malformed; together they take every place.
 *
 * Each of them has its limit, after which its place is free, and while they last everybody else is served.
 */
import t, { type Test } from 'tap'
import { connectRaw, message, rawRequest, type RawClient } from '../helpers/raw-client.ts'
import { BEARER, startProxy, type ProxyOptions, type TestProxy } from '../helpers/proxy.ts'
import { respondWith, OK, startUpstream, type RecordingUpstream } from '../helpers/recording-upstream.ts'
import { until } from '../helpers/until.ts'

const MEGABYTE = 1_000_000

t.test('a header that does not come, or drips, is 408, and its place is free again', async (t) => {
  const { proxy, upstream } = await pair(t, { timeouts: { headersMs: 400 }, config: { limits: { connections: 3, requests: 10 } } })
  const silent = await connectRaw(proxy.port)
  const started = await connectRaw(proxy.port)
  const drip = await connectRaw(proxy.port)
  started.send(`GET / HTTP/1.1\r\n${host(proxy)}\r\nX-A: `)
  drip.send('GET / HTTP/1.1\r\n')
  const timer = setInterval(() => { drip.send('X-A: b\r\n') }, 50)
  t.teardown(() => { clearInterval(timer) })
  t.match(await rawRequest(proxy.port, get(proxy)), { statusCode: 503 }, 'they hold every place')
  for (const client of [silent, started, drip]) {
    const response = await client.response()
    t.match(response, { statusCode: 408, complete: true })
    t.match(JSON.parse(response.text), { code: 'CS_BAD_REQUEST' })
    await client.closed()
    client.destroy()
  }
  await isServed(t, proxy)
  t.equal(upstream.accepted, 1, 'nothing but that one request was sent')
})

t.test('a second header that drips on a kept connection has the same limit', async (t) => {
  const { proxy } = await pair(t, { timeouts: { headersMs: 400 } })
  const client = await connectRaw(proxy.port)
  client.send(get(proxy))
  t.match(await client.response(), { statusCode: 200 })
  client.send('GET / HTTP/1.1\r\n')
  const timer = setInterval(() => { client.send('X-A: b\r\n') }, 50)
  t.teardown(() => { clearInterval(timer) })
  t.match(await client.response(), { statusCode: 408 })
  await client.closed()
  client.destroy()
})

t.test('a body that stops is 408, and the upstream never sees a whole request', async (t) => {
  const { proxy, upstream } = await pair(t, { routes: [{ upstream: '', bindings: [BEARER], idleTimeoutMs: 150 }] })
  const clients = await Promise.all(['Content-Length: 10', 'Transfer-Encoding: chunked'].map(async (framing) => {
    const client = await connectRaw(proxy.port)
    client.send(message('POST / HTTP/1.1', [host(proxy), framing], '3\r\nabc\r\n'))
    return client
  }))
  for (const client of clients) {
    t.match(await client.response(), { statusCode: 408 })
    await client.closed()
  }
  t.same(await Promise.all(upstream.exchanges.map(({ whole }) => whole)), [false, false])
})

t.test('a body that nobody wants and that never comes does not hold its place', async (t) => {
  const { proxy, upstream } = await pair(t, { timeouts: { stillMs: 150 }, routes: [{ upstream: '', bindings: [BEARER], allow: [] }] })
  for (const framing of ['Content-Length: 1000000000', 'Transfer-Encoding: chunked']) {
    const client = await connectRaw(proxy.port)
    client.send(message('POST / HTTP/1.1', [host(proxy), framing], '3\r\nabc\r\n'))
    t.match(await client.response(), { statusCode: 403 })
    // With this byte Node forgets that the connection is idle.
    client.send('1')
    await client.closed()
  }
  t.equal(upstream.accepted, 0)
})

t.test('a kept connection that owes nothing, a response that is late and a stream that is silent stay', async (t) => {
  const { proxy, upstream } = await pair(t, { timeouts: { stillMs: 60 } })
  upstream.respond = ({ target, send }) => {
    if (target === '/') return OK
    if (target === '/stream') send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n')
    return undefined
  }
  const [idle, late, stream] = await Promise.all([connectRaw(proxy.port), connectRaw(proxy.port), connectRaw(proxy.port)])
  idle.send(get(proxy))
  t.match(await idle.response(), { statusCode: 200 })
  late.send(message('POST /late HTTP/1.1', [host(proxy), 'Content-Length: 5'], 'hello'))
  stream.send(message('GET /stream HTTP/1.1', [host(proxy)]))
  await stream.until((unread) => unread.toString().endsWith('a\n\r\n'))
  await upstream.until(() => upstream.exchanges.length === 3)
  // Many times as long as what is still may last, told by others that are cut off.
  for (let turn = 0; turn < 5; turn++) await isCutOff(await refusedUpload(proxy))
  for (const { target, send } of upstream.exchanges) {
    if (target === '/late') send(respondWith('200 OK', [], 'late'))
    if (target === '/stream') send('0\r\n\r\n')
  }
  t.match(await late.response(), { statusCode: 200, text: 'late' })
  t.match(await stream.response(), { text: 'a\n', complete: true })
  idle.send(get(proxy))
  t.match(await idle.response(), { statusCode: 200 })
  for (const client of [idle, late, stream]) client.destroy()
})

t.test('a client that never reads its response is cut off, with its connection upstream, and one that reads slowly is not', async (t) => {
  const { proxy, upstream } = await pair(t, { timeouts: { stillMs: 400 }, config: { limits: { connections: 100, requests: 2 } } })
  const total = 20 * MEGABYTE
  upstream.respond = ({ target, send }) => {
    if (target === '/large') {
      send(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`), Buffer.alloc(total, 'x')]))
    }
    return target === '/large' ? undefined : OK
  }
  const [never, slow] = await Promise.all([connectRaw(proxy.port), connectRaw(proxy.port)])
  for (const client of [never, slow]) client.send(message('GET /large HTTP/1.1', [host(proxy)]))
  await Promise.all([never.head(), slow.head()])
  never.pause(true)
  t.match(await rawRequest(proxy.port, get(proxy)), { statusCode: 503 }, 'the two hold every place')
  let received = slow.unread.length
  let rested = 0
  slow.socket.removeAllListeners('data').on('data', (chunk: Buffer) => {
    received += chunk.length
    if (received - rested < MEGABYTE) return
    rested = received
    slow.pause(true)
    setTimeout(() => { slow.pause(false) }, 50)
  })
  await Promise.race(upstream.exchanges.map(({ connection }) => connection.closed))
  await isServed(t, proxy)
  await new Promise<void>((resolve) => {
    slow.socket
      .on('data', () => {
        if (received >= total) resolve()
      })
      .on('close', () => {
        resolve()
      })
  })
  t.equal(received, total, 'slow is not still')
  for (const client of [never, slow]) client.destroy()
})

async function pair (
  t: Test,
  options: Partial<ProxyOptions>
): Promise<{ readonly proxy: TestProxy, readonly upstream: RecordingUpstream }> {
  const upstream = await startUpstream(t)
  const routes = (options.routes ?? [{ upstream: '', bindings: [BEARER] }]).map((route) => ({ ...route, upstream: upstream.origin }))
  return { upstream, proxy: await startProxy(t, { ...options, routes }) }
}

/** A client sees the end of its connection a moment before the place is free. */
async function isServed (t: Test, proxy: TestProxy): Promise<void> {
  const response = await until('a place to be free', async () => {
    const answer = await rawRequest(proxy.port, get(proxy))
    return answer.statusCode !== 503 && answer
  })
  t.match(response, { statusCode: 200, text: 'ok' })
}

/** A connection that owes the rest of a body nobody wants. */
async function refusedUpload (proxy: TestProxy): Promise<RawClient> {
  const client = await connectRaw(proxy.port)
  client.send(message('POST / HTTP/1.1', ['Host: evil.example', 'Content-Length: 10'], 'x'))
  await client.response()
  return client
}

async function isCutOff (client: RawClient): Promise<void> {
  client.send('x')
  await client.closed()
}

function get (proxy: TestProxy): string {
  return message('GET / HTTP/1.1', [host(proxy)])
}

function host (proxy: TestProxy): string {
  return `Host: localhost:${proxy.port}`
}
