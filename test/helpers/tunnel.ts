import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { headEnd } from './http-reader.ts'
import { message } from './raw-client.ts'

/** The head of a handshake's response. */
export const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x-test\r\nConnection: Upgrade\r\n\r\n'

/** An upstream that takes every upgrade and leaves the connection to a test. */
export interface SwitchingUpstream {
  readonly port: number
  readonly origin: string
  /** Everything that came up to the end of each head, as Latin-1; for connections without a head everything. */
  readonly heads: () => string
}

export interface SwitchingOptions {
  readonly tls?: TlsOptions
  /** What is sent as the 101, and right behind it. */
  readonly response?: string | Buffer
}

interface Teardown {
  teardown (handler: () => unknown): void
}

/** Starts an upstream on a free port; `handle` gets each connection behind its 101, with bytes that came early still in it. */
export async function startSwitching (
  t: Teardown,
  handle: (socket: Socket, head: string) => void,
  { tls, response = SWITCH }: SwitchingOptions = {}
): Promise<SwitchingUpstream> {
  const sockets = new Set<Socket>()
  let heads = ''
  const accept = (socket: Socket): void => {
    socket.on('error', () => {})
    readUpTo(socket).then(
      (head) => {
        heads += head
        socket.write(response)
        handle(socket, head)
      },
      () => {}
    )
  }
  const server =
    tls === undefined ? createTcpServer({ allowHalfOpen: true }, accept) : createTlsServer({ ...tls, allowHalfOpen: true }, accept)
  server
    .on('connection', (socket: Socket) => {
      sockets.add(socket)
    })
    .on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => {
      server.close(resolve)
    })
  })
  const { port } = server.address() as AddressInfo // a TCP server that listens
  return { port, origin: `http${tls === undefined ? '' : 's'}://127.0.0.1:${port}`, heads: () => heads }
}

/** Opens an upgraded connection through a proxy; what came behind the 101 is still in it. */
export async function openTunnel (port: number, early: Buffer | string = ''): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  socket.write(
    Buffer.concat([
      Buffer.from(message('GET /tunnel HTTP/1.1', [`Host: localhost:${port}`, 'Connection: Upgrade', 'Upgrade: x-test'])),
      Buffer.from(early)
    ])
  )
  const head = await readUpTo(socket)
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`no 101 but ${JSON.stringify(head)}`)
  return socket
}

/** Reads a connection to its end. */
export async function readAll (socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => { chunks.push(chunk) }).resume()
  if (!socket.readableEnded) await once(socket, 'end')
  return Buffer.concat(chunks)
}

/** Reads a number of bytes, as their hash. */
export async function hashOf (socket: Socket, bytes: number): Promise<string> {
  const hash = createHash('sha256')
  let left = bytes
  await new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      hash.update(chunk)
      left -= chunk.length
      if (left <= 0) resolve()
    }).once('close', () => { reject(new Error(`closed with ${left} bytes to come`)) }).resume()
  })
  return hash.digest('hex')
}

/** Sends chunk after chunk; tells how many bytes the other side, or a buffer on the way, has taken. */
export function pump (socket: Socket, chunk: Buffer, times: number): { readonly taken: () => number, readonly hash: () => string } {
  const hash = createHash('sha256')
  let count = 0
  const next = (): void => {
    if (count === times) return
    socket.write(chunk, () => {
      count++
      hash.update(chunk)
      next()
    })
  }
  next()
  return { taken: () => count * chunk.length, hash: () => hash.copy().digest('hex') }
}

/** Resolves once a number has stood still for many turns of the event loop, in which a local connection would have moved. */
export async function still (value: () => number): Promise<number> {
  let last = -1
  for (let turns = 0; turns < 3000; turns++) {
    if (value() !== last) turns = 0
    last = value()
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  return last
}

async function readUpTo (socket: Socket): Promise<string> {
  let bytes: Buffer = Buffer.alloc(0)
  return await new Promise((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      const end = headEnd(bytes)
      if (end === -1) return
      socket.off('data', take).off('close', lose)
      socket.pause()
      if (bytes.length > end) socket.unshift(bytes.subarray(end))
      resolve(bytes.toString('latin1', 0, end))
    }
    const lose = (): void => { reject(new Error(`closed behind ${JSON.stringify(bytes.toString('latin1'))}`)) }
    socket.on('data', take).on('close', lose)
  })
}
