// A reader of stdout that stands still (docker's blocking log driver, a terminal that is stopped, a disk that is full) costs lines
// of requests, never service, memory or the end of the process (contract section 8).
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { call } from '../helpers/plain-client.ts'
import { startApi } from '../helpers/api.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))

interface Scene {
  readonly child: ChildProcess
  /** The exit status, or the signal that ended it. */
  readonly exit: Promise<unknown>
  readonly address: string
}

/** Starts `serve` on a socket, with a stdout of the test's. */
async function start (t: Test, stdout: number | 'pipe', under: readonly string[] = []): Promise<Scene> {
  const api = await startApi()
  const folder = temporaryFolder(t)
  const address = `unix:${folder}/proxy.sock`
  const config = join(folder, 'c.jsonc')
  writeFileSync(config, JSON.stringify({ listen: address, admin: `unix:${folder}/admin.sock`, routes: [{ prefix: '/', upstream: api.url }] }))
  const [command = '', ...args] = [...under, process.execPath, CLI, 'serve', '-c', config]
  const child = spawn(command, args, { stdio: ['ignore', stdout, 'ignore'] })
  const exit = once(child, 'exit').then(([code, signal]: unknown[]) => code ?? signal)
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
    await api.close()
  })
  await until('it to listen', () => call(`unix:${folder}/admin.sock`, '/live').then(({ status }) => status === 200, () => false))
  return { child, exit, address }
}

const LONG_PATH = `/${'x'.repeat(1500)}`

/** Far more lines than any buffer on the way holds. */
async function flood (address: string, count = 1500): Promise<void> {
  for (let sent = 0; sent < count; sent += 50) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => call(address, LONG_PATH)))
    if (answers.some(({ status }) => status !== 200)) throw new Error('a request was not served')
  }
}

function makePipe (t: Test): { readonly reader: number, readonly writer: number } {
  const path = join(temporaryFolder(t), 'stdout')
  spawnSync('mkfifo', [path])
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(path, constants.O_WRONLY)
  t.teardown(() => { closeSync(reader) })
  return { reader, writer }
}

function readAll (descriptor: number): string {
  const piece = Buffer.alloc(1024 * 1024)
  let text = ''
  try {
    for (let bytes = -1; bytes !== 0;) {
      bytes = readSync(descriptor, piece, 0, piece.length, null)
      text += piece.toString('utf8', 0, bytes)
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
  }
  return text
}

t.test('a pipe that nobody reads: everything is served, and what was left out is said once it is read', async (t) => {
  const { reader, writer } = makePipe(t)
  const { child, exit, address } = await start(t, writer)
  closeSync(writer)
  await flood(address)
  let text = ''
  await until('the loss to be told', () => {
    text += readAll(reader)
    return text.includes('log lines were left out')
  })
  const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line) as { msg: string, level: string, requestLines?: number })
  const told = lines.filter(({ msg }) => msg === 'log lines were left out, since their reader stood still')
  t.match(told, [{ level: 'warn', otherLines: 0 }])
  t.equal(lines.filter(({ msg }) => msg === 'request').length + (told[0]?.requestLines ?? 0), 1500, 'none is missing')
  child.kill('SIGTERM')
  t.equal(await exit, 0)
  t.match(readAll(reader), /"msg":"stopped"\}\n$/)
})

t.test('it ends in time, be its stdout a pipe, a socket or a full disk that takes no more', async (t) => {
  const { writer } = makePipe(t)
  const full = process.platform === 'linux' ? [['a full disk', openSync('/dev/full', 'w')]] as const : []
  for (const [name, stdout] of [['a pipe', writer], ['a socket', 'pipe'], ...full] as const) {
    const { child, exit, address } = await start(t, stdout)
    await flood(address, 800)
    child.kill('SIGTERM')
    t.equal(await exit, 0, name)
    if (typeof stdout === 'number') closeSync(stdout)
  }
})

t.test('a reader that went away, and a stdout that is closed, end nothing', async (t) => {
  const { reader, writer } = makePipe(t)
  const left = await start(t, writer)
  closeSync(writer)
  readAll(reader)
  const gone = await start(t, 'pipe')
  gone.child.stdout?.destroy()
  const closed = await start(t, 'pipe', ['/bin/sh', '-c', 'exec "$@" >&-', 'sh'])
  for (const { child, exit, address } of [left, gone, closed]) {
    await flood(address, 100)
    child.kill('SIGTERM')
    t.equal(await exit, 0)
  }
})

t.test('a terminal that was stopped does not stop the daemon', async (t) => {
  // script(1) gives it a terminal, and does not read on while its own stdout is not read.
  const { writer } = makePipe(t)
  if (spawnSync('script', ['-qec', 'true', '/dev/null']).status !== 0) {
    t.comment('this machine has no script(1) of util-linux')
    return
  }
  // Its pid, since whoever ends script(1) only closes the terminal.
  const pidFile = join(temporaryFolder(t), 'pid')
  const { address } = await start(t, writer, ['/bin/sh', '-c', `exec script -qec "echo \\$\\$ >${pidFile}; exec $*" /dev/null`, 'sh'])
  t.teardown(() => { process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL') })
  closeSync(writer)
  await flood(address, 300)
  t.equal((await call(address, '/')).status, 200)
})
