import t from 'tap'
import { BEARER, startProxy } from '../helpers/proxy.ts'
import { connectRaw, message } from '../helpers/raw-client.ts'
import { respondWith, OK, startUpstream } from '../helpers/recording-upstream.ts'

t.test('a body that came with its header leaves with the header; one in pieces streams', async (t) => {
  const atHead: number[] = []
  const upstream = await startUpstream(t, {
    early: (exchange) => {
      atHead.push(exchange.connection.received.split('\r\n\r\n').slice(1).join('').length)
      return undefined
    }
  })
  const proxy = await startProxy(t, { routes: [{ prefix: '/api', upstream: upstream.origin, bindings: [BEARER] }] })
  const head = message('POST /api/x HTTP/1.1', [`Host: 127.0.0.1:${proxy.port}`, 'Content-Length: 10'])
  const client = await connectRaw(proxy.port)
  client.send(`${head}0123456789`)
  await upstream.until(() => atHead.length === 1)
  t.same(atHead, [10], 'header and body in one')
  upstream.last.send(OK)
  t.match(await client.response(), { statusCode: 200 })
  t.equal(upstream.last.body.toString(), '0123456789')

  client.send(`${head}01234`)
  await upstream.until(() => atHead.length === 2)
  t.equal(upstream.last.complete, false, 'it did not wait for the rest')
  client.send('56789')
  await upstream.last.whole
  upstream.last.send(OK)
  t.match(await client.response(), { statusCode: 200 })
  t.equal(upstream.last.body.toString(), '0123456789')
  client.destroy()
})

t.test('small bodies that are pipelined keep to their requests, and the connection goes on', async (t) => {
  const upstream = await startUpstream(t, { respond: (exchange) => respondWith('200 OK', [], exchange.body.toString()) })
  const proxy = await startProxy(t, { routes: [{ prefix: '/api', upstream: upstream.origin, bindings: [BEARER] }] })
  const client = await connectRaw(proxy.port)
  const bodies = ['a', 'bb', '{"c":3}', 'd'.repeat(20_000), '']
  client.send(
    bodies
      .map((body) => message('POST /api/x HTTP/1.1', [`Host: 127.0.0.1:${proxy.port}`, `Content-Length: ${body.length}`], body))
      .join('')
  )
  for (const body of bodies) t.equal((await client.response()).text, body)
  client.send(message('GET /api/x HTTP/1.1', [`Host: 127.0.0.1:${proxy.port}`]))
  t.match(await client.response(), { statusCode: 200, text: '' })
  client.destroy()
})

t.test('a client that is gone before its request left costs the upstream nothing', async (t) => {
  const upstream = await startUpstream(t, { respond: () => OK })
  const proxy = await startProxy(t, { routes: [{ prefix: '/api', upstream: upstream.origin, bindings: [BEARER] }] })
  const client = await connectRaw(proxy.port)
  client.send(`${message('POST /api/x HTTP/1.1', [`Host: 127.0.0.1:${proxy.port}`, 'Content-Length: 10'])}01234`)
  await upstream.until(() => upstream.exchanges.length === 1)
  client.destroy()
  t.equal(await upstream.last.whole, false, 'a broken request, not a shortened one')
  await proxy.line(({ msg, aborted }) => msg === 'request' && aborted === true)
})
