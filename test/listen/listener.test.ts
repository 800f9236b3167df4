import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstatSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Address } from '#src/http/address.ts'
import { ListenError } from '#src/listen/bind.ts'
import { openListener, type Handler, type Listener } from '#src/listen/listener.ts'
import { connectRaw, message, rawRequest, type RawClient, type RawResponse } from '../helpers/raw-client.ts'

const HOST = 'Host: localhost'
const TCP: Address = { type: 'tcp', host: '127.0.0.1', port: 0 }
const hello: Handler = (_message, response) => { response.end('hello') }

t.test('port 0 becomes the real port', async (t) => {
  const { listener, port } = await open(t, hello)
  t.same(listener.address, { type: 'tcp', host: '127.0.0.1', port })
  t.match(await rawRequest(port, message('GET / HTTP/1.1', [HOST])), { statusCode: 200, text: 'hello' })
})

t.test('localhost is 127.0.0.1, and IPv6 loopback works', async (t) => {
  t.match((await open(t, hello, { type: 'tcp', host: 'localhost', port: 0 })).listener.address, { host: '127.0.0.1' })
  t.match((await open(t, hello, { type: 'tcp', host: '::1', port: 0 })).listener.address, { host: '::1' })
})

t.test('an address that cannot be taken is a ListenError that says what to do', async (t) => {
  const { port } = await open(t, hello)
  await t.rejects(openListener({ address: { ...TCP, port }, handle: hello, maxConnections: 1 }), { name: 'ListenError', message: new RegExp(`cannot listen on 127.0.0.1:${port}: something else listens there; .*--listen`) })
  await t.rejects(openListener({ address: { type: 'tcp', host: '192.0.2.1', port: 0 }, handle: hello, maxConnections: 1 }), { name: 'ListenError', message: /192\.0\.2\.1:0: this machine has no such address/ })
  await t.rejects(openListener({ address: { type: 'tcp', host: 'nowhere.invalid', port: 0 }, handle: hello, maxConnections: 1 }), ListenError)
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
  await t.rejects(openListener({ address: { type: 'unix', path: stale }, handle: hello, maxConnections: 1 }), { name: 'ListenError', message: /unix:.*stale\.sock: something else listens there/ })
  t.match(await rawRequest(stale, message('GET / HTTP/1.1', [HOST])), { statusCode: 200 }, 'the live one still serves')

  const file = join(folder, 'file')
  writeFileSync(file, 'precious')
  await t.rejects(openListener({ address: { type: 'unix', path: file }, handle: hello, maxConnections: 1 }), ListenError)
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
  for (const chunk of ['zz\r\n', '5\nhello\r\n0\r\n\r\n', 'fffffffffffffffff\r\nx', '5;a\n=b\r\nhello\r\n0\r\n\r\n', '5\r\nhelloXX0\r\n\r\n']) {
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
    refused(t, response, 431, 'CS_BAD_REQUEST')
  }
  refused(t, await rawRequest(port, message(`GET /${'a'.repeat(65_536)} HTTP/1.1`, [HOST])), 431, 'CS_BAD_REQUEST')
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

t.test('garbage behind a request that is being answered does not get into its answer', async (t) => {
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

t.test('a CONNECT behind a request that is being answered is refused behind its answer', async (t) => {
  let arrived = (_response: ServerResponse): void => {}
  const there = new Promise<ServerResponse>((resolve) => { arrived = resolve })
  const { port } = await open(t, (_message, response) => { arrived(response) })
  const client = await connectRaw(port)
  client.send(message('GET / HTTP/1.1', [HOST]) + message('CONNECT evil.example:80 HTTP/1.1', [HOST]) + message('GET /smuggled HTTP/1.1', [HOST]))
  const response = await there
  response.writeHead(200, { 'content-length': '6' })
  response.write('abc')
  await client.until((unread) => unread.toString().endsWith('abc'))
  response.end('def')
  t.match(await client.response(), { statusCode: 200, text: 'abcdef', complete: true })
  refused(t, await client.response(), 405, 'CS_METHOD_NOT_ALLOWED')
  t.equal((await client.rest()).length, 0)
})

t.test('no request is read behind an answer that closes the connection', async (t) => {
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
  for (const bytes of ['', message('GET /over HTTP/1.1', [HOST]), message('POST /over HTTP/1.1', [HOST, 'Content-Length: 100000'], 'x'.repeat(100_000))]) {
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
  const count = { served: 0 }
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

async function open (t: Test, handle: (message: IncomingMessage, response: ServerResponse) => void, address: Address = TCP, maxConnections = 1000): Promise<Opened> {
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
  const child = spawn(process.execPath, ['-e', `require('node:net').createServer().listen(${JSON.stringify(path)}, () => { process.kill(process.pid, 'SIGKILL') })`], { stdio: 'ignore' })
  await once(child, 'exit')
  t.ok(child.killed || child.signalCode === 'SIGKILL')
}

// t.testdir() is too deep: the path of a socket has 103 bytes.
function shortFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'cs-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  return folder
}
