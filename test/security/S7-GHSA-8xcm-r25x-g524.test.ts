/**
 * GHSA-8xcm-r25x-g524 (S7): an upstream sends half of its response and resets the connection. A proxy that ends its own side
 * in an orderly way makes a whole response of it, and the client acts on half a list.
 */
import t from 'tap'
import { connectRaw, message, rawRequest } from '../helpers/raw-client.ts'
import { BEARER, startProxy } from '../helpers/proxy.ts'
import { OK, startUpstream } from '../helpers/recording-upstream.ts'

t.test('half a response is an error to the client, on every framing and for every end', async (t) => {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin, bindings: [BEARER] }] })
  const host = `Host: localhost:${proxy.port}`
  for (const half of [
    'Content-Length: 10\r\n\r\nabc',
    'Content-Length: 10\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
    'Transfer-Encoding: chunked\r\n\r\n5\r\nab',
    'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0',
    'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n'
  ]) {
    for (const end of ['end', 'resetAndDestroy'] as const) {
      upstream.respond = ({ connection: { socket } }) => {
        socket.write(`HTTP/1.1 200 OK\r\n${half}`, () => {
          setImmediate(() => {
            socket[end]()
          })
        })
        return undefined
      }
      const what = `${JSON.stringify(half)}, ${end}`
      const client = await connectRaw(proxy.port)
      client.send(message('GET / HTTP/1.1', [host]))
      const response = await client.response().catch(() => undefined)
      t.ok(response === undefined || !response.complete || response.statusCode === 502, what)
      await client.closed()
      upstream.respond = () => OK
      const { connection } = upstream.last
      t.match(await rawRequest(proxy.port, message('GET / HTTP/1.1', [host])), { statusCode: 200, text: 'ok' }, what)
      t.not(upstream.last.connection, connection, `${what}: another connection`)
    }
  }
})
