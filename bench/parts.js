/**
 * The proxies that bench/run.js compares, each in a process of its own: `node bench/parts.js NAME UPSTREAM`.
 * Sends its port, then answers each message with its CPU time and peak memory so far.
 */
import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import { Pool } from 'undici'
import { slowDown } from './client.js'

const KEY = 'bench-key'
const SMALL = '{"answer": 42 }'
const LARGE = Buffer.alloc(64 * 1024, 'x')

const PARTS = {
  /** What answers: a small JSON body, 64 KiB, or as many MiB as the path says; once it has read the request. */
  upstream: () => listen(createServer((request, response) => {
    const mebibytes = /^\/stream\/(\d+)$/.exec(request.url)?.[1]
    if (request.url === '/slow') slowDown(request)
    else request.resume()
    if (mebibytes !== undefined) {
      response.writeHead(200, { 'content-length': Number(mebibytes) * 2 ** 20 })
      Readable.from(Array.from({ length: Number(mebibytes) * 16 }, () => LARGE), { objectMode: false }).pipe(response)
      return
    }
    const body = request.url === '/64k' ? LARGE : SMALL
    request.on('end', () => { response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body) })
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
      pool.dispatch({ method: request.method, path: request.url.slice(4), headers: { ...request.headers, connection: undefined, host: undefined, authorization: `Bearer ${KEY}` }, body: request.method === 'GET' ? null : request }, {
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
  const server = await startServer({
    config: {
      listen: { type: 'tcp', host: '127.0.0.1', port: 0 },
      admin: 'off',
      allowExternal: false,
      allowedHosts: [],
      allowedOrigins: [],
      credentials: new Map([['bench', { type: 'static', value: new Secret(KEY) }]]),
      routes: [{ prefix: '/api', upstream, upstreamLabel: upstream, credential: 'bench', bindings: [{ scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token', credential: 'bench' } }], timeoutMs: 60_000, idleTimeoutMs: 300_000, websocket: true }],
      accessLog: accessLog && 1,
      shutdownTimeoutMs: 1000,
      limits: { connections: 10_000, requests: 2000 },
      logins: { concurrency: 4, perSecond: 20 },
      logLevel: 'info'
    },
    log: createLogger({ level: 'info', destination: process.stdout, gathered: true, readable: false, colour: false }),
    proxies: {}
  })
  return server.address.port
}

function listen (server) {
  // As long as Fastify's: connections rest while the others take their turn.
  server.keepAliveTimeout = 72_000
  return new Promise((resolve) => { server.listen(0, '127.0.0.1', () => { resolve(server.address().port) }) })
}

const [name, upstream] = process.argv.slice(2)
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send({ cpuMicros: user + system, peakRss: process.resourceUsage().maxRSS * 1024 })
})
process.send({ port: await PARTS[name](upstream) })
