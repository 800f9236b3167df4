import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { framingOf, headEnd, readChunked, readHead, type Field } from './http-reader.ts'

/** A request as it stood on the wire. */
export interface Arrival {
  readonly startLine: string
  readonly fields: readonly Field[]
  /** Decoded, as Latin-1. */
  readonly body: string
  /** All of it, as Latin-1. */
  readonly raw: string
}

/** Stands in for an upstream: keeps the bytes that arrive, and responds to every request with a plain 200. */
export interface Recorder {
  readonly port: number
  /** Every whole request so far, oldest first. */
  readonly arrivals: readonly Arrival[]
  /** How many bytes have come, of whole requests or not. */
  readonly bytes: () => number
  readonly close: () => Promise<void>
}

// An upstream as open as can be: none of these headers may reach a browser through the proxy.
const RESPONSE_HEADERS =
  'Content-Type: text/plain\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\nAccess-Control-Allow-Private-Network: true\r\nContent-Length: 2\r\n\r\n'

/** Starts a recorder on a free port of 127.0.0.1. */
export async function startRecorder (): Promise<Recorder> {
  const arrivals: Arrival[] = []
  const sockets = new Set<Socket>()
  let bytes = 0
  const server = createServer((socket) => {
    let unread: Buffer = Buffer.alloc(0)
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => { sockets.delete(socket) }).on('data', (chunk: Buffer) => {
      bytes += chunk.length
      unread = Buffer.concat([unread, chunk])
      for (let taken = takeRequest(unread); taken !== undefined; taken = takeRequest(unread)) {
        unread = taken.rest
        arrivals.push(taken.arrival)
        socket.write(`HTTP/1.1 200 OK\r\n${RESPONSE_HEADERS}${taken.arrival.startLine.startsWith('HEAD ') ? '' : 'ok'}`)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port, // a TCP server that listens
    arrivals,
    bytes: () => bytes,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
    }
  }
}

/** Takes one whole request from the front of some bytes; undefined while it is not whole. */
function takeRequest (bytes: Buffer): { readonly arrival: Arrival, readonly rest: Buffer } | undefined {
  const end = headEnd(bytes)
  if (end === -1) return undefined
  const { startLine, fields } = readHead(bytes.toString('latin1', 0, end))
  const behind = bytes.subarray(end)
  const framing = framingOf(fields, 'none')
  if (framing.type === 'chunked') {
    const part = readChunked(behind)
    if (part === undefined) return undefined
    const raw = bytes.toString('latin1', 0, bytes.length - part.rest.length)
    return { arrival: { startLine, fields, body: part.body.toString('latin1'), raw }, rest: part.rest }
  }
  const length = framing.type === 'length' ? framing.bytes : 0
  if (behind.length < length) return undefined
  return {
    arrival: { startLine, fields, body: behind.toString('latin1', 0, length), raw: bytes.toString('latin1', 0, end + length) },
    rest: behind.subarray(length)
  }
}
