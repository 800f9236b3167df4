/** http-proxy with connections that are kept: without an agent it opens one for each request. */
import { Agent, createServer } from 'node:http'
import { loadPeer } from '../peers.js'
import { listen, setup } from './listen.js'

const { default: httpProxy } = await loadPeer('http-proxy')
const proxy = httpProxy.createProxyServer({
  target: `http://${setup.origin}`,
  agent: new Agent({ keepAlive: true }),
  headers: { authorization: `Bearer ${setup.token}` }
})
proxy.on('error', (_error, _request, response) => { response.destroy() })
listen(createServer((request, response) => {
  request.url = request.url.slice('/api'.length)
  proxy.web(request, response)
}))
