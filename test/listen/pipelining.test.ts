/**
 * Requests that are pipelined are served one at a time, in their order (contract, section 4), wherever the client cuts its
 * bytes and whenever it leaves. What Node makes of them by itself ended processes and lost places among the limits.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import type { Address } from '#src/http/address.ts'
import { openListener, type ListenerOptions } from '#src/listen/listener.ts'
import type { ConnectionCount, Handler } from '#src/listen/service.ts'
import { Handshake } from '#src/http/handshake.ts'
import { connectRaw, message, type RawClient } from '../helpers/raw-client.ts'
import { until } from '../helpers/until.ts'

const HOST = 'Host: localhost'
const TCP: Address = { type: 'tcp', host: '127.0.0.1', port: 0 }
const UPGRADE = [HOST, 'Connection: Upgrade', 'Upgrade: websocket']

interface Served {
  readonly message: IncomingMessage
  readonly response: ServerResponse
}

interface Scene {
  readonly port: number
  readonly count: ConnectionCount
  /** What was handed over so far. */
  readonly served: Served[]
  /** Resolves with the request of that number, once it was handed over. */
  readonly nth: (number: number) => Promise<Served>
}

t.test('the next request is handed over when the response to the one before has finished, wherever the bytes are cut', async (t) => {
  const requests = [
    message('GET /1 HTTP/1.1', [HOST]),
    message('POST /2 HTTP/1.1', [HOST, 'Content-Length: 5'], 'a\r\n\r\n'),
    message('POST /3 HTTP/1.1', [HOST, 'Transfer-Encoding: chunked'], '4\r\n\r\n\r\n\r\n1;a=b\r\nx\r\n0\r\nX-T: 1\r\n\r\n'),
    `\r\n${message('POST /4 HTTP/1.1', [HOST, 'Content-Length: 0'])}`,
    message('PUT /5 HTTP/1.1', [HOST, 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
    message('POST /6 HTTP/1.1', [HOST, 'Expect: 100-continue', 'Content-Length: 3'], 'abc'),
    message('POST /7 HTTP/1.1', [HOST, 'Expect: something', 'Content-Length: 18'], 'GET / HTTP/1.1\r\n\r\n'),
    message('HEAD /8 HTTP/1.1', [HOST])
  ]
  const whole = requests.join('')
  let atOnce = 0
  const { port } = await open(t, ({ url = '', headers }, response) => {
    if (headers.expect === '100-continue') response.writeContinue()
    if (++atOnce > 1) t.fail(`${url} before its turn`)
    response.once('finish', () => { atOnce-- })
    const body: Buffer[] = []
    response.req.on('data', (chunk: Buffer) => { body.push(chunk) }).on('end', () => {
      setImmediate(() => { response.end(`${url} ${Buffer.concat(body).toString('latin1')}`) })
    })
  })
  const places = [
    [],
    ...Array.from({ length: whole.length - 1 }, (_, place) => [place + 1]),
    Array.from({ length: whole.length }, (_, place) => place)
  ]
  for (const cuts of places) {
    const client = await connectRaw(port)
    for (const [index, from] of [0, ...cuts].entries()) {
      client.send(whole.slice(from, cuts[index] ?? whole.length))
      if (cuts.length < 2) await new Promise((resolve) => { setImmediate(resolve) })
    }
    const responses: string[] = []
    for (let count = 1; count <= requests.length; count++) {
      const response = await client.response({ method: count === 8 ? 'HEAD' : 'GET' })
      responses.push(response.text)
    }
    t.same(
      responses,
      ['/1 ', '/2 a\r\n\r\n', '/3 \r\n\r\nx', '/4 ', '/5 ', '/6 abc', '/7 GET / HTTP/1.1\r\n\r\n', ''],
      `cut at ${cuts.join().slice(0, 20)}`
    )
    client.destroy()
  }
})

t.test('a connection that pipelines leaves every other one its turn', async (t) => {
  const { port, served } = await open(t, ({ url }, response) => { response.end(url) })
  const [many, one] = [await connectRaw(port), await connectRaw(port)]
  // Within one read of the server's.
  many.send(message('GET /many HTTP/1.1', [HOST]).repeat(500))
  one.send(message('GET /one HTTP/1.1', [HOST]))
  t.equal((await one.response()).text, '/one')
  for (let count = 0; count < 500; count++) await many.response()
  const place = served.findIndex(({ message }) => message.url === '/one')
  t.ok(place < 250, `after ${place} of the other's`)
  many.destroy()
  one.destroy()
})

t.test('a response that is ready at once, or before the body is here, does not let the next request pass it', async (t) => {
  const { port, served } = await open(t, ({ url }, response) => { response.end(url) })
  const client = await connectRaw(port)
  client.send(message('POST /1 HTTP/1.1', [HOST, 'Content-Length: 10'], 'half '))
  t.equal((await client.response()).text, '/1')
  client.send(`whole${message('POST /2 HTTP/1.1', [HOST, 'Transfer-Encoding: chunked'], '1\r\nx\r\n')}`)
  t.equal((await client.response()).text, '/2')
  t.equal(served.length, 2, 'nobody has read a body')
  client.send(`0\r\n\r\n${Array.from({ length: 500 }, (_, index) => message(`GET /${index + 3} HTTP/1.1`, [HOST])).join('')}`)
  for (let number = 3; number < 503; number++) if ((await client.response()).text !== `/${number}`) t.fail(`/${number}`)
  client.destroy()
})

t.test('while a response takes its time, what is behind it is not parsed: no request, no upgrade, no CONNECT, no nonsense', async (t) => {
  for (const behind of [
    message('GET /2 HTTP/1.1', [HOST]),
    message('GET /2 HTTP/1.1', UPGRADE),
    message('CONNECT a:1 HTTP/1.1', [HOST]),
    'nonsense\r\n\r\n',
    'GET /2 HTTP',
    message('POST /2 HTTP/1.1', [HOST, 'Content-Length: 100'], 'abc')
  ]) {
    for (const how of ['reset', 'destroy'] as const) {
      const { port, nth, served, count } = await open(t, () => {})
      const client = await connectRaw(port)
      client.send(message('GET /1 HTTP/1.1', [HOST]) + behind + message('GET /3 HTTP/1.1', [HOST]))
      const { response } = await nth(1)
      await until('the bytes behind it', () => count.bytes > 0)
      const closed = new Promise<void>((resolve) => {
        response.once('close', resolve)
      })
      client[how]()
      await closed
      await until('the connection to go', () => count.served === 0)
      t.same(
        served.map(({ message: { url } }) => url),
        ['/1'],
        'what was behind it is dropped'
      )
      t.equal(count.bytes, 0, 'and no longer held')
    }
  }
})

t.test('an upgrade behind a request that is being answered begins behind the response, with all of its bytes', async (t) => {
  const { port, nth, served } = await open(t, ({ url }, response) => {
    if (!(response instanceof Handshake)) return
    const socket = response.switch()
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${url ?? ''}`)
    socket.on('data', (bytes: Buffer) => { socket.write(bytes) })
  })
  const client = await connectRaw(port)
  client.send(message('GET /1 HTTP/1.1', [HOST]) + message('GET /2 HTTP/1.1', UPGRADE) + 'early')
  const { response } = await nth(1)
  client.send(' and later')
  response.write('first ')
  await client.until((unread) => unread.toString().includes('first '))
  t.equal(served.length, 1)
  response.end('last')
  t.equal((await client.response()).text, 'first last')
  t.equal((await client.response()).statusCode, 101)
  await client.until((unread) => unread.toString() === '/2early and later')
  client.send('GET / HTTP/1.1\r\n\r\n')
  await client.until((unread) => unread.toString().endsWith('GET / HTTP/1.1\r\n\r\n'))
  t.equal(served.length, 2, 'nothing behind the switch is a request')
  client.destroy()
})

t.test('a client that leaves before its upgrade is answered is noticed, also behind bytes that it has sent early', async (t) => {
  const { port, nth, count } = await open(t, () => {})
  for (const [index, early] of ['', 'early', 'e'.repeat(30_000)].entries()) {
    const client = await connectRaw(port)
    client.send(message('GET /1 HTTP/1.1', UPGRADE) + early)
    const { response } = await nth(index + 1)
    const closed = new Promise<void>((resolve) => { response.once('close', resolve) })
    client.socket.end(early)
    await closed
    await until('the connection to go', () => count.served === 0)
    client.destroy()
  }
})

t.test('an upgrade that is refused behind a response ends the connection, and nothing behind it is a request', async (t) => {
  const { port, served } = await open(t, ({ url }, response) => { response.end(url) })
  const client = await connectRaw(port)
  client.send(message('GET /1 HTTP/1.1', [HOST]) + message('GET /2 HTTP/1.1', UPGRADE) + message('GET /3 HTTP/1.1', [HOST]))
  t.equal((await client.response()).text, '/1')
  t.equal((await client.response()).text, '/2')
  t.equal((await client.rest()).length, 0)
  t.equal(served.length, 2)
})

t.test('what does not keep the connection is the last: Connection: close, HTTP/1.0, a response that closes', async (t) => {
  const { port, served } = await open(t, ({ url }, response) => {
    if (url === '/closing') response.shouldKeepAlive = false
    if (url !== '/unframed') response.setHeader('Content-Length', (url ?? '').length)
    setImmediate(() => { response.end(url) })
  })
  for (const first of [
    message('GET /1 HTTP/1.1', [HOST, 'Connection: close']),
    message('GET /1 HTTP/1.0', [HOST]),
    message('GET /closing HTTP/1.1', [HOST]),
    message('POST /1 HTTP/1.0', [HOST, 'Content-Length: 2'], 'ab'),
    message('GET /unframed HTTP/1.0', [HOST, 'Connection: keep-alive'])
  ]) {
    served.length = 0
    const client = await connectRaw(port)
    client.send(first + message('GET /2 HTTP/1.1', [HOST]) + 'x'.repeat(100_000))
    t.match(await client.response(), { statusCode: 200, complete: true })
    t.equal((await client.rest()).length, 0)
    t.equal(served.length, 1)
  }
  const client = await connectRaw(port)
  for (const url of ['/1', '/2', '/3']) client.send(message(`GET ${url} HTTP/1.0`, [HOST, 'Connection: keep-alive']))
  for (const url of ['/1', '/2', '/3']) t.equal((await client.response()).text, url, 'HTTP/1.0 that keeps the connection')
  client.destroy()
})

t.test('what is held behind a request is bounded in bytes and in pieces, and none of it is lost', async (t) => {
  const { port, nth, count, served } = await open(t, ({ url }, response) => { if (url !== '/1') response.end() })
  const client = await connectRaw(port)
  const one = message('GET /x HTTP/1.1', [HOST])
  const requests = 30_000
  client.send(message('GET /1 HTTP/1.1', [HOST]))
  const { response } = await nth(1)
  const sent = client.sendAll(one.repeat(requests))
  await until('the limit', () => count.bytes > 262_144)
  await new Promise((resolve) => { setTimeout(resolve, 50) })
  t.ok(count.bytes < 1_000_000, `${count.bytes} of ${one.length * requests} bytes are held`)
  response.end()
  let responses = 0
  client.socket.on('data', (chunk: Buffer) => { responses += chunk.toString('latin1').split('HTTP/1.1 200 OK').length - 1 })
  await sent
  await until('all of them', () => served.length === requests + 1)
  await until('nothing held', () => count.bytes === 0)
  await until('every response', () => responses > requests / 2)
  client.destroy()

  const drip = await connectRaw(port)
  drip.socket.setNoDelay(true)
  drip.send(message('GET /1 HTTP/1.1', [HOST]))
  const dripped = await nth(requests + 2)
  for (let turn = 0; turn < 200; turn++) {
    drip.send('G')
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  await until('the drops', () => count.bytes > 1000)
  t.ok(count.bytes < 100_000, `${count.bytes} held for 200 pieces of one byte`)
  drip.destroy()
  await new Promise<void>((resolve) => { dripped.response.once('close', resolve) })
  await until('nothing held', () => count.bytes === 0)
})

t.test('a full listener does not parse what it refuses, and outlives an upgrade behind a request', async (t) => {
  const { port, served } = await open(t, (_message, response) => { response.end() }, { maxConnections: 1 })
  const kept = await connectRaw(port)
  kept.send(message('GET /kept HTTP/1.1', [HOST]))
  await kept.response()
  for (const bytes of [
    message('GET /1 HTTP/1.1', [HOST]) + message('GET /2 HTTP/1.1', UPGRADE),
    message('GET /2 HTTP/1.1', UPGRADE),
    message('CONNECT a:1 HTTP/1.1', [HOST]),
    'nonsense',
    message('GET /1 HTTP/1.1', [HOST]).repeat(100)
  ]) {
    for (const how of [undefined, 'reset', 'destroy'] as const) {
      const client = await connectRaw(port)
      client.send(bytes)
      if (how === undefined) {
        t.match(await client.response(), { statusCode: 503, complete: true })
        t.equal((await client.rest()).length, 0)
      } else client[how]()
    }
  }
  kept.send(message('GET /kept HTTP/1.1', [HOST]))
  t.match(await kept.response(), { statusCode: 200 })
  t.equal(served.length, 2)
  kept.destroy()
})

t.test('where idle connections make room, the oldest goes first, then one that takes nothing, and never one that is served', async (t) => {
  const { port, nth, count } = await open(
    t,
    ({ url }, response) => {
      if (url !== '/held') response.end('x'.repeat(url === '/large' ? 20_000_000 : 1))
    },
    { maxConnections: 3, dropsIdle: true }
  )
  const [first, second, third] = await Promise.all([1, 2, 3].map(() => connectRaw(port))) as [RawClient, RawClient, RawClient]
  await until('three', () => count.served === 3)
  for (const [index, client] of [second, first].entries()) {
    client.send(message('GET /held HTTP/1.1', [HOST]))
    await nth(index + 1)
  }
  const fourth = await connectRaw(port)
  await third.closed()
  t.notOk(first.ended || second.ended, 'the only one that was idle')
  fourth.pause(true)
  fourth.send(message('GET /large HTTP/1.1', [HOST]))
  const { message: { socket } } = await nth(3)
  await until('it to stand still', () => socket.writableLength > 0)
  const fifth = await connectRaw(port)
  fifth.send(message('GET /held HTTP/1.1', [HOST]))
  await nth(4)
  t.ok(socket.destroyed, 'the one that takes nothing')
  const sixth = await connectRaw(port)
  t.match(await sixth.response(), { statusCode: 503 }, 'all are served')
  for (const client of [first, second, fourth, fifth, sixth]) client.destroy()
  await until('the count', () => count.served === 0)
})

t.test('what Node tells of messages, responses and sockets that are dead ends nothing', async (t) => {
  const { port, nth, count } = await open(t, ({ url }, response) => { if (url === '/done') response.end() })
  const bodies: ReadonlyArray<readonly [what: string, bytes: string, nth: number]> = [
    ['unanswered', message('GET / HTTP/1.1', [HOST]), 1],
    ['half a body', message('POST / HTTP/1.1', [HOST, 'Content-Length: 100'], 'abc'), 1],
    ['half a chunked body', message('POST / HTTP/1.1', [HOST, 'Transfer-Encoding: chunked'], '5\r\nab'), 1],
    ['answered', message('GET /done HTTP/1.1', [HOST]), 1],
    ['answered, half a body', message('POST /done HTTP/1.1', [HOST, 'Content-Length: 100'], 'abc'), 1],
    ['waits for its body', message('POST / HTTP/1.1', [HOST, 'Expect: 100-continue', 'Content-Length: 100']), 1],
    ['an upgrade', message('GET / HTTP/1.1', UPGRADE), 1],
    ['an upgrade that is refused', message('GET /done HTTP/1.1', UPGRADE), 1],
    ['a second one', message('GET /done HTTP/1.1', [HOST]) + message('POST / HTTP/1.1', [HOST, 'Content-Length: 100'], 'abc'), 2]
  ]
  let before = 0
  for (const [what, bytes, number] of bodies) {
    for (const how of ['reset', 'destroy'] as const) {
      const client = await connectRaw(port)
      client.send(bytes)
      const { message: request, response } = await nth(before + number)
      before += number
      const { socket } = request
      client[how]()
      await until(`the end of: ${what}`, () => count.served === 0)
      for (const emitter of [request, response, socket]) {
        for (const code of ['ECONNRESET', 'EPIPE', 'ERR_STREAM_DESTROYED']) {
          emitter.emit('error', Object.assign(new Error('told late'), { code }))
        }
        for (const event of ['aborted', 'timeout', 'drain', 'end', 'close', 'finish']) {
          if (emitter !== socket || event !== 'finish') emitter.listenerCount(event)
        }
      }
      response.emit('drain')
      socket.emit('timeout')
      request.destroy(new Error('destroyed late'))
      response.write('late')
      response.end('late')
      response.destroy(new Error('destroyed late'))
      socket.destroy(new Error('destroyed late'))
      await new Promise((resolve) => { setImmediate(resolve) })
    }
  }
  const client = await connectRaw(port)
  client.send(message('GET /done HTTP/1.1', [HOST]))
  t.match(await client.response(), { statusCode: 200 })
  client.destroy()
})

t.test('a client that reads nothing of many responses gets them all, one after the other', async (t) => {
  const { port, served } = await open(t, (_message, response) => { response.end('x'.repeat(200_000)) })
  const client = await connectRaw(port)
  client.pause(true)
  client.send(message('GET / HTTP/1.1', [HOST]).repeat(100))
  await until('some of them', () => served.length > 2)
  t.ok(served.length < 100, 'it waits for the client')
  client.pause(false)
  for (let count = 0; count < 100; count++) t.equal((await client.response()).body.length, 200_000)
  client.destroy()
})

t.test('a drain serves what came before its response said that it is the last', async (t) => {
  const { port, nth, listener } = await open(t, ({ url }, response) => { if (url === '/2') response.end('second') })
  const client = await connectRaw(port)
  client.send(message('GET /1 HTTP/1.1', [HOST]) + message('GET /2 HTTP/1.1', [HOST]) + message('GET /3 HTTP/1.1', [HOST]))
  const { response } = await nth(1)
  response.write('first')
  await client.until((unread) => unread.toString().includes('first'))
  const drained = listener.drain(30_000)
  response.end()
  t.match(await client.response(), { statusCode: 200, text: 'first' })
  const second = await client.response()
  t.match(second, { statusCode: 200, text: 'second' })
  t.equal(second.header('connection'), 'close')
  t.equal((await client.rest()).length, 0)
  await drained
})

async function open (
  t: Test,
  handle: Handler,
  options: Partial<ListenerOptions> = {}
): Promise<Scene & { readonly listener: Awaited<ReturnType<typeof openListener>> }> {
  const served: Served[] = []
  const count: ConnectionCount = { served: 0, bytes: 0 }
  const listener = await openListener({
    address: TCP,
    handle: (request, response) => {
      served.push({ message: request, response })
      handle(request, response)
    },
    maxConnections: 1000,
    open: count,
    ...options
  })
  t.teardown(() => listener.drain(0))
  return {
    listener,
    port: listener.address.type === 'tcp' ? listener.address.port : 0,
    count,
    served,
    nth: (number) => until(`request ${number}`, () => served[number - 1])
  }
}
