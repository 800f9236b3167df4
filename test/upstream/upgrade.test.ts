import fc from 'fast-check'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { createSelfSigned } from '../helpers/certificates.ts'
import { message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { BEARER, startProxy, type TestProxy, type TestRoute } from '../helpers/proxy.ts'
import { startUpstream, type ScriptedResponse, type RecordingUpstream } from '../helpers/recording-upstream.ts'
import { hashOf, openTunnel, pump, readAll, startSwitching, still, SWITCH, type SwitchingOptions } from '../helpers/tunnel.ts'

const MB = 1024 * 1024

t.test('bytes that come with the handshake, and with the 101, are not lost', async (t) => {
  for (const size of [1, 1000, 200_000]) {
    const early = Buffer.alloc(size, 'client')
    const first = Buffer.alloc(size, 'upstream')
    const ends: Socket[] = []
    const proxy = await front(t, (socket) => { ends.push(socket) }, { response: Buffer.concat([Buffer.from(SWITCH), first]) })
    const client = await openTunnel(proxy.port, early)
    client.end()
    const [upstream] = ends
    if (upstream === undefined) throw new Error('the upstream has seen no upgrade')
    t.ok((await readAll(upstream)).equals(early))
    upstream.end()
    t.ok((await readAll(client)).equals(first))
  }
})

t.test('each side may end by itself and still receive', async (t) => {
  for (const clientFirst of [true, false]) {
    const { client, upstream } = await tunnel(t)
    const [first, second] = clientFirst ? [client, upstream] : [upstream, client]
    first.end('first')
    t.equal((await readAll(second)).toString(), 'first')
    const rest = readAll(first)
    for (let count = 0; count < 100; count++) second.write('more ')
    second.end('end')
    t.equal((await rest).toString(), `${'more '.repeat(100)}end`)
  }
})

t.test('a side that breaks breaks the other one, by a reset', async (t) => {
  for (const clientFirst of [true, false]) {
    const { client, upstream } = await tunnel(t)
    const [broken, other] = clientFirst ? [client, upstream] : [upstream, client]
    const reset = once(other.resume(), 'error')
    broken.resetAndDestroy()
    t.match(await reset, [{ code: 'ECONNRESET' }])
  }
})

t.test('a side that closes ends the other once it has read all', async (t) => {
  const { client, upstream } = await tunnel(t)
  upstream.end(Buffer.alloc(20 * MB, 'x'))
  upstream.resume()
  client.end()
  t.equal((await readAll(client)).length, 20 * MB)
})

t.test('100 MB to a slow reader stay with the writer, in both directions, and arrive whole', async (t) => {
  const chunk = Buffer.alloc(64 * 1024, 'abcdefg')
  for (const clientReads of [true, false]) {
    const { client, upstream } = await tunnel(t)
    const [reader, writer] = clientReads ? [client, upstream] : [upstream, client]
    const pumped = pump(writer, chunk, 1600)
    const taken = await still(pumped.taken)
    // Buffers of the kernel on two connections, and three of Node's streams.
    t.ok(taken < 30 * MB, `${taken} bytes were taken while nobody read`)
    const hash = await hashOf(reader, 100 * MB)
    t.equal(await still(pumped.taken), 100 * MB)
    t.equal(hash, pumped.hash())
  }
})

t.test('a reader that stops does not stop the other direction', async (t) => {
  const { client, upstream } = await tunnel(t)
  const stuck = pump(upstream, Buffer.alloc(64 * 1024), 1600)
  await still(stuck.taken)
  const hash = hashOf(upstream, 5 * MB)
  const free = pump(client, Buffer.alloc(MB, 'x'), 5)
  t.equal(await hash, free.hash())
})

t.test('any bytes in any pieces arrive as they were, in both directions at once', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 20 }),
      fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 20 }),
      async (up, down) => {
        const { client, upstream } = await shared(t)
        const [received, sent] = [readAll(upstream), readAll(client)]
        await Promise.all([sendPieces(client, up), sendPieces(upstream, down)])
        return (await received).equals(Buffer.concat(up)) && (await sent).equals(Buffer.concat(down))
      }
    ),
    { numRuns: 60 }
  )
  t.pass('no counterexample')
})

t.test('every shape of WebSocket frame passes byte for byte, whatever its pieces', async (t) => {
  const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000]
  const frame = fc
    .record({
      fin: fc.boolean(),
      reserved: fc.nat(7),
      opcode: fc.nat(15),
      masked: fc.boolean(),
      length: fc.constantFrom(...lengths),
      fill: fc.nat(255)
    })
    .map(frameOf)
  const control = fc
    .record({
      fin: fc.constant(true),
      reserved: fc.constant(0),
      opcode: fc.constantFrom(8, 9, 10),
      masked: fc.boolean(),
      length: fc.constantFrom(0, 2, 125),
      fill: fc.nat(255)
    })
    .map(frameOf)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(frame, control), { minLength: 1, maxLength: 12 }),
      fc.array(fc.nat(99_999), { maxLength: 12 }),
      async (frames, cuts) => {
        const { client, upstream } = await shared(t)
        const bytes = Buffer.concat(frames)
        const pieces = cut(bytes, cuts)
        const [received, sent] = [readAll(upstream), readAll(client)]
        await Promise.all([sendPieces(client, pieces), sendPieces(upstream, pieces)])
        return (await received).equals(bytes) && (await sent).equals(bytes)
      }
    ),
    { numRuns: 40 }
  )
  t.pass('no counterexample')
})

t.test('a quiet connection outlives every timeout of its route', async (t) => {
  const { proxy, upstream } = await pair(t, ({ target }) => {
    if (target === '/tunnel') return SWITCH
    return target === '/stalls' ? 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf' : undefined
  }, { timeoutMs: 100, idleTimeoutMs: 100 })
  const client = await openTunnel(proxy.port)
  // Both timeouts run out on requests that came later.
  for (const [target, outcome] of [['/hangs', { statusCode: 504 }], ['/stalls', { complete: false }]] as const) {
    t.match(await rawRequest(proxy.port, message(`GET ${target} HTTP/1.1`, [`Host: localhost:${proxy.port}`])), outcome)
  }
  client.write('still here')
  await upstream.until(() => upstream.received.includes('still here'))
  client.destroy()
})

t.test('S6: a 101 that cannot be passed on is a 502, and its connection is closed', async (t) => {
  for (const lines of [
    'Connection: Upgrade',
    'Upgrade: x-test',
    'Upgrade: x-other\r\nConnection: Upgrade',
    'Upgrade: x-test, x-other\r\nConnection: Upgrade',
    'Upgrade: \r\nConnection: Upgrade',
    'Upgrade: x-test\r\nUpgrade: x-other\r\nConnection: Upgrade',
    'Upgrade: x-test\r\nConnection: Upgrade\r\nX: a\0b',
    'Upgrade: x-test\r\nConnection: Upgrade\r\nX: a\x01b',
    'Upgrade: x-test\r\nConnection: Upgrade\r\nX Y: z',
    `Upgrade: x-test\r\nConnection: Upgrade\r\nX: ${'a'.repeat(1_000_000)}`
  ]) {
    const { proxy, upstream } = await pair(t, () => `HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n\r\npoison`)
    const response = await send(proxy)
    failed(t, response, 502, 'CS_UPSTREAM_UNREACHABLE', lines.slice(0, 80))
    t.notMatch(response.text, 'poison')
    await upstream.last.connection.closed
  }
})

t.test('a response that is no HTTP, or none, is a 502', async (t) => {
  for (const respond of [
    () => 'SSH-2.0-OpenSSH_9.0\r\n\r\n',
    () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!',
    () => 'HTTP/1.1 1000 Odd\r\nContent-Length: 0\r\n\r\n',
    ({ connection }) => {
      connection.socket.end()
      return undefined
    },
    ({ connection }) => {
      connection.socket.resetAndDestroy()
      return undefined
    },
    ({ connection }) => {
      connection.socket.end('HTTP/1.1 101 Swi')
      return undefined
    }
  ] satisfies ScriptedResponse[]) {
    const { proxy } = await pair(t, respond)
    failed(t, await send(proxy), 502, 'CS_UPSTREAM_UNREACHABLE', String(respond))
  }
})

t.test('a few interim responses are passed over, a flood of them is a 502', async (t) => {
  const early = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
  const { proxy, upstream } = await pair(t, () => early.repeat(3) + SWITCH)
  t.match(await send(proxy), { statusCode: 101 })
  upstream.respond = () => early.repeat(5000)
  failed(t, await send(proxy), 502, 'CS_UPSTREAM_UNREACHABLE')
  await upstream.last.connection.closed
})

t.test('no answer within timeoutMs is a 504, and the upstream sees its connection close', async (t) => {
  const { proxy, upstream } = await pair(t, () => undefined, { timeoutMs: 200 })
  failed(t, await send(proxy), 504, 'CS_UPSTREAM_TIMEOUT')
  await upstream.last.connection.closed
})

t.test('U1: an upstream whose certificate does not verify is a 502, and no byte of HTTP is sent', async (t) => {
  const upstream = await startUpstream(t, { tls: createSelfSigned({ names: ['127.0.0.1'] }) })
  const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin, bindings: [BEARER] }] })
  failed(t, await send(proxy), 502, 'CS_UPSTREAM_TLS')
  t.ok(upstream.accepted > 0, 'it was tried')
  t.equal(upstream.received, '')
})

t.test('the next request to an upstream gets a connection of its own', async (t) => {
  const { proxy, upstream } = await pair(t, ({ target }) => target === '/tunnel' ? SWITCH : undefined)
  upstream.respond = ({ target }) => target === '/tunnel' ? SWITCH : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
  const plain = (): Promise<RawResponse> => rawRequest(proxy.port, message('GET /plain HTTP/1.1', [`Host: localhost:${proxy.port}`]))
  t.match(await plain(), { statusCode: 200 })
  const client = await openTunnel(proxy.port, 'frames')
  for (let count = 0; count < 3; count++) t.match(await plain(), { statusCode: 200, text: 'ok' })
  const carrier = upstream.connections.find(({ received }) => received.includes('/tunnel'))
  t.match(carrier?.received, /\r\n\r\nframes$/)
  client.destroy()
})

interface Ends {
  readonly client: Socket
  readonly upstream: Socket
}

/** Both ends of an upgraded connection, paused. */
async function tunnel (t: Test, route: Partial<TestRoute> = {}): Promise<Ends> {
  const ends: Socket[] = []
  const proxy = await front(t, (socket) => { ends.push(socket) }, {}, route)
  const client = await openTunnel(proxy.port)
  const [upstream] = ends
  if (upstream === undefined) throw new Error('the upstream has seen no upgrade')
  return { client, upstream }
}

const fronts = new WeakMap<Test, { readonly port: number, readonly ends: Socket[] }>()

/** The same, with one proxy for all of a test's connections. */
async function shared (t: Test): Promise<Ends> {
  let place = fronts.get(t)
  if (place === undefined) {
    const ends: Socket[] = []
    place = { port: (await front(t, (socket) => { ends.push(socket) })).port, ends }
    fronts.set(t, place)
  }
  const client = await openTunnel(place.port)
  const upstream = place.ends.pop()
  if (upstream === undefined) throw new Error('the upstream has seen no upgrade')
  return { client, upstream }
}

async function front (
  t: Test,
  handle: (socket: Socket) => void,
  options: SwitchingOptions = {},
  route: Partial<TestRoute> = {}
): Promise<TestProxy> {
  const upstream = await startSwitching(t, handle, options)
  return await startProxy(t, { routes: [{ upstream: upstream.origin, ...route }] })
}

async function pair (
  t: Test,
  respond: ScriptedResponse,
  route: Partial<TestRoute> = {}
): Promise<{ proxy: TestProxy, upstream: RecordingUpstream }> {
  const upstream = await startUpstream(t, { respond })
  return { proxy: await startProxy(t, { routes: [{ upstream: upstream.origin, bindings: [BEARER], ...route }] }), upstream }
}

async function send (proxy: TestProxy): Promise<RawResponse> {
  return await rawRequest(
    proxy.port,
    message('GET /tunnel HTTP/1.1', [`Host: localhost:${proxy.port}`, 'Connection: Upgrade', 'Upgrade: x-test'])
  )
}

function failed (t: Test, response: RawResponse, status: number, code: string, what = code): void {
  t.equal(response.statusCode, status, what)
  t.match(JSON.parse(response.text), { statusCode: status, code })
  t.match(response.header('proxy-status'), /^countersign; error=/)
  t.notMatch(response.text, /127\.0\.0\.1|localhost|CANARY/)
}

async function sendPieces (socket: Socket, pieces: readonly Uint8Array[]): Promise<void> {
  for (const piece of pieces) await new Promise<void>((resolve) => { socket.write(piece, () => { resolve() }) })
  socket.end()
}

function cut (bytes: Buffer, at: readonly number[]): Buffer[] {
  const marks = [0, ...at.map((mark) => mark % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return marks.slice(1).map((mark, index) => bytes.subarray(marks[index], mark))
}

interface Frame {
  readonly fin: boolean
  readonly reserved: number
  readonly opcode: number
  readonly masked: boolean
  readonly length: number
  readonly fill: number
}

// RFC 6455 section 5.2.
function frameOf ({ fin, reserved, opcode, masked, length, fill }: Frame): Buffer {
  const start = Buffer.from([
    (fin ? 128 : 0) | (reserved << 4) | opcode,
    (masked ? 128 : 0) | (length < 126 ? length : length < 65_536 ? 126 : 127)
  ])
  const extended = Buffer.alloc(length < 126 ? 0 : length < 65_536 ? 2 : 8)
  if (extended.length === 2) extended.writeUInt16BE(length)
  if (extended.length === 8) extended.writeBigUInt64BE(BigInt(length))
  return Buffer.concat([start, extended, masked ? Buffer.from([1, 2, 3, fill]) : Buffer.alloc(0), Buffer.alloc(length, fill)])
}
