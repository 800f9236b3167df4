/**
 * What the listener refuses by itself, before there is a request for the application, has its line in the access log and counts
 * in the metrics like every other refusal (nginx logs such requests too), and nothing of what was sent stands there.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDaemon, type Daemon } from '../helpers/daemon.ts'
import { call } from '../helpers/plain-client.ts'
import { connectRaw, message, type RawClient } from '../helpers/raw-client.ts'
import { startSlowAddress } from '../helpers/slow-address.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const SECRET = 'CANARY-never-in-a-log'
const HOST = 'Host: localhost'
const LINUX = { skip: process.platform === 'linux' ? false : 'only Linux has all of 127.0.0.0/8' }

interface Scene {
  readonly daemon: Daemon
  readonly port: number
  readonly metrics: () => Promise<string>
}

async function start (t: Test, more: object = {}): Promise<Scene> {
  const config = join(temporaryFolder(t), 'c.json')
  writeFileSync(
    config,
    JSON.stringify({
      listen: '127.0.0.1:0',
      admin: '127.0.0.1:0',
      routes: [{ prefix: '/', upstream: 'http://127.0.0.1:1' }],
      limits: { headerBytes: 8192 },
      ...more
    })
  )
  const daemon = startDaemon(['-c', config])
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const { address, admin } = await daemon.line('listening')
  return { daemon, port: Number(String(address).split(':').pop()), metrics: async () => (await call(admin, '/metrics')).body }
}

async function exchange (port: number, bytes: string): Promise<number> {
  const client = await connectRaw(port)
  client.send(bytes)
  const { statusCode } = await client.response()
  client.destroy()
  return statusCode
}

const REFUSED: ReadonlyArray<readonly [bytes: string, fields: Record<string, unknown>]> = [
  [message(`BREW /${SECRET} HTTP/1.1`, [HOST]), { status: 400, code: 'CS_BAD_REQUEST' }],
  [message(`GET /${SECRET} HTTP/1.1`, [HOST, `${SECRET} : x`]), { status: 400, code: 'CS_BAD_REQUEST' }],
  [message('GET / HTTP/1.1', [HOST, `X: ${SECRET.padEnd(9000, 'x')}`]), { status: 431, code: 'CS_HEADERS_TOO_LARGE' }],
  [message(`CONNECT ${SECRET}:443 HTTP/1.1`, [HOST]), { status: 405, code: 'CS_METHOD_NOT_ALLOWED', method: 'CONNECT' }]
]

t.test('a refusal of the parser, of a header that is too long and of CONNECT has an access line', async (t) => {
  const { daemon, port, metrics } = await start(t)
  for (const [index, [bytes, fields]] of REFUSED.entries()) {
    t.equal(await exchange(port, bytes), fields['status'])
    const line = await daemon.line('request', index + 1)
    t.match(line, { level: 'info', client: '127.0.0.1', ...fields })
    t.type(line['ms'], 'number')
    t.ok(Number(line['bytes']) > 10 && Number(line['bytes']) <= bytes.length, `${String(line['bytes'])} of ${bytes.length} bytes`)
    t.notOk('path' in line || 'route' in line)
  }
  const text = await metrics()
  t.match(text, /^countersign_requests_refused_total\{code="CS_BAD_REQUEST"\} 2$/m)
  t.match(text, /^countersign_requests_refused_total\{code="CS_HEADERS_TOO_LARGE"\} 1$/m)
  t.match(text, /^countersign_requests_refused_total\{code="CS_METHOD_NOT_ALLOWED"\} 1$/m)
  t.match(text, /^countersign_requests_total\{route="",method="other",status="4xx"\} 4$/m)
  t.match(text, /^countersign_request_duration_seconds_count\{route=""\} 4$/m)
  t.notMatch(daemon.stdout() + daemon.stderr() + text, SECRET)
})

t.test('a body that is malformed ends the line of its own request, with the status that was sent', LINUX, async (t) => {
  const slow = await startSlowAddress(t, '127.0.0.2', 1)
  const { daemon, port, metrics } = await start(t, { routes: [{ prefix: '/up', upstream: `http://127.0.0.2:${slow.port}` }] })
  t.equal(await exchange(port, message('POST /up/x HTTP/1.1', [HOST + `:${port}`, 'Transfer-Encoding: chunked'], `${SECRET}\r\n`)), 400)
  const line = await daemon.line('request')
  t.match(line, { method: 'POST', path: '/up/x', status: 400, code: 'CS_BAD_REQUEST' })
  const text = await metrics()
  t.match(text, /^countersign_requests_refused_total\{code="CS_BAD_REQUEST"\} 1$/m)
  t.match(text, /^countersign_requests_total\{route="\/up",method="POST",status="4xx"\} 1$/m)
  t.equal(daemon.lines().filter(({ msg }) => msg === 'request').length, 1)
  t.notMatch(daemon.stdout(), SECRET)
})

t.test('what becomes of the rest of a body, once its request has a response, is no request: no second response, no line', async (t) => {
  for (const [lines, rest] of [
    [['Content-Length: 100'], 'half'],
    [['Transfer-Encoding: chunked'], '5\r\nab'],
    [['Transfer-Encoding: chunked'], '5\r\nabcde\r\nno size\r\n'],
    [['Transfer-Encoding: chunked'], '5\r\nabcdefg\r\n']
  ] as const) {
    const { daemon, port, metrics } = await start(t, { routes: [{ prefix: '/up', upstream: 'http://127.0.0.1:1' }] })
    const client = await connectRaw(port)
    client.send(message('POST /nowhere HTTP/1.1', [`${HOST}:${port}`, ...lines]))
    t.match(await client.response(), { statusCode: 404 })
    client.send(rest)
    client.socket.end()
    t.equal((await client.rest()).toString(), '', rest)
    // Its line stands behind what would be wrong.
    t.equal(await exchange(port, message('GET /last HTTP/1.1', [`${HOST}:${port}`])), 404)
    await daemon.line('request', 2)
    t.same(daemon.lines().filter(({ msg }) => msg === 'request').map(({ path }) => path), ['/nowhere', '/last'], rest)
    t.notMatch(await metrics(), 'method="other"')
  }
})

t.test('a connection beyond the limit, too; one that was left has none', async (t) => {
  const { daemon, port, metrics } = await start(t, { limits: { connections: 2 } })
  const held: RawClient[] = [await connectRaw(port), await connectRaw(port)]
  t.equal(await exchange(port, ''), 503)
  t.match(await daemon.line('request'), { status: 503, code: 'CS_OVERLOADED', client: '127.0.0.1', bytes: 0 })
  for (const client of held) client.reset()
  const text = await metrics()
  t.match(text, /^countersign_requests_refused_total\{code="CS_OVERLOADED"\} 1$/m)
  t.match(text, /^countersign_requests_total\{route="",method="other",status="5xx"\} 1$/m)
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
  t.equal(daemon.lines().filter(({ msg }) => msg === 'request').length, 1)
})

t.test('refused requests have their line however few of the others have one, unless there is no access log', async (t) => {
  const sampled = await start(t, { accessLog: { sample: 0.000001 }, routes: [{ prefix: '/a', upstream: 'http://127.0.0.1:1' }] })
  const silent = await start(t, { accessLog: false })
  for (const { port } of [sampled, silent]) {
    t.equal(await exchange(port, message('BREW / HTTP/1.1', [HOST])), 400)
    t.equal(await exchange(port, message('GET /none HTTP/1.1', ['Host: evil.example'])), 421)
  }
  t.match(
    [await sampled.daemon.line('request'), await sampled.daemon.line('request', 2)],
    [{ status: 400 }, { status: 421, path: '/none' }]
  )
  t.match(await silent.metrics(), /^countersign_requests_refused_total\{code="CS_BAD_REQUEST"\} 1$/m)
  t.notOk(silent.daemon.lines().some(({ msg }) => msg === 'request'))
})

t.test('the admin listener has no access log', async (t) => {
  const { daemon, metrics } = await start(t)
  const { admin } = await daemon.line('listening')
  t.equal(await exchange(Number(String(admin).split(':').pop()), message('BREW / HTTP/1.1', [HOST])), 400)
  t.notMatch(await metrics(), /requests_refused_total\{/)
  t.notOk(daemon.lines().some(({ msg }) => msg === 'request'))
})
