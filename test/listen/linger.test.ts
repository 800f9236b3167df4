/**
 * Behind the last response of a connection its client may still be sending, and closing on unread bytes takes that answer back.
 * However the connection came to its end, whoever goes on sending is borne with for as long, and whoever is silent is not.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import t from 'tap'
import { openListener } from '#src/listen/listener.ts'
import { connectRaw, message } from '../helpers/raw-client.ts'

const HOST = 'Host: localhost'

const ENDS: ReadonlyArray<readonly [name: string, status: number, request: string]> = [
  ['a response in front of the body', 200, message('POST / HTTP/1.1', [HOST, 'Content-Length: 100000'])],
  ['a refused upgrade', 200, message('GET / HTTP/1.1', [HOST, 'Connection: Upgrade', 'Upgrade: websocket'])],
  ['a refusal of the parser', 400, message('GET / HTTP/9.9', [HOST])],
  ['a header that is too long', 431, message('GET / HTTP/1.1', [HOST, `X: ${'x'.repeat(50_000)}`])],
  ['CONNECT', 405, message('CONNECT a:1 HTTP/1.1', [HOST])],
  ['a body that is malformed', 400, message('POST /wait HTTP/1.1', [HOST, 'Transfer-Encoding: chunked'], 'zz\r\n')]
]

t.test('a client that goes on sending outlives one that is silent, however its connection ends', async (t) => {
  const taken = new Map<number | undefined, Socket>()
  const onTaken = (message: unknown): void => {
    const { socket } = message as { socket: Socket } // as Node's documentation says
    taken.set(socket.remotePort, socket)
  }
  subscribe('net.server.socket', onTaken)
  t.teardown(() => unsubscribe('net.server.socket', onTaken))
  const listener = await openListener({
    address: { type: 'tcp', host: '127.0.0.1', port: 0 },
    maxConnections: 100,
    handle: ({ url }, response) => {
      if (url === '/wait') return
      response.shouldKeepAlive = false
      response.end()
    }
  })
  t.teardown(() => listener.drain(0))
  const port = listener.address.type === 'tcp' ? listener.address.port : 0
  /** @returns the listener's side of a connection that has ended, and the client that may still send */
  const begin = async (status: number, bytes: string) => {
    const client = await connectRaw(port)
    t.teardown(() => { client.destroy() })
    client.socket.allowHalfOpen = true
    client.send(bytes)
    t.equal((await client.response()).statusCode, status)
    const socket = taken.get(client.socket.localPort)
    if (socket === undefined) throw new Error('the connection was not taken')
    return { client, socket }
  }

  const busy = await Promise.all(ENDS.map(async ([name, status, request]) => ({ name, ...await begin(status, request) })))
  const timer = setInterval(() => { for (const { client } of busy) client.send('x') }, 50)
  t.teardown(() => { clearInterval(timer) })
  const silent = await Promise.all(ENDS.map(([, status, request]) => begin(status, request)))
  await Promise.all(silent.map(({ socket }) => socket.closed || new Promise((resolve) => { socket.once('close', resolve) })))
  for (const { name, client, socket } of busy) {
    t.notOk(socket.destroyed, name)
    const closed = new Promise((resolve) => { socket.once('close', resolve) })
    client.socket.end()
    await closed
  }
})
