import fc from 'fast-check'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { connectUpstream } from '#src/upstream/connect.ts'
import { requestHead } from '#src/upstream/request-head.ts'
import type { UpstreamRequest } from '#src/upstream/sender.ts'
import { send } from '../helpers/ask.ts'

const GET: UpstreamRequest = { method: 'GET', target: '/', headers: [], body: null }

t.test('a head has the host, the connection, the headers as they are, and the framing last', async (t) => {
  t.equal(
    requestHead({ ...GET, target: '/a?b', headers: ['X-A', '1', 'x-a', '', 'Latin', '\xe9'] }, 'h:1'),
    'GET /a?b HTTP/1.1\r\nhost: h:1\r\nconnection: keep-alive\r\nX-A: 1\r\nx-a: \r\nLatin: \xe9\r\n\r\n'
  )
  t.match(requestHead({ ...GET, upgrade: 'websocket' }, 'h'), /\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n$/)
  for (const [method, body, length, framing] of [
    ['POST', null, undefined, 'content-length: 0'],
    ['PUT', null, 0, 'content-length: 0'],
    ['GET', Buffer.from('abc'), 3, 'content-length: 3'],
    ['DELETE', Readable.from([]), 3, 'content-length: 3'],
    ['POST', Readable.from([]), undefined, 'transfer-encoding: chunked'],
    ['POST', Buffer.from('abc'), undefined, 'transfer-encoding: chunked']
  ] as const) { t.ok(requestHead({ ...GET, method, body, length }, 'h').endsWith(`\r\n${framing}\r\n\r\n`), `${method} ${framing}`) }
  for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'REPORT']) {
    t.notMatch(requestHead({ ...GET, method }, 'h'), /content-length|transfer-encoding/, method)
  }
})

t.test('nothing that ends a line or a field early, frames, or speaks for the connection gets in', async (t) => {
  for (const bad of [
    { method: '' },
    { method: 'GET ' },
    { method: 'G\r\nT' },
    { method: 'G(T' },
    { target: '' },
    { target: 'x' },
    { target: '*' },
    { target: 'http://x/' },
    { target: '/a b' },
    { target: '/a\r\nX: 1' },
    { target: '/a\tb' },
    { target: '/\0' },
    { target: '/\u0100' },
    { upgrade: 'x\r\ny' },
    ...[
      '',
      'X Y',
      'X:',
      'X\r\n',
      '\xe9',
      'X\0',
      'Host',
      'CONNECTION',
      'Content-Length',
      'Transfer-Encoding',
      'te',
      'Trailer',
      'Upgrade',
      'Expect',
      'Keep-Alive',
      'Proxy-Connection'
    ].map((name) => ({ headers: [name, '1'] })),
    ...['a\r\nb', 'a\nb', 'a\rb', 'a\0b', '\x7f', '\x1b', '\u0100', '\u560d\u560a'].map((value) => ({ headers: ['X', value] })),
    { method: 'POST', body: Buffer.from('abc'), length: 4 }
  ]) {
    t.throws(() => requestHead({ ...GET, ...bad }, 'h'), { name: 'ProxyError', proxyStatus: 'http_request_error' }, JSON.stringify(bad))
  }
})

t.test('whatever a request is made of, a strict reader finds exactly that, or it does not leave', async (t) => {
  const piece = fc.oneof(
    fc.constantFrom(
      'a',
      'X-A',
      '\r\n',
      '\r',
      '\n',
      ' ',
      ':',
      '\0',
      '\xe9',
      '\u0100',
      'content-length',
      'transfer-encoding',
      'chunked',
      '0',
      '/',
      '?',
      '%0d%0a',
      '\t',
      ';'
    ),
    fc.string({ maxLength: 3, unit: 'binary' })
  )
  const text = fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.join(''))
  let left = 0
  fc.assert(
    fc.property(
      fc.constantFrom('GET', 'POST', 'x', 'G T', 'A\r\n'),
      text,
      fc.array(text, { maxLength: 8 }).filter(({ length }) => length % 2 === 0),
      fc.option(fc.nat(9), { nil: undefined }),
      (method, path, headers, length) => {
        const request = { method, target: `/${path}`, headers, body: length === undefined ? null : Buffer.alloc(length), length }
        let head: string
        try {
          head = requestHead(request, 'h')
        } catch {
          return true
        }
        left++
        const [, line, fields = ''] =
          /^([!-~]+ \/[!-~\x80-\xff]* HTTP\/1\.1)\r\n((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t -~\x80-\xff]*\r\n)+)\r\n$/.exec(head) ?? []
        const own = [
          'host: h',
          'connection: keep-alive',
          ...headers.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${headers[index + 1] ?? ''}`] : [])),
          ...(length !== undefined ? [`content-length: ${length}`] : method === 'POST' ? ['content-length: 0'] : [])
        ]
        return line === `${method} /${path} HTTP/1.1` && fields === own.map((field) => `${field}\r\n`).join('')
      }
    ),
    { numRuns: 5000 }
  )
  t.ok(left > 100, `${left} left`)
})

t.test('a body that streams leaves with its head, in its framing, and never with another length than announced', async (t) => {
  t.equal(await sent(t, ['ab', 'c'], 3), 'content-length: 3\r\n\r\nabc')
  t.equal(await sent(t, ['ab', '', 'c'.repeat(17)]), `transfer-encoding: chunked\r\n\r\n2\r\nab\r\n11\r\n${'c'.repeat(17)}\r\n0\r\n\r\n`)
  t.equal(await sent(t, []), 'transfer-encoding: chunked\r\n\r\n0\r\n\r\n')
  // Whether the good part has left depends on whether it came in a turn of the event loop of its own.
  const begun = ['', 'content-length: 3\r\n\r\nab']
  t.ok(begun.includes(await sent(t, ['ab', 'cd'], 3)), 'too long: what would be too much does not leave')
  t.ok(begun.includes(await sent(t, ['ab'], 3)), 'too short: the connection breaks')
  t.equal(await sent(t, [], 3), '', 'nothing of it: nothing left')
})

/** What reached an upstream of a body in pieces, from its framing on, until the request was answered or broken. */
async function sent (t: Test, pieces: readonly string[], length?: number): Promise<string> {
  let received = ''
  const server = createServer((socket) => {
    socket.on('error', () => {}).on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
      const body = received.slice(received.indexOf('\r\n\r\n') + 4)
      if (length === undefined ? body.endsWith('0\r\n\r\n') : body.length === length) {
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      }
    }).on('close', () => { server.emit('gone') })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const gone = once(server, 'gone')
  const pool = connectUpstream({
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    timeoutMs: 60_000,
    idleTimeoutMs: 60_000,
    proxies: {}
  })
  const body = new PassThrough()
  const listener = send(pool, { method: 'POST', body, length })
  for (const piece of pieces) {
    body.write(piece)
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  body.end()
  await listener.until(({ ends }) => ends > 0)
  t.equal(listener.ends, 1)
  await pool.destroy()
  await gone
  await new Promise((resolve) => { server.close(resolve) })
  return received.slice(received.search(/content-length|transfer-encoding/))
}
