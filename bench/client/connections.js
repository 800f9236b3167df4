/**
 * The client: bare sockets, since an HTTP client would cost the machine more than the proxies that are measured. What arrives is
 * read into one buffer for all connections and counted.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { performance } from 'node:perf_hooks'
import { createResponseReader } from './response-reader.js'

const BUFFER = Buffer.alloc(64 * 1024)

/** One keep-alive connection: `ask (message, done, fail)` sends a request and hears of its end. One request at a time. */
export async function openConnection (port) {
  let done
  let fail = () => {}
  const read = createResponseReader(() => { done() }, (error) => { fail(error) })
  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: BUFFER,
      callback: (length, buffer) => {
        read(buffer.subarray(0, length))
      }
    }
  })
  socket.on('error', (error) => { fail(error) }).once('close', () => { fail(new Error('the proxy closed a connection')) })
  await once(socket, 'connect')
  return {
    isOpen: () => !socket.destroyed,
    ask: (message, onDone, onFail) => {
      done = onDone
      fail = onFail
      if (socket.destroyed) fail(new Error('the proxy closed a connection'))
      else socket.write(message)
    },
    close: () => {
      fail = () => {}
      socket.destroy()
    }
  }
}

/**
 * Connections that ask as fast as they are answered: `ask (message, requests)` resolves when all is answered, with the
 * milliseconds that each request took. `wake (message)` makes up for a rest: connections that were closed are opened again, and
 * a few requests make the proxy do the same on its other side.
 */
export async function openConnections (port, count) {
  const connections = []
  for (let i = 0; i < count; i++) connections.push(await openConnection(port))
  const ask = (message, requests) => askAll(connections, message, requests)
  return {
    ask,
    wake: async (message) => {
      for (const [index, connection] of connections.entries()) if (!connection.isOpen()) connections[index] = await openConnection(port)
      await ask(message, 2 * count)
    },
    close: () => { for (const connection of connections) connection.close() }
  }
}

async function askAll (connections, message, requests) {
  const times = new Float64Array(requests)
  let sent = 0
  await Promise.all(connections.map((connection) => new Promise((resolve, reject) => {
    const next = () => {
      if (sent === requests) {
        resolve()
        return
      }
      const request = sent++
      const startedAt = performance.now()
      connection.ask(message, () => {
        times[request] = performance.now() - startedAt
        next()
      }, reject)
    }
    next()
  })))
  return times
}

/** A request as bytes. */
export function format (port, { method = 'GET', path, body = '' }) {
  const framing = body === '' ? '' : `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n`
  return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: bench\r\nAccept: */*\r\nAuthorization: Bearer theirs\r\n${framing}\r\n${body}`
}
