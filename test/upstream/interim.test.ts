import t, { type Test } from 'tap'
import { connectRaw, message, rawRequest } from '../helpers/raw-client.ts'
import { startProxy, type TestProxy, type TestRoute } from '../helpers/proxy.ts'
import { OK, startUpstream, type ScriptedResponse } from '../helpers/recording-upstream.ts'

t.test('interim responses reach the client with their headers, in order, before the response', async (t) => {
  const link = '</a.css>; rel=preload; as=style, </b.js>; rel="preload"; nopush'
  const proxy = await proxyTo(
    t,
    () =>
      `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLINK: ${link}\r\nlink: </c>\r\nX-Latin: \xe9\r\nX-Empty:\r\n\r\nHTTP/1.1 110 Odd\r\n\r\n${OK}`
  )
  const client = await connectRaw(proxy.port)
  client.send(get(proxy))
  t.same(await client.head(), { startLine: 'HTTP/1.1 102 Processing', fields: [] })
  t.same(await client.head(), {
    startLine: 'HTTP/1.1 103 Early Hints',
    fields: [
      ['LINK', link],
      ['link', '</c>'],
      ['X-Latin', '\xe9'],
      ['X-Empty', '']
    ]
  })
  t.match(await client.head(), { startLine: /^HTTP\/1\.1 110 / })
  t.match(await client.response(), { statusCode: 200, text: 'ok', complete: true, interim: [] })
  client.send(get(proxy))
  t.match(await client.response(), { statusCode: 200, interim: [102, 103, 110] }, 'the connection serves on')
  client.destroy()
})

t.test('one arrives while the response is still being made', async (t) => {
  let respond = (): void => {}
  const proxy = await proxyTo(t, ({ send }) => {
    send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
    respond = () => { send(OK) }
    return undefined
  })
  const client = await connectRaw(proxy.port)
  client.send(get(proxy))
  t.match(await client.head(), { startLine: 'HTTP/1.1 103 Early Hints' })
  respond()
  t.match(await client.response(), { statusCode: 200 })
  client.destroy()
})

t.test('what would break the connection, or is not the client\'s, stays behind', async (t) => {
  const proxy = await proxyTo(
    t,
    ({ connection }) =>
      `HTTP/1.1 103 Early Hints\r\nLocation: http://127.0.0.1:${connection.socket.localPort}/x\r\nConnection: X-Hop\r\nX-Hop: 1\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 5\r\nLink: </a>\r\n\r\n${OK}`,
    { prefix: '/api' }
  )
  const client = await connectRaw(proxy.port)
  client.send(message('GET /api/x HTTP/1.1', [`Host: localhost:${proxy.port}`]))
  t.same((await client.head()).fields, [['Location', '/api/x'], ['Link', '</a>']])
  t.match(await client.response(), { statusCode: 200, text: 'ok' })
  client.destroy()
})

t.test('a client of HTTP/1.0 gets none, and HEAD does', async (t) => {
  const proxy = await proxyTo(
    t,
    ({ method }) =>
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${method === 'HEAD' ? '' : 'ok'}`
  )
  t.match(await rawRequest(proxy.port, message('GET / HTTP/1.0', [`Host: localhost:${proxy.port}`])), {
    statusCode: 200,
    text: 'ok',
    interim: []
  })
  t.match(await rawRequest(proxy.port, message('HEAD / HTTP/1.1', [`Host: localhost:${proxy.port}`]), { method: 'HEAD' }), {
    statusCode: 200,
    interim: [103]
  })
})

t.test('interim responses to pipelined requests never get into another response', async (t) => {
  const proxy = await proxyTo(t, ({ target, send }) => {
    send(`HTTP/1.1 103 Early Hints\r\nLink: <${target}>\r\n\r\n`)
    return `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${target}`
  })
  const client = await connectRaw(proxy.port)
  client.send(['/1', '/2', '/3'].map((target) => message(`GET ${target} HTTP/1.1`, [`Host: localhost:${proxy.port}`])).join(''))
  for (const target of ['/1', '/2', '/3']) t.match(await client.response(), { statusCode: 200, text: target, complete: true })
  client.destroy()
})

t.test('64 are passed on', async (t) => {
  const proxy = await proxyTo(t, () => 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(64) + OK)
  const response = await rawRequest(proxy.port, get(proxy))
  t.equal(response.statusCode, 200)
  t.equal(response.interim.length, 64)
})

async function proxyTo (t: Test, respond: ScriptedResponse, route: Partial<TestRoute> = {}): Promise<TestProxy> {
  const upstream = await startUpstream(t, { respond })
  return await startProxy(t, { routes: [{ upstream: upstream.origin, ...route }] })
}

function get (proxy: TestProxy): string {
  return message('GET /x HTTP/1.1', [`Host: localhost:${proxy.port}`])
}
