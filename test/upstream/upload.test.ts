import t, { type Test } from 'tap'
import { connectRaw, message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { BEARER, startProxy, type TestProxy, type TestRoute } from '../helpers/proxy.ts'
import { OK, startUpstream, type RecordingUpstream } from '../helpers/recording-upstream.ts'

t.test('a body of exactly maxBodyBytes passes, announced or chunked', async (t) => {
  const { proxy, upstream } = await pair(t, { maxBodyBytes: 5 })
  t.match(await rawRequest(proxy.port, message('POST / HTTP/1.1', [host(proxy), 'Content-Length: 5'], 'hello')), { statusCode: 200 })
  t.match(
    await rawRequest(
      proxy.port,
      message('POST / HTTP/1.1', [host(proxy), 'Transfer-Encoding: chunked'], '3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n')
    ),
    { statusCode: 200 }
  )
  t.same(upstream.exchanges.map(({ body, complete }) => [body.toString(), complete]), [['hello', true], ['hello', true]])
})

t.test('one announced byte more is 413 before anything is dialled', async (t) => {
  const { proxy, upstream } = await pair(t, { maxBodyBytes: 5 })
  const client = await connectRaw(proxy.port)
  client.send(message('POST / HTTP/1.1', [host(proxy), 'Content-Length: 6'], 'hello!') + message('GET /next HTTP/1.1', [host(proxy)]))
  tooLarge(t, await client.response())
  await client.closed()
  tooLarge(t, await rawRequest(proxy.port, message('GET / HTTP/1.1', [host(proxy), `Content-Length: ${Number.MAX_SAFE_INTEGER}`])))
  t.equal(upstream.accepted, 0)
})

t.test('one chunked byte more is 413, and the upstream never sees a request that looks whole', async (t) => {
  const { proxy, upstream } = await pair(t, { maxBodyBytes: 1000 })
  for (const [count, size] of [[1, 1001], [11, 100], [1001, 1]] as const) {
    for (const end of ['', '0\r\n\r\n']) {
      const client = await connectRaw(proxy.port)
      client.send(
        message(
          'POST /large HTTP/1.1',
          [host(proxy), 'Transfer-Encoding: chunked'],
          `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`.repeat(count) + end
        )
      )
      tooLarge(t, await client.response())
      await client.closed()
    }
  }
  t.notOk((await Promise.all(upstream.exchanges.map(({ whole }) => whole))).includes(true), 'none was whole')
  t.match(await rawRequest(proxy.port, message('GET / HTTP/1.1', [host(proxy)])), { statusCode: 200 })
})

t.test('a body that falls silent for idleTimeoutMs is 408, and the upstream sees a broken request', async (t) => {
  const { proxy, upstream } = await pair(t, { idleTimeoutMs: 100 })
  for (const [framing, part] of [['Content-Length: 10', 'abc'], ['Transfer-Encoding: chunked', '3\r\nabc\r\n']] as const) {
    const client = await connectRaw(proxy.port)
    client.send(message('POST / HTTP/1.1', [host(proxy), framing], part))
    const response = await client.response()
    t.match(response, { statusCode: 408 })
    t.match(JSON.parse(response.text), { code: 'CS_BAD_REQUEST' })
    await client.closed()
    t.equal(await upstream.last.whole, false)
  }
})

t.test('an upstream that stops reading is not the client\'s silence', async (t) => {
  const { proxy, upstream } = await pair(t, { idleTimeoutMs: 150 })
  upstream.early = ({ connection, send }) => {
    connection.socket.pause()
    // Time has to pass: four times what a client may be silent.
    setTimeout(() => {
      connection.socket.resume()
      send(OK)
    }, 600)
    return undefined
  }
  const client = await connectRaw(proxy.port)
  client.send(message('POST / HTTP/1.1', [host(proxy), 'Content-Length: 20000000']))
  client.send(Buffer.alloc(20_000_000, 'x'))
  t.match(await client.response(), { statusCode: 200 })
  client.destroy()
})

t.test('a request that is refused in the middle of its upload leaves a usable or a closed connection', async (t) => {
  const { proxy, upstream } = await pair(t, {})
  upstream.early = ({ connection }) => {
    connection.socket.resetAndDestroy()
    return undefined
  }
  const client = await connectRaw(proxy.port)
  client.send(message('POST / HTTP/1.1', [host(proxy), 'Content-Length: 5000000']))
  client.send(Buffer.alloc(5_000_000, 'x'))
  upstream.early = ({ connection }) => {
    connection.socket.resetAndDestroy()
    upstream.early = undefined
    return undefined
  }
  client.send(message('GET /next HTTP/1.1', [host(proxy)]))
  const response = await client.response()
  t.match(response, { statusCode: 502 })
  if (response.header('connection') === 'close') await client.closed()
  else t.match(await client.response(), { statusCode: 200 })
  client.destroy()
})

t.test('a body whose chunks are malformed is 400, and the upstream sees a broken request', async (t) => {
  const { proxy, upstream } = await pair(t, {})
  for (const rest of ['zz\r\n', '5\nhello\r\n0\r\n\r\n', 'fffffffffffffffff\r\nx', '2;a\nb\r\nok\r\n0\r\n\r\n']) {
    const client = await connectRaw(proxy.port)
    const seen = upstream.exchanges.length
    client.send(message('POST / HTTP/1.1', [host(proxy), 'Transfer-Encoding: chunked'], '3\r\nabc\r\n'))
    await upstream.until(() => upstream.exchanges.length > seen && upstream.last.connection.received.includes('abc'))
    client.send(rest + message('GET /smuggled HTTP/1.1', [host(proxy)]))
    const response = await client.response()
    t.match(response, { statusCode: 400, complete: true }, JSON.stringify(rest))
    t.match(JSON.parse(response.text), { code: 'CS_BAD_REQUEST' })
    t.equal((await client.rest()).length, 0)
    t.equal(await upstream.last.whole, false)
  }
  t.notOk(upstream.exchanges.some(({ target }) => target === '/smuggled'))
})

async function pair (t: Test, route: Partial<TestRoute>): Promise<{ proxy: TestProxy, upstream: RecordingUpstream }> {
  const upstream = await startUpstream(t, { respond: () => OK })
  return { upstream, proxy: await startProxy(t, { routes: [{ upstream: upstream.origin, bindings: [BEARER], ...route }] }) }
}

function host (proxy: TestProxy): string {
  return `Host: localhost:${proxy.port}`
}

function tooLarge (t: Test, response: RawResponse): void {
  t.match(response, { statusCode: 413, complete: true })
  t.match(JSON.parse(response.text), { statusCode: 413, code: 'CS_BODY_TOO_LARGE' })
  t.equal(response.header('proxy-status'), 'countersign; error=http_request_error')
  t.equal(response.header('connection'), 'close')
}
