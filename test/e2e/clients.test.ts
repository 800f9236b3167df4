import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import {
  Agent as HttpAgent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse
} from 'node:http'
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { Agent, fetch, request } from 'undici'
import { BEARER, CANARY, startProxy, type TestProxy } from '../helpers/proxy.ts'
import { connectRaw, message, rawRequest } from '../helpers/raw-client.ts'
import { temporaryFolder } from '../helpers/temp.ts'

/** What a client saw of the same shapes; see test/clients for the ones that are not JavaScript. */
interface Seen {
  readonly get: Echo
  readonly post: Echo
  readonly chunked: Echo
  readonly head: readonly [status: number, length: string | null | undefined, bytes: number]
  readonly gzip: readonly [encoding: string | null | undefined, text: string]
  readonly deleted: Echo
  readonly empty: readonly [status: number, bytes: number]
  /** Whether the client knew that half a response is half: by its length, by its chunks. */
  readonly truncated: readonly [boolean, boolean]
}

/** A request as the upstream had it. */
interface Echo {
  readonly method: string
  readonly url: string
  readonly sha256: string
  readonly authorization: string | undefined
  readonly length: string | undefined
  readonly coding: string | undefined
}

const BODY = Buffer.from(Uint8Array.from({ length: 2_000_000 }, (_, index) => index % 251))
const TEXT = 'countersign '.repeat(1000)
const QUERY = '/api/echo?a=1&a=2&b=%20+%2B'

t.test('Node\'s http', async (t) => {
  const proxy = await startPair(t)
  const agent = new HttpAgent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => { agent.destroy() })
  const ask = (
    path: string,
    options: RequestOptions = {},
    body?: Buffer | Readable
  ): Promise<{ response: IncomingMessage, body: Buffer }> =>
    new Promise((resolve, reject) => {
      const outgoing = httpRequest(base(proxy) + path, { agent, ...options }, (response) => {
        read(response).then((content) => {
          resolve({ response, body: content })
        }, reject)
      })
      outgoing.on('error', reject)
      if (body instanceof Readable) body.pipe(outgoing)
      else outgoing.end(body)
    })
  const echo = async (...args: Parameters<typeof ask>): Promise<Echo> => JSON.parse((await ask(...args)).body.toString()) as Echo
  const head = await ask('/api/sized', { method: 'HEAD' })
  const packed = await ask('/api/gzip', { headers: { 'accept-encoding': 'gzip' } })
  const empty = await ask('/api/empty')
  check(t, {
    get: await echo(QUERY),
    post: await echo('/api/echo', { method: 'POST', headers: { 'content-length': BODY.length } }, BODY),
    chunked: await echo('/api/echo', { method: 'PUT' }, Readable.from(pieces())),
    head: [head.response.statusCode ?? 0, head.response.headers['content-length'], head.body.length],
    gzip: [packed.response.headers['content-encoding'], gunzipSync(packed.body).toString()],
    deleted: await echo('/api/echo', { method: 'DELETE', headers: { 'content-length': 4 } }, Buffer.from('gone')),
    empty: [empty.response.statusCode ?? 0, empty.body.length],
    truncated: [await fails(ask('/api/cut-length')), await fails(ask('/api/cut-chunks'))]
  })
})

t.test('undici: request', async (t) => {
  const proxy = await startPair(t)
  const dispatcher = new Agent({ pipelining: 1, connections: 1 })
  t.teardown(() => dispatcher.destroy())
  const ask = (path: string, options: Omit<NonNullable<Parameters<typeof request>[1]>, 'dispatcher'> = {}): ReturnType<typeof request> =>
    request(base(proxy) + path, { dispatcher, ...options })
  const echo = async (...args: Parameters<typeof ask>): Promise<Echo> => (await ask(...args)).body.json() as Promise<Echo>
  const bytes = async (...args: Parameters<typeof ask>): Promise<ArrayBuffer> => (await ask(...args)).body.arrayBuffer()
  const head = await ask('/api/sized', { method: 'HEAD' })
  const packed = await ask('/api/gzip', { headers: { 'accept-encoding': 'gzip' } })
  const text = gunzipSync(await packed.body.arrayBuffer()).toString()
  const empty = await ask('/api/empty')
  check(t, {
    head: [head.statusCode, String(head.headers['content-length']), (await head.body.arrayBuffer()).byteLength],
    get: await echo(QUERY),
    post: await echo('/api/echo', { method: 'POST', body: BODY }),
    chunked: await echo('/api/echo', { method: 'PUT', body: Readable.from(pieces()) }),
    gzip: [String(packed.headers['content-encoding']), text],
    deleted: await echo('/api/echo', { method: 'DELETE', body: 'gone' }),
    empty: [empty.statusCode, (await empty.body.arrayBuffer()).byteLength],
    truncated: [await fails(bytes('/api/cut-length')), await fails(bytes('/api/cut-chunks'))]
  })
})

t.test('undici: fetch', async (t) => {
  const proxy = await startPair(t)
  const dispatcher = new Agent()
  t.teardown(() => dispatcher.destroy())
  const ask = (path: string, options: Omit<NonNullable<Parameters<typeof fetch>[1]>, 'dispatcher'> = {}): ReturnType<typeof fetch> =>
    fetch(base(proxy) + path, { dispatcher, ...options })
  const echo = async (...args: Parameters<typeof ask>): Promise<Echo> => await (await ask(...args)).json() as Echo
  const bytes = async (path: string): Promise<ArrayBuffer> => (await ask(path)).arrayBuffer()
  const head = await ask('/api/sized', { method: 'HEAD' })
  const packed = await ask('/api/gzip')
  const empty = await ask('/api/empty')
  check(t, {
    head: [head.status, head.headers.get('content-length'), (await head.arrayBuffer()).byteLength],
    get: await echo(QUERY),
    post: await echo('/api/echo', { method: 'POST', body: BODY }),
    chunked: await echo('/api/echo', { method: 'PUT', body: pieces(), duplex: 'half' }),
    gzip: [packed.headers.get('content-encoding'), await packed.text()],
    deleted: await echo('/api/echo', { method: 'DELETE', body: 'gone' }),
    empty: [empty.status, (await empty.arrayBuffer()).byteLength],
    truncated: [await fails(bytes('/api/cut-length')), await fails(bytes('/api/cut-chunks'))]
  })
})

t.test('Python\'s http.client', { skip: missing('python3') }, async (t) => {
  check(t, await runClient(t, 'python3', [program('client.py')]))
})

t.test('Go\'s net/http', { skip: missing('go', 'version') }, async (t) => {
  check(t, await runClient(t, 'go', ['run', program('client.go')]))
})

t.test('curl', { skip: missing('curl') }, async (t) => {
  const proxy = await startPair(t)
  const folder = temporaryFolder(t)
  const file = join(folder, 'body')
  writeFileSync(file, BODY)
  const curl = (args: readonly string[]): Promise<Finished> =>
    run('curl', ['--silent', '--show-error', '--max-time', '30', ...args.map((arg) => (arg.startsWith('/api') ? base(proxy) + arg : arg))])
  const echo = async (...args: string[]): Promise<Echo> => JSON.parse((await curl(args)).stdout.toString()) as Echo
  const head = (await curl(['--head', '/api/sized'])).stdout.toString()
  const empty = await curl(['--write-out', '%{http_code}', '/api/empty'])
  check(t, {
    get: await echo(QUERY),
    post: await echo('--data-binary', `@${file}`, '/api/echo'),
    chunked: await echo('-T', file, '--header', 'Transfer-Encoding: chunked', '/api/echo'),
    head: [
      Number(head.split(' ')[1]),
      /content-length: (\d+)/i.exec(head)?.[1],
      Number(head.includes('\r\n\r\n') ? head.length - head.indexOf('\r\n\r\n') - 4 : -1)
    ],
    gzip: [
      /content-encoding: (\S+)/i.exec(
        (await curl(['--compressed', '--output', '/dev/null', '--dump-header', '-', '/api/gzip'])).stdout.toString()
      )?.[1],
      (await curl(['--compressed', '/api/gzip'])).stdout.toString()
    ],
    deleted: await echo('-X', 'DELETE', '--data-binary', 'gone', '/api/echo'),
    empty: [Number(empty.stdout.toString()), empty.stdout.length - 3],
    truncated: [(await curl(['/api/cut-length'])).status !== 0, (await curl(['/api/cut-chunks'])).status !== 0]
  })

  const expects = await run('curl', [
    '--silent',
    '--show-error',
    '--verbose',
    '--max-time',
    '30',
    '--expect100-timeout',
    '25',
    '--header',
    'Expect: 100-continue',
    '--data-binary',
    `@${file}`,
    `${base(proxy)}/api/echo`
  ])
  t.equal((JSON.parse(expects.stdout.toString()) as Echo).sha256, sha256(BODY))
  t.match(expects.stderr, '< HTTP/1.1 100 Continue', 'it was asked for its body, and did not just lose patience')
  t.match(await echo('-T', file, '/api/echo'), { method: 'PUT', sha256: sha256(BODY) })
  t.match(await echo('--http1.0', QUERY), { method: 'GET', url: '/echo?a=1&a=2&b=%20+%2B' })
  t.match(await echo('--http1.0', '--data-binary', `@${file}`, '/api/echo'), { method: 'POST', sha256: sha256(BODY) })
  for (const path of ['/api/cut-length', '/api/cut-chunks']) {
    t.not((await curl(['--http1.0', path])).status, 0, `HTTP/1.0 ${path}: half a response is an error`)
  }
  t.equal((await curl(['--http1.0', '/api/stream'])).stdout.toString(), 'one two', 'and a whole one is none')
  t.equal(
    (
      await curl([
        '--output',
        '/dev/null',
        '--write-out',
        '%{http_code} %{num_connects} ',
        '/api/empty',
        '--next',
        '--silent',
        '--output',
        '/dev/null',
        '--write-out',
        '%{http_code} %{num_connects}',
        '/api/sized'
      ])
    ).stdout.toString(),
    '204 1 200 0',
    'one connection'
  )
})

t.test('nginx as the upstream', { skip: missing('nginx', '-v') }, async (t) => {
  const folder = temporaryFolder(t)
  const www = join(folder, 'www')
  mkdirSync(www)
  const large = Buffer.alloc(64 << 20, BODY)
  writeFileSync(join(www, 'large.bin'), large)
  writeFileSync(join(www, 'text.txt'), TEXT)
  const api = await startEcho(t)
  const upstream = await startNginx(t, folder, api)
  const proxy = await startProxy(t, { routes: [{ prefix: '/api', upstream: `http://127.0.0.1:${upstream}`, bindings: [BEARER] }] })
  const ask = (line: string, lines: readonly string[] = [], body = ''): ReturnType<typeof rawRequest> =>
    rawRequest(proxy.port, message(line, [`Host: 127.0.0.1:${proxy.port}`, ...lines], body), { method: line.split(' ')[0] ?? '' })

  const plain = await ask('GET /api/text.txt HTTP/1.1')
  t.match(plain, { statusCode: 200, text: TEXT, complete: true })
  const etag = plain.header('etag') ?? ''
  const cached = await ask('GET /api/text.txt HTTP/1.1', [`If-None-Match: ${etag}`])
  t.match(cached, { statusCode: 304, body: Buffer.alloc(0) })
  t.equal(cached.header('etag'), etag)
  t.match(await ask('GET /api/text.txt HTTP/1.1', [`If-Match: "x${etag.slice(1)}`]), { statusCode: 412 })

  const packed = await ask('GET /api/text.txt HTTP/1.1', ['Accept-Encoding: gzip'])
  t.equal(packed.header('content-encoding'), 'gzip', 'nginx compresses for us as it does for everybody')
  t.equal(gunzipSync(packed.body).toString(), TEXT)

  const part = await ask('GET /api/text.txt HTTP/1.1', ['Range: bytes=12-22'])
  t.match(part, { statusCode: 206, text: 'countersign' })
  t.equal(part.header('content-range'), `bytes 12-22/${TEXT.length}`)
  t.match((await ask('GET /api/text.txt HTTP/1.1', ['Range: bytes=0-1,3-4'])).header('content-type'), 'multipart/byteranges')
  t.match(await ask('GET /api/text.txt HTTP/1.1', ['Range: bytes=999999-']), { statusCode: 416 })

  const head = await ask('HEAD /api/large.bin HTTP/1.1')
  t.equal(head.header('content-length'), String(large.length))
  const curl = await request(`${base(proxy)}/api/large.bin`)
  const hash = createHash('sha256')
  for await (const chunk of curl.body as AsyncIterable<Buffer>) hash.update(chunk)
  t.equal(hash.digest('hex'), sha256(large))
  t.match(await ask('GET /api/missing HTTP/1.1'), { statusCode: 404 })
  t.equal((await ask('GET /api/www HTTP/1.1')).statusCode, 404)

  const turns = [await ask('GET /api/text.txt HTTP/1.1'), await ask('GET /api/text.txt HTTP/1.1')].map((response) =>
    Number(response.header('x-requests'))
  )
  t.equal((turns[1] ?? 0) - (turns[0] ?? 0), 1, 'on the connection of the one before')

  const chunked = await request(`${base(proxy)}/api/up/echo`, { method: 'PUT', body: Readable.from(pieces()) })
  t.match(await chunked.body.json(), { method: 'PUT', sha256: sha256(BODY), authorization: `Bearer ${CANARY.token}` })

  for (const [framing, body] of [
    ['Content-Length: 2000000', 'x'.repeat(2_000_000)],
    ['Transfer-Encoding: chunked', `1e8480\r\n${'x'.repeat(2_000_000)}\r\n0\r\n\r\n`]
  ] as const) {
    const client = await connectRaw(proxy.port)
    client.send(message('POST /api/small HTTP/1.1', [`Host: 127.0.0.1:${proxy.port}`, framing], body))
    t.match(await client.response(), { statusCode: 413, complete: true }, framing)
    client.destroy()
    t.match(await ask('GET /api/text.txt HTTP/1.1'), { statusCode: 200 })
  }
})

/** What every client must have seen. */
function check (t: Test, seen: Seen): void {
  const authorization = `Bearer ${CANARY.token}`
  t.match(seen.get, { method: 'GET', url: '/echo?a=1&a=2&b=%20+%2B', sha256: sha256(Buffer.alloc(0)), authorization })
  t.match(seen.post, { method: 'POST', url: '/echo', sha256: sha256(BODY), length: '2000000', authorization })
  t.match(seen.chunked, { method: 'PUT', sha256: sha256(BODY), coding: 'chunked', authorization })
  t.match(seen.deleted, { method: 'DELETE', sha256: sha256(Buffer.from('gone')), authorization })
  t.same(seen.head, [200, '12345', 0])
  t.same(seen.gzip, ['gzip', TEXT])
  t.same(seen.empty, [204, 0])
  t.same(seen.truncated, [true, true], 'half a response is an error')
}

async function startPair (t: Test): Promise<TestProxy> {
  const port = await startEcho(t)
  return await startProxy(t, { routes: [{ prefix: '/api', upstream: `http://127.0.0.1:${port}`, bindings: [BEARER] }] })
}

/** An upstream on Node's http that says what it was asked. */
async function startEcho (t: Test): Promise<number> {
  const server = createServer((message, response) => { reply(message, response).catch(() => { response.destroy() }) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => new Promise((resolve) => {
    server.close(resolve)
    server.closeAllConnections()
  }))
  return (server.address() as AddressInfo).port // a TCP server that listens
}

async function reply (message: IncomingMessage, response: ServerResponse): Promise<void> {
  switch (message.url) {
    case '/sized':
      response.writeHead(200, { 'content-length': 12345 }).end(message.method === 'HEAD' ? undefined : 'x'.repeat(12345))
      return
    case '/gzip':
      if (message.headers['accept-encoding']?.includes('gzip') === true) {
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(TEXT))
      } else response.end(TEXT)
      return
    case '/empty':
      response.writeHead(204).end()
      return
    case '/stream':
      response.write('one ')
      await turn()
      response.end('two')
      return
    case '/cut-length':
      response.writeHead(200, { 'content-length': 100 }).write('abc', () => {
        response.destroy()
      })
      return
    case '/cut-chunks':
      response.writeHead(200).write('abc', () => {
        response.destroy()
      })
      return
    default:
  }
  const body = await read(message)
  response.end(
    JSON.stringify({
      method: message.method,
      url: message.url,
      sha256: sha256(body),
      authorization: message.headers.authorization,
      length: message.headers['content-length'],
      coding: message.headers['transfer-encoding']
    })
  )
}

async function startNginx (t: Test, folder: string, api: number): Promise<number> {
  // nginx cannot be asked for a free port.
  const probe = createTcpServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo // a TCP server that listens
  await new Promise((resolve) => { probe.close(resolve) })
  const file = join(folder, 'nginx.conf')
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')
  writeFileSync(file, `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 64; }
http {
  ${paths} access_log off; default_type text/plain;
  gzip on; gzip_min_length 10; gzip_types text/plain;
  add_header X-Requests $connection_requests always;
  server {
    listen 127.0.0.1:${port}; root ${folder}/www;
    location /up/ { client_max_body_size 100m; proxy_http_version 1.1; proxy_request_buffering off; proxy_pass http://127.0.0.1:${api}/; }
    location /small { client_max_body_size 1k; proxy_pass http://127.0.0.1:${api}/echo; }
  }
}
`)
  const nginx = spawn('nginx', ['-e', `${folder}/error.log`, '-p', folder, '-c', file], { stdio: 'ignore' })
  const ended = once(nginx, 'close')
  t.teardown(async () => {
    nginx.kill('SIGKILL')
    await ended
  })
  for (;;) {
    if (nginx.exitCode !== null) throw new Error(`nginx did not start: ${readFileSync(`${folder}/error.log`, 'utf8')}`)
    const socket = connect(port, '127.0.0.1')
    const up = await Promise.race([once(socket, 'connect').then(() => true, () => false), ended.then(() => false)])
    socket.destroy()
    if (up) return port
    await turn()
  }
}

interface Finished {
  readonly status: number
  readonly stdout: Buffer
  readonly stderr: string
}

async function run (command: string, args: readonly string[]): Promise<Finished> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [status]] = await Promise.all([read(child.stdout), read(child.stderr), once(child, 'close') as Promise<[number]>])
  return { status, stdout, stderr: stderr.toString() }
}

async function runClient (t: Test, command: string, args: readonly string[]): Promise<Seen> {
  const proxy = await startPair(t)
  const { status, stdout, stderr } = await run(command, [...args, '127.0.0.1', String(proxy.port)])
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`)
  return JSON.parse(stdout.toString()) as Seen
}

function missing (command: string, ...args: readonly string[]): string | false {
  return spawnSync(command, args.length === 0 ? ['--version'] : [...args], { stdio: 'ignore' }).error === undefined
    ? false
    : `${command} is not installed`
}

function program (name: string): string {
  return fileURLToPath(new URL(`../../test/clients/${name}`, import.meta.url))
}

function base (proxy: TestProxy): string {
  return `http://127.0.0.1:${proxy.port}`
}

function sha256 (bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function * pieces (): AsyncGenerator<Buffer> {
  for (let start = 0; start < BODY.length; start += 100_000) yield BODY.subarray(start, start + 100_000)
}

async function fails (response: Promise<unknown>): Promise<boolean> {
  return await response.then(() => false, () => true)
}

async function read (stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}
