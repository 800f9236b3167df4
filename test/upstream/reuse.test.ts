import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { IdleLimit } from '#src/upstream/idle-limit.ts'
import { until } from '../helpers/until.ts'
import { BEARER, startProxy, type TestProxy } from '../helpers/proxy.ts'
import { connectRaw, message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { respondWith, OK, startUpstream, type ScriptedResponse, type RecordingUpstream } from '../helpers/recording-upstream.ts'

// What a connection that was closed meanwhile does to the second request on it.
const BREAKS: ReadonlyArray<readonly [string, ScriptedResponse]> = [
  ['end', ({ connection }) => { connection.socket.end(); return undefined }],
  ['reset', ({ connection }) => { connection.socket.resetAndDestroy(); return undefined }]
]

t.test('GET, HEAD and OPTIONS are sent once more, on a new connection, where a reused one fails before its response', async (t) => {
  for (const [how, fail] of BREAKS) {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const { proxy, upstream } = await pair(t, (exchange) => exchange.connection.exchanges.length > 1 ? fail(exchange) : OK)
      await send(proxy, 'GET')
      t.match(await send(proxy, method), { statusCode: 200 }, `${method} ${how}`)
      t.same(upstream.exchanges.map((exchange) => exchange.method), ['GET', method, method], `${method} ${how}`)
      t.same(upstream.connections.map(({ exchanges }) => exchanges.length), [2, 1], `${method} ${how}: a new connection`)
    }
  }
})

t.test('once, and never on a connection that was not used before', async (t) => {
  for (const [how, fail] of BREAKS) {
    const { proxy, upstream } = await pair(t, (exchange) => upstream.exchanges.length > 1 ? fail(exchange) : OK)
    await send(proxy, 'GET')
    t.match(await send(proxy, 'GET'), { statusCode: 502 }, how)
    t.equal(upstream.exchanges.length, 3, `${how}: the first of them, and its second try`)
    t.match(await send(proxy, 'GET'), { statusCode: 502 }, how)
    t.equal(upstream.exchanges.length, 4, `${how}: a new connection that fails is told`)
  }
})

t.test('other methods and requests with a body are not, nor one of which a response has begun', async (t) => {
  for (const [how, fail] of BREAKS) {
    for (const [method, body] of [
      ['POST', ''],
      ['POST', 'x'],
      ['PUT', 'x'],
      ['DELETE', ''],
      ['PATCH', 'x'],
      ['PROPFIND', ''],
      ['GET', 'x'],
      ['OPTIONS', 'x']
    ] as const) {
      const { proxy, upstream } = await pair(t, (exchange) => (exchange.connection.exchanges.length > 1 ? fail(exchange) : OK))
      await send(proxy, 'GET')
      t.match(await send(proxy, method, body), { statusCode: 502 }, `${method} ${body} ${how}`)
      t.equal(upstream.exchanges.length, 2, `${method} ${body} ${how}`)
    }
  }
  for (const begun of ['H', 'HTTP/1.1 20', 'HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\n\r\n']) {
    const { proxy, upstream } = await pair(t, ({ connection }) => {
      if (connection.exchanges.length === 1) return OK
      connection.socket.end(begun)
      return undefined
    })
    await send(proxy, 'GET')
    t.match(await send(proxy, 'GET'), { statusCode: 502 }, begun)
    t.equal(upstream.exchanges.length, 2, begun)
  }
})

t.test('what an idle connection brings is no response to a request of which nothing has left: that goes over another one', async (t) => {
  const POISON = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'
  for (const [what, happens] of [
    ['a response', (socket) => { socket.write(POISON) }],
    ['half a response', (socket) => { socket.write('HTTP/1.1 2') }],
    ['a response, and its end', (socket) => { socket.end(POISON.replace('200 OK', '408 Request Timeout\r\nConnection: close')) }],
    ['no HTTP', (socket) => { socket.write('bye') }],
    ['an end', (socket) => { socket.end() }],
    ['a reset', (socket) => { socket.resetAndDestroy() }]
  ] as ReadonlyArray<readonly [string, (socket: Socket) => void]>) {
    for (const [method, lines, body, late, status = 200] of [
      ['GET', [], '', ''],
      ['DELETE', [], '', ''],
      ['POST', ['Content-Length: 4'], 'body', ''],
      ['POST', ['Content-Length: 4'], '', 'body'],
      // It was on its way into the socket.
      ['POST', ['Transfer-Encoding: chunked'], '4\r\nbody\r\n0\r\n\r\n', '', 502],
      ['POST', ['Transfer-Encoding: chunked'], '', '4\r\nbody\r\n0\r\n\r\n']
    ] as const) {
      const { proxy, upstream } = await pair(t, () => OK)
      const client = await connectRaw(proxy.port)
      const request = (method: string, lines: readonly string[], body: string): string =>
        message(`${method} / HTTP/1.1`, [`Host: localhost:${proxy.port}`, ...lines], body)
      client.send(request('GET', [], ''))
      await client.response()
      const { connection } = upstream.last
      // Both are in the proxy's sockets when it looks for the first time, the request in front.
      client.send(request(method, lines, body))
      happens(connection.socket)
      await connection.closed
      client.send(late)
      const { statusCode, text } = await client.response()
      t.same([statusCode, text === 'poison'], [status, false], `${what}, ${method} ${lines.join()} ${late}`)
      t.same(
        upstream.exchanges.slice(1).map((exchange) => [exchange.method, exchange.body.toString()]),
        status === 200 ? [[method, body + late === '' ? '' : 'body']] : []
      )
      client.destroy()
      await proxy.close()
    }
  }
})

t.test('a client that leaves, or breaks its body off, while its request moves to another connection leaves no half request', async (t) => {
  const { proxy, upstream } = await pair(t, () => OK)
  for (const last of ['', 'bo']) {
    const client = await connectRaw(proxy.port)
    client.send(message('GET / HTTP/1.1', [`Host: localhost:${proxy.port}`]))
    await client.response()
    const { connection } = upstream.last
    client.send(message('POST / HTTP/1.1', [`Host: localhost:${proxy.port}`, 'Content-Length: 4'], last))
    connection.socket.end('bye')
    client.destroy()
    await connection.closed
    t.match(await send(proxy, 'GET'), { statusCode: 200, text: 'ok' })
  }
  t.same(upstream.exchanges.filter(({ method, complete }) => method === 'POST' && complete), [])
})

t.test('a deadline is no broken connection: nothing is sent once more', async (t) => {
  const upstream = await startUpstream(t, { respond: ({ connection }) => connection.exchanges.length > 1 ? undefined : OK })
  const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin, timeoutMs: 300 }] })
  await send(proxy, 'GET')
  t.match(await send(proxy, 'GET'), { statusCode: 504 })
  t.equal(upstream.exchanges.length, 2)
})

t.test('a connection that the upstream says it will close soon is not used again', async (t) => {
  for (const hint of ['Keep-Alive: timeout=1', 'Keep-Alive: timeout=1, max=100', 'keep-alive: max=5, timeout=0', 'Connection: close']) {
    const { proxy, upstream } = await pair(t, () => respondWith('200 OK', [hint], 'ok'))
    for (let turn = 0; turn < 3; turn++) t.match(await send(proxy, 'POST', 'x'), { statusCode: 200 }, hint)
    t.equal(upstream.connections.length, 3, hint)
  }
})

t.test('how long an upstream keeps idle connections is learned, and unlearned', async (t) => {
  const limit = new IdleLimit()
  t.ok(limit.allows(3_600_000), 'nothing is known yet')
  limit.closedAfter(2000)
  t.same([limit.allows(900), limit.allows(1900)], [true, false])
  limit.closedAfter(2010)
  t.notOk(limit.allows(1900), 'it does so again')
  limit.closedAfter(5)
  t.notOk(limit.allows(900), 'a restart closes fresh ones')
  for (let turn = 0; turn < 12; turn++) limit.closedAfter(2000)
  t.same([limit.allows(900), limit.allows(1900)], [true, false])
  limit.keptFor(3900)
  t.notOk(limit.allows(1900), 'its end may be under way')
  limit.keptFor(4000)
  t.same([limit.allows(1900), limit.allows(3900)], [true, false])
  limit.keptFor(8000)
  t.ok(limit.allows(3900))
})

t.test('an end that a response announced teaches nothing, and one that came at once is unlearned', async (t) => {
  for (const headers of ['Connection: close\r\n', '']) {
    const { proxy, upstream } = await pair(t, ({ connection: { socket } }) => {
      // Once the response is out, so that the connection is idle for a moment.
      if (upstream.connections.length === 1) setImmediate(() => { socket.end() })
      return OK.replace('\r\n', `\r\n${upstream.connections.length === 1 ? headers : ''}`)
    })
    await send(proxy, 'GET')
    await upstream.last.connection.closed
    await until('a connection to be used again', async () => {
      const { connection } = upstream.last
      await send(proxy, 'GET')
      return upstream.last.connection === connection
    })
    t.pass(headers)
  }
})

t.test('a POST does not take a connection that the upstream is about to close', async (t) => {
  const IDLE_MS = 400
  const { proxy, upstream } = await pair(t, ({ connection: { socket, exchanges } }) => {
    const timer = setTimeout(() => { if (exchanges.length === 1) socket.end() }, IDLE_MS)
    socket.once('close', () => { clearTimeout(timer) })
    return OK
  })
  await send(proxy, 'POST', 'x')
  await upstream.last.connection.closed
  await send(proxy, 'POST', 'x')
  const { connection } = upstream.last
  // Time has to pass: what is tested is an age.
  await new Promise((resolve) => { setTimeout(resolve, IDLE_MS * 0.75) })
  t.match(await send(proxy, 'POST', 'x'), { statusCode: 200 })
  t.not(upstream.last.connection, connection)
})

t.test('connections are used again after HEAD, 204, 304 and bodies of any method', async (t) => {
  for (const [method, body, response] of [
    ['HEAD', '', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
    ['HEAD', '', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['HEAD', '', 'HTTP/1.1 304 Not Modified\r\n\r\n'],
    ['GET', '', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'],
    ['GET', '', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['GET', 'query', OK], ['DELETE', 'query', OK], ['OPTIONS', 'query', OK], ['REPORT', 'query', OK], ['POST', 'query', OK], ['PUT', '', OK]
  ] as const) {
    const { proxy, upstream } = await pair(t, () => response)
    for (let turn = 0; turn < 3; turn++) await send(proxy, method, body)
    t.equal(upstream.connections.length, 1, `${method} ${body} ${response.slice(0, 40)}`)
    if (body !== '') t.equal(upstream.last.body.toString(), body)
  }
})

t.test('connections are used again after HEAD without a length, and 304 with one', async (t) => {
  for (const [method, response] of [
    ['HEAD', 'HTTP/1.1 200 OK\r\nETag: "a"\r\n\r\n'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n']
  ] as const) {
    const { proxy, upstream } = await pair(t, () => response)
    for (let turn = 0; turn < 3; turn++) await send(proxy, method)
    t.equal(upstream.connections.length, 1, method)
  }
})

t.test('NTLM and Negotiate get an upstream connection that only their client connection uses', async (t) => {
  for (const scheme of ['NTLM', 'Negotiate', 'ntlm', 'NEGOTIATE']) {
    const { proxy, upstream } = await pair(t, ({ all, connection }) =>
      respondWith(
        '200 OK',
        [],
        all('authorization').length > 0
          ? 'proof'
          : connection.exchanges.some((one) => one.all('authorization').length > 0)
            ? 'known'
            : 'nobody'
      )
    )
    const [a, b] = [await connectRaw(proxy.port), await connectRaw(proxy.port)]
    const ask = async (client: typeof a, ...lines: string[]): Promise<string> => {
      client.send(message('GET / HTTP/1.1', [`Host: localhost:${proxy.port}`, ...lines]))
      return (await client.response()).text
    }
    t.equal(await ask(a), 'nobody')
    t.equal(await ask(a, `Authorization: ${scheme} TlRMTVNTUAAB`), 'proof', scheme)
    t.equal(await ask(a, `Authorization: ${scheme} TlRMTVNTUAAD`), 'proof')
    t.equal(await ask(b), 'nobody', 'another client')
    t.equal(await ask(a), 'known', 'the same client')
    t.equal(await ask(b, `Authorization: ${scheme} TlRMTVNTUAAB`), 'proof')
    const of = (name: string): RecordingUpstream['connections'] =>
      upstream.connections.filter(({ exchanges }) => exchanges.some((one) => one.header('authorization')?.endsWith(name)))
    t.equal(of('TlRMTVNTUAAD').length, 1)
    t.equal(of('TlRMTVNTUAAB').length, 2, 'one for each client')
    a.destroy()
    await of('TlRMTVNTUAAD')[0]?.closed
    t.equal(await ask(b), 'known', 'it ends with its client, and no other does')
    b.destroy()
    t.equal((await send(proxy, 'GET')).text, 'nobody')
  }
})

t.test('a route with a credential binds nothing, nor do other schemes', async (t) => {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, {
    routes: [
      { prefix: '/own', upstream: upstream.origin, bindings: [BEARER] },
      { prefix: '/public', upstream: upstream.origin }
    ]
  })
  for (let turn = 0; turn < 2; turn++) {
    await rawRequest(proxy.port, message('GET /own HTTP/1.1', [`Host: localhost:${proxy.port}`, 'Authorization: NTLM x']))
  }
  t.equal(upstream.connections.length, 1)
  for (const scheme of ['Basic eA==', 'Bearer ntlm', 'NTLMv2 x', 'Digest negotiate']) {
    await rawRequest(proxy.port, message('GET /public HTTP/1.1', [`Host: localhost:${proxy.port}`, `Authorization: ${scheme}`]))
  }
  t.equal(upstream.connections.length, 2)
})

// An upstream far away: each direction takes its time, and so do the pauses of a client, which meet the end at every point of its
// way. Time is what is tested here; nothing is asserted of it.
t.test('no GET fails at an upstream far away that closes connections whenever it likes', async (t) => {
  const { upstream } = await pair(t, ({ connection: { socket } }) => {
    setTimeout(() => { socket.end() }, 30)
    return OK
  })
  const far = createServer((near) => {
    const socket = connect(upstream.port, '127.0.0.1')
    for (const [from, to] of [[near, socket], [socket, near]] as const) {
      from
        .on('error', () => {})
        .on('data', (chunk: Buffer) => {
          setTimeout(() => {
            to.write(chunk)
          }, 30)
        })
        .on('end', () => {
          setTimeout(() => {
            to.end()
          }, 30)
        })
    }
  }).listen(0, '127.0.0.1')
  await once(far, 'listening')
  t.teardown(() => { far.close() })
  const proxy = await startProxy(t, { routes: [{ upstream: `http://127.0.0.1:${(far.address() as AddressInfo).port}` }] })
  const statuses: number[] = []
  for (let turn = 0; turn < 40; turn++) {
    statuses.push((await send(proxy, 'GET')).statusCode)
    await new Promise((resolve) => { setTimeout(resolve, turn) })
  }
  t.same(statuses, Array(40).fill(200))
})

async function pair (t: Test, respond: ScriptedResponse): Promise<{ readonly proxy: TestProxy, readonly upstream: RecordingUpstream }> {
  const upstream = await startUpstream(t, { respond })
  return { upstream, proxy: await startProxy(t, { routes: [{ upstream: upstream.origin }] }) }
}

async function send (proxy: TestProxy, method: string, body = ''): Promise<RawResponse> {
  const lines = body === '' ? [] : [`Content-Length: ${body.length}`]
  return await rawRequest(proxy.port, message(`${method} / HTTP/1.1`, [`Host: localhost:${proxy.port}`, ...lines], body), { method })
}
