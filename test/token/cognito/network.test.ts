import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createAuthority, createSelfSigned, type Certificate } from '../../helpers/certificates.ts'
import { NEVER, failureOf, sourceFor, startEmulator, startWorker } from '../../helpers/cognito.ts'

const HOST = 'idp.example.test'
const PROXY_VARIABLES = /^(?:https?_proxy|no_proxy|node_extra_ca_certs|node_tls_reject_unauthorized)$/i

interface Outcome {
  readonly code: string
  readonly class?: string
  readonly message?: string
}

/** Logs in from a process of its own, whose environment holds nothing about the network but what is given. */
async function logInElsewhere (endpoint: string, variables: Record<string, string>, deadlineMs = 10_000): Promise<Outcome> {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !PROXY_VARIABLES.test(name)))
  const args = [
    ...process.execArgv,
    fileURLToPath(new URL('../../helpers/cognito-login.js', import.meta.url)),
    endpoint,
    String(deadlineMs)
  ]
  const stdout = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, args, { env: { ...inherited, ...variables } }, (error, stdout) => {
      if (error === null) resolve(stdout)
      else reject(error)
    })
  })
  return JSON.parse(stdout) as Outcome
}

async function listen (t: Test, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
  })
  return (server.address() as AddressInfo).port
}

function joinSockets (left: Socket, right: Socket): void {
  left.on('error', () => { right.destroy() }).pipe(right).on('error', () => { left.destroy() }).pipe(left)
}

/** TLS in front of a plain server; counts the bytes that came through the handshake. */
async function startTls (t: Test, target: string, certificate: Certificate): Promise<{ port: number, received: () => number }> {
  let received = 0
  const server = createTlsServer({ cert: certificate.cert, key: certificate.key }, (socket) => {
    socket.on('data', (chunk) => { received += chunk.length })
    joinSockets(socket, connect(Number(new URL(target).port), '127.0.0.1'))
  })
  server.on('tlsClientError', () => {})
  return { port: await listen(t, server), received: () => received }
}

/** A proxy that writes down what it is asked for, and connects to one port whatever that is. */
async function startConnectProxy (t: Test, port: number, status = 200): Promise<{ url: string, targets: string[] }> {
  const targets: string[] = []
  const server = createHttpServer((_, response) => { response.writeHead(500).end() })
  server.on('connect', (request, socket: Socket) => {
    targets.push(String(request.url))
    socket.on('error', () => {})
    if (status !== 200) {
      socket.end(`HTTP/1.1 ${status} No\r\n\r\n`)
      return
    }
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    joinSockets(socket, connect(port, '127.0.0.1'))
  })
  return { url: `http://127.0.0.1:${await listen(t, server)}`, targets }
}

function writeCertificate (t: Test, { cert }: Certificate): string {
  const file = join(t.testdir(), 'ca.pem')
  writeFileSync(file, cert)
  return file
}

t.test('a private authority is trusted where NODE_EXTRA_CA_CERTS names it, and nowhere else', async (t) => {
  const emulator = await startEmulator(t)
  const authority = createAuthority()
  const tls = await startTls(t, emulator.url, authority.issue({ names: ['127.0.0.1'] }))
  const endpoint = `https://127.0.0.1:${tls.port}`
  const [trusted, distrusted, lax] = await Promise.all([
    logInElsewhere(endpoint, { NODE_EXTRA_CA_CERTS: writeCertificate(t, authority) }),
    logInElsewhere(endpoint, {}),
    logInElsewhere(endpoint, { NODE_TLS_REJECT_UNAUTHORIZED: '0' })
  ])
  t.same(trusted, { code: 'ok' })
  t.match(distrusted, { class: 'transient', code: 'TlsError', message: /NODE_EXTRA_CA_CERTS/ })
  t.match(lax, { class: 'transient', code: 'TlsError' }, 'verification has no switch')
  t.equal(emulator.record.length, 2)
})

t.test('a self-signed certificate, an expired one and one of another name get no request at all', async (t) => {
  const emulator = await startEmulator(t)
  const authority = createAuthority()
  const file = writeCertificate(t, authority)
  const certificates = [
    createSelfSigned({ names: ['127.0.0.1'] }),
    authority.issue({ names: ['127.0.0.1'], notAfter: new Date(Date.now() - 60_000) }),
    authority.issue({ names: ['other.example.test'] })
  ]
  const servers = await Promise.all(certificates.map((certificate) => startTls(t, emulator.url, certificate)))
  const outcomes = await Promise.all(servers.map(({ port }) => logInElsewhere(`https://127.0.0.1:${port}`, { NODE_EXTRA_CA_CERTS: file })))
  for (const outcome of outcomes) t.match(outcome, { class: 'transient', code: 'TlsError' })
  t.same(servers.map((server) => server.received()), [0, 0, 0])
  t.same(emulator.record, [])
})

t.test('HTTPS_PROXY is used, NO_PROXY goes around it, and the certificate is checked behind it', async (t) => {
  const emulator = await startEmulator(t)
  const authority = createAuthority()
  const tls = await startTls(t, emulator.url, authority.issue({ names: [HOST] }))
  const proxy = await startConnectProxy(t, tls.port)
  const file = writeCertificate(t, authority)
  const endpoint = `https://${HOST}`
  t.same(await logInElsewhere(endpoint, { HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: file }), { code: 'ok' })
  t.ok(proxy.targets.length > 0)
  t.same([...new Set(proxy.targets)], [`${HOST}:443`])

  const [lower, around, distrusted] = await Promise.all([
    logInElsewhere(endpoint, { https_proxy: proxy.url, NODE_EXTRA_CA_CERTS: file }),
    logInElsewhere(endpoint, { HTTPS_PROXY: 'http://127.0.0.1:1', NO_PROXY: 'example.test', NODE_EXTRA_CA_CERTS: file }),
    logInElsewhere(endpoint, { HTTPS_PROXY: proxy.url, NODE_TLS_REJECT_UNAUTHORIZED: '0' })
  ])
  t.same(lower, { code: 'ok' })
  t.match(around, { class: 'transient', code: 'DnsError' }, 'asked directly: that name does not exist')
  t.match(distrusted, { class: 'transient', code: 'TlsError' })
})

t.test('a proxy that refuses, that is away, or that is no URL is a transient failure that says so', async (t) => {
  const emulator = await startEmulator(t)
  const proxy = await startConnectProxy(t, Number(new URL(emulator.url).port), 407)
  const [refused, away, nonsense] = await Promise.all([
    logInElsewhere(`https://${HOST}`, { HTTPS_PROXY: proxy.url }),
    logInElsewhere(`https://${HOST}`, { HTTPS_PROXY: 'http://127.0.0.1:1' }),
    logInElsewhere(`https://${HOST}`, { HTTPS_PROXY: '://' })
  ])
  t.match(refused, { class: 'transient', code: 'ProxyError', message: /407/ })
  t.match(away, { class: 'transient', code: 'NetworkError', message: /ECONNREFUSED/ })
  t.match(nonsense, { class: 'transient', code: 'NetworkError', message: /HTTPS_PROXY/ })
})

t.test('an https login has nothing to do with HTTP_PROXY, and NO_PROXY is read by the rule of the upstreams', async (t) => {
  const proxy = await startConnectProxy(t, 1)
  const outcomes = await Promise.all([
    logInElsewhere(`https://${HOST}`, { HTTP_PROXY: proxy.url }),
    logInElsewhere(`https://${HOST}`, { HTTPS_PROXY: proxy.url, NO_PROXY: 'localhost,*' }),
    logInElsewhere(`https://${HOST}`, { HTTPS_PROXY: proxy.url, no_proxy: '*:443' })
  ])
  for (const outcome of outcomes) t.match(outcome, { class: 'transient', code: 'DnsError' }, 'asked directly')
  t.same(proxy.targets, [])
  t.match(await logInElsewhere('https://[2001:db8::1]', { HTTPS_PROXY: proxy.url, NO_PROXY: '2001:db8:1::/48' }), {
    class: 'transient',
    code: 'NetworkError'
  })
  t.same(proxy.targets, ['[2001:db8::1]:443'])
})

t.test('loopback is never proxied', async (t) => {
  const emulator = await startEmulator(t)
  const proxy = await startConnectProxy(t, 1)
  t.same(await logInElsewhere(emulator.url, { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url }), { code: 'ok' })
  t.same(proxy.targets, [])
})

t.test('a login under way keeps the process alive, and an idle thread does not', async (t) => {
  const emulator = await startEmulator(t)
  emulator.faults.add({ type: 'hang' })
  // That both processes end, and end with what came of the login, is the proof.
  t.match(await logInElsewhere(emulator.url, {}, 500), { class: 'transient', code: 'Timeout' })
  t.same(await logInElsewhere(emulator.url, {}), { code: 'ok' })
})

t.test('servers that hang, reset or talk nonsense are transient failures within the deadline', async (t) => {
  const worker = startWorker(t, { deadlineMs: 1000 })
  const silent = await listen(t, createTcpServer(() => {}))
  const resetting = await listen(t, createTcpServer((socket) => { socket.once('data', () => { socket.resetAndDestroy() }) }))
  const babbling = await listen(t, createTcpServer((socket) => { socket.once('data', () => { socket.end('SSH-2.0-OpenSSH\r\n') }) }))
  const dripping = await listen(t, createTcpServer((socket) => {
    socket.once('data', () => { socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"Chall') })
  }))
  const endless = await listen(t, createTcpServer((socket) => {
    socket.once('data', () => { socket.write('HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n' + ' '.repeat(2 * 1024 * 1024)) })
  }))
  const cases = [
    [silent, 'Timeout'],
    [resetting, 'NetworkError'],
    [babbling, 'NetworkError'],
    [dripping, 'Timeout'],
    [endless, 'UnexpectedAnswer'],
    [1, 'NetworkError']
  ] as const
  for (const [port, code] of cases) {
    t.match(await failureOf(sourceFor(`http://127.0.0.1:${port}`, worker).token(NEVER)), { class: 'transient', code })
  }
})

t.test('a challenge that is none is a transient failure, before any arithmetic', async (t) => {
  const good = { SALT: 'abc', SRP_B: 'def', SECRET_BLOCK: 'YQ==', USER_ID_FOR_SRP: 'alice' }
  const bad: unknown[] = [undefined, null, [], {}, { ...good, SRP_B: 'f'.repeat(769) }, { ...good, SRP_B: 'xyz' }, { ...good, SRP_B: 5 },
    { ...good, SALT: '' }, { ...good, SALT: 'f'.repeat(129) }, { ...good, SECRET_BLOCK: '' }, { ...good, USER_ID_FOR_SRP: undefined }]
  const waiting = [...bad]
  const server = createHttpServer((_, response) => {
    response.end(JSON.stringify({ ChallengeName: 'PASSWORD_VERIFIER', ChallengeParameters: waiting.shift() }))
  })
  const source = sourceFor(`http://127.0.0.1:${await listen(t, server)}`, startWorker(t))
  for (let left = bad.length; left > 0; left--) {
    t.match(await failureOf(source.token(NEVER)), { class: 'transient', code: 'UnexpectedAnswer' })
  }
})

t.test('Retry-After is read as seconds and as a date, and nothing else of it counts', async (t) => {
  // Dates are written when the response is, since a login may take long on a busy machine.
  const cases: readonly [() => string, number | undefined][] = [
    [() => '3', 3000],
    [() => new Date(Date.now() + 60_000).toUTCString(), 60_000],
    [() => new Date(Date.now() - 60_000).toUTCString(), 0],
    [() => '999999999', 24 * 3_600_000],
    [() => 'soon', undefined]
  ]
  const waiting = cases.map(([value]) => value)
  const server = createHttpServer((_, response) => {
    response.writeHead(503, { 'retry-after': waiting.shift()?.() ?? '' }).end('<html>')
  })
  const source = sourceFor(`http://127.0.0.1:${await listen(t, server)}`, startWorker(t))
  for (const [value, expected] of cases) {
    const { code, retryAfterMs } = await failureOf(source.token(NEVER))
    t.equal(code, 'ServerError')
    if (expected === undefined) t.equal(retryAfterMs, undefined)
    else t.ok(Math.abs((retryAfterMs ?? NaN) - expected) < 5000, value())
  }
})
