import t, { type Test } from 'tap'
import { connectRaw, message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { apiKey, CANARY, startProxy, type TestProxy, type TestRoute } from '../helpers/proxy.ts'
import { startUpstream, type RecordingUpstream } from '../helpers/recording-upstream.ts'

const JSON_TYPE = 'Content-Type: application/json'

t.test('a field goes into the body of a POST, of either framing, with one exact length', async (t) => {
  const { proxy, upstream } = await pair(t)
  for (const [framing, body] of [
    ['Content-Length: 9', '{"a":1.0}'],
    ['Transfer-Encoding: chunked', '4\r\n{"a"\r\n5\r\n:1.0}\r\n0\r\n\r\n']
  ] as const) {
    t.match(await post(proxy, [JSON_TYPE, framing], body), { statusCode: 200 })
    t.match(upstream.last.body.toString(), '"a":1.0')
    t.equal((JSON.parse(upstream.last.body.toString()) as Record<string, unknown>)['key'], CANARY.key)
    t.same(upstream.last.all('content-length'), [String(upstream.last.body.length)])
    t.same(upstream.last.all('transfer-encoding'), [])
  }
})

t.test('a chunked body over 1 MiB is 415, one over maxBodyBytes 413, and nothing is sent', async (t) => {
  const large = await pair(t)
  const chunks = `10000\r\n${' '.repeat(65_536)}\r\n`.repeat(17)
  refused(
    t,
    await post(large.proxy, [JSON_TYPE, 'Transfer-Encoding: chunked'], `${chunks}2\r\n{}\r\n0\r\n\r\n`),
    415,
    'CS_BODY_UNSUPPORTED'
  )
  const limited = await pair(t, { maxBodyBytes: 10 })
  refused(
    t,
    await post(limited.proxy, [JSON_TYPE, 'Transfer-Encoding: chunked'], 'b\r\n{"aaaa": 1}\r\n0\r\n\r\n'),
    413,
    'CS_BODY_TOO_LARGE'
  )
  t.equal(large.upstream.accepted + limited.upstream.accepted, 0)
})

t.test('a body of single bytes is read like any other', async (t) => {
  const { proxy, upstream } = await pair(t)
  const body = `{"a":"${'b'.repeat(20_000)}"}`
  t.match(
    await post(proxy, [JSON_TYPE, 'Transfer-Encoding: chunked'], `${[...body].map((byte) => `1\r\n${byte}\r\n`).join('')}0\r\n\r\n`),
    { statusCode: 200 }
  )
  t.equal(upstream.last.body.toString(), `${body.slice(0, -1)},"key":${JSON.stringify(CANARY.key)}}`)
})

t.test('a body that falls silent is 408, a client that leaves costs nothing, and nothing is sent', async (t) => {
  const { proxy, upstream } = await pair(t, { idleTimeoutMs: 100 })
  refused(t, await post(proxy, [JSON_TYPE, 'Content-Length: 9'], '{"a"'), 408, 'CS_BAD_REQUEST')
  const client = await connectRaw(proxy.port)
  client.send(message('POST /gone HTTP/1.1', [host(proxy), JSON_TYPE, 'Content-Length: 9'], '{"a"'))
  client.destroy()
  await proxy.line(({ path }) => path === '/gone')
  t.equal(upstream.accepted, 0)
})

t.test('a client that expects 100-continue is asked for its body once', async (t) => {
  const { proxy, upstream } = await pair(t)
  const client = await connectRaw(proxy.port)
  client.send(message('POST / HTTP/1.1', [host(proxy), JSON_TYPE, 'Expect: 100-continue', 'Content-Length: 2']))
  t.equal((await client.head()).startLine, 'HTTP/1.1 100 Continue')
  client.send('{}')
  t.match(await client.response(), { statusCode: 200, interim: [] })
  t.match(upstream.last.body.toString(), CANARY.key)
  client.destroy()
})

async function pair (t: Test, route: Partial<TestRoute> = {}): Promise<{ proxy: TestProxy, upstream: RecordingUpstream }> {
  const upstream = await startUpstream(t)
  return { upstream, proxy: await startProxy(t, { routes: [{ upstream: upstream.origin, bindings: [apiKey('query', 'key')], ...route }] }) }
}

function host (proxy: TestProxy): string {
  return `Host: localhost:${proxy.port}`
}

function post (proxy: TestProxy, lines: readonly string[], body: string): Promise<RawResponse> {
  return rawRequest(proxy.port, message('POST / HTTP/1.1', [host(proxy), ...lines], body))
}

function refused (t: Test, response: RawResponse, statusCode: number, code: string): void {
  t.match(response, { statusCode, complete: true })
  t.match(JSON.parse(response.text), { statusCode, code })
}
