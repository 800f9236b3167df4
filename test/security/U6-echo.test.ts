// U6: an upstream that echoes the request gives the caller the very credential that it must never hold. Debug endpoints,
// error pages, redirects and API gateways in test mode do that without any ill will. A route with `scrub` masks it.
import t, { type Test } from 'tap'
import { brotliCompressSync, createGzip, deflateSync, gzipSync, constants } from 'node:zlib'
import type { Binding } from '#src/auth/scheme.ts'
import { Secret } from '#src/secret.ts'
import { apiKey, BEARER, CANARY, startProxy, type TestProxy, type TestRoute } from '../helpers/proxy.ts'
import { connectRaw, message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { startUpstream, type ScriptedResponse, type RecordingUpstream, type UpstreamExchange } from '../helpers/recording-upstream.ts'
import { createTokenCredential } from '../helpers/token-credential.ts'

const STARS = '*'.repeat(CANARY.token.length)
const BASIC_PAIR = `batch:${CANARY.password}`
const BASIC: Binding = { scheme: { type: 'http', scheme: 'basic' }, value: { type: 'token', credential: 'basic' } }
const CREDENTIALS = [{ name: 'basic', type: 'static', value: new Secret(Buffer.from(BASIC_PAIR).toString('base64')) }] as const

t.test('every placement: what the upstream says of the request holds no credential', async (t) => {
  const placements: ReadonlyArray<
    readonly [name: string, binding: Binding, request: string, lines: readonly string[], body: string, secret: string]
  > = [
    ['bearer', BEARER, 'GET /x HTTP/1.1', [], '', CANARY.token],
    ['basic', BASIC, 'GET /x HTTP/1.1', [], '', Buffer.from(BASIC_PAIR).toString('base64')],
    ['header', apiKey('header', 'X-Api-Key'), 'GET /x HTTP/1.1', [], '', CANARY.key],
    ['query', apiKey('query', 'key', 'CANARY/KEY+47=11'), 'GET /x?a=1 HTTP/1.1', [], '', 'CANARY%2FKEY%2B47%3D11'],
    ['cookie', apiKey('cookie', 'session', 'CANARY/KEY 4711'), 'GET /x HTTP/1.1', [], '', 'CANARY%2FKEY%204711'],
    [
      'JSON body',
      apiKey('query', 'key', 'CANARY"KEY\\4711'),
      'POST /x HTTP/1.1',
      ['Content-Type: application/json', 'Content-Length: 7'],
      '{"a":1}',
      'CANARY\\"KEY\\\\4711'
    ],
    [
      'form body',
      apiKey('query', 'key', 'CANARY KEY/4711'),
      'POST /x HTTP/1.1',
      ['Content-Type: application/x-www-form-urlencoded', 'Content-Length: 3'],
      'a=1',
      'CANARY%20KEY%2F4711'
    ]
  ]
  for (const [name, binding, start, lines, body, secret] of placements) {
    const { proxy, upstream } = await pair(t, echo, { bindings: [binding] })
    const response = await send(proxy, start, lines, body)
    t.match(response, { statusCode: 200, complete: true }, name)
    t.ok(upstream.last.connection.received.includes(secret), `${name}: the upstream had it`)
    const back = [response.reason, ...response.fields.flat(), response.text, ...response.trailers.flat()].join('\n')
    t.notOk(back.includes(secret) || back.includes('CANARY'), `${name}: ${back}`)
    t.ok(response.text.includes('*'.repeat(secret.length)), `${name}: with stars of the same length`)
    const [, count] = /countersign_scrubbed_total\{route="\/"\} (\d+)/.exec(await proxy.scrape()) ?? []
    t.equal(count, '4', `${name}: header, Location, body, trailer are counted`)
    t.match(
      proxy.lines().filter(({ level }) => level === 'warn'),
      [{ route: '/', msg: 'upstream echoed a credential, which is masked' }],
      `${name}: told once`
    )
    t.notMatch(proxy.logged(), /CANARY/)
    await proxy.close()
  }
})

t.test('a route without scrub passes an echo on as it is', async (t) => {
  const { proxy } = await pair(t, echo, { scrub: false })
  t.ok((await send(proxy)).text.includes(CANARY.token))
  t.notMatch(await proxy.scrape(), /scrubbed_total\{/)
})

t.test('lengths stay, and a credential that is cut at any byte is masked', async (t) => {
  const text = `{"auth":"${CANARY.token}"}`
  const { proxy, upstream } = await pair(t, ({ send: write, header }) => {
    write(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\nETag: "x"\r\n\r\n${text.slice(0, Number(header('x-cut')))}`)
    return undefined
  })
  for (let at = 0; at <= text.length; at++) {
    const client = await connectRaw(proxy.port)
    client.send(message('GET / HTTP/1.1', [host(proxy), `X-Cut: ${at}`]))
    // What stands in front of the credential goes on at once; then the proxy has seen the first part.
    await client.until((bytes) => bytes.includes(`\r\n\r\n${text.slice(0, Math.min(at, text.indexOf(CANARY.token)))}`))
    upstream.last.send(text.slice(at))
    const response = await client.response()
    if (response.text !== text.replace(CANARY.token, STARS) || !response.complete) t.fail(`cut at ${at}: ${response.text}`)
    if (response.header('content-length') !== String(text.length) || response.header('etag') !== '"x"') {
      t.fail(`cut at ${at}: ${response.fields.join()}`)
    }
    client.destroy()
  }
})

t.test('identity is asked for, ranges are not, and what comes coded all the same is decoded', async (t) => {
  for (const [coding, encode] of [['gzip', gzipSync], ['deflate', deflateSync], ['br', brotliCompressSync]] as const) {
    const body = encode(Buffer.from(`a ${CANARY.token} b`))
    const { proxy, upstream } = await pair(t, () =>
      Buffer.concat([
        Buffer.from(`HTTP/1.1 200 OK\r\nContent-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\nETag: "x"\r\n\r\n`),
        body
      ])
    )
    const client = await connectRaw(proxy.port)
    for (let turn = 0; turn < 2; turn++) {
      client.send(message('GET / HTTP/1.1', [host(proxy), 'Accept-Encoding: gzip, br', 'Range: bytes=0-9', 'If-Range: "x"']))
      const response = await client.response()
      t.match(response, { statusCode: 200, text: `a ${STARS} b`, complete: true, framing: 'chunked' }, coding)
      t.equal(response.header('content-encoding'), undefined)
      t.equal(response.header('etag'), 'W/"x"')
      t.same(upstream.last.all('accept-encoding'), ['identity'])
      t.same([...upstream.last.all('range'), ...upstream.last.all('if-range')], [])
    }
    client.destroy()
  }
})

t.test('a client of HTTP/1.0 sees where a decoded body ends, and a broken one as broken', async (t) => {
  const body = gzipSync(Buffer.from(`a ${CANARY.token} b`))
  const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`
  const whole = await pair(t, () => Buffer.concat([Buffer.from(head), body]))
  t.match(await rawRequest(whole.proxy.port, message('GET / HTTP/1.0', [host(whole.proxy)])), {
    text: `a ${STARS} b`,
    complete: true,
    framing: 'close'
  })
  const half = await pair(t, ({ send: write }) => {
    write(Buffer.concat([Buffer.from(head), body.subarray(0, -9)]))
    return undefined
  })
  const client = await connectRaw(half.proxy.port)
  client.send(message('GET / HTTP/1.0', [host(half.proxy)]))
  // Read before the break comes: of bytes and a reset that arrive together, libuv makes an orderly end.
  await client.until((unread) => unread.includes(` ${STARS}`) || unread.includes('\r\n\r\na'))
  half.upstream.last.connection.socket.end()
  await client.rest()
  t.ok(client.error, 'no orderly end')
})

t.test('a coding that nobody can look into is 502, and nothing of it passes', async (t) => {
  const { proxy } = await pair(
    t,
    () => `HTTP/1.1 200 OK\r\nContent-Encoding: exi\r\nX-Echo: ${CANARY.token}\r\nContent-Length: 2\r\n\r\nok`
  )
  const response = await send(proxy)
  t.equal(response.statusCode, 502)
  t.match(JSON.parse(response.text), { code: 'CS_UPSTREAM_UNREACHABLE', message: /scrub/ })
  t.equal(response.header('proxy-status'), 'countersign; error=http_response_content_coding')
  t.equal(response.header('x-echo'), undefined)
})

t.test('HEAD, 204, 304 and interim responses are masked in their headers', async (t) => {
  for (const [start, bytes, status] of [
    ['HEAD / HTTP/1.1', `HTTP/1.1 200 OK\r\nX-Echo: ${CANARY.token}\r\nContent-Length: 1000\r\n\r\n`, 200],
    ['GET / HTTP/1.1', `HTTP/1.1 204 No Content\r\nX-Echo: ${CANARY.token}\r\n\r\n`, 204],
    ['GET / HTTP/1.1', `HTTP/1.1 304 Not Modified\r\nX-Echo: ${CANARY.token}\r\nETag: "x"\r\n\r\n`, 304]
  ] as const) {
    const { proxy } = await pair(t, () => bytes)
    const response = await rawRequest(proxy.port, message(start, [host(proxy)]), { method: start.split(' ')[0] ?? '' })
    t.equal(response.statusCode, status)
    t.equal(response.header('x-echo'), STARS)
  }
  const { proxy } = await pair(
    t,
    () => `HTTP/1.1 103 Early Hints\r\nLink: </?t=${CANARY.token}>\r\n\r\nHTTP/1.1 200 ${CANARY.token}\r\nContent-Length: 0\r\n\r\n`
  )
  const client = await connectRaw(proxy.port)
  client.send(message('GET / HTTP/1.1', [host(proxy)]))
  t.same((await client.head()).fields, [['Link', `</?t=${STARS}>`]])
  t.equal((await client.response()).reason, STARS)
  client.destroy()
})

t.test('an event reaches the client while the stream stays open, compressed or not', async (t) => {
  for (const coding of ['identity', 'gzip']) {
    const gzip = createGzip()
    const { proxy, upstream } = await pair(t, ({ send: write }) => {
      write(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: ${coding}\r\nTransfer-Encoding: chunked\r\n\r\n`)
      gzip.on('data', (chunk: Buffer) => { chunkOut(upstream, chunk) })
      return undefined
    })
    const client = await connectRaw(proxy.port)
    client.send(message('GET / HTTP/1.1', [host(proxy)]))
    await client.head()
    for (let count = 0; count < 3; count++) {
      const event = Buffer.from(`data: ${count} ${CANARY.token}\n\n`)
      if (coding === 'identity') chunkOut(upstream, event)
      else gzip.write(event, () => { gzip.flush(constants.Z_SYNC_FLUSH) })
      await client.until((bytes) => bytes.includes(`data: ${count} ${STARS}\n\n`))
    }
    client.destroy()
    await upstream.connections[0]?.closed
    gzip.destroy()
  }
})

t.test('an upstream that breaks off is seen as broken, and a client that leaves ends it', async (t) => {
  const { proxy, upstream } = await pair(t, ({ send: write, connection }) => {
    write(`HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${CANARY.token.slice(0, 9)}`)
    connection.socket.end()
    return undefined
  })
  const broken = await send(proxy)
  t.equal(broken.complete, false)
  t.notMatch(broken.text, 'CANARY', 'nor is the beginning of one let out at the end')

  upstream.respond = () => `HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n${'x'.repeat(1000)}`
  const client = await connectRaw(proxy.port)
  client.send(message('GET / HTTP/1.1', [host(proxy)]))
  await client.head()
  client.destroy()
  await upstream.connections.at(-1)?.closed
})

t.test('a reader that does not read stops the upstream', async (t) => {
  let written = 0
  const { proxy } = await pair(t, ({ send: write, connection }) => {
    write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n')
    const block = Buffer.alloc(65_536, 'x')
    const pump = (): void => {
      while (connection.socket.writable) {
        written += block.length
        if (!connection.socket.write(block)) break
      }
    }
    connection.socket.on('drain', pump)
    pump()
    return undefined
  })
  const client = await connectRaw(proxy.port)
  client.send(message('GET / HTTP/1.1', [host(proxy)]))
  await client.head()
  client.pause(true)
  // Still, for as long as twenty turns of a quiet loop: nothing moves any more.
  let before = -1
  for (let quiet = 0; quiet < 20; quiet = written === before ? quiet + 1 : 0) {
    before = written
    await new Promise((resolve) => { setTimeout(resolve, 10) })
  }
  t.ok(written < 50_000_000, `${written} bytes were taken`)
  client.destroy()
})

t.test('both tokens of a request that was sent twice are masked', async (t) => {
  const credential = createTokenCredential('canary-jwt')
  const { proxy, upstream } = await pair(t, () => {
    const sent = upstream.exchanges.flatMap(({ all }) => all('authorization'))
    return sent.length === 1
      ? 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n'
      : `HTTP/1.1 200 OK\r\nX-Echo: ${sent.join(', ')}\r\nContent-Length: 0\r\n\r\n`
  }, { bindings: [credential.bearer] }, [credential.options])
  const response = await send(proxy)
  t.equal(response.statusCode, 200)
  t.same(upstream.exchanges.flatMap(({ all }) => all('authorization')), ['Bearer canary-jwt-1', 'Bearer canary-jwt-2'])
  t.equal(response.header('x-echo'), `Bearer ${'*'.repeat(12)}, Bearer ${'*'.repeat(12)}`)
})

t.test('the handshake of an upgrade is masked, what runs over it is not', async (t) => {
  const { proxy } = await pair(t, ({ all, connection }) => {
    connection.socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Echo: ${all('authorization').join()}\r\n\r\nframes`
    )
    return undefined
  })
  const client = await connectRaw(proxy.port)
  client.send(
    message('GET / HTTP/1.1', [
      host(proxy),
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
    ])
  )
  const { fields } = await client.head()
  t.same(fields.find(([name]) => name === 'X-Echo')?.[1], `Bearer ${STARS}`)
  await client.until((bytes) => bytes.includes('frames'))
  client.destroy()
})

function chunkOut (upstream: RecordingUpstream, bytes: Buffer): void {
  upstream.last.send(Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]))
}

/** Everything that the upstream got, in a header, a redirect, the body and a trailer. */
function echo ({ fields, body, target }: UpstreamExchange): string {
  const secrets = [
    ...fields.filter(([name]) => ['authorization', 'x-api-key', 'cookie'].includes(name.toLowerCase())).map(([, value]) => value),
    target.includes('key=') ? target : '',
    body.toString('latin1')
  ]
    .join(' ')
    .trim()
  return [
    'HTTP/1.1 200 OK', `X-Echo: ${secrets}`, `Location: https://elsewhere.example/?t=${secrets}`, 'Transfer-Encoding: chunked', '',
    secrets.length.toString(16), secrets, '0', `X-Trailer: ${secrets}`, '', ''
  ].join('\r\n')
}

async function pair (
  t: Test,
  respond: ScriptedResponse,
  route: Partial<TestRoute> = {},
  credentials: Parameters<typeof startProxy>[1]['credentials'] = CREDENTIALS
): Promise<{ readonly proxy: TestProxy, readonly upstream: RecordingUpstream }> {
  const upstream = await startUpstream(t, { respond })
  const proxy = await startProxy(t, {
    routes: [{ upstream: upstream.origin, bindings: [BEARER], scrub: true, ...route }],
    credentials: credentials ?? []
  })
  return { proxy, upstream }
}

async function send (proxy: TestProxy, start = 'GET / HTTP/1.1', lines: readonly string[] = [], body = ''): Promise<RawResponse> {
  return rawRequest(proxy.port, message(start, [host(proxy), ...lines], body))
}

function host (proxy: TestProxy): string {
  return `Host: 127.0.0.1:${proxy.port}`
}
