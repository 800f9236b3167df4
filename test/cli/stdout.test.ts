// A reader of stdout that stands still (docker's blocking log driver, a terminal that is stopped, a disk that is full) costs lines
// of requests, never service, memory or the end of the process (contract section 8).
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { call } from '../helpers/plain-client.ts'
import { startApi } from '../helpers/api.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

const CLI = fileURLToPath(new URL('../../bin/countersign.js', import.meta.url))

interface Scene {
  readonly child: ChildProcess
  /** The exit status, or the signal that ended it. */
  readonly exit: Promise<unknown>
  readonly address: string
}

/** Starts `serve` on a socket, with a stdout of the test's. */
async function start (t: Test, stdout: number | 'pipe', under: readonly string[] = [], node: readonly string[] = []): Promise<Scene> {
  const api = await startApi()
  const folder = temporaryFolder(t)
  const address = `unix:${folder}/proxy.sock`
  const config = join(folder, 'c.jsonc')
  writeFileSync(
    config,
    JSON.stringify({ listen: address, admin: `unix:${folder}/admin.sock`, routes: [{ prefix: '/', upstream: api.url }] })
  )
  const [command = '', ...args] = [...under, process.execPath, ...node, CLI, 'serve', '-c', config]
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

// As much of a path as a line of the log shows.
const LONG_PATH = `/${'x'.repeat(511)}`

/**
 * Makes lines of some 640 bytes, by requests that are sent without waiting for responses. Resolves once all of them are answered with 200.
 */
async function flood (address: string, count: number): Promise<void> {
  const socket = connect(address.slice('unix:'.length)).setEncoding('latin1')
  let text = ''
  let served = 0
  socket.write(`GET ${LONG_PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(count))
  for await (const piece of socket) {
    const heads = (text + String(piece)).split('HTTP/1.1 200 OK\r\n')
    served += heads.length - 1
    // A head may come in two pieces.
    text = heads.at(-1)?.slice(-20) ?? ''
    if (served === count) return
  }
  throw new Error(`${count - served} requests were not served`)
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

// Some 1.6 MB of lines: more than waits for a reader at most, and what a pipe holds besides.
const FAR_TOO_MANY = 2500
// 130 KB, into a pipe of 64 KiB.
const MORE_THAN_FITS = 200

t.test('a pipe that nobody reads: everything is served, and what was left out is said once it is read', async (t) => {
  const { reader, writer } = makePipe(t)
  const { child, exit, address } = await start(t, writer)
  closeSync(writer)
  await flood(address, FAR_TOO_MANY)
  let text = ''
  await until('the loss to be told', () => {
    text += readAll(reader)
    return text.includes('log lines were left out')
  })
  const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line) as { msg: string, level: string, requestLines?: number })
  const told = lines.filter(({ msg }) => msg === 'log lines were left out, since their reader stood still')
  t.match(told, [{ level: 'warn', otherLines: 0 }])
  t.equal(lines.filter(({ msg }) => msg === 'request').length + (told[0]?.requestLines ?? 0), FAR_TOO_MANY, 'none is missing')
  child.kill('SIGTERM')
  t.equal(await exit, 0)
  t.match(readAll(reader), /"msg":"stopped"\}\n$/)
})

t.test('it ends in time, be its stdout a pipe, a socket or a full disk that takes no more', async (t) => {
  const { writer } = makePipe(t)
  const full = process.platform === 'linux' ? [['a full disk', openSync('/dev/full', 'w'), 20]] as const : []
  await Promise.all(
    ([['a pipe', writer, MORE_THAN_FITS], ['a socket', 'pipe', 3 * MORE_THAN_FITS], ...full] as const).map(
      async ([name, stdout, count]) => {
        const { child, exit, address } = await start(t, stdout)
        await flood(address, count)
        child.kill('SIGTERM')
        t.equal(await exit, 0, name)
        if (typeof stdout === 'number') closeSync(stdout)
      }
    )
  )
})

t.test('why it ends by a defect of ours is there for a reader that goes on, behind all that waits', async (t) => {
  const { reader, writer } = makePipe(t)
  const defect = ['--import', 'data:text/javascript,process.on("SIGUSR2",()=>{throw new Error("a defect")})']
  const { child, exit, address } = await start(t, writer, [], defect)
  closeSync(writer)
  await flood(address, MORE_THAN_FITS)
  child.kill('SIGUSR2')
  let text = ''
  await until('its last line', () => {
    text += readAll(reader)
    return text.includes('internal failure')
  })
  t.equal(text.split('"msg":"request"').length - 1, MORE_THAN_FITS)
  t.equal(await exit, 70)
})

t.test('a reader that went away, and a stdout that is closed, end nothing', async (t) => {
  const { reader, writer } = makePipe(t)
  const left = await start(t, writer)
  closeSync(writer)
  readAll(reader)
  const [gone, closed] = await Promise.all([start(t, 'pipe'), start(t, 'pipe', ['/bin/sh', '-c', 'exec "$@" >&-', 'sh'])])
  gone.child.stdout?.destroy()
  await Promise.all([left, gone, closed].map(async ({ child, exit, address }) => {
    await flood(address, 100)
    child.kill('SIGTERM')
    t.equal(await exit, 0)
  }))
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
  await flood(address, MORE_THAN_FITS)
  t.equal((await call(address, '/')).status, 200)
})
