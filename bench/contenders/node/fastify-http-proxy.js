/** @fastify/http-proxy as its README sets it up, with the header that an injector would add. */
import fastify from 'fastify'
import httpProxy from '@fastify/http-proxy'
import { KEEP_ALIVE_MS, say, setup } from './listen.js'

const app = fastify({ keepAliveTimeout: KEEP_ALIVE_MS })
const authorization = `Bearer ${setup.token}`
for (const prefix of setup.prefixes) {
  app.register(httpProxy, {
    upstream: `http://${setup.origin}`,
    prefix,
    disableRequestLogging: true,
    replyOptions: { rewriteRequestHeaders: (_request, headers) => ({ ...headers, authorization }) }
  })
}
await app.listen({ port: 0, host: '127.0.0.1' })
say(app.server.address().port)
