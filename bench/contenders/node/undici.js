/**
 * The least that node:http and undici can do and still be a proxy: no routing, no guard, no filter, no log. Header lists go
 * through as they are, a body that comes in one piece leaves with its header in one write, and a slow reader is waited for.
 */
import { createServer } from 'node:http'
import { Pool } from 'undici'
import { listen, setup } from './listen.js'

const PREFIX = '/api'.length
const pool = new Pool(`http://${setup.origin}`)
const authorization = `Bearer ${setup.token}`

listen(createServer((request, response) => {
  pool.dispatch({
    method: request.method,
    path: request.url.slice(PREFIX),
    headers: outgoing(request.rawHeaders),
    body: request.method === 'GET' ? null : request
  }, new Relay(response))
}))

function outgoing (raw) {
  const headers = ['authorization', authorization]
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toLowerCase()
    if (name !== 'host' && name !== 'connection' && name !== 'authorization') headers.push(name, raw[i + 1])
  }
  return headers
}

class Relay {
  #response
  #left = -1

  constructor (response) { this.#response = response }

  onRequestStart () {}

  onResponseStart (_controller, status, headers) {
    this.#left = Number(headers['content-length'] ?? -1)
    this.#response.writeHead(status, headers)
  }

  onResponseData (controller, chunk) {
    this.#left -= chunk.length
    if (this.#left === 0) {
      this.#response.end(chunk)
    } else if (!this.#response.write(chunk)) {
      controller.pause()
      this.#response.once('drain', () => { controller.resume() })
    }
  }

  onResponseEnd () { if (!this.#response.writableEnded) this.#response.end() }

  onResponseError () { this.#response.destroy() }
}
