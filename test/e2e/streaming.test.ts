import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDaemon } from '../helpers/daemon.ts'
import { PatternReader, pumpPattern } from '../helpers/pattern.ts'
import { connectRaw, message, rawRequest, type RawClient } from '../helpers/raw-client.ts'
import { OK, startUpstream, type ScriptedResponse, type RecordingUpstream, type UpstreamOptions } from '../helpers/recording-upstream.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const MIB = 1_048_576
const STREAMED = 1024 * MIB
const WARM_UP = 96 * MIB
const EXTRA_MEMORY = 32 * MIB
/** Turns of others that stand for time: the daemon could have done something so often. */
const TURNS = 60
/** For the deadlines of a route: what goes on within one has many times its steps to spare on a busy machine. */
const WITHIN_MS = 1000
/** How long a request to `/late` of the route that is the clock takes. */
const TICK_MS = 100
/** So many ticks are longer than any deadline here. */
const LONGER = WITHIN_MS / TICK_MS + 3

/** A daemon of the built executable in front of a recording upstream. */
interface Stage {
  readonly pid: number
  readonly port: number
  readonly upstream: RecordingUpstream
}

// Where no memory is measured the tests share a daemon; each has a listener, a route and an upstream of its own in it.
const stages = await startStages(t, {
  events: {},
  bytes: {},
  leaving: {},
  dying: {},
  late: { timeoutMs: WITHIN_MS },
  upload: { timeoutMs: WITHIN_MS },
  silent: { idleTimeoutMs: 3 * TICK_MS },
  slow: { idleTimeoutMs: 10 * TICK_MS },
  bounded: { maxBodyBytes: 100_000 },
  clock: { timeoutMs: TICK_MS }
})
stages.clock.upstream.respond = () => undefined

t.test(
  'R2: bodies of any size stream both ways byte for byte, in the same memory',
  { skip: existsSync('/proc/self/clear_refs') ? false : "no /proc to read a process's peak memory from" },
  async (t) => {
    const { pid, port, upstream } = await start(
      t,
      ({ method, target, send, connection }) => {
        if (method === 'POST') return OK
        const total = Number(target.slice(1))
        send(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`)
        pumpPattern(connection.socket, total)
        return undefined
      },
      { keepBodies: false }
    )
    const up = async (total: number): Promise<void> => {
      const client = await connectRaw(port)
      client.send(message('POST /up HTTP/1.1', [host(port), `Content-Length: ${total}`]))
      await pumpPattern(client.socket, total)
      t.match(await client.response(), { statusCode: 200 })
      client.destroy()
      t.equal(upstream.last.bodyBytes, total)
      t.equal(upstream.last.intactBytes, total)
    }
    const down = async (total: number): Promise<void> => {
      const client = await connectRaw(port)
      client.send(message(`GET /${total} HTTP/1.1`, [host(port)]))
      await client.head()
      t.equal(await drain(client).reach(total), total)
      client.destroy()
    }
    await up(2)
    const idle = residentSet(pid)
    // V8 lets some 40 MiB of dead buffers gather before it collects them, whoever makes them; what counts is what comes on top.
    const warm = await peak(pid, async () => {
      await up(WARM_UP)
      await down(WARM_UP)
    })
    t.ok(warm - idle < 3 * EXTRA_MEMORY, `${mib(warm - idle)} MiB for ${mib(WARM_UP)} each way`)
    // On a machine that is busy the collector comes late, now and then; what is kept for the body's sake is there every time.
    const extra = async (run: () => Promise<void>): Promise<number> => {
      let least = Infinity
      for (let turn = 0; turn < 3 && least >= EXTRA_MEMORY; turn++) least = Math.min(least, (await peak(pid, run)) - warm)
      return least
    }
    const upwards = await extra(() => up(STREAMED))
    t.ok(upwards < EXTRA_MEMORY, `up: ${mib(upwards)} MiB more for ${mib(STREAMED)}`)
    const downwards = await extra(() => down(STREAMED))
    t.ok(downwards < EXTRA_MEMORY, `down: ${mib(downwards)} MiB more for ${mib(STREAMED)}`)
  }
)

t.test('a client that does not read stops the upstream, in bounded memory, and then gets every byte', async (t) => {
  const total = 128 * MIB
  let sent = 0
  const { pid, port, upstream } = await start(t, ({ target, send, connection }) => {
    if (target !== '/down') return OK
    send(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`)
    pumpPattern(connection.socket, total, (bytes) => { sent = bytes })
    return undefined
  })
  const before = residentSet(pid)
  const client = await connectRaw(port)
  client.send(message('GET /down HTTP/1.1', [host(port)]))
  await client.head()
  client.pause(true)
  // Other requests through the same process are the clock: it had its turn that often, and moved nothing.
  for (let last = -1; last !== sent;) {
    last = sent
    await roundTrips(port, TURNS)
  }
  t.ok(sent < 64 * MIB, `${mib(sent)} MiB left the upstream: what the buffers of the kernel hold`)
  t.ok(residentSet(pid) - before < 3 * EXTRA_MEMORY, `grew by ${mib(residentSet(pid) - before)} MiB`)
  const received = drain(client)
  client.pause(false)
  t.equal(await received.reach(total), total)
  t.ok(upstream.exchanges.length > TURNS)
  client.destroy()
})

t.test('an upstream that does not read stops the client, in bounded memory', async (t) => {
  const total = 128 * MIB
  const { pid, port, upstream } = await start(t, () => OK, { keepBodies: false })
  upstream.early = ({ target, connection }) => {
    if (target === '/up') connection.socket.pause()
    return undefined
  }
  const before = residentSet(pid)
  const client = await connectRaw(port)
  let sent = 0
  client.send(message('POST /up HTTP/1.1', [host(port), `Content-Length: ${total}`]))
  const pumped = pumpPattern(client.socket, total, (bytes) => { sent = bytes })
  await upstream.until(() => upstream.exchanges.length > 0)
  for (let last = -1; last !== sent;) {
    last = sent
    await rejections(port, TURNS)
  }
  t.ok(sent < 64 * MIB, `${mib(sent)} MiB left the client`)
  t.ok(residentSet(pid) - before < 3 * EXTRA_MEMORY, `grew by ${mib(residentSet(pid) - before)} MiB`)
  upstream.last.connection.socket.resume()
  await pumped
  t.equal(await upstream.last.whole, true)
  t.equal(upstream.last.intactBytes, total)
  client.destroy()
})

t.test('R3: each event of a stream is there before the next one is sent', async (t) => {
  const { port, upstream } = stages.events
  upstream.respond = () => 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
  for (const lines of [[], ['Accept-Encoding: gzip', 'Accept: text/event-stream', 'Cache-Control: no-cache']]) {
    const client = await connectRaw(port)
    client.send(message('GET /events HTTP/1.1', [host(port), ...lines]))
    t.match((await client.head()).startLine, '200')
    for (let event = 0; event < 50; event++) {
      const text = `id: ${event}\ndata: ${'x'.repeat(event)}\n\n`
      upstream.last.send(`${text.length.toString(16)}\r\n${text}\r\n`)
      await client.until((unread) => unread.toString().endsWith(`${text}\r\n`))
    }
    upstream.last.send('0\r\n\r\n')
    await client.until((unread) => unread.toString().endsWith('0\r\n\r\n'))
    client.destroy()
  }
})

t.test('each byte of an upload is there before the next one is sent', async (t) => {
  const { port, upstream } = stages.bytes
  for (const framing of ['Content-Length: 30', 'Transfer-Encoding: chunked']) {
    const seen = upstream.exchanges.length
    const client = await connectRaw(port)
    client.send(message('POST /slow HTTP/1.1', [host(port), framing]))
    for (let byte = 0; byte < 30; byte++) {
      client.send(framing.startsWith('C') ? '.' : '1\r\n.\r\n')
      await upstream.until(() => upstream.exchanges.length > seen && dots(upstream.last.connection.received) === byte + 1)
    }
    if (!framing.startsWith('C')) client.send('0\r\n\r\n')
    t.match(await client.response(), { statusCode: 200 })
    t.equal(upstream.last.body.toString(), '.'.repeat(30))
    client.destroy()
    // Counted by what a connection has received, so the next one has to be another.
    upstream.last.connection.socket.destroy()
    await upstream.last.connection.closed
  }
})

t.test('a client that goes away ends the upstream\'s request, wherever it is', async (t) => {
  const { port, upstream } = stages.leaving
  upstream.respond = ({ target, send }) => {
    if (target === '/body') send('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc')
    if (target === '/chunks') send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
    if (target === '/end') send('HTTP/1.1 200 OK\r\n\r\nabc')
    return undefined
  }
  for (const leave of ['destroy', 'reset'] as const) {
    for (const target of ['/headers', '/body', '/chunks', '/end', '/upload', '/upload-chunks']) {
      const seen = upstream.exchanges.length
      const client = await connectRaw(port)
      if (target === '/upload') client.send(message(`POST ${target} HTTP/1.1`, [host(port), 'Content-Length: 1000'], 'abc'))
      else if (target === '/upload-chunks') {
        client.send(message(`POST ${target} HTTP/1.1`, [host(port), 'Transfer-Encoding: chunked'], '3\r\nabc\r\n'))
      } else client.send(message(`GET ${target} HTTP/1.1`, [host(port)]))
      await upstream.until(
        () => upstream.exchanges.length > seen && (!target.startsWith('/upload') || upstream.last.connection.received.includes('abc'))
      )
      if (['/body', '/chunks', '/end'].includes(target)) await client.until((unread) => unread.includes('abc'))
      client[leave]()
      await upstream.last.connection.closed
      if (target.startsWith('/upload')) t.equal(upstream.last.complete, false, `${target} ${leave}: a broken request`)
      else t.pass(`${target} ${leave}`)
    }
  }
})

t.test('S7: an upstream that dies in the middle of a body never makes a whole one', async (t) => {
  let die: 'destroy' | 'resetAndDestroy' | 'end' = 'end'
  let head = ''
  const { port, upstream } = stages.dying
  upstream.respond = ({ connection: { socket } }) => {
    socket.write(`HTTP/1.1 200 OK\r\n${head}`, () => { socket[die]() })
    return undefined
  }
  for (die of ['end', 'destroy', 'resetAndDestroy'] as const) {
    for (head of [
      'Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
      'Connection: close\r\nContent-Length: 1000\r\n\r\nabc',
      'Content-Length: 1000\r\n\r\nabc',
      'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
      'Transfer-Encoding: chunked\r\n\r\n5\r\nabc',
      'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n',
      'Transfer-Encoding: chunked\r\n\r\n'
    ]) {
      // To an HTTP/1.0 client without a length the end is all there is, so it has to be RST: test/e2e/clients.test.ts, since
      // libuv reports RST right behind data as an orderly end (uv__stream_io, POLLHUP behind a partial read).
      for (const version of head.includes('Length') ? ['1.1', '1.0'] : ['1.1']) {
        const client = await connectRaw(port)
        client.send(message(`GET / HTTP/${version}`, [host(port)]))
        // With RST the headers may be lost as well: nobody takes an error, or none at all, for a whole response.
        const response = await client.response().catch(() => undefined)
        t.ok(response === undefined || !response.complete || response.statusCode === 502, `${die} ${JSON.stringify(head)} HTTP/${version}`)
        client.destroy()
      }
    }
  }
})

t.test('timeoutMs is for the headers alone', async (t) => {
  const { port, upstream } = stages.late
  upstream.respond = () => undefined
  const late = await rawRequest(port, message('GET /late HTTP/1.1', [host(port)]))
  t.match(late, { statusCode: 504, complete: true })
  t.match(JSON.parse(late.text), { code: 'CS_UPSTREAM_TIMEOUT' })
  t.match(late.header('proxy-status'), 'http_response_timeout')
  await upstream.last.connection.closed

  upstream.respond = () => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
  const client = await connectRaw(port)
  client.send(message('GET /drip HTTP/1.1', [host(port)]))
  await client.head()
  for (let drops = 1; drops <= LONGER; drops++) {
    upstream.last.send('1\r\n.\r\n')
    await client.until((unread) => unread.length >= drops * 6)
    await tick()
  }
  upstream.last.send('0\r\n\r\n')
  await client.until((unread) => unread.toString('latin1').endsWith('0\r\n\r\n'))
  t.pass('a body that took longer than timeoutMs')
  client.destroy()
})

t.test('an upload that still moves is not waiting, and one that is whole is', async (t) => {
  const { port, upstream } = stages.upload
  for (const answered of [true, false]) {
    upstream.respond = () => answered ? OK : undefined
    const seen = upstream.exchanges.length
    const client = await connectRaw(port)
    client.send(message('POST /up HTTP/1.1', [host(port), 'Transfer-Encoding: chunked']))
    for (let sent = 1; sent <= LONGER; sent++) {
      client.send('1\r\n.\r\n')
      await upstream.until(
        () =>
          upstream.exchanges.length > seen &&
          dots(upstream.last.connection.received.slice(upstream.last.connection.received.lastIndexOf('POST /up'))) === sent
      )
      await tick()
    }
    client.send('0\r\n\r\n')
    t.equal((await client.response()).statusCode, answered ? 200 : 504)
    t.equal(upstream.exchanges.length, seen + 1, 'sent once')
    client.destroy()
  }
})

t.test('idleTimeoutMs cuts a body that went silent, and the client sees that it is cut', async (t) => {
  const { port, upstream } = stages.silent
  upstream.respond = ({ target }) =>
    target === '/length'
      ? 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc'
      : 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'
  for (const target of ['/length', '/chunks']) {
    const response = await rawRequest(port, message(`GET ${target} HTTP/1.1`, [host(port)]))
    t.match(response, { statusCode: 200, complete: false }, target)
    await upstream.last.connection.closed
  }
})

t.test('a reader that takes longer than idleTimeoutMs is not silence of the upstream', async (t) => {
  const total = 64 * MIB
  const { port, upstream } = stages.slow
  upstream.respond = ({ send, connection }) => {
    send(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`)
    pumpPattern(connection.socket, total)
    return undefined
  }
  const client = await connectRaw(port)
  client.send(message('GET /down HTTP/1.1', [host(port)]))
  await client.head()
  client.pause(true)
  for (let ticks = 0; ticks < LONGER; ticks++) await tick()
  const received = drain(client)
  client.pause(false)
  t.equal(await received.reach(total), total)
  client.destroy()
})

t.test('maxBodyBytes is counted while a body streams', async (t) => {
  const { port, upstream } = stages.bounded
  const chunk = `2710\r\n${'x'.repeat(10_000)}\r\n`
  const within = await rawRequest(
    port,
    message('POST / HTTP/1.1', [host(port), 'Transfer-Encoding: chunked'], `${chunk.repeat(10)}0\r\n\r\n`)
  )
  t.match(within, { statusCode: 200 })
  const seen = upstream.exchanges.length
  const client = await connectRaw(port)
  client.send(message('POST / HTTP/1.1', [host(port), 'Transfer-Encoding: chunked'], chunk.repeat(10)))
  await upstream.until(() => upstream.exchanges.length > seen && upstream.last.connection.received.length > 200_000)
  client.send('1\r\nx\r\n')
  const response = await client.response()
  t.match(response, { statusCode: 413, complete: true })
  t.match(JSON.parse(response.text), { code: 'CS_BODY_TOO_LARGE' })
  t.equal(await upstream.last.whole, false, 'the upstream saw a broken request, not a short one')
  client.destroy()
})

/** A daemon of its own: its memory is what one test made of it. */
async function start (t: Test, respond: ScriptedResponse, options: UpstreamOptions = {}): Promise<Stage> {
  const { stage } = await startStages(t, { stage: {} }, { respond, ...options })
  return stage
}

async function startStages<Name extends string> (
  t: Test,
  routes: Readonly<Record<Name, object>>,
  options: UpstreamOptions = {}
): Promise<Record<Name, Stage>> {
  const names = Object.keys(routes) as Name[] // of a literal
  const upstreams = await Promise.all(names.map(() => startUpstream(t, options)))
  const folder = temporaryFolder(t)
  const file = join(folder, 'countersign.jsonc')
  writeFileSync(
    file,
    JSON.stringify({
      listen: '127.0.0.1:0',
      admin: 'off',
      accessLog: false,
      credentials: { key: { type: 'static', value: 'CANARY' } },
      routes: names.map((name, index) => ({
        listen: '127.0.0.1:0',
        upstream: upstreams[index]?.origin,
        credential: 'key',
        ...routes[name]
      }))
    })
  )
  const daemon = startDaemon(['serve', '-c', file], { cwd: folder })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const { routes: listed } = (await daemon.line('listening')) as { routes: Array<{ address: string }> } // the contract's fields
  return Object.fromEntries(
    names.map((name, index) => [
      name,
      { pid: daemon.pid, port: Number(listed[index]?.address.split(':').at(-1)), upstream: upstreams[index] }
    ])
  ) as Record<Name, Stage>
}

/** Lets TICK_MS and more pass on the daemon's own clock: a request that nobody answers. */
async function tick (): Promise<void> {
  const { port } = stages.clock
  const { statusCode } = await rawRequest(port, message('GET /tick HTTP/1.1', [host(port)]))
  if (statusCode !== 504) throw new Error(`the clock says ${statusCode}`)
}

function host (port: number): string {
  return `Host: 127.0.0.1:${port}`
}

function mib (bytes: number): number {
  return Math.round(bytes / MIB)
}

function dots (text: string): number {
  return text.slice(text.indexOf('\r\n\r\n')).split('.').length - 1
}

/** Takes a client's bytes out of its memory. `reach` resolves with how many of them were as they should be. */
function drain (client: RawClient): { readonly reach: (bytes: number) => Promise<number> } {
  const reader = new PatternReader()
  reader.take(client.unread)
  let wake = (): void => {}
  client.socket.removeAllListeners('data').on('data', (chunk: Buffer) => {
    reader.take(chunk)
    wake()
  })
  client.socket.on('close', () => { wake() })
  return {
    reach: async (bytes) => {
      const over = (): boolean => reader.bytes >= bytes || client.socket.destroyed
      while (!over()) await new Promise<void>((resolve) => { wake = resolve })
      return reader.bytes === bytes ? reader.intact : -1
    }
  }
}

/** Requests that the upstream responses, one after the other. */
async function roundTrips (port: number, count: number): Promise<void> {
  const client = await connectRaw(port)
  for (let turn = 0; turn < count; turn++) {
    client.send(message('GET /turn HTTP/1.1', [host(port)]))
    await client.response()
  }
  client.destroy()
}

/** Requests that the daemon answers by itself. */
async function rejections (port: number, count: number): Promise<void> {
  const client = await connectRaw(port)
  for (let turn = 0; turn < count; turn++) {
    client.send(message('GET /../turn HTTP/1.1', [host(port)]))
    await client.response()
  }
  client.destroy()
}

function residentSet (pid: number): number {
  return status(pid, 'VmRSS')
}

/** The most memory that a process had while something ran. */
async function peak (pid: number, run: () => Promise<void>): Promise<number> {
  // 5 resets the peak (proc(5), clear_refs).
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
  await run()
  return status(pid, 'VmHWM')
}

function status (pid: number, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}
