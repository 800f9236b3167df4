// What is read is a regular file, or at the start a pipe that is read once (contract section 3, Secrets); no read ever blocks the daemon.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { readText } from '#src/config/read/text.ts'
import { watchFiles } from '#src/config/read/watch.ts'
import { runCommand, startDaemon, type DaemonOptions } from '../helpers/daemon.ts'
import { call } from '../helpers/plain-client.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

const CLI = fileURLToPath(new URL('../../bin/countersign.js', import.meta.url))
const CONFIG = JSON.stringify({ listen: '127.0.0.1:0', admin: '127.0.0.1:0', credentials: { c: { type: 'static', value: '${CANARY}' } }, routes: [{ prefix: '/', upstream: 'http://127.0.0.1:1', credential: 'c' }] })

const makePipe = (path: string): void => { spawnSync('mkfifo', [path]) }

/** Everything that may stand where a file should, by what is said of it. */
const SPECIAL: ReadonlyArray<readonly [name: string, make: (path: string) => unknown, said: RegExp]> = [
  ['a pipe', makePipe, /is a pipe/],
  ['a directory', (path) => mkdirSync(path), /is a directory/],
  ['a device without an end', (path) => symlinkSync('/dev/zero', path), /is a device/],
  ['a device that is empty', (path) => symlinkSync('/dev/null', path), /is a device/],
  ['a link to itself', (path) => symlinkSync(path, path), /is a link to itself/],
  ['a file without an end', (path) => { writeFileSync(path, ''); truncateSync(path, 2 ** 40) }, /is longer than 16 MiB/],
  ['a file a byte too long', (path) => writeFileSync(path, ' '.repeat(16 * 1024 * 1024 + 1)), /is longer than 16 MiB/],
  ['a file that is not UTF-8', (path) => writeFileSync(path, Buffer.from([0xff, 0xfe])), /is not UTF-8/]
]

t.test('what is no regular file is refused without being read, and files of 16 MiB are read', async (t) => {
  const folder = temporaryFolder(t)
  for (const [index, [name, make, said]] of SPECIAL.entries()) {
    const path = join(folder, String(index))
    make(path)
    t.match(readText(path), { ok: false, absent: false, reason: said }, name)
  }
  const socket = join(folder, 'socket')
  const server = createServer().listen(socket)
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  t.match(readText(socket), { ok: false, absent: false, reason: /is a pipe/ })
  writeFileSync(join(folder, 'long'), 'x'.repeat(16 * 1024 * 1024))
  t.match(readText(join(folder, 'long')), { ok: true })
  if (process.platform === 'linux') {
    t.match(readText('/proc/self/status'), { ok: true, text: /^Name:/ }, 'a file that does not tell its size')
  }
})

async function serve (
  t: Test,
  { secrets, config = CONFIG, env = {} }: { readonly secrets?: string, readonly config?: string, readonly env?: Record<string, string> }
): Promise<{ readonly folder: string, readonly daemon: ReturnType<typeof startDaemon>, readonly address: string }> {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'c.jsonc'), config)
  if (secrets !== undefined) writeFileSync(join(folder, 's'), secrets, { mode: 0o600 })
  const daemon = startDaemon(['serve', '-c', join(folder, 'c.jsonc'), ...(secrets === undefined ? [] : ['-s', join(folder, 's')])], {
    env,
    cwd: folder
  })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  return { folder, daemon, address: String((await daemon.line('listening'))['address']) }
}

function problemsOf (daemon: ReturnType<typeof startDaemon>): string[] {
  return daemon.lines().filter(({ msg }) => msg === 'configuration problem').map(({ problem }) => String(problem))
}

t.test('at a reload each of them is a problem with its place, and the old configuration goes on', async (t) => {
  const { folder, daemon, address } = await serve(t, { secrets: 'CANARY=x\n' })
  const file = join(folder, 's')
  for (const [name, make, said] of SPECIAL) {
    rmSync(file, { recursive: true })
    make(file)
    daemon.kill('SIGHUP')
    await until(`${name} to be a problem`, () =>
      problemsOf(daemon).some((problem) => problem.startsWith(`${file}  `) && said.test(problem))
    )
    await daemon.line('reload failed, the old configuration keeps serving')
    t.equal((await call(address, '/')).status, 502, 'it serves')
  }
  rmSync(file, { recursive: true })
  writeFileSync(file, 'CANARY=y\n', { mode: 0o600 })
  await daemon.line('configuration reloaded')
})

t.test('so it is for the configuration itself, a NAME_FILE and the files of tls', async (t) => {
  const secret = temporaryFolder(t)
  writeFileSync(join(secret, 'canary'), 'x\n')
  const { folder, daemon } = await serve(t, { env: { CANARY_FILE: join(secret, 'canary') } })
  const fails = async (...said: RegExp[]): Promise<void> => {
    daemon.kill('SIGHUP')
    await until(`${String(said)} to be said`, () => said.every((pattern) => problemsOf(daemon).some((problem) => pattern.test(problem))))
  }
  rmSync(join(secret, 'canary'))
  makePipe(join(secret, 'canary'))
  await fails(/CANARY_FILE names is a pipe/)
  makePipe(join(folder, 'pem'))
  writeFileSync(
    join(folder, 'c.jsonc'),
    JSON.stringify({ routes: [{ prefix: '/', upstream: 'https://a.example', tls: { ca: 'pem', cert: 'pem', key: 'pem' } }] })
  )
  await fails(/routes\[0\]\.tls\.ca .*is a pipe/, /routes\[0\]\.tls\.cert .*is a pipe/, /routes\[0\]\.tls\.key .*is a pipe/)
  rmSync(join(folder, 'c.jsonc'))
  makePipe(join(folder, 'c.jsonc'))
  await fails(/c\.jsonc {2}this file is a pipe/)
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
})

t.test('a unix socket is called one', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 's')
  const server = createServer().listen(path)
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  t.match(await runCommand(['check', '-c', path]), { status: 78, stderr: /this file is a socket; correct the path/ })
})

t.test('a pipe is no reason to reload, however often it is read and written', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'pipe')
  makePipe(path)
  let changes = 0
  const watching = watchFiles({ files: [path], onChange: () => { changes++ }, settleMs: 1, missingMs: 1, pollMs: 5 })
  t.teardown(watching.close)
  for (let count = 0; count < 3; count++) spawnSync('sh', ['-c', `echo x >"${path}" & cat "${path}"; wait`])
  rmSync(path)
  writeFileSync(path, 'a file at last')
  const alive = setInterval(() => {}, 1000)
  await until('the file to be noticed', () => changes > 0)
  clearInterval(alive)
  t.equal(changes, 1)
})

/** Runs a line of bash in which `countersign` is the executable. */
async function bash (line: string, cwd: string): Promise<{ readonly status: unknown, readonly text: string }> {
  const child = spawn('bash', ['-c', `countersign () { "${process.execPath}" "${CLI}" "$@"; }; ${line}`], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (piece: string) => { text += piece })
  const [status] = await once(child, 'close') as unknown[]
  return { status, text }
}

t.test('at the start pipes are read, each of them once, also where they are slow and are used twice', async (t) => {
  const folder = temporaryFolder(t)
  const twice = CONFIG.replace('"credentials":{', '"callerToken":"${CANARY}","credentials":{')
  writeFileSync(join(folder, 'c.jsonc'), twice)
  const secret = 'CANARY=0123456789abcdef'
  for (const line of [
    `countersign check -c c.jsonc -s <(echo ${secret})`,
    `countersign check -c c.jsonc -s <(sleep 0.5; echo ${secret.slice(0, 9)}; sleep 0.3; echo ${secret})`,
    `echo ${secret} | countersign check -c c.jsonc -s /dev/stdin`,
    `countersign check -c c.jsonc -s /dev/stdin < <(echo ${secret})`,
    `countersign check -c <(cat c.jsonc) -s <(echo ${secret})`,
    'CANARY_FILE=/dev/stdin countersign check -c c.jsonc < <(echo 0123456789abcdef)',
    `mkfifo named; (sleep 0.5; echo ${secret} > named) & countersign check -c c.jsonc -s named`
  ]) {
    t.match(await bash(line, folder), { status: 0, text: /configuration is good/ }, line)
  }
  t.match(
    await bash(`echo ${secret} >s; echo ${secret} | countersign check -c c.jsonc -s /dev/stdin <s`, folder),
    { status: 0 },
    'a file on stdin'
  )
})

t.test('a program\'s end of a pair of sockets on stdin is read as well', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'c.jsonc'), CONFIG)
  const child = spawn(process.execPath, [CLI, 'check', '-c', 'c.jsonc', '-s', '/dev/stdin'], {
    cwd: folder,
    env: {},
    stdio: ['pipe', 'ignore', 'inherit']
  })
  child.stdin?.end('CANARY=x\n')
  t.same(await once(child, 'exit'), [0, null])
})

t.test('a pipe that nobody writes to, or that has no end, is a problem; meanwhile signals are heard', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'c.jsonc'), CONFIG)
  makePipe(join(folder, 'pipe'))
  const options: DaemonOptions = { cwd: folder }
  t.match(await runCommand(['check', '-c', 'c.jsonc', '-s', 'pipe'], options), {
    status: 78,
    stderr: /^pipe {2}this file is a pipe that nobody writes to/m
  })
  t.match(await bash('countersign check -c c.jsonc -s <(cat /dev/zero)', folder), { status: 78, text: /is longer than 16 MiB/ })
  const daemon = startDaemon(['serve', '-c', 'c.jsonc', '-s', 'pipe'], {
    ...options,
    node: [
      '--import',
      `data:text/javascript,${encodeURIComponent('process.on("newListener",(name)=>{if(name==="uncaughtException")setTimeout(()=>{process.kill(process.pid,"SIGTERM")},300)})')}`
    ]
  })
  t.equal(await daemon.exit, 0)
  t.equal(daemon.stdout() + daemon.stderr(), '')
})
