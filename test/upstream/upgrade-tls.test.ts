import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { connect as connectSocket, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createAuthority } from '../helpers/certificates.ts'
import { message, rawRequest } from '../helpers/raw-client.ts'
import { BEARER, CANARY, startProxy } from '../helpers/proxy.ts'
import { hashOf, openTunnel, pump, readAll, startSwitching, still } from '../helpers/tunnel.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const AUTHORITY = process.env['CS_TEST_AUTHORITY']

if (AUTHORITY === undefined) {
  // Node reads NODE_EXTRA_CA_CERTS only when it starts, so the tests run in a process of their own that trusts an authority made here.
  const folder = temporaryFolder(t)
  const authority = createAuthority()
  const file = join(folder, 'ca.pem')
  writeFileSync(file, authority.cert)
  const certificates = { local: authority.issue({ names: ['127.0.0.1'] }), named: authority.issue({ names: ['api.example.com'] }) }
  t.spawn(
    process.execPath,
    [...process.execArgv, fileURLToPath(import.meta.url)],
    { env: { ...process.env, NODE_EXTRA_CA_CERTS: file, CS_TEST_AUTHORITY: JSON.stringify(certificates) } },
    'with an authority that is trusted'
  )
} else {
  runTests(JSON.parse(AUTHORITY) as Certificates) // written above
}

type Certificates = Readonly<Record<'local' | 'named', { readonly cert: string, readonly key: string }>>

function runTests ({ local, named }: Certificates): void {
  t.test('an upgrade over TLS: early bytes, half-close, large bodies', async (t) => {
    const ends: Socket[] = []
    const upstream = await startSwitching(t, (socket) => { ends.push(socket) }, { tls: local })
    const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin, bindings: [BEARER] }] })
    const client = await openTunnel(proxy.port, 'early')
    const end = last(ends)
    t.match(upstream.heads(), `Bearer ${CANARY.token}`)
    client.end(Buffer.alloc(5_000_000, 'x'))
    t.equal((await readAll(end)).length, 5_000_005)
    end.end(Buffer.alloc(5_000_000, 'y'))
    t.equal((await readAll(client)).length, 5_000_000)
  })

  t.test('the upstream may end first over TLS', async (t) => {
    const ends: Socket[] = []
    const upstream = await startSwitching(t, (socket) => { ends.push(socket) }, { tls: local })
    const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin }] })
    const client = await openTunnel(proxy.port)
    const end = last(ends)
    const received = readAll(end)
    end.end('bye')
    t.equal((await readAll(client)).toString(), 'bye')
    client.end('still heard')
    t.equal((await received).toString(), 'still heard')
  })

  t.test('64 MB to a slow reader stay with the writer over TLS as well', async (t) => {
    const ends: Socket[] = []
    const upstream = await startSwitching(t, (socket) => { ends.push(socket) }, { tls: local })
    const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin }] })
    for (const clientReads of [true, false]) {
      const client = await openTunnel(proxy.port)
      const end = last(ends)
      const [reader, writer] = clientReads ? [client, end] : [end, client]
      const pumped = pump(writer, Buffer.alloc(64 * 1024, 'abcdefg'), 1024)
      const taken = await still(pumped.taken)
      t.ok(taken < 30 * 1024 * 1024, `${taken} bytes were taken while nobody read`)
      const hash = await hashOf(reader, 64 * 1024 * 1024)
      await still(pumped.taken)
      t.equal(hash, pumped.hash())
    }
  })

  t.test('an upstream that dies over TLS ends the client, a client that dies ends it', async (t) => {
    const ends: Socket[] = []
    const upstream = await startSwitching(t, (socket) => { ends.push(socket) }, { tls: local })
    const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin }] })
    const first = await openTunnel(proxy.port)
    last(ends).destroy()
    await over(first)
    const second = await openTunnel(proxy.port)
    second.resetAndDestroy()
    await over(last(ends))
    t.pass('both ended')
  })

  t.test('a certificate for another name is a 502, and no byte of HTTP is sent', async (t) => {
    const upstream = await startSwitching(t, () => {}, { tls: named })
    const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin, bindings: [BEARER] }] })
    const response = await rawRequest(
      proxy.port,
      message('GET / HTTP/1.1', [`Host: localhost:${proxy.port}`, 'Connection: Upgrade', 'Upgrade: x-test'])
    )
    t.match(JSON.parse(response.text), { statusCode: 502, code: 'CS_UPSTREAM_TLS' })
    t.equal(upstream.heads(), '')
  })

  t.test('an environment proxy is asked by CONNECT, sees no byte of the handshake, and NO_PROXY is honoured', async (t) => {
    const ends: Socket[] = []
    const upstream = await startSwitching(t, (socket) => { ends.push(socket) }, { tls: named })
    const relay = await startRelay(t, upstream.port)
    const proxy = await startProxy(t, {
      routes: [{ upstream: 'https://api.example.com/v2', bindings: [BEARER] }],
      proxies: { httpsProxy: relay.url }
    })
    const client = await openTunnel(proxy.port, 'early')
    t.same(relay.targets, ['api.example.com:443'])
    t.match(upstream.heads(), /^GET \/v2\/tunnel HTTP\/1\.1\r\nhost: api\.example\.com\r\n/i)
    t.notMatch(relay.seen(), /CANARY|upgrade/i)
    client.end(' and late')
    t.equal((await readAll(last(ends))).toString(), 'early and late')

    const direct = await startProxy(t, {
      routes: [{ upstream: 'https://nowhere.invalid', bindings: [BEARER] }],
      proxies: { httpsProxy: relay.url, noProxy: 'nowhere.invalid' }
    })
    const response = await rawRequest(
      direct.port,
      message('GET / HTTP/1.1', [`Host: localhost:${direct.port}`, 'Connection: Upgrade', 'Upgrade: x-test'])
    )
    t.match(JSON.parse(response.text), { statusCode: 502, code: 'CS_UPSTREAM_UNREACHABLE' })
    t.equal(relay.targets.length, 1)
  })

  t.test(
    'a plain upstream behind an environment proxy is reached by CONNECT too, and a proxy that refuses is a 502 without its password',
    async (t) => {
      const ends: Socket[] = []
      const upstream = await startSwitching(t, (socket) => {
        ends.push(socket)
      })
      const relay = await startRelay(t, upstream.port)
      const proxy = await startProxy(t, {
        routes: [{ upstream: 'http://api.example.com', bindings: [BEARER] }],
        proxies: { httpProxy: relay.url }
      })
      const client = await openTunnel(proxy.port)
      t.same(relay.targets, ['api.example.com:80'])
      client.end('x')
      t.equal((await readAll(last(ends))).toString(), 'x')

      const refusing = await startRelay(t)
      const refused = await startProxy(t, {
        routes: [{ upstream: 'https://api.example.com', bindings: [BEARER] }],
        proxies: { httpsProxy: refusing.url.replace('http://', 'http://user:CANARY-PROXY-PW@') }
      })
      const response = await rawRequest(
        refused.port,
        message('GET / HTTP/1.1', [`Host: localhost:${refused.port}`, 'Connection: Upgrade', 'Upgrade: x-test'])
      )
      t.match(JSON.parse(response.text), { statusCode: 502, code: 'CS_UPSTREAM_UNREACHABLE' })
      t.notMatch(response.text + refused.logged(), /CANARY|Q0FOQVJZ|user:/)
    }
  )
}

/** Resolves once a connection has ended or broken: TCP has no third way to say that a TLS peer is gone. */
async function over (socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => { socket.once('end', () => { resolve() }).once('close', () => { resolve() }).resume() })
  socket.destroy()
}

function last (ends: readonly Socket[]): Socket {
  const end = ends.at(-1)
  if (end === undefined) throw new Error('the upstream has seen no upgrade')
  return end
}

/** A forward proxy that connects everything to one port, or refuses. */
async function startRelay (
  t: Test,
  port?: number
): Promise<{ readonly url: string, readonly targets: string[], readonly seen: () => string }> {
  const targets: string[] = []
  const sockets = new Set<Socket>()
  let seen = ''
  const server = createHttpServer((_incoming, response) => {
    response.writeHead(502).end()
  })
  server.on('connect', (incoming, client) => {
    targets.push(incoming.url ?? '')
    if (port === undefined) {
      client.end('HTTP/1.1 407 No\r\n\r\n')
      return
    }
    const upstream = connectSocket({ port, host: '127.0.0.1', allowHalfOpen: true }, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
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
    client.on('error', () => {
      upstream.destroy()
    })
    sockets.add(upstream)
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => {
      server.close(resolve)
    })
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, targets, seen: () => seen }
}
