// What a start loads, starts and leaves behind, seen from outside.
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import nodeModule from 'node:module'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand, startDaemon, type Daemon, type DaemonOptions } from '../helpers/daemon.ts'
import { CLIENT_ID, POOL_ID, startEmulator, USER } from '../helpers/cognito.ts'
import { until } from '../helpers/until.ts'

const STATIC = { type: 'static', value: 'abcdefgh12345678' }
/** Tells of each thread, and at the end which of Node's own HTTP clients were loaded. */
const SPY = `data:text/javascript,${encodeURIComponent(`
  import { subscribe } from 'node:diagnostics_channel'
  subscribe('worker_threads', () => { process.stderr.write('a thread\\n') })
  process.on('exit', () => { process.stderr.write(process.moduleLoadList.filter((name) => /deps.undici|NativeModule http2$/.test(name)).map((name) => name + '\\n').join('')) })
`)}`
// Node 20 has none; 22 writes only at its end before 22.10.
const CAN_KEEP = Reflect.has(nodeModule, 'flushCompileCache')

function configOf (t: Test, credential: unknown): string {
  const config = {
    listen: '127.0.0.1:0',
    admin: '127.0.0.1:0',
    credentials: { one: credential },
    routes: [{ prefix: '/api', upstream: 'http://127.0.0.1:9', credential: 'one' }]
  }
  return join(t.testdir({ 'countersign.json': JSON.stringify(config), home: {}, cache: {}, tmp: {} }), 'countersign.json')
}

function serve (t: Test, file: string, options: DaemonOptions): Daemon {
  const daemon = startDaemon(['serve', '-c', file], options)
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  return daemon
}

/** What stderr holds of a daemon that was ready and ended. */
async function spyOn (t: Test, credential: unknown): Promise<string> {
  const daemon = serve(t, configOf(t, credential), { node: ['--import', SPY] })
  await daemon.line('ready')
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
  return daemon.stderr()
}

t.test('without a Cognito credential no thread is started, and neither way a further HTTP client is loaded', async (t) => {
  const { url } = await startEmulator(t)
  t.equal(await spyOn(t, STATIC), '')
  t.equal(await spyOn(t, { type: 'cognito', userPoolId: POOL_ID, clientId: CLIENT_ID, ...USER, endpoint: url }), 'a thread\n')
})

t.test('compiled code comes from and goes to no place that nobody named: other users may write to temporary folders', async (t) => {
  const file = configOf(t, STATIC)
  const folder = join(file, '..')
  // What Node takes by default where a program asks for a cache and names no place.
  const planted = join(folder, 'tmp/node-compile-cache')
  mkdirSync(planted)
  chmodSync(planted, 0o777)
  const env = { HOME: join(folder, 'home'), XDG_CACHE_HOME: join(folder, 'cache'), TMPDIR: join(folder, 'tmp') }
  const daemon = serve(t, file, { env })
  await daemon.line('ready')
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
  t.match(await runCommand(['check', '-c', file], { env }), { status: 0, stderr: '' })
  t.same(['home', 'cache', 'tmp'].map((name) => readdirSync(join(folder, name), { recursive: true })), [[], [], ['node-compile-cache']])
})

t.test(
  'where NODE_COMPILE_CACHE names a place, what was compiled is there once the proxy listens, whatever its end',
  { skip: !CAN_KEEP && 'this Node keeps nothing before its end' },
  async (t) => {
    const file = configOf(t, STATIC)
    const cache = join(file, '../cache')
    const daemon = serve(t, file, { env: { NODE_COMPILE_CACHE: cache } })
    await daemon.line('listening')
    await until('what was compiled', () => readdirSync(cache, { recursive: true }).length > 1)
    daemon.kill('SIGKILL')
    t.equal(await daemon.exit, 'SIGKILL')
    t.match(await runCommand(['check', '-c', file], { env: { NODE_COMPILE_CACHE: cache } }), { status: 0, stderr: '' })
  }
)

t.test('a place that cannot be written, or whose files are no code, costs nothing and is not spoken of', async (t) => {
  const file = configOf(t, STATIC)
  const none = join(file, '../none')
  writeFileSync(none, '')
  const broken = join(file, '../cache')
  t.match(await runCommand(['check', '-c', file], { env: { NODE_COMPILE_CACHE: broken } }), { status: 0, stderr: '' })
  for (const entry of readdirSync(broken, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) writeFileSync(join(entry.parentPath, entry.name), 'no code')
  }
  // Below a file there is no folder, not even for root.
  for (const place of [none, join(none, 'below'), broken]) {
    const daemon = serve(t, file, { env: { NODE_COMPILE_CACHE: place } })
    await daemon.line('ready')
    daemon.kill('SIGTERM')
    t.equal(await daemon.exit, 0)
    t.equal(daemon.stderr(), '')
  }
})
