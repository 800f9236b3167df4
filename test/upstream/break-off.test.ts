import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { breakOff } from '#src/upstream/break-off.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { temporaryFolder } from '../helpers/temp.ts'

t.test('every connection that is broken off is closed: TCP, a unix socket, one that is being shut down', async (t) => {
  for (const place of [0, join(temporaryFolder(t), 's')]) {
    for (const shut of [false, true]) {
      const { server, socket } = await accept(t, place)
      const client = await connectRaw(portOf(server) ?? place)
      client.pause(true)
      const connection = await socket
      // More than the kernel takes: the shutdown waits behind it.
      connection.write(Buffer.alloc(20_000_000))
      if (shut) connection.end()
      const closed = once(connection, 'close')
      breakOff(connection)
      await closed
      client.pause(false)
      await client.closed()
      client.destroy()
      await new Promise((resolve) => { server.close(resolve) })
    }
  }
  breakOff(null)
})

async function accept (t: Test, place: number | string): Promise<{ readonly server: Server, readonly socket: Promise<Socket> }> {
  const server = createServer({ allowHalfOpen: true })
  const socket = once(server, 'connection').then(([accepted]: Socket[]) => {
    if (accepted === undefined) throw new TypeError('no connection')
    return accepted.on('error', () => {})
  })
  if (typeof place === 'number') server.listen(place, '127.0.0.1')
  else server.listen(place)
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return { server, socket }
}

function portOf (server: Server): number | undefined {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : undefined
}
