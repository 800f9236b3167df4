/** fast-proxy with its undici client, the faster of its two. */
import { createServer } from 'node:http'
import { loadPeer } from '../peers.js'
import { listen, setup } from './listen.js'

const { default: fastProxy } = await loadPeer('fast-proxy')
const { proxy } = fastProxy({ base: `http://${setup.origin}`, undici: {} })
const authorization = `Bearer ${setup.token}`
const options = { rewriteRequestHeaders: (_request, { connection, ...headers }) => ({ ...headers, authorization }) }
listen(createServer((request, response) => {
  proxy(request, response, request.url.slice('/api'.length), options)
}))
