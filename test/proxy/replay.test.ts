import t, { type Test } from 'tap'
import type { Binding } from '#src/auth/scheme.ts'
import { TokenError, type TokenSource } from '#src/token/token.ts'
import { createAgingClock } from '../helpers/clock.ts'
import { connectRaw, message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { apiKey, BEARER, startProxy, type ProxyOptions, type TestProxy, type TestRoute } from '../helpers/proxy.ts'
import {
  respondWith,
  OK,
  startUpstream,
  type ScriptedResponse,
  type RecordingUpstream,
  type UpstreamExchange,
  type UpstreamOptions
} from '../helpers/recording-upstream.ts'
import { createTokenCredential, type TokenCredential } from '../helpers/token-credential.ts'

const DENIED = respondWith('401 Unauthorized', ['WWW-Authenticate: Bearer', 'X-First: yes'], 'who are you')

/** Refuses every token before `api-N`. */
const wants = (least: number): ScriptedResponse => (exchange) => tokenOf(exchange) >= least ? OK : DENIED

t.test('a 401 is answered by one more try with a new token', async (t) => {
  const { proxy, upstream, credential } = await scene(t, wants(2))
  for (const line of ['GET /a?b=1 HTTP/1.1', 'GET /c HTTP/1.1']) {
    t.match(await send(proxy, line), { statusCode: 200, text: 'ok', complete: true })
  }
  const tries = upstream.exchanges.filter(({ target }) => target === '/a?b=1')
  t.same(tries.map(tokenOf), [1, 2])
  t.same(upstream.exchanges.filter(({ target }) => target === '/c').map(tokenOf), [2])
  t.equal(credential.logins(), 2)
  t.notOk(upstream.connections.some(({ socket }) => socket.destroyed), 'the connection of the first response is kept')
  const [first, second] = tries
  const others = ({ fields }: UpstreamExchange): unknown => fields.filter(([name]) => name !== 'authorization')
  t.same(first && others(first), second && others(second), 'nothing else differs')
  t.match(await proxy.line(({ msg }) => msg === 'upstream answered 401, request sent once more with a new token'), {
    level: 'info',
    route: '/',
    credential: 'api'
  })
  t.match(await proxy.scrape(), 'countersign_replays_total{credential="api"} 1')
  t.notMatch(proxy.logged(), /api-\d/, 'no token is logged')
})

t.test('T8: two hundred simultaneous 401s with one token cause one refresh and one more try each', async (t) => {
  const { proxy, upstream, credential } = await scene(t, async (exchange) => {
    if (tokenOf(exchange) === 1) await upstream.until(() => upstream.exchanges.length >= 200)
    return wants(2)(exchange)
  })
  const responses = await Promise.all(Array.from({ length: 200 }, (_, index) => send(proxy, `GET /${index} HTTP/1.1`)))
  t.ok(responses.every(({ statusCode }) => statusCode === 200))
  t.equal(credential.logins(), 2)
  t.equal(upstream.exchanges.length, 400)
  const tries = new Map<string, number[]>()
  for (const exchange of upstream.exchanges) tries.set(exchange.target, [...tries.get(exchange.target) ?? [], tokenOf(exchange)])
  t.ok([...tries.values()].every((tokens) => tokens.join() === '1,2'))
})

t.test('a permanent 401 is passed on with its body after one more try, and does not loop', async (t) => {
  const { proxy, upstream, credential } = await scene(t, () => DENIED)
  for (let turn = 0; turn < 20; turn++) {
    const response = await send(proxy, 'GET / HTTP/1.1')
    t.match(response, { statusCode: 401, text: 'who are you', complete: true })
    t.equal(response.header('x-first'), 'yes')
    t.equal(response.header('proxy-status'), undefined)
  }
  t.equal(credential.logins(), 2, 'a token that young is not replaced again')
  t.equal(upstream.exchanges.length, 21)
  const line = { level: 'warn', msg: 'upstream answered 401, which is passed on', route: '/', credential: 'api' }
  t.match(
    proxy.lines().filter(({ reason }) => reason !== undefined),
    [
      { ...line, reason: 'the response to the second attempt' },
      ...Array.from({ length: 19 }, () => ({ ...line, reason: 'no other token' }))
    ]
  )
})

t.test('bodies of up to 64 KiB are sent once more, byte for byte, in their own framing', async (t) => {
  for (const size of [1, 10_000, 65_535, 65_536]) {
    for (const chunked of [false, true]) {
      const { proxy, upstream } = await scene(t, wants(2))
      const body = Buffer.from(Array.from({ length: size }, (_, index) => index * 7 % 256))
      t.match(await rawRequest(proxy.port, post(proxy, body, chunked)), { statusCode: 200 }, `${size} ${chunked ? 'chunked' : 'fixed'}`)
      t.equal(upstream.exchanges.length, 2)
      for (const exchange of upstream.exchanges) {
        t.ok(exchange.body.equals(body))
        t.same([exchange.all('content-length'), exchange.all('transfer-encoding')], chunked ? [[], ['chunked']] : [[String(size)], []])
      }
    }
  }
})

t.test('a body of single bytes is held whole', async (t) => {
  const { proxy, upstream } = await scene(t, wants(2))
  const body = Buffer.from('0123456789'.repeat(1000))
  const chunks = [...body].map((byte) => `1\r\n${String.fromCharCode(byte)}\r\n`).join('')
  t.match(await send(proxy, 'POST / HTTP/1.1', ['Transfer-Encoding: chunked'], `${chunks}0\r\n\r\n`), { statusCode: 200 })
  t.same(upstream.exchanges.map((exchange) => exchange.body.equals(body)), [true, true])
})

t.test('a larger body is not sent again, but the next request has a new token', async (t) => {
  for (const chunked of [false, true]) {
    const { proxy, upstream, credential } = await scene(t, wants(2))
    t.match(await rawRequest(proxy.port, post(proxy, Buffer.alloc(65_537, 'x'), chunked)), {
      statusCode: 401,
      text: 'who are you',
      complete: true
    })
    t.equal(upstream.exchanges.length, 1)
    t.match(await send(proxy, 'GET / HTTP/1.1'), { statusCode: 200 })
    t.same(upstream.exchanges.map(tokenOf), [1, 2])
    t.equal(credential.logins(), 2)
    t.match(await proxy.line(({ reason }) => reason === 'the body is gone'), { level: 'warn', credential: 'api' })
    t.notMatch(await proxy.scrape(), /countersign_replays_total\{/)
  }
})

t.test('what is neither a 401 nor answered is never sent twice', async (t) => {
  for (const [respond, statusCode] of [
    [() => respondWith('403 Forbidden'), 403],
    [() => respondWith('429 Slow Down', ['Retry-After: 0']), 429],
    [() => respondWith('500 No'), 500],
    [() => respondWith('502 No'), 502],
    [() => respondWith('503 No', ['Retry-After: 0']), 503],
    [() => respondWith('407 Proxy'), 407],
    [
      ({ connection }) => {
        connection.socket.resetAndDestroy()
        return undefined
      },
      502
    ],
    [
      ({ connection }) => {
        connection.socket.end()
        return undefined
      },
      502
    ],
    [
      ({ connection }) => {
        connection.socket.end('HTTP/1.1 401 Unauthorized\r\nX: ')
        return undefined
      },
      502
    ]
  ] as ReadonlyArray<readonly [ScriptedResponse, number]>) {
    const { proxy, upstream, credential } = await scene(t, respond)
    for (const body of ['', 'money']) t.match(await rawRequest(proxy.port, post(proxy, Buffer.from(body), false)), { statusCode })
    t.equal(upstream.exchanges.length, 2, 'each once')
    t.equal(credential.logins(), 1)
  }
})

t.test('a second attempt that fails is not repeated', async (t) => {
  for (const [second, statusCode] of [
    [() => respondWith('503 No'), 503], [({ connection }) => { connection.socket.resetAndDestroy(); return undefined }, 502]
  ] as ReadonlyArray<readonly [ScriptedResponse, number]>) {
    const { proxy, upstream } = await scene(t, (exchange) => tokenOf(exchange) === 1 ? DENIED : second(exchange))
    t.match(await rawRequest(proxy.port, post(proxy, Buffer.from('money'), false)), { statusCode })
    t.equal(upstream.exchanges.length, 2)
  }
})

t.test('a 401 before the body is here waits for the rest of a small one', async (t) => {
  for (const chunked of [false, true]) {
    const { proxy, upstream } = await scene(t, wants(2))
    upstream.early = () => DENIED
    const client = await connectRaw(proxy.port)
    const request = post(proxy, Buffer.from('hello world'), chunked)
    const rest = request.indexOf('world')
    client.send(request.subarray(0, rest))
    await upstream.until(() => upstream.exchanges.length === 1)
    upstream.early = undefined
    client.send(request.subarray(rest))
    t.match(await client.response(), { statusCode: 200, text: 'ok' })
    t.same(upstream.exchanges.map(tokenOf), [1, 2])
    t.equal(upstream.last.body.toString(), 'hello world')
    client.send(message('GET /next HTTP/1.1', [host(proxy)]))
    t.match(await client.response(), { statusCode: 200 }, 'the connection serves on')
    client.destroy()
  }
})

t.test('a large upload that is answered early with 401 gets that answer', async (t) => {
  for (const chunked of [false, true]) {
    const { proxy, upstream, credential } = await scene(t, () => OK, {}, { keepBodies: false })
    upstream.early = () => DENIED
    const client = await connectRaw(proxy.port)
    client.send(post(proxy, Buffer.alloc(20_000_000, 'x'), chunked))
    t.match(await client.response(), { statusCode: 401, text: 'who are you', complete: true })
    client.destroy()
    t.equal(upstream.exchanges.length, 1)
    upstream.early = undefined
    t.match(await send(proxy, 'GET / HTTP/1.1'), { statusCode: 200 })
    t.equal(tokenOf(upstream.last), 2)
    t.equal(credential.logins(), 2)
  }
})

t.test('a body that is gone is no reason to wait for the token', async (t) => {
  for (const chunked of [false, true]) {
    const { proxy, credential } = await scene(t, wants(2))
    await proxy.line(({ msg }) => msg === 'token fetched')
    credential.hold()
    t.match(await rawRequest(proxy.port, post(proxy, Buffer.alloc(65_537, 'x'), chunked)), { statusCode: 401 })
    t.equal(credential.logins(), 2, 'which is on its way')
    credential.release()
    t.match(await send(proxy, 'GET / HTTP/1.1'), { statusCode: 200 })
  }
})

t.test('a client that waits for its response before it sends the rest gets it', async (t) => {
  const { proxy, upstream } = await scene(t, () => OK)
  upstream.early = () => DENIED
  const client = await connectRaw(proxy.port)
  client.send(message('POST / HTTP/1.1', [host(proxy), 'Transfer-Encoding: chunked'], '2\r\nab\r\n'))
  t.match(await client.response(), { statusCode: 401, text: 'who are you' })
  t.equal(upstream.exchanges.length, 1)
  client.destroy()
})

t.test('Expect: 100-continue is asked for once, and its body held', async (t) => {
  const { proxy, upstream } = await scene(t, wants(2))
  const client = await connectRaw(proxy.port)
  client.send(message('POST / HTTP/1.1', [host(proxy), 'Expect: 100-continue', 'Content-Length: 5']))
  t.equal((await client.head()).startLine, 'HTTP/1.1 100 Continue')
  client.send('hello')
  t.match(await client.response(), { statusCode: 200, interim: [] })
  t.same(upstream.exchanges.map(({ body }) => body.toString()), ['hello', 'hello'])
  client.destroy()
})

t.test('the new token goes wherever the old one was: query, cookie, header, body', async (t) => {
  const key = (place: 'header' | 'query' | 'cookie'): Binding => ({
    scheme: { type: 'apiKey', in: place, name: 'key' },
    value: { type: 'token', credential: 'api' }
  })
  const credential = createTokenCredential()
  const upstream = await startUpstream(t, {
    respond: ({ header, target, body }) => (`${header('key') ?? ''}${target}${body.toString()}`.includes('api-2') ? OK : DENIED)
  })
  const proxy = await startAged(t, {
    routes: [{ upstream: upstream.origin, bindings: [key('header'), key('query'), key('cookie'), apiKey('header', 'X-Fixed')] }],
    credentials: [credential.options]
  })
  t.match(await send(proxy, 'GET /?a=1&key=evil HTTP/1.1', ['Cookie: a=1; key=evil']), { statusCode: 200 })
  t.same(
    upstream.exchanges.map(({ target, header }) => [target, header('cookie'), header('key')]),
    [
      ['/?a=1&key=api-1', 'a=1; key=api-1', 'api-1'],
      ['/?a=1&key=api-2', 'a=1; key=api-2', 'api-2']
    ]
  )
  t.match(await proxy.scrape(), 'countersign_replays_total{credential="api"} 1')
})

t.test('a body that fields go into is sent once more with the new token in it', async (t) => {
  for (const [lines, body, first, second] of [
    [['Content-Type: application/json'], '{ "n": 1.0,"key":"evil" }', '"key":"api-1"', '"key":"api-2"'],
    [['Content-Type: application/x-www-form-urlencoded'], 'a=%20&b=+', 'a=%20&b=+&key=api-1', 'a=%20&b=+&key=api-2'],
    [[], '', '{"key":"api-1"}', '{"key":"api-2"}'],
    [['Content-Type: application/json'], `{"pad":"${'x'.repeat(300_000)}"}`, '"key":"api-1"', '"key":"api-2"']
  ] as const) {
    const credential = createTokenCredential()
    const upstream = await startUpstream(t, { respond: ({ body }) => body.toString().includes('api-2') ? OK : DENIED })
    const proxy = await startAged(t, {
      routes: [
        {
          upstream: upstream.origin,
          bindings: [{ scheme: { type: 'apiKey', in: 'query', name: 'key' }, value: { type: 'token', credential: 'api' } }]
        }
      ],
      credentials: [credential.options]
    })
    t.match(await send(proxy, 'POST /x HTTP/1.1', [...lines, `Content-Length: ${body.length}`], body), { statusCode: 200 })
    t.equal(upstream.exchanges.length, 2)
    for (const [index, expected] of [first, second].entries()) {
      const text = upstream.exchanges[index]?.body.toString() ?? ''
      t.match(text, expected)
      t.notMatch(text, 'evil')
      t.equal(text.match(/key/g)?.length, 1)
    }
    t.equal(upstream.exchanges[0]?.body.toString().replace('api-1', 'api-2'), upstream.exchanges[1]?.body.toString())
  }
})

t.test('a generated request id stays the same: it is the same request', async (t) => {
  const { proxy, upstream } = await scene(t, wants(2), {
    bindings: [
      createTokenCredential().bearer,
      {
        scheme: { type: 'apiKey', in: 'header', name: 'X-Request' },
        value: { type: 'relay', kind: 'relayRequestId', source: { type: 'generate' } }
      }
    ]
  })
  t.match(await send(proxy, 'GET / HTTP/1.1'), { statusCode: 200 })
  const [first, second] = upstream.exchanges.map(({ header }) => header('x-request'))
  t.match(first, /^0x[0-9a-f]{64}$/)
  t.equal(first, second)
})

t.test('several token credentials: all that were sent are rejected, and counted', async (t) => {
  const other = createTokenCredential('other')
  const upstream = await startUpstream(t, { respond: ({ header }) => header('x-other') === 'other-2' ? OK : DENIED })
  const credential = createTokenCredential()
  const proxy = await startAged(t, {
    routes: [
      {
        upstream: upstream.origin,
        bindings: [
          credential.bearer,
          { scheme: { type: 'apiKey', in: 'header', name: 'X-Other' }, value: { type: 'token', credential: 'other' } }
        ]
      }
    ],
    credentials: [credential.options, other.options]
  })
  t.match(await send(proxy, 'GET / HTTP/1.1'), { statusCode: 200 })
  t.same([credential.logins(), other.logins()], [2, 2])
  t.match(await proxy.scrape(), 'countersign_replays_total{credential="other"} 1')
})

t.test('fixed secrets and public routes pass a 401 on at once', async (t) => {
  for (const bindings of [[], [apiKey('header', 'X-Api-Key')], [BEARER]]) {
    const { proxy, upstream } = await scene(t, () => DENIED, { bindings })
    t.match(await send(proxy, 'GET / HTTP/1.1'), { statusCode: 401, text: 'who are you' })
    t.equal(upstream.exchanges.length, 1)
  }
})

t.test('an identity provider that is down leaves the client the upstream\'s own 401', async (t) => {
  for (const failure of ['transient', 'permanent'] as const) {
    const { proxy, upstream, credential } = await scene(t, () => DENIED)
    credential.fail(new TokenError(failure, 'Down', 'The identity provider is down.'))
    t.match(await send(proxy, 'GET / HTTP/1.1'), { statusCode: 401, text: 'who are you', complete: true })
    t.equal(upstream.exchanges.length, 1)
    t.match(await proxy.line(({ reason }) => reason === 'no other token'), { level: 'warn' })
  }
})

t.test('a 401 that is held reaches the client whole, whatever its size, framing and trailers', async (t) => {
  const large = 'x'.repeat(3_000_000)
  for (const [bytes, text, trailers] of [
    [respondWith('401 Unauthorized', [], large), large, []],
    [respondWith('401 Unauthorized'), '', []],
    [
      'HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n',
      'abc',
      [['X-T', '1']]
    ]
  ] as const) {
    const { proxy, credential } = await scene(t, () => bytes)
    credential.fail(new TokenError('transient', 'Down', 'The identity provider is down.'))
    credential.hold()
    const response = send(proxy, 'GET / HTTP/1.1')
    await proxy.line(({ msg }) => msg === 'token fetched')
    credential.release()
    t.match(await response, { statusCode: 401, text, complete: true, trailers })
    t.match(await send(proxy, 'HEAD / HTTP/1.1'), { statusCode: 401 }, 'the token serves on')
  }
})

t.test('a response to HEAD is held too', async (t) => {
  const { proxy, upstream } = await scene(t, (exchange) =>
    tokenOf(exchange) === 1 ? 'HTTP/1.1 401 No\r\nContent-Length: 5\r\n\r\n' : 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'
  )
  t.match(await send(proxy, 'HEAD / HTTP/1.1'), { statusCode: 200 })
  t.equal(upstream.exchanges.length, 2)
})

t.test('a first response that never ends is let go, and its connection closed', async (t) => {
  const { proxy, upstream } = await scene(t, (exchange) => {
    if (tokenOf(exchange) > 1) return OK
    exchange.send('HTTP/1.1 401 Unauthorized\r\nContent-Length: 1000\r\n\r\nabc')
    return undefined
  })
  t.match(await send(proxy, 'GET / HTTP/1.1'), { statusCode: 200 })
  await upstream.connections[0]?.closed
  t.equal(upstream.exchanges.length, 2)
})

t.test('a held 401 whose connection breaks is a 502 when it has to be passed on, and no matter when not', async (t) => {
  const respond: ScriptedResponse = (exchange) => {
    if (tokenOf(exchange) > 1) return OK
    exchange.connection.socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 1000\r\n\r\nabc')
    return undefined
  }
  for (const down of [false, true]) {
    const { proxy, upstream, credential } = await scene(t, respond)
    await proxy.line(({ msg }) => msg === 'token fetched')
    credential.hold()
    if (down) credential.fail(new TokenError('transient', 'Down', 'The identity provider is down.'))
    const response = send(proxy, 'GET / HTTP/1.1')
    await upstream.until(() => upstream.connections.length > 0)
    await upstream.connections[0]?.closed
    credential.release()
    t.match(await response, { statusCode: down ? 502 : 200, complete: true })
  }
})

t.test('a client that leaves while the token is fetched costs the upstream nothing more', async (t) => {
  const { proxy, upstream, credential } = await scene(t, wants(2))
  await proxy.line(({ msg }) => msg === 'token fetched')
  credential.hold()
  const client = await connectRaw(proxy.port)
  client.send(message('POST /left HTTP/1.1', [host(proxy), 'Content-Length: 5'], 'hello'))
  await upstream.until(() => upstream.exchanges.length === 1)
  const stayed = send(proxy, 'GET /stayed HTTP/1.1')
  client.reset()
  await proxy.line(({ path, status }) => path === '/left' && status === 'aborted')
  credential.release()
  t.match(await stayed, { statusCode: 200 })
  t.same(upstream.exchanges.map(({ target }) => target), ['/left', '/stayed'])
  t.notOk(proxy.lines().some(({ msg }) => msg === 'request failed'), 'a client that leaves is no error')
})

t.test(
  'revocations one after the other cost no caller an error, however soon they come, where the upstream took each token in between',
  async (t) => {
    let revoked = 0
    const { proxy, upstream, credential } = await scene(t, (exchange) => (tokenOf(exchange) > revoked ? OK : DENIED))
    for (let turn = 1; turn <= 5; turn++) {
      t.match(await send(proxy, 'GET /taken HTTP/1.1'), { statusCode: 200 })
      revoked = turn
      const responses = await Promise.all(Array.from({ length: 10 }, () => send(proxy, 'GET /revoked HTTP/1.1')))
      t.ok(
        responses.every(({ statusCode }) => statusCode === 200),
        `revocation ${turn}`
      )
      t.equal(credential.logins(), turn + 1)
    }
    t.ok(upstream.exchanges.length > 10)
  }
)

t.test('a token that is young and was never accepted is replaced once it is two seconds old, and the request waits for that', async (t) => {
  const credential = createTokenCredential()
  const upstream = await startUpstream(t, { respond: wants(2) })
  const ages: number[] = []
  const started = performance.now()
  const source = {
    token: async (signal: AbortSignal) => {
      ages.push(performance.now() - started)
      return await sourceOf(credential).token(signal)
    }
  }
  const proxy = await startProxy(t, {
    routes: [{ upstream: upstream.origin, bindings: [credential.bearer] }],
    credentials: [{ name: 'api', type: 'oauth2', source }]
  })
  const responses = await Promise.all(Array.from({ length: 20 }, () => send(proxy, 'GET / HTTP/1.1')))
  t.ok(responses.every(({ statusCode }) => statusCode === 200))
  t.equal(credential.logins(), 2)
  const [first = NaN, second = NaN] = ages
  t.ok(second - first >= 1_999, 'not before')
})

t.test('until the new token is here other requests go on with the old one', async (t) => {
  const { proxy, upstream, credential } = await scene(t, (exchange) => exchange.target === '/private' ? wants(2)(exchange) : OK)
  credential.hold()
  const refused = send(proxy, 'GET /private HTTP/1.1')
  await upstream.until(() => upstream.exchanges.length === 1)
  for (const line of ['GET /1 HTTP/1.1', 'HEAD /2 HTTP/1.1']) t.match(await send(proxy, line), { statusCode: 200 })
  t.same(upstream.exchanges.map(tokenOf), [1, 1, 1])
  credential.release()
  t.match(await refused, { statusCode: 200 })
  t.equal(credential.logins(), 2)
})

t.test('a 401 that somebody provokes while the provider is down, or refuses, takes the token from nobody', async (t) => {
  for (const failure of ['transient', 'ambiguous', 'permanent'] as const) {
    const { proxy, upstream, credential } = await scene(t, (exchange) => exchange.target === '/private' ? DENIED : OK)
    credential.fail(new TokenError(failure, 'Down', 'The identity provider is down.'))
    const body = Buffer.from('hello')
    for (let time = 0; time < 5; time++) {
      t.match(await send(proxy, 'GET /private HTTP/1.1'), { statusCode: 401, text: 'who are you' })
      t.match(await send(proxy, 'GET / HTTP/1.1'), { statusCode: 200 }, failure)
      t.match(await rawRequest(proxy.port, post(proxy, body, time % 2 === 0)), { statusCode: 200 })
    }
    t.ok(upstream.exchanges.every((exchange) => tokenOf(exchange) === 1))
    t.match(proxy.store.ready(), { ready: true })
  }
})

t.test('an upstream that refuses every token is no reason for the others, and does not count what they accept as its own', async (t) => {
  const credential = createTokenCredential()
  const [good, bad] = [await startUpstream(t, { respond: () => OK }), await startUpstream(t, { respond: () => DENIED })]
  const proxy = await startAged(t, {
    routes: [
      { prefix: '/good', upstream: good.origin, bindings: [credential.bearer] },
      { prefix: '/bad', upstream: bad.origin, bindings: [credential.bearer] }
    ],
    credentials: [credential.options]
  })
  for (let turn = 0; turn < 6; turn++) {
    t.match(await send(proxy, 'GET /good HTTP/1.1'), { statusCode: 200 })
    t.match(await send(proxy, 'GET /bad HTTP/1.1'), { statusCode: 401 })
  }
  t.equal(credential.logins(), 2, 'the new token is too young for that upstream, whatever the other says')
})

t.test('a late 401 to an older token gets the newer one and replaces nothing', async (t) => {
  const waiting: Array<() => void> = []
  const { proxy, upstream, credential } = await scene(t, (exchange) => {
    if (tokenOf(exchange) > 1) return OK
    if (exchange.target === '/late') waiting.push(() => { exchange.send(DENIED) })
    return exchange.target === '/late' ? undefined : DENIED
  })
  const late = send(proxy, 'GET /late HTTP/1.1')
  await upstream.until(() => waiting.length === 1)
  t.match(await send(proxy, 'GET / HTTP/1.1'), { statusCode: 200 })
  waiting[0]?.()
  t.match(await late, { statusCode: 200 })
  t.equal(credential.logins(), 2)
})

function sourceOf ({ options }: TokenCredential): TokenSource {
  if (options.type === 'static') throw new Error('this one logs in')
  return options.source
}

interface Scene {
  readonly proxy: TestProxy
  readonly upstream: RecordingUpstream
  readonly credential: TokenCredential
}

/** A proxy whose tokens are three seconds old: an upstream's 401 to one that it never accepted replaces it at once then. */
async function startAged (t: Test, options: ProxyOptions): Promise<TestProxy> {
  const clock = createAgingClock()
  const proxy = await startProxy(t, { ...options, clock })
  await proxy.fetched(options.credentials?.length ?? 0)
  clock.age(3_000)
  return proxy
}

async function scene (t: Test, respond: ScriptedResponse, route: Partial<TestRoute> = {}, options: UpstreamOptions = {}): Promise<Scene> {
  const credential = createTokenCredential()
  const upstream = await startUpstream(t, { respond, ...options })
  const proxy = await startAged(t, {
    routes: [{ upstream: upstream.origin, bindings: [credential.bearer], ...route }],
    credentials: [credential.options]
  })
  return { proxy, upstream, credential }
}

function tokenOf ({ header }: UpstreamExchange): number {
  return Number(header('authorization')?.slice('Bearer api-'.length) ?? 0)
}

function host (proxy: TestProxy): string {
  return `Host: localhost:${proxy.port}`
}

function send (proxy: TestProxy, line: string, lines: readonly string[] = [], body = ''): Promise<RawResponse> {
  return rawRequest(proxy.port, message(line, [host(proxy), ...lines], body), { method: line.split(' ')[0] ?? '' })
}

function post (proxy: TestProxy, body: Buffer, chunked: boolean): Buffer {
  const head = message('POST /txs HTTP/1.1', [host(proxy), chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`])
  return Buffer.concat([
    Buffer.from(head),
    ...(chunked ? [Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')] : [body])
  ])
}
