import { execFile } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import {
  ConfigError,
  createFetch,
  createRefresher,
  createTokenSource,
  CredentialStore,
  Secret,
  type FetchScheme,
  type Refresher
} from '#src/index.ts'

const BEARER: FetchScheme = { type: 'http', scheme: 'bearer' }

interface Seen {
  readonly line: string
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly body: string
}

type Respond = (seen: Seen, response: ServerResponse) => void

/** An API that writes down what reaches it. */
async function startApi (t: Test, respond: Respond = (_, response) => { response.end('ok') }): Promise<{ url: string, seen: Seen[] }> {
  const seen: Seen[] = []
  const server = createServer((message, response) => {
    let body = ''
    message.setEncoding('latin1').on('data', (chunk: string) => { body += chunk }).on('end', () => {
      const { method = '', url = '', headers, rawHeaders } = message
      const one = { line: `${method} ${url}`, headers, rawHeaders, body }
      seen.push(one)
      respond(one, response)
    })
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close().closeAllConnections() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

/** A refresher whose tokens are counted: `token-1`, `token-2` …. */
function startRefresher (t: Test, tokenOf = (count: number): string => `token-${count}`): Refresher {
  let count = 0
  const refresher = createRefresher({ token: async () => ({ value: tokenOf(++count), lifetimeMs: 600_000 }) })
  t.teardown(() => { refresher.stop() })
  return refresher
}

function redirect (status: number, location: string): Respond {
  return (_, response) => { response.writeHead(status, { location }).end() }
}

t.test('every scheme writes what the proxy writes, in place of what the caller has there', async (t) => {
  const api = await startApi(t)
  const refresher = startRefresher(t)
  const base = `${api.url}/v2`
  const call = async (scheme: FetchScheme | FetchScheme[], path = '/a', init: RequestInit = {}): Promise<Seen | undefined> => {
    const response = await createFetch(refresher, scheme, { base })(path, init)
    t.equal(await response.text(), 'ok')
    return api.seen.at(-1)
  }
  const headers = { Authorization: 'Bearer mine', 'X-Key': 'mine', x_key: 'mine', cookie: 'a=1; sid=mine', 'X-Other': 'kept', connection: 'x-other' }
  const bearer = await call(BEARER, '/a?key=1', { headers })
  t.match(bearer, { line: 'GET /v2/a?key=1', headers: { authorization: 'Bearer token-1', 'x-key': 'mine', cookie: 'a=1; sid=mine' } })
  t.match(await call({ type: 'apiKey', in: 'header', name: 'X-Key' }, '/a', { headers: { ...headers, connection: 'close' } }), {
    headers: { 'x-key': 'token-1', 'x-other': 'kept', authorization: undefined, x_key: undefined }
  })
  t.match(await call({ type: 'apiKey', in: 'query', name: 'key' }, '/a?k%65y=mine&b=1'), { line: 'GET /v2/a?b=1&key=token-1' })
  t.match(await call({ type: 'apiKey', in: 'cookie', name: 'sid' }, '/a', { headers }), { headers: { cookie: 'a=1; sid=token-1' } })
  const two = await call([{ type: 'apiKey', in: 'header', name: 'X-Key', value: new Secret('fixed') }, { type: 'http', scheme: 'basic', value: 'YTpi' }])
  t.match(two, { headers: { 'x-key': 'fixed', authorization: 'Basic YTpi' } })
})

t.test('a query parameter of a POST goes into its body, or into the URL where the scheme says so', async (t) => {
  const api = await startApi(t)
  const refresher = startRefresher(t)
  const scheme: FetchScheme = { type: 'apiKey', in: 'query', name: 'key' }
  const send = createFetch(refresher, scheme, { base: api.url })
  const json = { 'content-type': 'application/json' }
  await send('/a?key=mine', { method: 'post', headers: json, body: '{"key":"mine","b":1}' })
  t.match(api.seen.at(-1), { line: 'POST /a', body: '{"b":1,"key":"token-1"}' })
  await send(new Request(`${api.url}/a`, { method: 'POST', body: new URLSearchParams({ b: '1' }) }))
  t.match(api.seen.at(-1), { line: 'POST /a', body: 'b=1&key=token-1' })
  await send('/a', { method: 'POST' })
  t.match(api.seen.at(-1), { body: '{"key":"token-1"}', headers: { 'content-type': 'application/json' } })
  await t.rejects(send('/a', { method: 'POST', body: 'text' }), { code: 'CS_BODY_UNSUPPORTED', statusCode: 415 })
  await createFetch(refresher, { ...scheme, postQuery: 'url' }, { base: api.url })('/a?b=1', { method: 'POST', body: 'text' })
  t.match(api.seen.at(-1), { line: 'POST /a?b=1&key=token-1', body: 'text' })
})

t.test('after a 401 the token is replaced and the request sent once more, where its body can be', async (t) => {
  const bodies: Record<string, () => RequestInit> = {
    none: () => ({}),
    text: () => ({ method: 'POST', body: 'hello' }),
    bytes: () => ({ method: 'PUT', body: Buffer.from('hello') }),
    blob: () => ({ method: 'POST', body: new Blob(['hello']) }),
    form: () => ({ method: 'POST', body: new URLSearchParams({ hello: '' }) })
  }
  // Side by side: a token that was never taken must be two seconds old before a 401 replaces it.
  await Promise.all(Object.entries(bodies).map(async ([name, init]) => {
    const api = await startApi(t, ({ headers }, response) => {
      response.writeHead(headers.authorization === 'Bearer token-1' ? 401 : 200).end('ok')
    })
    const send = createFetch(startRefresher(t), BEARER, { base: api.url })
    t.equal((await send('/', init())).status, 200, name)
    const [first, second, ...more] = api.seen
    t.same([first?.headers.authorization, second?.headers.authorization, more.length], ['Bearer token-1', 'Bearer token-2', 0], name)
    t.equal(second?.body, first?.body, `${name}: the same body`)
  }))
  const api = await startApi(t, (_, response) => { response.writeHead(401).end('no') })
  const send = createFetch(startRefresher(t), BEARER, { base: api.url })
  const stream = new Blob(['hello']).stream()
  t.equal((await send('/', { method: 'POST', body: stream, duplex: 'half' })).status, 401)
  t.same(api.seen.map(({ body }) => body), ['hello'], 'a stream goes once')
  const refused = await send('/')
  t.same([refused.status, await refused.text(), api.seen.length], [401, 'no', 3], 'the second 401 is the response')
})

t.test('a source that gives the same token again has nothing sent again', async (t) => {
  const api = await startApi(t, (_, response) => { response.writeHead(401).end() })
  const send = createFetch(startRefresher(t, () => 'same'), BEARER, { base: api.url })
  t.equal((await send('/')).status, 401)
  t.equal(api.seen.length, 1)
})

t.test('credentials go to the base and below it, and a request elsewhere is refused before anything is sent', async (t) => {
  const api = await startApi(t)
  const other = await startApi(t)
  const send = createFetch(startRefresher(t), BEARER, { base: `${api.url}/v2` })
  const outside = [
    other.url, `${other.url}/v2/a`, `${api.url}/`, `${api.url}/v2x`, `${api.url}/v2/../v1`, `${api.url}/v2/%2e%2e/v1`,
    `${api.url}/v2/..%2fv1`, `${api.url}/v2/%2e%2e%5cv1`, api.url.replace('http:', 'https:') + '/v2', api.url.replace('//', '//u:p@') + '/v2'
  ]
  for (const url of outside) await t.rejects(send(url), TypeError, url)
  t.same([api.seen.length, other.seen.length], [0, 0])
  for (const inside of ['', '?a=1', '/b', '/b/../c', '//evil.example/d', new URL(`${api.url}/v2/e`), new Request(`${api.url}/v2`)]) {
    t.equal((await send(inside)).status, 200)
  }
  t.same(api.seen.map(({ line }) => line), ['/v2', '/v2?a=1', '/v2/b', '/v2/c', '/v2//evil.example/d', '/v2/e', '/v2'].map((path) => `GET ${path}`))
})

t.test('a redirect below the base has credentials again, one that leaves it has none, and gets none back', async (t) => {
  const other = await startApi(t, ({ line }, response) => {
    if (line.startsWith('GET /back')) response.writeHead(302, { location: `${api.url}/v2/returned` })
    response.end('elsewhere')
  })
  const api = await startApi(t, (seen, response) => {
    const to: Record<string, string> = {
      '/v2/near': '/v2/there', '/v2/far': `${other.url}/far?key=token-1&b=1`, '/v2/out': '/v1/out', '/v2/round': `${other.url}/back`
    }
    const [path = ''] = (seen.line.split(' ')[1] ?? '').split('?')
    if (to[path] !== undefined) redirect(307, to[path])(seen, response)
    else response.end('ok')
  })
  const schemes: FetchScheme[] = [BEARER, { type: 'apiKey', in: 'query', name: 'key' }, { type: 'apiKey', in: 'header', name: 'X-Key', value: 'fixed' }]
  const send = createFetch(startRefresher(t), schemes, { base: `${api.url}/v2` })
  const headers = { cookie: 'a=1', 'x-mine': 'kept' }
  t.equal((await send('/near', { headers })).url, `${api.url}/v2/there?key=token-1`)
  t.match(api.seen.at(-1)?.headers, { authorization: 'Bearer token-1', 'x-key': 'fixed', cookie: 'a=1' })
  t.equal(await (await send('/far', { headers })).text(), 'elsewhere')
  const far = other.seen.at(-1)
  t.same([far?.line, far?.headers['x-mine']], ['GET /far?b=1', 'kept'])
  for (const name of ['authorization', 'x-key', 'cookie']) t.equal(far?.headers[name], undefined, name)
  for (const [path, end] of [['/out', '/v1/out'], ['/round', '/v2/returned']] as const) {
    await send(path, { headers })
    t.equal(api.seen.at(-1)?.line, `GET ${end}`)
    for (const name of ['authorization', 'x-key', 'cookie']) t.equal(api.seen.at(-1)?.headers[name], undefined, `${path}: ${name}`)
  }
})

t.test('redirects are followed, refused or passed on as fetch does it', async (t) => {
  for (const status of [301, 302, 303, 307, 308]) {
    const api = await startApi(t, (seen, response) => {
      if (seen.line.endsWith('/a')) redirect(status, '/b')(seen, response)
      else response.end('ok')
    })
    const plain = await fetch(`${api.url}/a`, { method: 'POST', body: 'hello' })
    const send = createFetch(startRefresher(t), BEARER, { base: api.url })
    const ours = await send('/a', { method: 'POST', body: 'hello' })
    t.same([ours.status, ours.url], [plain.status, plain.url])
    const told = api.seen.map(({ line, body, headers }) => ({ line, body, type: headers['content-type'] }))
    t.same(told.slice(2), told.slice(0, 2), String(status))
    t.equal((await send('/a', { redirect: 'manual' })).status, status)
    await t.rejects(send('/a', { redirect: 'error' }), TypeError)
  }
  const loop = await startApi(t, redirect(302, '/'))
  await t.rejects(createFetch(startRefresher(t), BEARER, { base: loop.url })('/'), /more than 20 redirects/)
  t.equal(loop.seen.length, 21)
})

t.test('a store gives each scheme the token of the credential that it names', async (t) => {
  const api = await startApi(t)
  const store = new CredentialStore({
    credentials: [
      { name: 'a', type: 'custom', source: createTokenSource({ type: 'custom', source: { token: async () => ({ value: 'token-a' }) } }) },
      { name: 'b', type: 'static', value: new Secret('value-b') }
    ]
  })
  store.start()
  t.teardown(() => store.stop())
  const schemes: FetchScheme[] = [{ ...BEARER, credential: 'a' }, { type: 'apiKey', in: 'header', name: 'X-Key', credential: 'b' }]
  await createFetch(store, schemes, { base: api.url })('/')
  t.match(api.seen[0]?.headers, { authorization: 'Bearer token-a', 'x-key': 'value-b' })
  t.throws(() => createFetch(store, BEARER, { base: api.url }), ConfigError)
})

t.test('an abort ends the wait for a token, and for another one', async (t) => {
  const api = await startApi(t, (_, response) => { response.writeHead(401).end() })
  let first = true
  const refresher = createRefresher({
    token: (signal) => {
      if (first) return Promise.resolve({ value: `token${String(first = false)}` })
      controller.abort(new Error('enough'))
      return new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason) }) })
    }
  })
  t.teardown(() => { refresher.stop() })
  const controller = new AbortController()
  await refresher.get()
  await t.rejects(createFetch(refresher, BEARER, { base: api.url })('/', { signal: controller.signal }), /enough/)
})

t.test('what is wrong with schemes and base is told at once, without a value', async (t) => {
  const refresher = startRefresher(t)
  const problemsOf = (scheme: unknown, base: string): string[] => {
    try {
      createFetch(refresher, scheme as FetchScheme, { base })
      return []
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return error.problems.map(({ path, message }) => `${path} ${message}`)
    }
  }
  t.match(problemsOf(BEARER, 'http://api.example.com'), [/^base is http: to another machine/])
  t.match(problemsOf([], 'https://api.example.com/?a=1'), [/^base holds a query/, /^scheme is empty/])
  t.match(problemsOf({ type: 'http', scheme: 'digest' }, 'https://a.example'), [/^scheme.scheme must be one of "bearer", "basic"/])
  t.match(problemsOf([BEARER, BEARER], 'https://a.example'), [/^scheme\[1\] writes the same field as scheme\[0\]/])
  t.match(problemsOf({ type: 'apiKey', in: 'header', name: 'Host' }, 'https://a.example'), [/^scheme.name is a header that/])
  const [bad = ''] = problemsOf({ ...BEARER, value: 'line\nbreak' }, 'https://a.example')
  t.match(bad, /^scheme.value holds a line break/)
  t.notMatch(bad, /line\nbreak/)
  t.match(problemsOf({ ...BEARER, tokn: 'x' }, 'https://a.example'), [/^scheme.tokn unknown key/])
})

t.test('a body that fields go into is sent on whole by a redirect out of the base, without them', async (t) => {
  const elsewhere = await startApi(t)
  const api = await startApi(t, redirect(307, `${elsewhere.url}/there`))
  const scheme: FetchScheme = { type: 'apiKey', in: 'query', name: 'key', value: 'CANARY' }
  const ask = createFetch(startRefresher(t), scheme, { base: api.url })
  const json = '{"a":1}'
  const bodies: Array<[string, () => NonNullable<RequestInit['body']>]> = [
    ['text', () => json],
    ['stream', () => new Blob([json]).stream()],
    ['bytes', () => Buffer.from(json)]
  ]
  for (const [what, body] of bodies) {
    const response = await ask('/here', { method: 'POST', headers: { 'content-type': 'application/json' }, body: body(), duplex: 'half' })
    t.equal(response.status, 200, what)
    t.same(JSON.parse(api.seen.at(-1)?.body ?? ''), { a: 1, key: 'CANARY' }, what)
    t.equal(elsewhere.seen.at(-1)?.body, json, what)
  }
})

t.test('an abort ends the reading of a body that stands still', async (t) => {
  const api = await startApi(t)
  const ask = createFetch(startRefresher(t), { type: 'apiKey', in: 'query', name: 'key', value: 'CANARY' }, { base: api.url })
  const controller = new AbortController()
  let cancelled = false
  const body = new ReadableStream({ pull () { controller.abort(new Error('enough')) }, cancel () { cancelled = true } }, { highWaterMark: 0 })
  const init: RequestInit = { method: 'POST', headers: { 'content-type': 'application/json' }, body, duplex: 'half' }
  await t.rejects(ask('/', { ...init, signal: controller.signal }), { message: 'enough' })
  t.ok(cancelled, 'the stream is told')
  t.same(api.seen, [])
})

t.test('an endless body that fields would go into is refused, and told so', async (t) => {
  const api = await startApi(t)
  const ask = createFetch(startRefresher(t), { type: 'apiKey', in: 'query', name: 'key', value: 'CANARY' }, { base: api.url })
  let cancelled = false
  const body = new ReadableStream({
    pull (controller) { controller.enqueue(new Uint8Array(65_536)) },
    cancel () { cancelled = true }
  })
  const init: RequestInit = { method: 'POST', headers: { 'content-type': 'application/json' }, body, duplex: 'half' }
  await t.rejects(ask('/', init), { code: 'CS_BODY_UNSUPPORTED', statusCode: 415 })
  t.ok(cancelled, 'the stream is told')
  t.same(api.seen, [])
})

t.test('a 401 whose body breaks meanwhile is repeated all the same', async (t) => {
  const api = await startApi(t, ({ headers }, response) => {
    if (headers.authorization !== 'Bearer token-1') response.end('ok')
    else response.writeHead(401, { 'content-length': 1000 }).write('abc', () => { response.destroy() })
  })
  const response = await createFetch(startRefresher(t), BEARER, { base: api.url })('/')
  t.same([response.status, await response.text()], [200, 'ok'])
})

t.test('a call that waits for a token keeps the process alive until it has it, and no longer', async (t) => {
  const api = await startApi(t, ({ headers }, response) => {
    response.writeHead(headers.authorization === 'Bearer token-1' ? 401 : 200).end()
  })
  const program = `
    import { createFetch, createRefresher } from 'countersign'
    let count = 0
    const source = { token: () => new Promise((resolve) => { setTimeout(resolve, 10, { value: 'token-' + ++count }).unref() }) }
    const ask = createFetch(createRefresher(source), { type: 'http', scheme: 'bearer' }, { base: '${api.url}' })
    console.log((await ask('/')).status)`
  const told = await new Promise((resolve) => {
    execFile(process.execPath, ['--input-type=module', '--eval', program], (error, stdout) => { resolve([error?.code ?? 0, stdout]) })
  })
  t.same(told, [0, '200\n'])
})
