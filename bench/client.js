/**
 * The client of bench/run.js: bare sockets, since an HTTP client would cost the machine more than the proxies that it measures.
 */
import { once } from 'node:events'
import { connect } from 'node:net'

const STREAM_CHUNK = Buffer.alloc(64 * 1024, 'x')

/** Keep-alive connections to one proxy; `ask` sends requests one after the other on each and resolves when all are answered. */
export async function openConnections (port, count) {
  const sockets = await Promise.all(Array.from({ length: count }, async () => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return socket
  }))
  return {
    ask: async (message, requests) => {
      let left = requests
      await Promise.all(sockets.map((socket) => new Promise((resolve, reject) => {
        const answer = createAnswerReader(() => { if (left-- > 0) socket.write(message); else resolve() }, reject)
        if (socket.destroyed) reject(new Error('the proxy closed a connection'))
        socket.removeAllListeners('data').on('data', answer).once('end', () => { reject(new Error('the proxy closed a connection')) })
        if (left-- > 0) socket.write(message)
        else resolve()
      })))
      for (const socket of sockets) socket.removeAllListeners('end')
    },
    close: () => { for (const socket of sockets) socket.destroy() }
  }
}

/** Sends `bytes` to the proxy, as fast as it takes them; the upstream reads slowly. */
export async function upload (port, path, bytes) {
  const socket = connect(port, '127.0.0.1')
  socket.write(`POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/octet-stream\r\nContent-Length: ${bytes}\r\n\r\n`)
  const answered = new Promise((resolve, reject) => { socket.on('data', createAnswerReader(resolve, reject)) })
  for (let sent = 0; sent < bytes; sent += STREAM_CHUNK.length) if (!socket.write(STREAM_CHUNK)) await once(socket, 'drain')
  await answered
  socket.destroy()
}

/** Reads an answer, with a pause now and then: the upstream sends faster than this. */
export async function download (port, path) {
  const socket = connect(port, '127.0.0.1')
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  slowDown(socket)
  await new Promise((resolve, reject) => { socket.on('data', createAnswerReader(resolve, reject)) })
  socket.destroy()
}

/** Makes a reader rest for a few milliseconds after each MiB. */
export function slowDown (stream) {
  let bytes = 0
  stream.on('data', (chunk) => {
    bytes += chunk.length
    if (bytes < 2 ** 20) return
    bytes = 0
    stream.pause()
    setTimeout(() => { stream.resume() }, 4)
  })
}

/** Counts an answer's bytes and calls `done` at its end. */
function createAnswerReader (done, fail) {
  let head = ''
  let left = 0
  return (data) => {
    if (left > 0) {
      left -= data.length
    } else {
      head += data.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end === -1) return
      const length = /^HTTP\/1\.1 200 [^]*\r\ncontent-length: (\d+)\r\n/i.exec(head.slice(0, end + 2))?.[1]
      if (length === undefined) {
        fail(new Error(`not the upstream's answer: ${head.slice(0, 200)}`))
        return
      }
      left = Number(length) - (head.length - end - 4)
      head = ''
    }
    if (left === 0) done()
  }
}
