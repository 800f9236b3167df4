/** Large bodies over a connection of their own. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { format } from './connections.js'
import { createResponseReader } from './response-reader.js'

const BLOCK = Buffer.alloc(64 * 1024, 'x')
const AT_ONCE = 16
/** Long enough for what was sent to reach the upstream. */
const UNDER_WAY_MS = 20

/** Reads a response to its end, as fast as it comes. */
export function download (port, path) {
  return exchange(port, (socket) => { socket.write(format(port, { path })) })
}

/** Sends a body of `bytes`, as fast as it is taken, and waits for the response. */
export function upload (port, path, bytes) {
  return exchange(port, async (socket) => {
    socket.write(uploadHead(port, path, bytes))
    for (let sent = 0; sent < bytes; sent += BLOCK.length) if (!socket.write(BLOCK)) await once(socket, 'drain')
  })
}

/** Begins uploads and goes away in the middle of each, `AT_ONCE` of them at a time. */
export async function abandonUploads (port, path, count) {
  let left = count
  await Promise.all(Array.from({ length: AT_ONCE }, async () => { while (left-- > 0) await abandonUpload(port, path) }))
}

async function abandonUpload (port, path) {
  const socket = openSocket(port, () => {})
  // A proxy may well be the first to end it.
  socket.on('error', () => {})
  socket.write(uploadHead(port, path, 2 ** 20))
  socket.write(BLOCK)
  await pause(UNDER_WAY_MS)
  socket.destroy()
}

/** Asks for a page whose connection ends with it, and counts its bytes. */
export async function scrape (port, path) {
  let bytes = 0
  const socket = openSocket(port, (part) => { bytes += part.length })
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`)
  await once(socket, 'close')
  return bytes
}

function uploadHead (port, path, bytes) {
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/octet-stream\r\nContent-Length: ${bytes}\r\n\r\n`
}

async function exchange (port, send) {
  let socket
  const responded = new Promise((resolve, reject) => {
    socket = openSocket(port, createResponseReader(resolve, reject))
    socket.once('error', reject).once('close', () => { reject(new Error('the proxy closed the connection')) })
  })
  try {
    await Promise.all([responded, send(socket)])
  } finally {
    socket.destroy()
  }
}

function openSocket (port, read) {
  const buffer = Buffer.alloc(256 * 1024)
  return connect({ port, host: '127.0.0.1', onread: { buffer, callback: (length) => { read(buffer.subarray(0, length)) } } })
}
