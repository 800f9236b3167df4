/**
 * fastify/fastify-http-proxy#474 (S5): the upstream responses a large upload before it has read it. What the client still
 * sends is then taken for its next request, or the next request waits for ever behind a body that nobody reads.
 */
import t from 'tap'
import { connectRaw, message, rawRequest } from '../helpers/raw-client.ts'
import { BEARER, startProxy } from '../helpers/proxy.ts'
import { respondWith, OK, startUpstream } from '../helpers/recording-upstream.ts'

const BYTES = 50_000_000

t.test('the early response arrives, and the next request on that socket is answered or the connection closed', async (t) => {
  const upstream = await startUpstream(t, { keepBodies: false })
  const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin, bindings: [BEARER] }] })
  const host = `Host: localhost:${proxy.port}`
  const smuggled = message('GET /smuggled HTTP/1.1', [host])
  for (const status of ['413 Content Too Large', '200 OK', '401 Unauthorized', '307 Temporary Redirect']) {
    for (const framing of [`Content-Length: ${BYTES}`, 'Transfer-Encoding: chunked']) {
      upstream.early = ({ method }) => method === 'POST' ? respondWith(status, ['Location: /x'], 'early') : OK
      const client = await connectRaw(proxy.port)
      const body = Buffer.alloc(BYTES, 'x')
      // Whoever lost count takes the body's end for a request.
      body.write(smuggled, BYTES - smuggled.length, 'latin1')
      client.send(message('POST /up HTTP/1.1', [host, framing]) + (framing.startsWith('T') ? `${BYTES.toString(16)}\r\n` : ''))
      client.send(body)
      client.send((framing.startsWith('T') ? '\r\n0\r\n\r\n' : '') + message('GET /next HTTP/1.1', [host]))
      const response = await client.response()
      t.match(response, { statusCode: Number(status.slice(0, 3)), text: 'early', complete: true }, `${status}, ${framing}`)
      if (response.header('connection') === 'close') await client.closed()
      else t.match(await client.response(), { statusCode: 200 })
      client.destroy()
      t.match(await rawRequest(proxy.port, message('GET /other HTTP/1.1', [host])), { statusCode: 200 })
    }
  }
  t.notOk(upstream.exchanges.some(({ target }) => target === '/smuggled'))
})
