import t, { type Test } from 'tap'
import { patternBytes } from '../helpers/pattern.ts'
import { connectRaw, message, rawRequest, type RawClient, type RawResponse } from '../helpers/raw-client.ts'
import { startProxy, type TestProxy, type TestRoute } from '../helpers/proxy.ts'
import {
  respondWith,
  OK,
  startUpstream,
  type ScriptedResponse,
  type RecordingUpstream,
  type UpstreamOptions
} from '../helpers/recording-upstream.ts'

const MB = 1_048_576

t.test('status, reason, header names, order and multiplicity reach the client as they came', async (t) => {
  const { get } = await pair(
    t,
    () =>
      'HTTP/1.1 299 Odd But Fine\r\nX-CASE: A\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nDate: then\r\nX-Empty:\r\nX-Latin: \xe9\r\nETag: "x"\r\nContent-Length: 4\r\n\r\n\x00\xff\r\n'
  )
  const response = await get()
  t.match(response, { statusCode: 299, reason: 'Odd But Fine', complete: true })
  t.same(
    response.fields.filter(([name]) => !/^(?:connection|keep-alive)$/i.test(name)),
    [
      ['X-CASE', 'A'],
      ['set-cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
      ['Date', 'then'],
      ['X-Empty', ''],
      ['X-Latin', '\xe9'],
      ['ETag', '"x"'],
      ['Content-Length', '4']
    ]
  )
  t.equal(response.body.toString('latin1'), '\x00\xff\r\n')
})

t.test('hop-by-hop headers and CORS headers of the upstream stay behind', async (t) => {
  const { get } = await pair(t, () =>
    respondWith(
      '200 OK',
      [
        'Connection: X-Internal, close',
        'X-Internal: 1',
        'Keep-Alive: timeout=5',
        'Proxy-Authenticate: Basic',
        'Access-Control-Allow-Origin: *',
        'access-control-allow-credentials: true',
        'Upgrade: h2',
        'X-Kept: 1'
      ],
      'ok'
    )
  )
  const response = await get()
  t.same(response.fields.map(([name]) => name), ['X-Kept', 'Content-Length', 'Date', 'Connection', 'Keep-Alive'])
  t.equal(response.header('connection'), 'keep-alive', 'the client\'s connection is another one')
})

t.test('a client that asks for close gets it', async (t) => {
  const { proxy } = await pair(t, () => respondWith('200 OK', ['Connection: keep-alive', 'Keep-Alive: timeout=5']))
  const client = await connectRaw(proxy.port)
  client.send(message('GET / HTTP/1.1', [host(proxy), 'Connection: close']))
  t.same((await client.response()).all('connection'), ['close'])
  await client.closed()
})

t.test('a reason that is no plain text does not cost the response', async (t) => {
  for (const reason of ['', ' ', 'Caf\xe9', 'Caf\xc3\xa9', 'a\tb']) {
    const { get } = await pair(t, () => `HTTP/1.1 200 ${reason}\r\nContent-Length: 2\r\n\r\nok`)
    t.match(await get(), { statusCode: 200, text: 'ok', complete: true }, JSON.stringify(reason))
  }
})

t.test('answers without a body have none, whatever their headers say', async (t) => {
  for (const [method, bytes] of [
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: "x"\r\n\r\n'],
    ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n'],
    ['HEAD', 'HTTP/1.1 404 Not Found\r\n\r\n'],
    ['GET', 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 1000\r\n\r\n'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nTrailer: X-T\r\n\r\n'],
    ['POST', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n']
  ] as const) {
    const { proxy } = await pair(t, () => bytes)
    const client = await connectRaw(proxy.port)
    for (let turn = 0; turn < 2; turn++) {
      client.send(message(`${method} / HTTP/1.1`, [host(proxy)]))
      const response = await client.response({ method })
      t.equal(response.statusCode, Number(bytes.slice(9, 12)), `${method} ${JSON.stringify(bytes)}`)
      t.equal(client.unread.length, 0)
      if (bytes.includes('Content-Length: 1000')) t.equal(response.header('content-length'), '1000')
    }
    client.destroy()
  }
})

t.test('bodies of every framing arrive whole', async (t) => {
  for (const [bytes, text] of [
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', ''],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n', 'abcde'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', ''],
    ['HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nabc', 'abc']
  ] as const) {
    const { get } = await pair(t, () => bytes)
    t.match(await get(), { text, complete: true }, JSON.stringify(bytes))
  }
  const { get } = await pair(t, ({ connection }) => {
    connection.socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end')
    return undefined
  })
  t.match(await get(), { text: 'until the end', complete: true })
})

t.test('an HTTP/1.0 upstream and an HTTP/1.0 client understand each other', async (t) => {
  const { proxy, get } = await pair(t, ({ connection }) => {
    connection.socket.end('HTTP/1.0 200 OK\r\n\r\nold')
    return undefined
  })
  t.match(await get(), { text: 'old', complete: true })
  t.match(await rawRequest(proxy.port, message('GET / HTTP/1.0', [host(proxy)])), { text: 'old', framing: 'close' })
  const chunked = await pair(
    t,
    () => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n'
  )
  t.match(await rawRequest(chunked.proxy.port, message('GET / HTTP/1.0', [host(chunked.proxy)])), { text: 'abc', framing: 'close' })
})

t.test('trailers of a response reach the client', async (t) => {
  const { get } = await pair(
    t,
    () =>
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Status, X-Sum\r\n\r\n2\r\nok\r\n0\r\nGrpc-Status: 0\r\nX-Sum: a:b\r\n\r\n'
  )
  const response = await get()
  t.equal(response.header('trailer'), 'Grpc-Status, X-Sum')
  t.same(response.trailers, [['Grpc-Status', '0'], ['X-Sum', 'a:b']])
})

t.test('trailers that are hop-by-hop or CORS stay behind', async (t) => {
  const { get } = await pair(
    t,
    () =>
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\nX-Sum: 1\r\n\r\n'
  )
  const response = await get()
  t.match(response, { text: 'ok', complete: true })
  t.same(response.trailers, [['X-Sum', '1']])
})

t.test('a stream gets its headers and each chunk at once', async (t) => {
  const { proxy, upstream } = await pair(t, ({ send }) => {
    send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
    return undefined
  })
  const client = await connectRaw(proxy.port)
  client.send(message('GET / HTTP/1.1', [host(proxy)]))
  t.match((await client.head()).startLine, '200')
  for (const chunk of ['6\r\ndata1\n\r\n', '6\r\ndata2\n\r\n']) {
    upstream.last.send(chunk)
    await client.until((unread) => unread.toString().endsWith(chunk))
  }
  upstream.last.send('0\r\n\r\n')
  await client.until((unread) => unread.toString().endsWith('0\r\n\r\n'))
  client.destroy()
})

t.test('connections to the upstream are used again', async (t) => {
  const { proxy, upstream } = await pair(t, () => OK)
  const client = await connectRaw(proxy.port)
  for (let turn = 0; turn < 5; turn++) {
    client.send(message('POST / HTTP/1.1', [host(proxy), 'Content-Length: 2'], 'hi'))
    t.equal((await client.response()).statusCode, 200)
  }
  t.equal(upstream.accepted, 1)
  t.equal(upstream.exchanges.length, 5)
  client.destroy()
})

t.test('pipelined requests are answered in order', async (t) => {
  const { proxy } = await pair(t, ({ target }) => respondWith('200 OK', [], target))
  const client = await connectRaw(proxy.port)
  client.send(['/1', '/2', '/3'].map((target) => message(`GET ${target} HTTP/1.1`, [host(proxy)])).join(''))
  for (const target of ['/1', '/2', '/3']) t.equal((await client.response()).text, target)
  client.destroy()
})

const PARTS = 300

t.test('300 MB of text stream up in flat memory', async (t) => {
  const { proxy, upstream } = await pair(t, () => OK, {}, { keepBodies: false })
  for (const framing of [`Content-Length: ${PARTS * MB}`, 'Transfer-Encoding: chunked']) {
    const client = await connectRaw(proxy.port)
    // A length is followed to the byte; chunks end for the upstream where their text says so, which the pattern does.
    const part = framing.startsWith('Content')
      ? patternBytes(MB)
      : Buffer.from(`${MB.toString(16)}\r\n${'countersign '.repeat(MB).slice(0, MB)}\r\n`)
    client.send(message('POST /up HTTP/1.1', [host(proxy), 'Content-Type: text/plain', framing]))
    const before = process.memoryUsage.rss()
    for (let sent = 0; sent < PARTS; sent++) {
      await client.sendAll(part)
    }
    if (!framing.startsWith('Content')) client.send('0\r\n\r\n')
    t.match(await client.response(), { statusCode: 200 })
    t.ok(upstream.last.bodyBytes >= PARTS * MB)
    if (framing.startsWith('Content')) t.equal(upstream.last.intactBytes, PARTS * MB)
    // Client, proxy and upstream share this process and leave garbage; whoever collected the body would grow by all of it.
    t.ok(
      process.memoryUsage.rss() - before < (PARTS * MB) / 2,
      `grew by ${Math.round((process.memoryUsage.rss() - before) / MB)} MB, upstream and client included`
    )
    client.destroy()
  }
})

t.test('a slow reader slows the upstream down, and gets every byte', async (t) => {
  let sent = 0
  const total = 100 * MB
  const { proxy } = await pair(t, ({ send, connection }) => {
    send(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`)
    const part = Buffer.alloc(MB, 'x')
    const more = (): void => {
      while (sent < total) {
        sent += MB
        if (!send(part)) return
      }
    }
    connection.socket.on('drain', more)
    more()
    return undefined
  })
  const client = await connectRaw(proxy.port)
  client.send(message('GET / HTTP/1.1', [host(proxy)]))
  await client.head()
  client.pause(true)
  // What the buffers of the kernel and of three sockets hold is filled once nothing has moved while others were answered.
  for (let last = -1; last !== sent;) {
    last = sent
    await turns(proxy)
  }
  t.ok(sent < 60 * MB, `${sent / MB} MB left the upstream while the client did not read`)
  let received = client.unread.length
  const whole = new Promise<void>((resolve) => {
    client.socket.removeAllListeners('data').on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received >= total) resolve()
    })
  })
  client.pause(false)
  await whole
  t.equal(received, total)
  client.destroy()
})

t.test('a response in many small chunks that comes at once arrives whole, however slowly it is read, and warns of nothing', async (t) => {
  const warnings: string[] = []
  const warn = ({ name }: Error): void => { warnings.push(name) }
  process.on('warning', warn)
  t.teardown(() => { process.off('warning', warn) })
  // More than a buffer on the way holds: it has to stop, and go on.
  for (const [size, count] of [[16, 20_000], [64, 8000], [1024, 300], [100_000, 5]] as const) {
    const chunk = `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`
    const { proxy } = await pair(t, () => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(count)}0\r\n\r\n`)
    for (const slow of [false, true]) {
      const client = await connectRaw(proxy.port)
      client.pause(slow)
      client.send(message('GET / HTTP/1.1', [host(proxy)]))
      if (slow) await turns(proxy)
      client.pause(false)
      const { complete, body } = await client.response()
      t.same([complete, body.length], [true, size * count], `${count} of ${size}`)
      client.destroy()
    }
  }
  t.same(warnings, [])
})

t.test('S5: an early response to a large upload reaches the client, and the next request does not hang', async (t) => {
  const { proxy, upstream } = await pair(t, () => OK, {}, { keepBodies: false })
  upstream.early = ({ method }) => method === 'POST' ? respondWith('413 Too Large', [], 'too much') : OK
  for (const framing of ['Content-Length: 50000000', 'Transfer-Encoding: chunked']) {
    const client = await connectRaw(proxy.port)
    client.send(message('POST /up HTTP/1.1', [host(proxy), framing], framing.startsWith('C') ? '' : '2faf080\r\n'))
    client.send(Buffer.alloc(50 * MB, 'x'))
    if (!framing.startsWith('C')) client.send('\r\n0\r\n\r\n')
    client.send(message('GET /next HTTP/1.1', [host(proxy)]))
    const response = await client.response()
    t.match(response, { statusCode: 413, text: 'too much', complete: true })
    if (response.header('connection') === 'close') await client.closed()
    else t.match(await client.response(), { statusCode: 200 })
    client.destroy()
    t.match(await rawRequest(proxy.port, message('GET /other HTTP/1.1', [host(proxy)])), { statusCode: 200 })
  }
})

t.test('an early response of 5 MB to an upload that is still running arrives whole', async (t) => {
  const body = 'x'.repeat(5 * MB)
  const { proxy, upstream } = await pair(t, () => OK, {}, { keepBodies: false })
  upstream.early = () => respondWith('200 OK', [], body)
  const client = await connectRaw(proxy.port)
  client.pause(true)
  client.send(message('POST /up HTTP/1.1', [host(proxy), 'Content-Length: 1000000'], 'x'.repeat(1000)))
  await upstream.until(() => upstream.exchanges.length > 0)
  await turns(proxy)
  client.pause(false)
  const response = await client.response()
  t.match(response, { statusCode: 200, complete: true })
  t.equal(response.body.length, body.length)
  client.destroy()
})

t.test('an early response on a connection that the upstream then closes reaches the client', async (t) => {
  const { proxy, upstream } = await pair(t, () => OK, {}, { keepBodies: false })
  upstream.early = ({ connection }) => {
    connection.socket.end(respondWith('401 Unauthorized', ['Connection: close'], 'who are you'))
    return undefined
  }
  const client = await connectRaw(proxy.port)
  client.send(message('POST /up HTTP/1.1', [host(proxy), 'Content-Length: 10000000']))
  client.send(Buffer.alloc(10 * MB, 'x'))
  t.match(await client.response(), { statusCode: 401, text: 'who are you', complete: true })
  client.destroy()
})

t.test('a client that leaves before the headers closes the upstream\'s connection', async (t) => {
  const { proxy, upstream } = await pair(t, () => undefined)
  for (const leave of ['destroy', 'reset'] as const) {
    const client = await connectRaw(proxy.port)
    client.send(message('GET / HTTP/1.1', [host(proxy)]))
    await upstream.until(() => upstream.exchanges.at(-1)?.complete === true)
    client[leave]()
    await upstream.last.connection.closed
  }
  await proxy.line(({ status }) => status === 'aborted')
  t.notMatch(await proxy.scrape(), /countersign_requests_refused_total\{/, 'nobody was refused')
  noFailure(t, proxy)
})

t.test('a client that leaves in the middle of a body closes the upstream\'s connection', async (t) => {
  const { proxy, upstream } = await pair(t, ({ send }) => {
    send('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc')
    return undefined
  })
  const client = await connectRaw(proxy.port)
  client.send(message('GET / HTTP/1.1', [host(proxy)]))
  await client.until((unread) => unread.toString().endsWith('abc'))
  client.destroy()
  await upstream.last.connection.closed
  t.match(await proxy.line(({ aborted }) => aborted === true), { status: 200 })
  noFailure(t, proxy)
})

t.test('a client that leaves in the middle of its upload leaves the upstream a broken request', async (t) => {
  const { proxy, upstream } = await pair(t, () => OK)
  for (const [framing, part] of [['Content-Length: 100', 'abc'], ['Transfer-Encoding: chunked', '3\r\nabc\r\n']] as const) {
    for (const leave of ['destroy', 'reset'] as const) {
      const seen = upstream.exchanges.length
      const client = await connectRaw(proxy.port)
      client.send(message('POST / HTTP/1.1', [host(proxy), framing], part))
      await upstream.until(() => upstream.exchanges.length > seen && upstream.last.connection.received.includes('abc'))
      client[leave]()
      t.equal(await upstream.last.whole, false, `${framing} ${leave}`)
      await upstream.last.connection.closed
    }
  }
  t.match(await rawRequest(proxy.port, message('GET / HTTP/1.1', [host(proxy)])), { statusCode: 200 })
  t.notMatch(await proxy.scrape(), /countersign_requests_refused_total\{/, 'nobody was refused')
  noFailure(t, proxy)
})

t.test('a client that leaves while its request waits for a connection never reaches the upstream with a body', async (t) => {
  const { proxy, upstream } = await pair(t, () => OK)
  const client: RawClient = await connectRaw(proxy.port)
  client.send(message('POST / HTTP/1.1', [host(proxy), 'Content-Length: 100'], 'abc'))
  client.reset()
  await proxy.line(({ status }) => status === 'aborted')
  t.notOk(upstream.exchanges.some(({ complete }) => complete))
  t.match(await rawRequest(proxy.port, message('GET / HTTP/1.1', [host(proxy)])), { statusCode: 200 })
})

interface Pair {
  readonly proxy: TestProxy
  readonly upstream: RecordingUpstream
  readonly get: () => Promise<RawResponse>
}

async function pair (t: Test, respond: ScriptedResponse, route: Partial<TestRoute> = {}, options: UpstreamOptions = {}): Promise<Pair> {
  const upstream = await startUpstream(t, { respond, ...options })
  const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin, ...route }] })
  return { upstream, proxy, get: () => rawRequest(proxy.port, message('GET / HTTP/1.1', [host(proxy)])) }
}

/** A client that leaves is no error of anybody's. */
function noFailure (t: Test, proxy: TestProxy): void {
  t.same(proxy.lines().filter(({ level }) => level === 'warn' || level === 'error'), [])
}

function host (proxy: TestProxy): string {
  return `Host: localhost:${proxy.port}`
}

/** Requests that the proxy answers by itself: the clock where what is tested is that nothing else happens. */
async function turns (proxy: TestProxy): Promise<void> {
  const client = await connectRaw(proxy.port)
  for (let turn = 0; turn < 50; turn++) {
    client.send(message('GET /../turn HTTP/1.1', [host(proxy)]))
    await client.response()
  }
  client.destroy()
}
