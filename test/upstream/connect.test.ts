import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createServer as createHttpServer } from 'node:http'
import { connect as connectSocket, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { connectUpstream } from '#src/upstream/connect.ts'
import { ask } from '../helpers/ask.ts'
import { startForwardProxy } from '../helpers/forward-proxy.ts'
import { message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { BEARER, startProxy, type TestProxy } from '../helpers/proxy.ts'
import { OK, startUpstream, type UpstreamOptions } from '../helpers/recording-upstream.ts'
import { temporaryFolder } from '../helpers/temp.ts'

type Tls = NonNullable<UpstreamOptions['tls']>

const NOW = [stamp(-1), stamp(1)] as const

/** The folder with the certificates, in the process that runs the tests. */
const FOLDER = process.env['CS_TEST_CERTIFICATES']

if (FOLDER === undefined) {
  // Node reads NODE_EXTRA_CA_CERTS only when it starts, so the tests run in a process of their own that trusts an authority made here.
  const folder = temporaryFolder(t)
  makeCertificates(folder)
  t.spawn(
    process.execPath,
    [...process.execArgv, fileURLToPath(import.meta.url)],
    { env: { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, 'trusted', 'ca.pem'), CS_TEST_CERTIFICATES: folder } },
    'with an authority that is trusted'
  )
} else {
  runTests(FOLDER)
}

function runTests (folder: string): void {
  const certificate = (name: string): Tls & { readonly key: Buffer, readonly cert: Buffer } => ({
    key: readFileSync(join(folder, `${name}.key`)),
    cert: readFileSync(join(folder, `${name}.pem`))
  })
  const good = certificate('good')
  const cases = [
    ['self-signed', certificate('self')],
    ['expired', certificate('expired')],
    ['not valid yet', certificate('early')],
    ['for another name', certificate('wrong')],
    ['of an authority that nobody trusts', certificate('unknown')]
  ] as const

  t.test('a certificate that verifies is let through', async (t) => {
    const { proxy, received } = await pair(t, good)
    t.match(await send(proxy), { statusCode: 200, text: 'ok' })
    t.match(received(), 'Bearer CANARY')
  })

  for (const [name, tls] of cases) {
    t.test(`U1: a certificate that is ${name} is 502, and no byte of HTTP is sent`, async (t) => {
      const { proxy, received, accepted } = await pair(t, tls)
      for (let turn = 0; turn < 2; turn++) refused(t, await send(proxy))
      t.ok(accepted() > 0, 'it was tried')
      t.equal(received(), '')
    })
  }

  t.test('no setting of the environment turns verification off', async (t) => {
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    t.teardown(() => {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before
    })
    for (const [, tls] of cases) {
      const { proxy, received } = await pair(t, tls)
      refused(t, await send(proxy))
      t.equal(received(), '')
    }
  })

  t.test('an upstream that speaks no TLS, or too old a one, is unreachable and gets no HTTP', async (t) => {
    const plain = await startUpstream(t, { http: false })
    const proxy = await startProxy(t, {
      routes: [{ upstream: plain.origin.replace('http', 'https'), bindings: [BEARER], timeoutMs: 2000 }]
    })
    const response = send(proxy)
    await plain.until(() => plain.received.length > 0)
    for (const { socket } of plain.connections) socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
    t.match(JSON.parse((await response).text), { statusCode: 502, code: 'CS_UPSTREAM_UNREACHABLE' })
    t.notMatch(plain.received, 'HTTP/1.1')

    const old = await pair(t, { ...good, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })
    t.match(JSON.parse((await send(old.proxy)).text), { statusCode: 502 })
    t.equal(old.received(), '')
  })

  t.test('a loopback upstream is never reached through an environment proxy', async (t) => {
    const relay = await startRelay(t)
    const upstream = await startUpstream(t)
    const proxy = await startProxy(t, {
      routes: [{ upstream: upstream.origin, bindings: [BEARER] }],
      proxies: { httpProxy: relay.url, httpsProxy: relay.url }
    })
    t.match(await send(proxy), { statusCode: 200 })
    t.same(relay.targets, [])
  })

  t.test('another upstream is reached through CONNECT, with its certificate verified behind it', async (t) => {
    const named = certificate('named')
    const upstream = await startUpstream(t, { tls: named })
    const relay = await startRelay(t, upstream.port)
    const proxy = await startProxy(t, {
      routes: [{ upstream: 'https://api.example.com/v2', bindings: [BEARER] }],
      proxies: { httpsProxy: relay.url }
    })
    t.match(await send(proxy), { statusCode: 200, text: 'ok' })
    t.same(relay.targets, ['api.example.com:443'])
    t.match(upstream.last.header('host'), 'api.example.com')
    t.equal(upstream.last.target, '/v2/x')
    t.notMatch(relay.seen(), 'CANARY', 'the proxy sees nothing of the request')

    const wrong = await startUpstream(t, { tls: good })
    const other = await startRelay(t, wrong.port)
    const misled = await startProxy(t, {
      routes: [{ upstream: 'https://api.example.com', bindings: [BEARER] }],
      proxies: { httpsProxy: other.url }
    })
    refused(t, await send(misled))
    t.equal(wrong.received, '')
  })

  t.test('a proxy may itself speak TLS, with its certificate verified', async (t) => {
    const upstream = await startUpstream(t, { tls: certificate('named') })
    const forward = await startForwardProxy(t, { to: upstream.port, tls: good })
    const proxy = await startProxy(t, {
      routes: [{ upstream: 'https://api.example.com', bindings: [BEARER] }],
      proxies: { httpsProxy: forward.url.replace('//', '//user:CANARY-PROXY@') }
    })
    t.match(await send(proxy), { statusCode: 200, text: 'ok' })
    t.same(forward.targets, ['api.example.com:443'])
    t.same(forward.authorizations, [`Basic ${Buffer.from('user:CANARY-PROXY').toString('base64')}`])
    t.notMatch(forward.seen(), 'CANARY')
  })

  t.test('a body that ends with its connection is whole behind such a proxy only if that said so', async (t) => {
    for (const orderly of [true, false]) {
      const forward = await startUpstream(t, {
        tls: good,
        respond: ({ method, connection: { socket } }) => {
          if (method === 'CONNECT') return 'HTTP/1.1 200 OK\r\n\r\n'
          socket.write('HTTP/1.1 200 OK\r\n\r\nbody', () => { if (orderly) socket.end(); else socket.destroy() })
          return undefined
        }
      })
      const proxy = await startProxy(t, {
        routes: [{ upstream: 'http://api.example.com', bindings: [BEARER] }],
        proxies: { httpProxy: forward.origin }
      })
      t.match(await send(proxy), { statusCode: 200, complete: orderly })
    }
  })

  t.test('NO_PROXY is honoured, and a proxy that is down or refuses is a 502 without its credentials', async (t) => {
    const relay = await startRelay(t)
    const direct = await startProxy(t, {
      routes: [{ upstream: 'https://nowhere.invalid', bindings: [BEARER] }],
      proxies: { httpsProxy: relay.url, noProxy: 'nowhere.invalid' }
    })
    t.match(await send(direct), { statusCode: 502 })
    t.same(relay.targets, [])

    const refusing = await startRelay(t, undefined, 407)
    for (const httpsProxy of [refusing.url.replace('http://', 'http://user:CANARY-PROXY-PW@'), 'http://user:CANARY-PROXY-PW@127.0.0.1:1']) {
      const proxy = await startProxy(t, { routes: [{ upstream: 'https://api.example.com', bindings: [BEARER] }], proxies: { httpsProxy } })
      const response = await send(proxy)
      t.match(JSON.parse(response.text), { statusCode: 502, code: 'CS_UPSTREAM_UNREACHABLE' })
      t.notMatch(response.text + proxy.logged(), /CANARY|Q0FOQVJZ|user:/)
    }
  })

  t.test('the process environment is never read behind our back', async (t) => {
    const relay = await startRelay(t)
    for (const name of ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY']) process.env[name] = relay.url
    t.teardown(() => { for (const name of ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY']) delete process.env[name] })
    for (const proxies of [{}, { httpProxy: relay.url }]) {
      const dispatcher = connectUpstream({ origin: 'https://nowhere.invalid', timeoutMs: 1000, idleTimeoutMs: 1000, proxies })
      await t.rejects(ask(dispatcher))
      await dispatcher.destroy()
    }
    t.same(relay.targets, [])
  })
}

async function pair (t: Test, tls: Tls): Promise<{ proxy: TestProxy, received: () => string, accepted: () => number }> {
  const upstream = await startUpstream(t, { tls, respond: () => OK })
  const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin, bindings: [BEARER] }] })
  return { proxy, received: () => upstream.received, accepted: () => upstream.accepted }
}

function send (proxy: TestProxy): Promise<RawResponse> {
  return rawRequest(proxy.port, message('GET /x HTTP/1.1', [`Host: localhost:${proxy.port}`]))
}

function refused (t: Test, response: RawResponse): void {
  t.match(response, { statusCode: 502 })
  t.match(JSON.parse(response.text), { statusCode: 502, code: 'CS_UPSTREAM_TLS' })
  t.equal(response.header('proxy-status'), 'countersign; error=tls_certificate_error')
  t.notMatch(response.text, /127\.0\.0\.1|localhost|example/)
}

interface Relay {
  readonly url: string
  /** Authorities that CONNECT asked for, and absolute targets. */
  readonly targets: string[]
  readonly seen: () => string
}

/** A forward proxy that connects everything to one port. */
async function startRelay (t: Test, port?: number, refuseWith?: number): Promise<Relay> {
  const targets: string[] = []
  const sockets = new Set<Socket>()
  let seen = ''
  const server = createHttpServer((incoming, response) => {
    targets.push(incoming.url ?? '')
    response.writeHead(502).end()
  })
  server.on('connect', (incoming, client) => {
    targets.push(incoming.url ?? '')
    if (refuseWith !== undefined || port === undefined) {
      client.end(`HTTP/1.1 ${refuseWith ?? 502} No\r\n\r\n`)
      return
    }
    const upstream = connectSocket(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      client.on('data', (chunk: Buffer) => { seen += chunk.toString('latin1') }).pipe(upstream).pipe(client)
    })
    upstream.on('error', () => { client.destroy() })
    client.on('error', () => { upstream.destroy() })
    sockets.add(upstream)
  })
  server.on('connection', (socket: Socket) => { sockets.add(socket) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => { server.close(resolve) })
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, targets, seen: () => seen }
}

/** Certificates by the openssl command: two authorities, and what they and nobody signed. */
function makeCertificates (folder: string): void {
  const openssl = (...args: string[]): void => { execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' }) }
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const authority = (name: string): void => {
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, 'index'), '')
    writeFileSync(join(folder, name, 'serial'), '01\n')
    writeFileSync(
      join(folder, name, 'ca.conf'),
      `[ca]\ndefault_ca=x\n[x]\ndatabase=${name}/index\nserial=${name}/serial\nnew_certs_dir=${name}\ndefault_md=sha256\npolicy=any\ncopy_extensions=copy\nunique_subject=no\n[any]\ncommonName=supplied\n`
    )
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      `${name}/ca.key`,
      '-out',
      `${name}/ca.pem`,
      '-days',
      '30',
      '-subj',
      `/CN=${name}`,
      '-addext',
      'basicConstraints=critical,CA:TRUE'
    )
  }
  // `openssl ca` rather than `x509`, which takes no dates before version 3.4.
  const signed = (by: string, name: string, altName: string, [start, end]: readonly [string, string] = NOW): void => {
    openssl(
      'req',
      ...newKey,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
      '-addext',
      `subjectAltName=${altName}`
    )
    openssl(
      'ca',
      '-batch',
      '-notext',
      '-config',
      `${by}/ca.conf`,
      '-cert',
      `${by}/ca.pem`,
      '-keyfile',
      `${by}/ca.key`,
      '-in',
      `${name}.csr`,
      '-out',
      `${name}.pem`,
      '-startdate',
      start,
      '-enddate',
      end
    )
  }
  authority('trusted')
  authority('other')
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    'self.key',
    '-out',
    'self.pem',
    '-days',
    '1',
    '-subj',
    '/CN=127.0.0.1',
    '-addext',
    'subjectAltName=IP:127.0.0.1'
  )
  signed('trusted', 'good', 'IP:127.0.0.1')
  signed('trusted', 'expired', 'IP:127.0.0.1', [stamp(-10), stamp(-1)])
  signed('trusted', 'early', 'IP:127.0.0.1', [stamp(1), stamp(10)])
  signed('trusted', 'wrong', 'DNS:other.example,IP:127.0.0.2')
  signed('other', 'unknown', 'IP:127.0.0.1')
  signed('trusted', 'named', 'DNS:api.example.com')
}

function stamp (days: number): string {
  return `${new Date(Date.now() + days * 86_400_000).toISOString().replace(/[-:T]|\..*/g, '')}Z`
}
