// L1: a process leaves traces that no log line is: its environment, which threads, child processes and diagnostic reports
// inherit, and what Node prints of an error that nobody caught, with the error's properties and causes.
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand, startDaemon } from '../helpers/daemon.ts'
import { tracesOf } from '../helpers/canaries.ts'
import { call } from '../helpers/plain-client.ts'
import { startUpstream } from '../helpers/recording-upstream.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const random = (): string => randomBytes(18).toString('hex')

/** Options of Node that load code in front of the program. A file of its own, whose name alone stands in stacks. */
function preload (t: Test, code: string): string[] {
  const file = join(temporaryFolder(t), 'preload.mjs')
  writeFileSync(file, code)
  return ['--import', file]
}

/** Code that runs inside the program at SIGUSR2. */
function inside (t: Test, code: string): string[] {
  return preload(t, `process.once('SIGUSR2', () => { ${code} })`)
}

const CONFIG = (origin: string): string =>
  JSON.stringify({
    listen: '127.0.0.1:0',
    admin: 'off',
    callerToken: '${CALLER}',
    credentials: { one: { type: 'static', value: '${ONE}' }, two: { type: 'static', value: '${TWO}' } },
    routes: [
      { prefix: '/', upstream: origin, credential: 'one' },
      { prefix: '/two', upstream: origin, credential: 'two' }
    ]
  })

t.test('once it runs, the environment that others inherit and reports show has no secret', async (t) => {
  const upstream = await startUpstream(t)
  const secrets = { ONE: random(), CALLER: random(), TWO: random() }
  const dir = t.testdir({ 'c.jsonc': CONFIG(upstream.origin), two: `${secrets.TWO}\n` })
  const look = inside(
    t,
    `
    const { execFileSync } = process.getBuiltinModule('node:child_process')
    process.stdout.write(JSON.stringify({ msg: 'looked', env: process.env, child: execFileSync('env', { encoding: 'utf8' }), report: process.report.getReport() }) + '\\n')`
  )
  const daemon = startDaemon(['-c', `${dir}/c.jsonc`], {
    node: look,
    env: { ONE: secrets.ONE, CALLER: secrets.CALLER, TWO_FILE: `${dir}/two`, OTHER: 'stays' }
  })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const { address } = await daemon.line('listening')
  daemon.kill('SIGUSR2')
  const seen = await daemon.line('looked')
  t.match(seen['env'], { OTHER: 'stays', TWO_FILE: `${dir}/two` })
  t.same(tracesOf(JSON.stringify(seen), secrets), [])
  t.equal((await call(address, '/x', { headers: { 'X-Countersign-Token': secrets.CALLER } })).status, 200)
  t.equal(upstream.last.header('authorization'), `Bearer ${secrets.ONE}`, 'and yet they are known')
  if (process.platform === 'linux') {
    const initial = readFileSync(`/proc/${daemon.pid}/environ`, 'latin1')
    // Node cannot write there. Should this fail one day, the documentation has good news to tell.
    t.same(
      tracesOf(initial, secrets),
      ['ONE', 'CALLER'],
      "what the process was started with stays in the kernel's view; a secret that came by file was never there"
    )
  }
})

const BADLY = (secret: string): string =>
  `Object.assign(new TypeError('no ${secret}', { cause: new Error('deep ${secret}') }), { token: '${secret}', options: { headers: { authorization: '${secret}' } } })`

t.test('a defect ends the daemon, and its last words quote nothing', async (t) => {
  const upstream = await startUpstream(t)
  const secrets = { ONE: random(), CALLER: random(), TWO: random() }
  const dir = t.testdir({ 'c.jsonc': CONFIG(upstream.origin) })
  for (const code of [
    `throw ${BADLY(secrets.ONE)}`,
    `Promise.reject(${BADLY(secrets.ONE)})`,
    `Promise.reject('${secrets.ONE}')`,
    `new (process.getBuiltinModule('node:events'))().emit('error', '${secrets.ONE}')`
  ]) {
    const daemon = startDaemon(['-c', `${dir}/c.jsonc`], { node: inside(t, code), env: secrets })
    await daemon.line('listening')
    daemon.kill('SIGUSR2')
    t.match(await daemon.line('internal failure'), { level: 'fatal' })
    daemon.kill('SIGKILL')
    await daemon.exit
    t.same(tracesOf(daemon.stdout() + daemon.stderr(), secrets), [])
  }
})

/** Runs code once the program itself does. */
const running = (code: string): string =>
  `const timer = setInterval(() => { if (process.listenerCount('uncaughtException') > 0) { clearInterval(timer); ${code} } }, 1)`

t.test('so do the other commands, and what fails while one starts', async (t) => {
  const secrets = { ONE: random() }
  for (const [name, code] of [
    ['a timer', running(`throw ${BADLY(secrets.ONE)}`)],
    ['a promise', running(`Promise.reject(${BADLY(secrets.ONE)})`)],
    [
      'the command itself',
      `Object.defineProperty(process.stderr, 'write', { get () { if (!globalThis.once) { globalThis.once = true; throw ${BADLY(secrets.ONE)} } return process.stdout.write.bind(process.stdout) } })`
    ]
  ] as const) {
    const { status, stdout, stderr } = await runCommand(['wait', '--max', '20s', '--admin', '127.0.0.1:1'], { node: preload(t, code) })
    t.equal(status, 70, name)
    t.match(stdout + stderr, /^internal failure: \{"type":"TypeError","at":\[/m, name)
    t.same(tracesOf(stdout + stderr, secrets), [], name)
  }
})
