import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'

/** A forward proxy of a test. */
export interface TestForwardProxy {
  readonly url: string
  readonly port: number
  /** Authorities that CONNECT asked for, and targets of other requests. */
  readonly targets: readonly string[]
  /** `Proxy-Authorization` of each CONNECT. */
  readonly authorizations: ReadonlyArray<string | undefined>
  /** Everything that went through towards the upstream, as Latin-1. */
  readonly seen: () => string
  /** Resolves at the next CONNECT, with a promise that resolves once its connection is closed. */
  readonly asked: () => Promise<{ readonly closed: Promise<unknown> }>
}

export interface ForwardProxyOptions {
  /** The port of 127.0.0.1 that every tunnel leads to; absent: all are refused. */
  readonly to?: number
  /** What a CONNECT is answered with; default 200 with `to`, 502 without. */
  readonly status?: number
  /** Makes it a proxy that is spoken to over TLS. */
  readonly tls?: { readonly cert: string | Buffer, readonly key: string | Buffer }
  /** Never answers. */
  readonly silent?: boolean
}

interface Teardown {
  teardown (handler: () => unknown): void
}

/** Starts a forward proxy on a free port of 127.0.0.1 that connects every tunnel to one port; stops it with the test. */
export async function startForwardProxy (
  t: Teardown,
  { to, status = to === undefined ? 502 : 200, tls, silent = false }: ForwardProxyOptions = {}
): Promise<TestForwardProxy> {
  const targets: string[] = []
  const authorizations: Array<string | undefined> = []
  const sockets = new Set<Socket>()
  let seen = ''
  const refuse: RequestListener = (incoming, response) => {
    targets.push(incoming.url ?? '')
    response.writeHead(502).end()
  }
  const server = tls === undefined ? createServer(refuse) : createSecureServer(tls, refuse)
  server.on('connect', (incoming, client: Socket) => {
    targets.push(incoming.url ?? '')
    authorizations.push(incoming.headers['proxy-authorization'])
    client.on('error', () => {})
    server.emit('asked', { closed: once(client, 'close') })
    if (silent) {
      client
        .on('end', () => {
          client.end()
        })
        .resume()
      return
    }
    if (to === undefined || status < 200 || status > 299) {
      client.end(`HTTP/1.1 ${status} No\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n`)
      return
    }
    const upstream = connect(to, '127.0.0.1', () => {
      client.write(`HTTP/1.1 ${status} Connected\r\n\r\n`)
      client
        .on('data', (chunk: Buffer) => {
          seen += chunk.toString('latin1')
        })
        .pipe(upstream)
        .pipe(client)
    })
    upstream.on('error', () => {
      client.destroy()
    })
    client.on('close', () => {
      upstream.destroy()
    })
    sockets.add(upstream)
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => {
      server.close(resolve)
    })
  })
  const { port } = server.address() as AddressInfo // a TCP server that listens
  return {
    url: `http${tls === undefined ? '' : 's'}://127.0.0.1:${port}`,
    port,
    targets,
    authorizations,
    seen: () => seen,
    asked: async () => {
      const [tunnel] = (await once(server, 'asked')) as [{ readonly closed: Promise<unknown> }] // emitted above
      return tunnel
    }
  }
}
