/**
 * What an error gives away (L5): host, port or address of an upstream, a path of this machine, or a library's own words,
 * in the response to a client that may call but not know where to.
 */
import { createServer, type AddressInfo, type Server } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { message, rawRequest } from '../helpers/raw-client.ts'
import { BEARER, startProxy } from '../helpers/proxy.ts'
import { startUpstream } from '../helpers/recording-upstream.ts'

t.test('refused, unknown, reset, silent, malformed: the client\'s answer names no place', async (t) => {
  const closed = await listen(t, createServer())
  await new Promise((resolve) => { closed.server.close(resolve) })
  const plain = await listen(
    t,
    createServer((socket) => {
      socket
        .on('error', () => {})
        .once('data', () => {
          socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
        })
    })
  )
  const [reset, silent, malformed] = await Promise.all([
    startUpstream(t, {
      respond: ({ connection }) => {
        connection.socket.resetAndDestroy()
        return undefined
      }
    }),
    startUpstream(t, { respond: () => undefined }),
    startUpstream(t, { respond: () => 'nonsense\r\n\r\n' })
  ])
  const upstreams: ReadonlyArray<readonly [name: string, upstream: string, status: number]> = [
    ['refused', `http://127.0.0.1:${closed.port}/base`, 502],
    ['refused6', `http://[::1]:${closed.port}`, 502],
    ['unknown', 'http://secret-name.invalid:8443/base', 502],
    ['reset', `${reset.origin}/base`, 502],
    ['silent', silent.origin, 504],
    ['malformed', malformed.origin, 502],
    ['plain', `https://127.0.0.1:${plain.port}`, 502]
  ]
  const proxy = await startProxy(t, {
    routes: [
      ...upstreams.map(([name, upstream]) => ({
        prefix: `/${name}`,
        upstream,
        bindings: [BEARER],
        ...(name === 'silent' && { timeoutMs: 300 })
      })),
      { prefix: '/socket', upstream: 'http://localhost', socketPath: '/tmp/no-such-folder/secret.sock', bindings: [BEARER] }
    ]
  })
  for (const [name, , status] of [...upstreams, ['socket', '', 502] as const]) {
    for (const upgrade of [[], ['Connection: Upgrade', 'Upgrade: websocket']]) {
      const response = await rawRequest(proxy.port, message(`GET /${name}/x HTTP/1.1`, [`Host: localhost:${proxy.port}`, ...upgrade]))
      t.equal(response.statusCode, status, name)
      const shown = response.fields.filter(([field]) => field !== 'Date').flat().join('\n') + response.text
      t.notMatch(
        shown,
        /127\.0\.0\.1|::1|localhost|secret|\.invalid|[\w\]]:\d{2,5}|\/base|\/tmp|node:|undici|ECONN|ENOTFOUND|ENOENT|EAI_|HPE_|UND_ERR|CANARY/,
        name
      )
    }
  }
})

async function listen (t: Test, server: Server): Promise<{ readonly server: Server, readonly port: number }> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return { server, port: (server.address() as AddressInfo).port } // a TCP server that listens
}
