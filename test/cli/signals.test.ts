// Signals count from the first moment of a process to its last (contract section 8). Before Node runs the first line of a program
// nobody can hear one; each test begins at that line, when the handlers are registered.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDaemon, type Daemon, type DaemonOptions } from '../helpers/daemon.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const CONFIG = JSON.stringify({ listen: '127.0.0.1:0', admin: '127.0.0.1:0', routes: [{ prefix: '/', upstream: 'http://127.0.0.1:1' }] })

/** Runs code inside of the program once its first handler is there; SIGHUP's comes right behind those of SIGTERM and SIGINT. */
function atFirst (code: string): string[] {
  return ['--import', `data:text/javascript,${encodeURIComponent(`process.on('newListener', (name) => { if (name === 'SIGHUP') setImmediate(() => { ${code} }) })`)}`]
}

const sending = (signal: string, afterMs = 0): string[] => atFirst(`setTimeout(() => { process.kill(process.pid, '${signal}') }, ${afterMs})`)

function start (t: Test, args: readonly string[], options: DaemonOptions = {}): Daemon {
  const daemon = startDaemon(args, options)
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  return daemon
}

function configFile (t: Test, config: string = CONFIG): string {
  return join(t.testdir({ 'c.jsonc': config }), 'c.jsonc')
}

/** A server that takes connections and never answers. */
async function startSilence (t: Test): Promise<{ readonly url: string, readonly connected: Promise<unknown> }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => { sockets.add(socket.on('error', () => {})) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connected: once(server, 'connection') }
}

const MOMENTS = [0, 40, 120, 300]

t.test('SIGTERM and SIGINT end serve and demo with 0 at whatever moment they come', async (t) => {
  const file = configFile(t)
  for (const args of [['serve', '-c', file], ['demo', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']]) {
    for (const [index, afterMs] of MOMENTS.entries()) {
      const signal = index % 2 === 0 ? 'SIGTERM' : 'SIGINT'
      const daemon = start(t, args, { node: sending(signal, afterMs) })
      t.equal(await daemon.exit, 0, `${args[0] ?? ''}, ${signal} after ${afterMs} ms`)
      t.equal(daemon.stderr(), '')
    }
  }
})

t.test('a signal in the moment of a log line ends it with 0', async (t) => {
  const file = configFile(t)
  for (const message of ['listening', 'ready']) {
    const daemon = start(t, ['serve', '-c', file])
    await daemon.line(message)
    daemon.kill('SIGTERM')
    t.equal(await daemon.exit, 0, message)
    t.equal(daemon.lines().at(-1)?.['msg'], 'stopped')
  }
})

t.test('every other command ends at once, with the status of the signal', async (t) => {
  const { url } = await startSilence(t)
  const admin = url.slice('http://'.length)
  const file = configFile(t)
  for (const args of [['wait', '--max', '60s', '--admin', admin], ['status', '--admin', admin], ['healthcheck', '--admin', admin], ['attack', '-c', file]]) {
    for (const [signal, status] of [['SIGTERM', 143], ['SIGINT', 130], ['SIGHUP', 129]] as const) {
      for (const afterMs of signal === 'SIGINT' ? [0] : [150]) t.equal(await start(t, args, { node: sending(signal, afterMs) }).exit, status, `${args[0] ?? ''}, ${signal} after ${afterMs} ms`)
    }
  }
})

t.test('SIGHUP is remembered: whenever it comes there is a reload, and nothing ends', async (t) => {
  const file = configFile(t)
  for (const afterMs of MOMENTS) {
    const daemon = start(t, ['serve', '-c', file], { node: sending('SIGHUP', afterMs) })
    await daemon.line('configuration reloaded')
    t.match(await daemon.line('reloading'), { reason: 'SIGHUP' })
    daemon.kill('SIGTERM')
    t.equal(await daemon.exit, 0, `after ${afterMs} ms`)
    t.equal(daemon.lines().filter(({ msg }) => msg === 'reloading').length, 1)
  }
})

t.test('a terminal that is closed ends the demo, and its secrets are gone; so they are after a second signal', async (t) => {
  for (const [signals, status] of [[['SIGHUP'], 0], [['SIGINT'], 0], [['SIGTERM', 'SIGTERM'], 143]] as const) {
    const demo = start(t, ['demo', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'])
    const [, file = ''] = await demo.shows(/configuration +(\S+)/)
    t.ok(existsSync(file))
    for (const signal of signals) demo.kill(signal)
    const ended = await demo.exit
    // The first may have ended it before the second came.
    t.ok(ended === status || ended === 0, `${signals.join()}: ${ended}`)
    t.notOk(existsSync(file), signals.join())
  }
})

t.test('SIGUSR1 and SIGUSR2 do nothing, from the first moment on and in every command', async (t) => {
  const file = configFile(t)
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) {
    for (const afterMs of [0, 100]) {
      const daemon = start(t, ['serve', '-c', file], { node: sending(signal, afterMs) })
      await daemon.line('ready')
      daemon.kill(signal)
      daemon.kill('SIGHUP')
      await daemon.line('configuration reloaded')
      daemon.kill('SIGTERM')
      t.equal(await daemon.exit, 0, signal)
      t.equal(daemon.stderr(), '', 'no debugger')
    }
    const wait = start(t, ['wait', '--max', '1s', '--admin', '127.0.0.1:1'], { node: sending(signal) })
    t.equal(await wait.exit, 1)
    t.notMatch(wait.stderr(), /Debugger/)
  }
})

t.test('a debugger that a SIGUSR1 has opened before the program began is closed; one that was asked for stays', async (t) => {
  const file = configFile(t)
  const opening = ['--import', 'data:text/javascript,process.getBuiltinModule("node:inspector").open(0,"127.0.0.1")']
  const portOf = (daemon: Daemon): number => Number(/ws:\/\/127\.0\.0\.1:(\d+)/.exec(daemon.stderr())?.[1])
  const isOpen = async (port: number): Promise<boolean> => await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => { resolve(true) }).on('error', () => { resolve(false) })
    socket.on('connect', () => { socket.destroy() })
  })
  const unasked = start(t, ['serve', '-c', file], { node: opening })
  await unasked.line('listening')
  t.notOk(await isOpen(portOf(unasked)))
  for (const options of [{ node: ['--inspect=0'] }, { env: { NODE_OPTIONS: '--inspect=0' } }]) {
    const asked = start(t, ['serve', '-c', file], options)
    await asked.line('listening')
    t.ok(await isOpen(portOf(asked)))
  }
})

t.test('SIGTERM during the first login ends it, whatever the login has come to', async (t) => {
  const { url, connected } = await startSilence(t)
  const credentials = {
    oauth: { type: 'oauth2', tokenUrl: `${url}/token`, clientId: 'id', clientSecret: 'secret' },
    pool: { type: 'cognito', userPoolId: 'eu-west-1_AbCdEf123', clientId: 'id', username: 'user', password: 'password', endpoint: url }
  }
  for (const [name, credential] of Object.entries(credentials)) {
    const file = configFile(t, JSON.stringify({ listen: '127.0.0.1:0', admin: '127.0.0.1:0', shutdownTimeoutMs: 60_000, credentials: { [name]: credential }, routes: [{ prefix: '/', upstream: url, credential: name }] }))
    // At once, so that the modules of a login are still being read; and a little later.
    for (const afterMs of [0, 5, 60]) {
      const daemon = start(t, ['serve', '-c', file], {
        node: ['--import', `data:text/javascript,${encodeURIComponent(`
        const { write } = process.stdout
        process.getBuiltinModule('node:fs').writeSync = new Proxy(process.getBuiltinModule('node:fs').writeSync, { apply (target, self, args) {
          if (String(args[1]).includes('"listening"')) setTimeout(() => { process.kill(process.pid, 'SIGTERM') }, ${afterMs})
          return Reflect.apply(target, self, args)
        } })
        process.getBuiltinModule('node:module').syncBuiltinESMExports()`)}`]
      })
      t.equal(await daemon.exit, 0, `${name}, ${afterMs} ms after it listens`)
      t.equal(daemon.lines().at(-1)?.['msg'], 'stopped', 'it did not have to be left behind')
    }
  }
  await connected
})

t.test('a thread that hangs, as in the lookup of a name, does not keep it from ending', {
  skip: typeof Reflect.get(process, 'execve') === 'function' ? false : 'Node can replace a process from 22.15 on'
}, async (t) => {
  const pipe = join(temporaryFolder(t), 'nobody-writes')
  spawnSync('mkfifo', [pipe])
  // Opening it waits for a writer in a thread of libuv's, as getaddrinfo does for a resolver.
  const hanging = atFirst(`process.getBuiltinModule('node:fs').open('${pipe}', 'r', () => {})`)
  for (const args of [['serve', '-c', configFile(t)], ['demo', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']]) {
    const daemon = start(t, args, { node: hanging })
    await daemon.shows(/listening|curl/)
    daemon.kill('SIGTERM')
    t.equal(await daemon.exit, 0)
    t.match(daemon.stdout(), /stopped|has ended/)
  }
  const wait = start(t, ['wait', '--max', '60s', '--admin', '127.0.0.1:1'], { node: [...hanging, ...sending('SIGTERM', 200)] })
  t.equal(await wait.exit, 143)
})

t.test('what hangs while it stops is left behind when the drain time is over', async (t) => {
  const { url, connected } = await startSilence(t)
  const file = configFile(t, JSON.stringify({ listen: '127.0.0.1:0', admin: '127.0.0.1:0', shutdownTimeoutMs: 300, routes: [{ prefix: '/', upstream: url }] }))
  // No connection is ever said to be closed.
  const daemon = start(t, ['serve', '-c', file], { node: ['--import', 'data:text/javascript,process.getBuiltinModule("node:net").Server.prototype.close=function(){return this}'] })
  const { address } = await daemon.line('listening')
  const [host = '', port = ''] = String(address).split(':')
  const socket = connect(Number(port), host).on('error', () => {})
  socket.write(`GET / HTTP/1.1\r\nHost: ${String(address)}\r\n\r\n`)
  await connected
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
  t.match(daemon.lines().at(-1), { level: 'warn', msg: 'something still hangs, the process ends without it' })
  socket.destroy()
})

t.test('as process 1 it hears signals as well', async (t) => {
  const isolated = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']
  if (process.platform !== 'linux' || spawnSync(isolated[0] ?? '', [...isolated.slice(1), 'true']).status !== 0) {
    t.comment('this machine lets nobody be process 1')
    return
  }
  const file = configFile(t)
  for (const [signal, status] of [['SIGTERM', 0], ['SIGINT', 0]] as const) {
    for (const afterMs of [0, 300]) {
      const daemon = start(t, ['serve', '-c', file], { under: isolated, node: sending(signal, afterMs) })
      t.equal(await daemon.exit, status, `${signal} after ${afterMs} ms`)
    }
  }
  t.equal(await start(t, ['wait', '--admin', '127.0.0.1:1'], { under: isolated, node: sending('SIGTERM', 50) }).exit, 143)
})

t.test('the entry imports nothing in front of its handlers', async (t) => {
  const text = readFileSync(new URL('../../src/cli.ts', import.meta.url), 'utf8')
  t.same([...text.matchAll(/^import .* from '(.*)'/gm)].map(([, name]) => name), ['./cli/signals.ts'])
})
