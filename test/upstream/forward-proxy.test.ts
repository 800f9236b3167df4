import t, { type Test } from 'tap'
import { connectUpstream, type ProxyEnvironment } from '#src/upstream/connect.ts'
import { createAuthority } from '../helpers/certificates.ts'
import { ask } from '../helpers/ask.ts'
import { startForwardProxy } from '../helpers/forward-proxy.ts'
import { message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { BEARER, startProxy, type TestProxy } from '../helpers/proxy.ts'
import { startUpstream } from '../helpers/recording-upstream.ts'

const authority = createAuthority()
const named = authority.issue({ names: ['api.example.com'] })
const SPELLED = ['User-Agent: X', 'X-List: one', 'x-LIST: two', 'Cookie: a=1', '1: numeric', 'X-List: three', '__proto__: x']

t.test('behind a forward proxy a request has the same headers as without: spelling, order, and each as often as it was sent', async (t) => {
  const upstream = await startUpstream(t, { tls: named })
  const forward = await startForwardProxy(t, { to: upstream.port })
  const proxy = await start(t, { httpsProxy: forward.url })
  t.equal((await send(proxy, SPELLED)).statusCode, 200)
  const lines = upstream.last.fields.map(([name, value]) => `${name}: ${value}`)
  t.same(lines.filter((line) => SPELLED.includes(line)), SPELLED)
  t.same(upstream.last.all('authorization'), ['Bearer CANARY-JWT-eyJhbGciOi'])
  t.notMatch(forward.seen(), /CANARY|x-list/i, 'the proxy sees none of it')
})

t.test('requests behind a forward proxy share a tunnel, one after the other', async (t) => {
  const upstream = await startUpstream(t, { tls: named })
  const forward = await startForwardProxy(t, { to: upstream.port })
  const proxy = await start(t, { httpsProxy: forward.url })
  for (let turn = 0; turn < 5; turn++) t.equal((await send(proxy)).statusCode, 200)
  t.same(forward.targets, ['api.example.com:443'])
})

t.test('the credentials of a proxy go to it alone, and into no output', async (t) => {
  const upstream = await startUpstream(t, { tls: named })
  const forward = await startForwardProxy(t, { to: upstream.port })
  const proxy = await start(t, { httpsProxy: forward.url.replace('//', '//user:CANARY-%40PROXY@') })
  t.equal((await send(proxy)).statusCode, 200)
  t.same(forward.authorizations, [`Basic ${Buffer.from('user:CANARY-@PROXY').toString('base64')}`])
  t.same(upstream.last.all('proxy-authorization'), [])
  t.notMatch(proxy.logged() + await proxy.scrape(), /@PROXY|%40PROXY|dXNlcj/)
})

t.test('a proxy that is away, or refuses, is 502 without a word of where it is or who asked', async (t) => {
  const proxies = [
    (await startForwardProxy(t, { status: 407 })).url,
    (await startForwardProxy(t, { status: 502 })).url,
    (await startForwardProxy(t, { status: 302 })).url,
    'http://127.0.0.1:1',
    'http://proxy.invalid:3128'
  ]
  for (const url of proxies) {
    const proxy = await start(t, { httpsProxy: url.replace('//', '//user:CANARY-PROXY@') })
    const response = await send(proxy)
    t.match(JSON.parse(response.text), { statusCode: 502, code: 'CS_UPSTREAM_UNREACHABLE', message: /HTTPS_PROXY/ }, url)
    t.notMatch(response.text, /127\.0\.0\.1|invalid|CANARY|user|api\.example/)
    t.notMatch(proxy.logged(), /CANARY|Q0FOQVJZ|dXNlcj|user:/)
  }
})

t.test('a proxy with a certificate that does not verify gets no CONNECT, and is not mistaken for the upstream', async (t) => {
  const upstream = await startUpstream(t, { tls: named })
  const forward = await startForwardProxy(t, { to: upstream.port, tls: authority.issue({ names: ['127.0.0.1'] }) })
  // The authority of the route is one for its upstream, not for the proxy.
  const proxy = await start(t, { httpsProxy: forward.url.replace('//', '//user:CANARY-PROXY@') })
  t.match(JSON.parse((await send(proxy)).text), { statusCode: 502, code: 'CS_UPSTREAM_UNREACHABLE' })
  t.same(forward.targets, [])
  t.equal(upstream.accepted, 0)
})

t.test('each scheme has its own variable, and NO_PROXY excepts from both', async (t) => {
  const upstream = await startUpstream(t)
  const [forHttp, forHttps] = [await startForwardProxy(t, { to: upstream.port }), await startForwardProxy(t)]
  const proxies = { httpProxy: forHttp.url, httpsProxy: forHttps.url }
  t.equal((await send(await start(t, proxies, 'http://api.example.com:8080'))).statusCode, 200)
  t.equal((await send(await start(t, proxies, 'https://api.example.com'))).statusCode, 502)
  t.same(forHttp.targets, ['api.example.com:8080'], 'http: goes through a tunnel as well')
  t.same(forHttps.targets, ['api.example.com:443'])
  for (const noProxy of ['*', 'invalid', '.invalid', 'upstream.invalid:8080', '*.invalid', 'UPSTREAM.invalid']) {
    t.equal((await send(await start(t, { ...proxies, noProxy }, 'http://upstream.invalid:8080'))).statusCode, 502, noProxy)
  }
  t.equal(forHttp.targets.length, 1, 'excepted upstreams were not asked for')
  await send(await start(t, { ...proxies, noProxy: 'upstream.invalid:443' }, 'http://upstream.invalid:8080'))
  t.equal(forHttp.targets.length, 2, 'another port is not excepted')
})

t.test('a tunnel that is not open yet is given up when the proxy stops', async (t) => {
  const forward = await startForwardProxy(t, { silent: true })
  const dispatcher = connectUpstream({
    origin: 'https://api.example.com',
    timeoutMs: 60_000,
    idleTimeoutMs: 60_000,
    proxies: { httpsProxy: forward.url }
  })
  const asked = forward.asked()
  const response = ask(dispatcher)
  response.catch(() => {})
  const { closed } = await asked
  await dispatcher.destroy()
  await t.rejects(response)
  await closed
})

function start (t: Test, proxies: ProxyEnvironment, upstream = 'https://api.example.com'): Promise<TestProxy> {
  return startProxy(t, {
    routes: [{ upstream, bindings: [BEARER], ...(upstream.startsWith('https:') && { tls: { ca: authority.cert } }) }],
    proxies
  })
}

function send (proxy: TestProxy, lines: readonly string[] = []): Promise<RawResponse> {
  return rawRequest(proxy.port, message('GET /x HTTP/1.1', [`Host: localhost:${proxy.port}`, ...lines]))
}
