/** httpxy, http-proxy's successor at unjs; it keeps connections by default. */
import { createServer } from 'node:http'
import { loadPeer } from '../peers.js'
import { listen, setup } from './listen.js'

const { createProxyServer } = await loadPeer('httpxy')
const proxy = createProxyServer({ target: `http://${setup.origin}`, headers: { authorization: `Bearer ${setup.token}` } })
listen(createServer((request, response) => {
  request.url = request.url.slice('/api'.length)
  proxy.web(request, response).catch(() => { response.destroy() })
}))
