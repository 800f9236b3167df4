/**
 * A hostile or broken upstream (S6) answers with something that two readers could read differently, or with more, less or
 * other than was asked for. Whoever guesses what it meant may give one client's response to another: response splitting and
 * desynchronisation, as in CVE-2022-32213 to CVE-2022-32215 and CVE-2023-30589 on the other side of the connection.
 *
 * Nothing is guessed: 502 where no response can be passed on, a broken connection where half of one is out, and in both
 * cases the connection to the upstream is never used again.
 */
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { connectRaw, message, rawRequest } from '../helpers/raw-client.ts'
import { BEARER, CANARY, startProxy, type TestProxy, type TestRoute } from '../helpers/proxy.ts'
import { respondWith, OK, startUpstream, type ScriptedResponse, type RecordingUpstream } from '../helpers/recording-upstream.ts'

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
const MEGABYTE = 1_000_000

t.test('a response that cannot be read in one way only is 502, and its connection is not used again', async (t) => {
  const { proxy, upstream } = await pair(t)
  for (const [what, bytes] of [
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!'],
    ['one length twice', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok'],
    ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok'],
    ['length, then chunked', `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${CHUNKED.slice(17)}2\r\nok\r\n0\r\n\r\n`],
    ['chunked, then length', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok'],
    ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok'],
    ['a hexadecimal length', 'HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok'],
    ['a length over 64 bits', 'HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok'],
    ['an empty length', 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok'],
    ['a blank behind the name of the length', 'HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok'],
    ['another coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok'],
    ['two codings', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    ['two lines of codings', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    ['an unknown coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nok'],
    ['bare LF', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
    ['bare LF behind a header', 'HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 2\r\n\r\nok'],
    ['bare CR within a header', 'HTTP/1.1 200 OK\r\nX-A: b\rX-B: c\r\nContent-Length: 2\r\n\r\nok'],
    ['a folded header', 'HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok'],
    ['a header without a name', 'HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 2\r\n\r\nok'],
    ['a header without a colon', 'HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 2\r\n\r\nok'],
    ['NUL within a header', 'HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Length: 2\r\n\r\nok'],
    ['status 0', 'HTTP/1.1 000 Odd\r\nContent-Length: 2\r\n\r\nok'],
    ['status 99', 'HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok'],
    ['status 1000', 'HTTP/1.1 1000 Odd\r\nContent-Length: 2\r\n\r\nok'],
    ['a status of two digits', 'HTTP/1.1 20 Odd\r\nContent-Length: 2\r\n\r\nok'],
    ['a status that is no number', 'HTTP/1.1 2x0 Odd\r\nContent-Length: 2\r\n\r\nok'],
    ['no status', 'HTTP/1.1\r\nContent-Length: 2\r\n\r\nok'],
    ['another protocol', 'SSH-2.0-OpenSSH_9.0\r\n'],
    ['HTTP/0.9', '<html>hello</html>'],
    ['a request', 'GET / HTTP/1.1\r\nHost: evil\r\n\r\n'],
    ['HTTP/2 frames', Buffer.from('000012040000000000000300000064000400100000', 'hex')],
    ['a 101 that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
    ['a 101 without a protocol', `HTTP/1.1 101 Switching Protocols\r\n\r\n${OK}`],
    ['a header of a megabyte', `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(MEGABYTE)}\r\nContent-Length: 2\r\n\r\nok`],
    ['a name of a megabyte', `HTTP/1.1 200 OK\r\n${'a'.repeat(MEGABYTE)}: b\r\nContent-Length: 2\r\n\r\nok`],
    ['100,000 headers', `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(100_000)}Content-Length: 2\r\n\r\nok`]
  ] as const) {
    upstream.respond = ({ connection }) => {
      connection.socket.end(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
      return undefined
    }
    await isRefused(t, proxy, what)
    await isClean(t, proxy, upstream, what)
  }
  notShown(t, proxy)
})

t.test('what never ends is ended: headers, interim responses, a line that drips', async (t) => {
  const { proxy, upstream } = await pair(t, { timeoutMs: 700 })
  for (const [what, first, more, codes] of [
    ['endless headers', 'HTTP/1.1 200 OK\r\n', 'X-A: b\r\n'.repeat(1000), ['CS_UPSTREAM_UNREACHABLE']],
    ['an endless header', 'HTTP/1.1 200 OK\r\nX-A: ', 'a'.repeat(8000), ['CS_UPSTREAM_UNREACHABLE']],
    ['endless interim responses', '', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(100), ['CS_UPSTREAM_UNREACHABLE']],
    ['endless empty lines in front', '', '\r\n'.repeat(4000), ['CS_UPSTREAM_UNREACHABLE', 'CS_UPSTREAM_TIMEOUT']],
    ['a header line that drips', 'HTTP/1.1 200 OK\r\nX-A: ', 'a', ['CS_UPSTREAM_TIMEOUT']],
    ['headers that drip', 'HTTP/1.1 200 OK\r\n', 'X: y\r\n', ['CS_UPSTREAM_TIMEOUT']],
    ['interim responses that drip', '', 'HTTP/1.1 103 Early Hints\r\n\r\n', ['CS_UPSTREAM_TIMEOUT']]
  ] as const) {
    upstream.respond = ({ connection: { socket } }) => {
      socket.write(first)
      const timer = setInterval(() => { socket.write(more) }, 100)
      socket.once('close', () => { clearInterval(timer) })
      return undefined
    }
    const response = await rawRequest(proxy.port, get(proxy))
    t.match(response, { complete: true, statusCode: /^50[24]$/ }, what)
    const { code } = JSON.parse(response.text) as { code: string }
    t.ok(codes.some((one) => one === code), `${what}: ${code}`)
    await upstream.last.connection.closed
    await isClean(t, proxy, upstream, what)
  }
})

t.test('more than was announced stays where it is: no other client ever gets it', async (t) => {
  const evil = respondWith('200 OK', ['X-Evil: 1'], 'evil')
  const { proxy, upstream } = await pair(t)
  for (const [what, method, bytes, text] of [
    ['behind a length', 'GET', `${respondWith('200 OK', [], 'mine')}${evil}`, 'mine'],
    ['behind a length, no response of its own', 'GET', `${respondWith('200 OK', [], 'mine')}evil`, 'mine'],
    ['behind chunks', 'GET', `${CHUNKED}4\r\nmine\r\n0\r\n\r\n${evil}`, 'mine'],
    ['behind trailers', 'GET', `${CHUNKED}4\r\nmine\r\n0\r\nX-T: 1\r\n\r\n${evil}`, 'mine'],
    ['behind 204', 'GET', `HTTP/1.1 204 No Content\r\n\r\n${evil}`, ''],
    ['a body of 204', 'GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil', ''],
    ['behind 304', 'GET', `HTTP/1.1 304 Not Modified\r\n\r\n${evil}`, ''],
    ['behind HEAD', 'HEAD', `HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n${evil}`, ''],
    ['a body of HEAD', 'HEAD', respondWith('200 OK', [], 'evil'), ''],
    ['a chunked body of HEAD', 'HEAD', `${CHUNKED}4\r\nevil\r\n0\r\n\r\n`, '']
  ] as const) {
    // At once, and a moment later: the second finds a connection that waits for its next request.
    for (const split of [false, true]) {
      upstream.respond = ({ connection, send }) => {
        const at = bytes.indexOf(split ? 'evil' : '\0')
        send(at === -1 ? bytes : bytes.slice(0, at))
        if (at !== -1) setImmediate(() => { connection.socket.write(bytes.slice(at)) })
        return undefined
      }
      const client = await connectRaw(proxy.port)
      client.send(message(`${method} / HTTP/1.1`, [host(proxy)]))
      const response = await client.response({ method })
      t.match(response, { text, complete: true }, what)
      t.equal(response.header('x-evil'), undefined, what)
      t.equal(client.unread.length, 0, what)
      await upstream.last.connection.closed
      await isClean(t, proxy, upstream, what)
      client.destroy()
    }
  }
})

t.test('a response that comes before its request belongs to nobody', async (t) => {
  const { proxy, upstream } = await pair(t)
  t.match(await rawRequest(proxy.port, get(proxy)), { statusCode: 200, text: 'ok' })
  upstream.last.connection.socket.write(respondWith('200 OK', [], 'evil'))
  await upstream.last.connection.closed
  await isClean(t, proxy, upstream, 'unasked')
})

t.test('chunks that are none break the response, and their connection', async (t) => {
  const { proxy, upstream } = await pair(t)
  for (const chunks of [
    'zz\r\nevil\r\n0\r\n\r\n',
    '-2\r\nok\r\n0\r\n\r\n',
    '0x2\r\nok\r\n0\r\n\r\n',
    ' 2\r\nok\r\n0\r\n\r\n',
    '2\nok\n0\n\n',
    '2\r\nokay\r\n0\r\n\r\n',
    '10000000000000000\r\nok\r\n0\r\n\r\n',
    '2;a\nb\r\nok\r\n0\r\n\r\n',
    '2\r\nok\r\n0\r\nX Y: 1\r\n\r\n',
    '2\r\nok\r\n0\r\nContent-Length: 4\r\n\r\nevil',
    '2\r\nok\r\n0\r\nX-T: 1\n\r\n\r\n'
  ]) {
    upstream.respond = () => `${CHUNKED}${chunks}`
    const client = await connectRaw(proxy.port)
    client.send(get(proxy))
    isCut(t, await client.rest(), JSON.stringify(chunks))
    await upstream.last.connection.closed
    await isClean(t, proxy, upstream, JSON.stringify(chunks))
    client.destroy()
  }
})

t.test('a compressed bomb passes as it is: nobody here unpacks it', async (t) => {
  // 10 MB of zeros in 10 kB: unpacked by a proxy that looks into answers, passed by one that does not.
  const bomb = gzipSync(Buffer.alloc(10 * MEGABYTE))
  const { proxy, upstream } = await pair(t)
  upstream.respond = () =>
    Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`), bomb])
  const response = await rawRequest(proxy.port, get(proxy))
  t.equal(response.header('content-encoding'), 'gzip')
  t.ok(response.body.equals(bomb))
})

t.test('a reason that would not fit into a client\'s buffers is left out', async (t) => {
  const { proxy, upstream } = await pair(t)
  for (const length of [20_000, MEGABYTE]) {
    upstream.respond = () => `HTTP/1.1 200 ${'a'.repeat(length)}\r\nContent-Length: 2\r\n\r\nok`
    t.match(await rawRequest(proxy.port, get(proxy)), { statusCode: 200, reason: /^$/, text: 'ok', complete: true }, `${length}`)
  }
})

t.test('what an upstream hides in headers and trailers does not change the client\'s connection', async (t) => {
  const { proxy, upstream } = await pair(t)
  upstream.respond = () =>
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close, X-Gone\r\nKeep-Alive: timeout=1\r\nX-Gone: 1\r\nProxy-Connection: close\r\nTrailer: Connection, X-T\r\n\r\n2\r\nok\r\n0\r\nConnection: close\r\nX-T: 1\r\n\r\n'
  const client = await connectRaw(proxy.port)
  for (let turn = 0; turn < 2; turn++) {
    client.send(get(proxy))
    const response = await client.response()
    t.match(response, { text: 'ok', complete: true })
    t.same([response.all('connection'), response.header('x-gone')], [['keep-alive'], undefined])
    t.same(response.trailers, [['X-T', '1']])
  }
  client.destroy()
})

async function pair (
  t: Test,
  route: Partial<TestRoute> = {}
): Promise<{ readonly proxy: TestProxy, readonly upstream: RecordingUpstream }> {
  const upstream = await startUpstream(t)
  return { upstream, proxy: await startProxy(t, { routes: [{ bindings: [BEARER], ...route, upstream: upstream.origin }] }) }
}

async function isRefused (t: Test, proxy: TestProxy, what: string): Promise<void> {
  const response = await rawRequest(proxy.port, get(proxy))
  t.match(response, { statusCode: 502, complete: true }, what)
  t.match(response.text, '"code":"CS_UPSTREAM_UNREACHABLE"', what)
  t.match(response.header('proxy-status'), /^countersign; error=\w+$/, what)
}

/** The next request is served, on a connection that no other request has used, and gets its own response. */
async function isClean (t: Test, proxy: TestProxy, upstream: RecordingUpstream, what: string): Promise<void> {
  const hostile: ScriptedResponse = upstream.respond
  const { connection } = upstream.last
  upstream.respond = ({ target }) => respondWith('200 OK', ['Connection: close'], `clean ${target}`)
  t.match(
    await rawRequest(proxy.port, message('GET /next HTTP/1.1', [host(proxy)])),
    { statusCode: 200, text: 'clean /next', complete: true },
    `${what}: the next request`
  )
  t.not(upstream.last.connection, connection, `${what}: another connection`)
  t.equal(upstream.last.connection.exchanges.length, 1, `${what}: a new one`)
  upstream.respond = hostile
}

function isCut (t: Test, received: Buffer, what: string): void {
  const text = received.toString('latin1')
  if (text.startsWith('HTTP/1.1 502 ')) t.match(text, 'CS_UPSTREAM_UNREACHABLE', what)
  else t.notOk(text.endsWith('0\r\n\r\n') || text.includes('evil'), `${what}: ${JSON.stringify(text.slice(-60))}`)
}

function notShown (t: Test, proxy: TestProxy): void {
  for (const secret of Object.values(CANARY)) t.notMatch(proxy.logged(), secret, 'no canary in the log')
}

function get (proxy: TestProxy): string {
  return message('GET / HTTP/1.1', [host(proxy)])
}

function host (proxy: TestProxy): string {
  return `Host: localhost:${proxy.port}`
}
