import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { startEchoUpstream, type EchoUpstream, type EchoUpstreamOptions } from '#src/demo/echo-upstream.ts'
import { call, type PlainResponse, type PlainRequest } from '../helpers/plain-client.ts'

const KEY = 'canary-key-0123456789abcdef'
const TOKEN = 'canary.token.0123456789abcdef'

/** An upstream that knows one token and one key; it ends with the test. */
async function startEcho (t: Test, options: Partial<EchoUpstreamOptions> = {}): Promise<EchoUpstream> {
  const upstream = await startEchoUpstream({
    verify: (token) => token === TOKEN ? { exp: Math.floor(Date.now() / 1000) + 60, token_use: 'access', username: 'alice' } : undefined,
    apiKeys: new Set([KEY]),
    ...options
  })
  t.teardown(() => upstream.close())
  return upstream
}

interface Facts {
  readonly verdict: string
  readonly arrived: {
    readonly method: string
    readonly path: string
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }
}

async function ask (upstream: EchoUpstream, path: string, request: PlainRequest = {}): Promise<PlainResponse & { readonly facts: Facts }> {
  const response = await call(new URL(upstream.url).host, path, request)
  return { ...response, facts: JSON.parse(response.body) as Facts }
}

t.test('a genuine token is let in, alone and with a known key', async (t) => {
  const upstream = await startEcho(t)
  const alone = await ask(upstream, '/txs', { headers: { authorization: `Bearer ${TOKEN}` } })
  t.equal(alone.status, 200)
  t.equal(alone.headers['content-type'], 'application/json')
  t.match(alone.facts.verdict, /^let in: a genuine access token of alice, good for (?:59|60) s more$/)
  const withKey = await ask(upstream, '/txs', { headers: { authorization: `Bearer ${TOKEN}`, 'x-api-key': KEY } })
  t.equal(withKey.status, 200)
  t.match(withKey.facts.verdict, /^let in: .*, and a known API key$/)
})

t.test('a user name that is an API key is shortened, an id token tells its own', async (t) => {
  const exp = Math.floor(Date.now() / 1000) + 60
  const relayer = await startEcho(t, { verify: async () => ({ exp, token_use: 'access', username: KEY }) })
  t.match((await ask(relayer, '/')).facts.verdict, /^let in: a genuine access token of canary…cdef \(27 characters\), /)
  const orders = await startEcho(t, { verify: () => ({ exp, token_use: 'id', 'cognito:username': 'orders-batch' }) })
  t.match((await ask(orders, '/')).facts.verdict, /^let in: a genuine id token of orders-batch, /)
})

t.test('whoever lacks one of both is kept out, and sees what arrived all the same', async (t) => {
  const upstream = await startEcho(t)
  const requests: ReadonlyArray<readonly [path: string, headers: Readonly<Record<string, string>>, why: string]> = [
    ['/txs', {}, 'nothing'],
    ['/txs', { authorization: 'Bearer forged' }, 'a token that does not verify'],
    ['/txs', { authorization: `Basic ${TOKEN}` }, 'another scheme'],
    ['/txs', { authorization: `Bearer ${TOKEN}`, 'x-api-key': 'another-key' }, 'a key that is not known'],
    ['/txs', { 'x-api-key': KEY }, 'a known key alone'],
    ['/txs?key=another-key', {}, 'an unknown key in the query'],
    ['/txs?key=', {}, 'an empty key in the query']
  ]
  for (const [path, headers, why] of requests) {
    const { status, facts } = await ask(upstream, path, { headers })
    t.equal(status, 401, why)
    t.equal(facts.verdict, 'kept out: no genuine token and no known key came with it')
    t.match(facts.arrived, { method: 'GET', path: /^\/txs/ })
  }
})

t.test('a known key in the query is enough', async (t) => {
  const { status, facts } = await ask(await startEcho(t), `/tiles?zoom=3&key=${KEY}&x=1`)
  t.equal(status, 200)
  t.equal(facts.verdict, 'let in: the key in the query is known')
  t.equal(facts.arrived.path, '/tiles?zoom=3&key=canary…cdef (27 characters)&x=1')
})

t.test('no secret stands in a response', async (t) => {
  const upstream = await startEcho(t)
  const { body, facts } = await ask(upstream, `/txs?token=${TOKEN}&Secret=${KEY}&monkey=wrench&key=short`, {
    headers: { authorization: `Bearer ${TOKEN}`, 'x-api-key': KEY, cookie: `session=${TOKEN}`, 'x-request-id': 'kept as it is' }
  })
  t.notOk(body.includes(TOKEN) || body.includes(KEY))
  t.match(facts.arrived, {
    path: '/txs?token=canary…cdef (29 characters)&Secret=canary…cdef (27 characters)&monkey=wrench&key=…',
    headers: {
      authorization: 'Bearer canary…cdef (29 characters)',
      'x-api-key': 'canary…cdef (27 characters)',
      'x-request-id': 'kept as it is'
    }
  })
  const short = await ask(upstream, '/', { headers: { authorization: 'Bearer tiny', 'x-api-key': 'tiny' } })
  t.match(short.facts.arrived.headers, { authorization: 'Bearer …', 'x-api-key': '…' }, 'a short one shows nothing at all')
})

t.test('method and body are shown, a long body by its beginning', async (t) => {
  const upstream = await startEcho(t)
  const { facts } = await ask(upstream, '/txs', { method: 'POST', body: '{"to":"0x0","note":"ü"}' })
  t.match(facts.arrived, { method: 'POST', body: '{"to":"0x0","note":"ü"}' })
  const long = await ask(upstream, '/txs', { method: 'PUT', body: 'x'.repeat(100_000) })
  t.match(long.facts.arrived, { method: 'PUT', body: 'x'.repeat(2048) })
  t.equal(long.facts.arrived.body.length, 2048)
})

t.test('where verifying fails the connection ends without a response, and the next request is served', async (t) => {
  let failing = true
  const upstream = await startEcho(t, { verify: async () => failing ? Promise.reject(new Error('no keys')) : { exp: 0 } })
  await t.rejects(ask(upstream, '/'), { code: 'ECONNRESET' })
  failing = false
  t.equal((await ask(upstream, '/')).status, 200)
})

t.test('a request that breaks off does no harm', async (t) => {
  const upstream = await startEcho(t)
  const { hostname, port } = new URL(upstream.url)
  await new Promise<void>((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write('POST /txs HTTP/1.1\r\nHost: upstream\r\nContent-Length: 10\r\n\r\nhalf', () => {
        socket.destroy()
        resolve()
      })
    })
  })
  t.equal((await ask(upstream, '/')).status, 401)
})

t.test('closing ends the connections that are open, and an address that is taken is an error', async (t) => {
  const upstream = await startEcho(t)
  const port = Number(new URL(upstream.url).port)
  await t.rejects(startEchoUpstream({ verify: () => undefined, apiKeys: new Set(), port }), { code: 'EADDRINUSE' })
  const socket = connect(port, '127.0.0.1')
  await new Promise<void>((resolve) => { socket.once('connect', resolve) })
  const gone = new Promise<void>((resolve) => { socket.once('close', () => { resolve() }) })
  socket.on('error', () => {})
  await upstream.close()
  await gone
  await t.rejects(ask(upstream, '/'), { code: 'ECONNREFUSED' })
})
