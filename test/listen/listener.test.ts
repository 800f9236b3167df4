import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstatSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Address } from '#src/http/address.ts'
import { ListenError } from '#src/listen/bind.ts'
import { openListener, type Listener } from '#src/listen/listener.ts'
import type { Handler } from '#src/listen/service.ts'
import { connectRaw, message, rawRequest, type RawClient, type RawResponse } from '../helpers/raw-client.ts'

const HOST = 'Host: localhost'
const TCP: Address = { type: 'tcp', host: '127.0.0.1', port: 0 }
const hello: Handler = (_message, response) => { response.end('hello') }

t.test('port 0 becomes the real port', async (t) => {
  const { listener, port } = await open(t, hello)
  t.same(listener.address, { type: 'tcp', host: '127.0.0.1', port })
  t.match(await rawRequest(port, message('GET / HTTP/1.1', [HOST])), { statusCode: 200, text: 'hello' })
})

const families = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .filter(({ internal }) => internal)
  .map(({ address }) => address)

t.test(
  'localhost is both loopback addresses, with one port, chosen or given',
  { skip: families.includes('::1') ? false : 'no ::1' },
  async (t) => {
    const free = await open(t, hello, { type: 'tcp', host: 'localhost', port: 0 })
    t.match(free.listener.address, { host: '127.0.0.1' })
    await free.listener.drain(0)
    const { listener, port } = await open(t, hello, { type: 'tcp', host: 'localhost', port: free.port })
    t.equal(port, free.port)
    const get = message('GET / HTTP/1.1', [HOST])
    const clients = await Promise.all(['127.0.0.1', '::1'].map((host) => connectRaw(port, host)))
    for (const client of clients) {
      client.send(get)
      t.match(await client.response(), { statusCode: 200 })
    }
    await listener.drain(0)
    for (const client of clients) await client.closed()
    for (const host of ['127.0.0.1', '::1']) await t.rejects(connectRaw(port, host), { code: 'ECONNREFUSED' })
  }
)

t.test(
  'localhost is not taken by half: whoever has one of the two would get its callers',
  { skip: families.includes('::1') ? false : 'no ::1' },
  async (t) => {
    for (const [host, other] of [
      ['::1', '127.0.0.1'],
      ['127.0.0.1', '::1']
    ] as const) {
      let taken = await open(t, hello, { type: 'tcp', host, port: 0 })
      // The same port of the other address may be some other process's.
      while (await isTaken(taken.port, other)) taken = await open(t, hello, { type: 'tcp', host, port: 0 })
      await t.rejects(openListener({ address: { type: 'tcp', host: 'localhost', port: taken.port }, handle: hello, maxConnections: 1 }), {
        name: 'ListenError',
        message: /something else listens there/
      })
      await t.rejects(connectRaw(taken.port, other), { code: 'ECONNREFUSED' }, 'the other half is free again')
    }
  }
)

t.test('IPv6 loopback works', { skip: families.includes('::1') ? false : 'no ::1' }, async (t) => {
  t.match((await open(t, hello, { type: 'tcp', host: '::1', port: 0 })).listener.address, { host: '::1' })
})

t.test('an address that cannot be taken is a ListenError that says what to do', async (t) => {
  const { port } = await open(t, hello)
  await t.rejects(openListener({ address: { ...TCP, port }, handle: hello, maxConnections: 1 }), {
    name: 'ListenError',
    message: new RegExp(`cannot listen on 127.0.0.1:${port}: something else listens there; .*--listen`)
  })
  await t.rejects(openListener({ address: { type: 'tcp', host: '192.0.2.1', port: 0 }, handle: hello, maxConnections: 1 }), {
    name: 'ListenError',
    message: /192\.0\.2\.1:0: this machine has no such address/
  })
  await t.rejects(
    openListener({ address: { type: 'tcp', host: 'nowhere.invalid', port: 0 }, handle: hello, maxConnections: 1 }),
    ListenError
  )
})

t.test('a unix socket has mode 0600 and is gone after the drain', async (t) => {
  const path = join(shortFolder(t), 'a.sock')
  const { listener } = await open(t, hello, { type: 'unix', path })
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.match(await rawRequest(path, message('GET / HTTP/1.1', ['Host: anything'])), { statusCode: 200 })
  await listener.drain(0)
  t.notOk(lstatSync(path, { throwIfNoEntry: false }))
})

t.test('a stale socket file is replaced, a live one and an ordinary file are not', async (t) => {
  const folder = shortFolder(t)
  const stale = join(folder, 'stale.sock')
  await leaveStaleSocket(t, stale)
  t.ok(lstatSync(stale).isSocket())
  await open(t, hello, { type: 'unix', path: stale })
  t.match(await rawRequest(stale, message('GET / HTTP/1.1', [HOST])), { statusCode: 200 })
  await t.rejects(openListener({ address: { type: 'unix', path: stale }, handle: hello, maxConnections: 1 }), {
    name: 'ListenError',
    message: /unix:.*stale\.sock: something else listens there/
  })
  t.match(await rawRequest(stale, message('GET / HTTP/1.1', [HOST])), { statusCode: 200 }, 'the live one still serves')

  for (const code of ['EAGAIN', 'EACCES'] as const) {
    const busy = join(folder, code)
    const { ino } = await holdSocket(t, busy, code)
    await t.rejects(
      openListener({ address: { type: 'unix', path: busy }, handle: hello, maxConnections: 1 }),
      { name: 'ListenError', message: /something else listens there/ },
      code
    )
    t.equal(lstatSync(busy).ino, ino, `${code} does not mean that it is stale`)
  }

  const file = join(folder, 'file')
  writeFileSync(file, 'precious')
  symlinkSync(stale, join(folder, 'link'))
  symlinkSync('nowhere', join(folder, 'dangling'))
  mkdirSync(join(folder, 'folder'))
  const obstacles = [
    ['file', 'what is there is no socket; delete it'],
    ['link', 'what is there is no socket'],
    ['dangling', 'what is there is no socket'],
    ['folder', 'what is there is no socket'],
    ['none/a.sock', 'its folder does not exist; make it'],
    ['file/a.sock', 'its folder does not exist; make it']
  ] as const
  for (const [name, message] of obstacles) {
    const error: unknown = await openListener({
      address: { type: 'unix', path: join(folder, name) },
      handle: hello,
      maxConnections: 1
    }).catch((error: unknown) => error)
    t.ok(error instanceof ListenError && error.message.includes(`${name}: ${message}`), `${name}: ${String(error)}`)
  }
  t.equal(statSync(file).size, 8)
})

t.test('S1, S3: malformed framing is refused in our own format, and the connection ends', async (t) => {
  const seen: string[] = []
  const { port } = await open(t, (incoming, response) => {
    seen.push(incoming.url ?? '')
    response.end()
  })
  for (const bytes of [
    message('POST /a HTTP/1.1', [HOST, 'Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
    message('POST /a HTTP/1.1', [HOST, 'Content-Length: 5', 'Content-Length: 6'], 'hello'),
    message('POST /a HTTP/1.1', [HOST, 'Content-Length: 5, 5'], 'hello'),
    message('POST /a HTTP/1.1', [HOST, 'Content-Length: +5'], 'hello'),
    message('POST /a HTTP/1.1', [HOST, 'Content-Length: 0x5'], 'hello'),
    message('POST /a HTTP/1.1', [HOST, 'Transfer-Encoding : chunked'], '0\r\n\r\n'),
    message('GET /a HTTP/1.1', [HOST, ' X-Folded: 1']),
    message('GET /a HTTP/1.1', [HOST, 'X\0: 1']),
    'GET /a HTTP/1.1\nHost: localhost\n\n',
    'GET /a HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n',
    'GET /a HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n',
    'GET /a HTTP/9.9\r\nHost: localhost\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'get / HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET /\xe9 HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n'
  ]) {
    const client = await connectRaw(port)
    client.send(bytes + message('GET /smuggled HTTP/1.1', [HOST]))
    refused(t, await client.response(), 400, 'CS_BAD_REQUEST', JSON.stringify(bytes))
    t.equal((await client.rest()).length, 0, 'nothing behind it is answered')
    client.destroy()
  }
  t.notOk(seen.includes('/smuggled'))
})

t.test('a body whose chunks are malformed ends its request with 400', async (t) => {
  const { port } = await open(t, (incoming, response) => {
    incoming.resume().on('end', () => { response.end('whole') })
  })
  for (const chunk of [
    'zz\r\n',
    '5\nhello\r\n0\r\n\r\n',
    'fffffffffffffffff\r\nx',
    '5;a\n=b\r\nhello\r\n0\r\n\r\n',
    '5\r\nhelloXX0\r\n\r\n'
  ]) {
    const client = await connectRaw(port)
    client.send(message('POST / HTTP/1.1', [HOST, 'Transfer-Encoding: chunked'], chunk))
    refused(t, await client.response(), 400, 'CS_BAD_REQUEST', JSON.stringify(chunk))
    await client.closed()
  }
})

t.test('a HEAD whose body is malformed is refused without one of ours (RFC 9110 section 9.3.2)', async (t) => {
  const { port } = await open(t, (incoming) => { incoming.resume() })
  const client = await connectRaw(port)
  client.send(message('HEAD / HTTP/1.1', [HOST, 'Transfer-Encoding: chunked'], 'zz\r\n'))
  t.match(await client.response({ method: 'HEAD' }), { statusCode: 400 })
  t.equal((await client.rest()).length, 0)
})

t.test('H9: too large a header is 431', async (t) => {
  const { port } = await open(t, hello)
  for (const lines of [[`X: ${'a'.repeat(65_536)}`], Array.from({ length: 2000 }, (_, index) => `X-${index}: ${'a'.repeat(10)}`)]) {
    const response = await rawRequest(port, message('GET / HTTP/1.1', [HOST, ...lines]))
    refused(t, response, 431, 'CS_HEADERS_TOO_LARGE')
  }
  refused(t, await rawRequest(port, message(`GET /${'a'.repeat(65_536)} HTTP/1.1`, [HOST])), 431, 'CS_HEADERS_TOO_LARGE')
})

t.test('the longest header is what the configuration says, counted on the wire, and changes while it listens', async (t) => {
  const { listener, port } = await open(t, hello)
  const of = (bytes: number, name = 'X'): string => {
    const head = message('GET / HTTP/1.1', [HOST, `${name}: `])
    return head.replace(`${name}: `, `${name}: ${'a'.repeat(bytes - head.length)}`)
  }
  const statusOf = async (bytes: string): Promise<number> => (await rawRequest(port, bytes)).statusCode
  t.equal(await statusOf(of(32_768)), 200)
  t.equal(await statusOf(of(32_769)), 431)
  const small = message('GET / HTTP/1.1', [HOST, ...Array.from({ length: 7000 }, () => 'a:b')])
  t.equal(await statusOf(small), 431, `${small.length} bytes in small fields`)
  t.equal(await statusOf(`${'\r\n'.repeat(40_000)}GET / HTTP/1.1\r\n${HOST}\r\n\r\n`), 431, 'empty lines in front')

  const client = await connectRaw(port)
  for (let turn = 0; turn < 3; turn++) {
    client.send(of(32_000) + of(32_000))
    for (let count = 0; count < 2; count++) t.equal((await client.response()).statusCode, 200, 'counted for each request alone')
  }
  for (const [headerBytes, good, bad] of [[100_000, 100_000, 100_001], [1000, 1000, 1001]] as const) {
    listener.change({ handle: hello, maxConnections: 1000, headerBytes })
    t.equal(await statusOf(of(good)), 200)
    const rejection = await rawRequest(port, of(bad))
    refused(t, rejection, 431, 'CS_HEADERS_TOO_LARGE')
    t.match(rejection.text, `longer than ${headerBytes} bytes`)
  }
  const drip = await connectRaw(port)
  for (let turn = 0; turn < 40 && !drip.ended; turn++) {
    drip.send(turn === 0 ? 'GET / HTTP/1.1\r\n' : `X-${turn}: ${'a'.repeat(50)}\r\n`)
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  refused(t, await drip.response(), 431, 'CS_HEADERS_TOO_LARGE', 'however it comes')
  client.destroy()
})

t.test('the refusal says what the parser stumbled over', async (t) => {
  const { port } = await open(t, hello)
  for (const [bytes, says] of [
    ['LIST / HTTP/1.1', /^The method is none/],
    ['get / HTTP/1.1', /^The method is none/],
    ['FLUSH / HTTP/1.1', /^The method is none/],
    ['G\xc9T / HTTP/1.1', /^This is no request of HTTP/],
    ['DESCRIBE / HTTP/1.1', /^The method is none/],
    ['X' + 'Y'.repeat(50) + ' / HTTP/1.1', /^The method is none/],
    ['GET /\xc3\xa9 HTTP/1.1', /not ASCII/],
    ['GET /?q=\xc3\xa9 HTTP/1.1', /not ASCII/],
    ['GET \xff HTTP/1.1', /not ASCII/],
    ['GET /a\x7f HTTP/1.1', /control character/],
    ['GET /a\0 HTTP/1.1', /control character/],
    ['GET /a\tb HTTP/1.1', /control character/],
    ['GET localhost:80/x HTTP/1.1', /no path/],
    ['GET #x HTTP/1.1', /no path/],
    ['GET /a b HTTP/1.1', /blanks of the target/],
    ['GET /a HTTX/1.1', /no HTTP version/],
    ['GET /a HTTP/9.9', /version that is none/],
    ['GET /a HTTP/1', /version that is none/],
    ['PRI * HTTP/2.0\r\n\r\nSM', /HTTP\/2/],
    ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', /This is TLS/],
    ['\x05\x01\x00', /^This is no request of HTTP/],
    ['SSH-2.0-OpenSSH', /^This is no request of HTTP/],
    ['GET / HTTP/1.1\r\nContent-Length: +1', /^Content-Length/],
    ['GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1', /^Content-Length/],
    ['POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked', /^Transfer-Encoding/],
    ['POST / HTTP/1.1\r\nContent-Length: 18446744073709551616', /^Content-Length/],
    ['GET / HTTP/1.1\r\nX : y', /^A header/],
    ['GET / HTTP/1.1\r\nX: a\r\n b', /^A header/],
    ['GET / HTTP/1.1\r\n X: y', /^A header/],
    ['GET / HTTP/1.1\r\nX: a\0', /^A header/],
    ['GET / HTTP/1.1\r\nX', /^A header/],
    ['GET / HTTP/1.1\nHost: x', /./],
    ['GET / HTTP/1.1\r\nX: a\nb: c', /bare CR or LF/],
    ['GET / HTTP/1.1\r\nX: a\rb', /bare CR or LF/],
    ['POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz', /chunks/]
  ] as const) {
    const slow = bytes.startsWith('POST / HTTP/1.1\r\nTransfer')
    const response = await rawRequest(
      slow
        ? (
            await open(t, (incoming) => {
              incoming.resume()
            })
          ).port
        : port,
      `${bytes}\r\n\r\n`
    )
    refused(t, response, 400, 'CS_BAD_REQUEST', JSON.stringify(bytes))
    t.match((JSON.parse(response.text) as { message: string }).message, says, JSON.stringify(bytes))
  }
})

t.test('many headers are neither cut off nor a problem', async (t) => {
  const { port } = await open(t, (incoming, response) => { response.end(String(incoming.rawHeaders.length / 2)) })
  const lines = Array.from({ length: 1500 }, (_, index) => `a${index}: b`)
  t.match(await rawRequest(port, message('GET / HTTP/1.1', [HOST, ...lines])), { statusCode: 200, text: '1501' })
})

t.test('CONNECT is refused', async (t) => {
  const { port } = await open(t, hello)
  const client = await connectRaw(port)
  client.send(message('CONNECT 169.254.169.254:80 HTTP/1.1', [HOST]))
  const response = await client.response()
  refused(t, response, 405, 'CS_METHOD_NOT_ALLOWED')
  t.ok(response.header('allow'))
  await client.closed()
})

t.test('garbage behind a request that is being answered does not get into its response', async (t) => {
  let arrived = (_response: ServerResponse): void => {}
  const there = new Promise<ServerResponse>((resolve) => { arrived = resolve })
  const { port } = await open(t, (_message, response) => { arrived(response) })
  const client = await connectRaw(port)
  client.send(message('GET / HTTP/1.1', [HOST]) + 'garbage\r\n\r\n')
  const response = await there
  response.writeHead(200, { 'content-length': '6' })
  response.write('abc')
  await client.until((unread) => unread.toString().endsWith('abc'))
  response.end('def')
  t.match(await client.response(), { statusCode: 200, text: 'abcdef', complete: true })
  refused(t, await client.response(), 400, 'CS_BAD_REQUEST')
  await client.closed()
})

t.test('a CONNECT behind a request that is being answered is refused behind its response', async (t) => {
  let arrived = (_response: ServerResponse): void => {}
  const there = new Promise<ServerResponse>((resolve) => { arrived = resolve })
  const { port } = await open(t, (_message, response) => { arrived(response) })
  const client = await connectRaw(port)
  client.send(
    message('GET / HTTP/1.1', [HOST]) + message('CONNECT evil.example:80 HTTP/1.1', [HOST]) + message('GET /smuggled HTTP/1.1', [HOST])
  )
  const response = await there
  response.writeHead(200, { 'content-length': '6' })
  response.write('abc')
  await client.until((unread) => unread.toString().endsWith('abc'))
  response.end('def')
  t.match(await client.response(), { statusCode: 200, text: 'abcdef', complete: true })
  refused(t, await client.response(), 405, 'CS_METHOD_NOT_ALLOWED')
  t.equal((await client.rest()).length, 0)
})

t.test('no request is read behind a response that closes the connection', async (t) => {
  const seen: string[] = []
  const { port } = await open(t, (incoming, response) => {
    seen.push(incoming.url ?? '')
    response.shouldKeepAlive = false
    response.end('bye')
  })
  const client = await connectRaw(port)
  client.send(message('GET /1 HTTP/1.1', [HOST]) + message('GET /2 HTTP/1.1', [HOST]))
  t.match(await client.response(), { statusCode: 200, text: 'bye' })
  t.equal((await client.rest()).length, 0)
  t.same(seen, ['/1'])
})

t.test('one connection too many is told so, and its request is not served', async (t) => {
  const seen: string[] = []
  const { port } = await open(t, (incoming, response) => {
    seen.push(incoming.url ?? '')
    response.end('hello')
  }, TCP, 2)
  const kept: RawClient[] = []
  for (let count = 0; count < 2; count++) {
    const client = await connectRaw(port)
    client.send(message('GET /kept HTTP/1.1', [HOST]))
    t.match(await client.response(), { statusCode: 200 })
    kept.push(client)
  }
  for (const bytes of [
    '',
    message('GET /over HTTP/1.1', [HOST]),
    message('POST /over HTTP/1.1', [HOST, 'Content-Length: 100000'], 'x'.repeat(100_000))
  ]) {
    const over = await connectRaw(port)
    over.send(bytes)
    const response = await over.response()
    refused(t, response, 503, 'CS_OVERLOADED')
    t.match(response.header('retry-after'), /^\d+$/)
    await over.closed()
    over.destroy()
  }
  t.same(seen, ['/kept', '/kept'])
  kept[0]?.destroy()
  for (let status = 503; status !== 200;) status = (await rawRequest(port, message('GET /again HTTP/1.1', [HOST]))).statusCode
  kept[1]?.destroy()
})

t.test('listeners with one count share one limit of connections', async (t) => {
  const count = { served: 0, bytes: 0 }
  const [first, second] = await Promise.all([1, 2].map(async () => {
    const listener = await openListener({ address: TCP, handle: hello, maxConnections: 1, open: count })
    t.teardown(() => listener.drain(0))
    return listener.address.type === 'tcp' ? listener.address.port : 0
  }))
  const kept = await connectRaw(first ?? 0)
  kept.send(message('GET / HTTP/1.1', [HOST]))
  t.match(await kept.response(), { statusCode: 200 })
  refused(t, await rawRequest(second ?? 0, message('GET / HTTP/1.1', [HOST])), 503, 'CS_OVERLOADED')
  kept.destroy()
  for (let status = 503; status !== 200;) status = (await rawRequest(second ?? 0, message('GET / HTTP/1.1', [HOST]))).statusCode
})

t.test('a drain lets requests in flight finish, ends their connections, and takes no new ones', async (t) => {
  const waiting: ServerResponse[] = []
  let arrived = (): void => {}
  const both = new Promise<void>((resolve) => { arrived = () => { if (waiting.length === 2) resolve() } })
  const { listener, port } = await open(t, (incoming, response) => {
    if (incoming.url === '/quick') {
      response.end('quick')
      return
    }
    waiting.push(response)
    arrived()
  })
  const idle = await connectRaw(port)
  idle.send(message('GET /quick HTTP/1.1', [HOST]))
  t.equal((await idle.response()).header('connection'), 'keep-alive')
  const silent = await connectRaw(port)
  const fresh = await connectRaw(port)
  const started = await connectRaw(port)
  fresh.send(message('GET /slow HTTP/1.1', [HOST]))
  started.send(message('GET /started HTTP/1.1', [HOST]))
  await both
  const begun = waiting.find((response) => response.req.url === '/started')
  begun?.writeHead(200, { 'content-length': '3' })
  begun?.write('a')
  await started.until((unread) => unread.toString().endsWith('a'))

  const drained = listener.drain(30_000)
  await idle.closed()
  await silent.closed()
  await t.rejects(connectRaw(port), { code: 'ECONNREFUSED' })
  for (const response of waiting) response.end(response === begun ? 'bc' : 'done')
  const slow = await fresh.response()
  t.match(slow, { statusCode: 200, text: 'done' })
  t.equal(slow.header('connection'), 'close', 'the client is told')
  t.match(await started.response(), { statusCode: 200, text: 'abc' })
  await Promise.all([fresh.closed(), started.closed()])
  await drained
})

t.test('a request that comes on a kept connection during the drain is answered with Connection: close', async (t) => {
  let first: ServerResponse | undefined
  let arrived = (): void => {}
  const { listener, port } = await open(t, (incoming, response) => {
    if (incoming.url === '/2') {
      response.end('second')
      return
    }
    first = response
    arrived()
  })
  const client = await connectRaw(port)
  const there = new Promise<void>((resolve) => { arrived = resolve })
  client.send(message('GET /1 HTTP/1.1', [HOST]))
  await there
  const drained = listener.drain(30_000)
  first?.end('first')
  const response = await client.response()
  t.equal(response.header('connection'), 'close')
  await drained
})

t.test('what is not finished when the drain\'s time is over is closed', async (t) => {
  let arrived = (): void => {}
  const there = new Promise<void>((resolve) => { arrived = resolve })
  const { listener, port } = await open(t, () => { arrived() })
  const client = await connectRaw(port)
  client.send(message('GET / HTTP/1.1', [HOST]))
  await there
  await listener.drain(50)
  await client.closed()
})

interface Opened {
  readonly listener: Listener
  readonly port: number
}

async function open (
  t: Test,
  handle: (message: IncomingMessage, response: ServerResponse) => void,
  address: Address = TCP,
  maxConnections = 1000
): Promise<Opened> {
  const listener = await openListener({ address, handle, maxConnections })
  t.teardown(() => listener.drain(0))
  return { listener, port: listener.address.type === 'tcp' ? listener.address.port : 0 }
}

function refused (t: Test, response: RawResponse, statusCode: number, code: string, what = code): void {
  t.match(response, { statusCode, complete: true }, what)
  t.match(JSON.parse(response.text), { statusCode, code }, what)
  t.match(response.header('proxy-status'), /^countersign; error=\w+$/, what)
  t.equal(response.header('connection'), 'close', what)
}

// What a process leaves behind that was killed: Node removes the file of a server that it closes.
async function leaveStaleSocket (t: Test, path: string): Promise<void> {
  const child = spawn(
    process.execPath,
    ['-e', `require('node:net').createServer().listen(${JSON.stringify(path)}, () => { process.kill(process.pid, 'SIGKILL') })`],
    { stdio: 'ignore' }
  )
  await once(child, 'exit')
  t.ok(child.killed || child.signalCode === 'SIGKILL')
}

/** A live socket that a probe cannot connect to: its queue is full, or it belongs to somebody else. */
async function holdSocket (t: Test, path: string, why: 'EAGAIN' | 'EACCES'): Promise<{ readonly ino: number }> {
  const script =
    why === 'EAGAIN'
      ? 'import socket,sys,time\ns=socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen(0)\nc=[]\nfor i in range(8):\n  k=socket.socket(socket.AF_UNIX)\n  k.setblocking(False)\n  try: k.connect(sys.argv[1])\n  except BlockingIOError: break\n  c.append(k)\nprint("held",flush=True)\ntime.sleep(60)'
      : 'import socket,sys,os,time\ns=socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen(8)\nos.chmod(sys.argv[1],0)\nprint("held",flush=True)\ntime.sleep(60)'
  const child = spawn('python3', ['-c', script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  await once(child.stdout, 'data')
  return lstatSync(path)
}

// t.testdir() is too deep: the path of a socket has 103 bytes.
function shortFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'cs-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  return folder
}

async function isTaken (port: number, host: string): Promise<boolean> {
  try {
    (await connectRaw(port, host)).destroy()
    return true
  } catch {
    return false
  }
}
