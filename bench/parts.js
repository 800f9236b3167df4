/**
 * The proxies that bench/run.js compares, each in a process of its own: `node bench/parts.js NAME UPSTREAM`.
 * Prints its port as JSON, then answers each `cpu` message with its CPU time so far.
 */
import { createServer } from 'node:http'
import { createWriteStream } from 'node:fs'
import { Pool } from 'undici'

const KEY = 'bench-key'

const PARTS = {
  /** What answers: a small JSON body. */
  upstream: () => listen(createServer((request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '15' }).end('{"answer": 42 }')
  })),

  /** @fastify/http-proxy as its README sets it up, with the header that an injector would add. */
  'bare @fastify/http-proxy': async (upstream) => {
    const { default: fastify } = await import('fastify')
    const { default: httpProxy } = await import('@fastify/http-proxy')
    const app = fastify()
    await app.register(httpProxy, {
      upstream,
      prefix: '/api',
      disableRequestLogging: true,
      replyOptions: { rewriteRequestHeaders: (_request, headers) => ({ ...headers, authorization: `Bearer ${KEY}` }) }
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return app.server.address().port
  },

  /** The least that node:http and undici can do: no routing, no guard, no filter. */
  'node:http + undici dispatch': async (upstream) => {
    const pool = new Pool(upstream)
    return listen(createServer((request, response) => {
      pool.dispatch({ method: request.method, path: request.url.slice(4), headers: { ...request.headers, connection: undefined, host: undefined, authorization: `Bearer ${KEY}` }, body: null }, {
        onRequestStart () {},
        onResponseStart (_controller, status, headers) { response.writeHead(status, headers) },
        onResponseData (_controller, chunk) { response.write(chunk) },
        onResponseEnd () { response.end() },
        onResponseError () { response.destroy() }
      })
    }))
  },

  countersign: (upstream) => countersign(upstream, false),
  'countersign, access log on': (upstream) => countersign(upstream, true)
}

async function countersign (upstream, accessLog) {
  const { createLogger, Secret, startServer } = await import('../dist/index.js')
  const destination = createWriteStream('/dev/null')
  const server = await startServer({
    config: {
      listen: { type: 'tcp', host: '127.0.0.1', port: 0 },
      admin: 'off',
      allowExternal: false,
      allowedHosts: [],
      allowedOrigins: [],
      credentials: new Map([['bench', { type: 'static', value: new Secret(KEY) }]]),
      routes: [{ prefix: '/api', upstream, upstreamLabel: upstream, credential: 'bench', bindings: [{ scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token', credential: 'bench' } }], timeoutMs: 60_000, idleTimeoutMs: 300_000 }],
      accessLog: accessLog ? 1 : 0,
      shutdownTimeoutMs: 1000,
      limits: { connections: 10_000, requests: 2000 },
      logins: { concurrency: 4, perSecond: 20 },
      logLevel: 'info'
    },
    log: createLogger({ level: 'info', destination, readable: false, colour: false }),
    proxies: {}
  })
  return server.address.port
}

function listen (server) {
  return new Promise((resolve) => { server.listen(0, '127.0.0.1', () => { resolve(server.address().port) }) })
}

const [name, upstream] = process.argv.slice(2)
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send({ cpuMicros: user + system, rss: process.memoryUsage.rss() })
})
process.send({ port: await PARTS[name](upstream) })
