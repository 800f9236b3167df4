// Signals count from the first moment of a process to its last (contract section 8). Before Node runs the first line of a program
// nobody can hear one; each test begins at that line, when the handlers are registered.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDaemon, type Daemon, type DaemonOptions } from '../helpers/daemon.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const CONFIG = JSON.stringify({ listen: '127.0.0.1:0', admin: '127.0.0.1:0', routes: [{ prefix: '/', upstream: 'http://127.0.0.1:1' }] })

/** Runs code inside of the program once its first handler is there; SIGHUP's comes right behind those of SIGTERM and SIGINT. */
function atFirst (code: string): string[] {
  return [
    '--import',
    `data:text/javascript,${encodeURIComponent(`process.on('newListener', (name) => { if (name === 'SIGHUP') setImmediate(() => { ${code} }) })`)}`
  ]
}

const DEMO = ['demo', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']

const sending = (signal: string, afterMs = 0): string[] =>
  atFirst(`setTimeout(() => { process.kill(process.pid, '${signal}') }, ${afterMs})`)

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

/** Runs code inside of the program when it first calls a function of Node's for which `when` holds. */
function atCall (module: string, name: string, when: string, code: string): string[] {
  return ['--import', `data:text/javascript,${encodeURIComponent(`
    const module = process.getBuiltinModule('${module}')
    let done = false
    module.${name} = new Proxy(module.${name}, { apply (target, self, args) {
      if (!done && ${when}) {
        done = true
        ${code}
      }
      return Reflect.apply(target, self, args)
    } })
    process.getBuiltinModule('node:module').syncBuiltinESMExports()`)}`]
}

// Moments of a start that cannot be seen from outside. Those that can follow below: each log line, the first login, the end.
const MOMENTS: Readonly<Record<string, (signal: string) => string[]>> = {
  'while modules are read': (signal) => sending(signal),
  'while the configuration is read': (signal) =>
    atCall('node:fs', 'openSync', 'String(args[0]).includes(".json")', `process.kill(process.pid, '${signal}')`),
  'as it begins to listen': (signal) => atCall('node:http', 'createServer', 'true', `process.kill(process.pid, '${signal}')`)
}

t.test('SIGTERM and SIGINT end serve and demo with 0 at whatever moment they come', async (t) => {
  const file = configFile(t)
  const moments = Object.entries(MOMENTS)
  for (const [args, count] of [[['serve', '-c', file], moments.length], [DEMO, 2]] as const) {
    await Promise.all(moments.slice(0, count).map(async ([moment, at], index) => {
      const signal = index % 2 === 0 ? 'SIGTERM' : 'SIGINT'
      const daemon = start(t, args, { node: at(signal) })
      t.equal(await daemon.exit, 0, `${args[0] ?? ''}, ${signal} ${moment}`)
      t.equal(daemon.stderr(), '')
    }))
  }
})

t.test('a signal in the moment of a log line ends it with 0', async (t) => {
  const file = configFile(t)
  await Promise.all(['listening', 'ready'].map(async (message) => {
    const daemon = start(t, ['serve', '-c', file])
    await daemon.line(message)
    daemon.kill('SIGTERM')
    t.equal(await daemon.exit, 0, message)
    t.equal(daemon.lines().at(-1)?.['msg'], 'stopped')
  }))
})

t.test('every other command ends at once, with the status of the signal', async (t) => {
  const { url } = await startSilence(t)
  const admin = url.slice('http://'.length)
  const file = configFile(t)
  const wait = ['wait', '--max', '60s', '--admin', admin]
  const status = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 }
  const cases = [
    [wait, 'SIGTERM', 0],
    [wait, 'SIGINT', 150],
    [wait, 'SIGHUP', 0],
    [['status', '--admin', admin], 'SIGINT', 0],
    [['healthcheck', '--admin', admin], 'SIGTERM', 150],
    [['attack', '-c', file], 'SIGHUP', 150]
  ] as const
  await Promise.all(cases.map(async ([args, signal, afterMs]) => {
    t.equal(await start(t, args, { node: sending(signal, afterMs) }).exit, status[signal], `${args[0]}, ${signal} after ${afterMs} ms`)
  }))
})

t.test('SIGHUP is remembered: whenever it comes there is a reload, and nothing ends', async (t) => {
  const file = configFile(t)
  await Promise.all(Object.entries(MOMENTS).slice(0, 2).map(async ([moment, at]) => {
    const daemon = start(t, ['serve', '-c', file], { node: at('SIGHUP') })
    await daemon.line('configuration reloaded')
    t.match(await daemon.line('reloading'), { reason: 'SIGHUP' })
    daemon.kill('SIGTERM')
    t.equal(await daemon.exit, 0, moment)
    t.equal(daemon.lines().filter(({ msg }) => msg === 'reloading').length, 1)
  }))
})

t.test('a terminal that is closed ends the demo, and its secrets are gone; so they are after a second signal', async (t) => {
  await Promise.all(([[['SIGHUP'], 0], [['SIGTERM', 'SIGTERM'], 143]] as const).map(async ([signals, status]) => {
    const demo = start(t, DEMO)
    const [, file = ''] = await demo.shows(/configuration +(\S+)/)
    t.ok(existsSync(file))
    for (const signal of signals) demo.kill(signal)
    const ended = await demo.exit
    // The first may have ended it before the second came.
    t.ok(ended === status || ended === 0, `${signals.join()}: ${ended}`)
    t.notOk(existsSync(file), signals.join())
  }))
})

t.test('SIGUSR1 and SIGUSR2 do nothing, from the first moment on and in every command', async (t) => {
  const file = configFile(t)
  await Promise.all((['SIGUSR1', 'SIGUSR2'] as const).map(async (signal) => {
    const daemon = start(t, ['serve', '-c', file], { node: sending(signal) })
    await daemon.line('ready')
    daemon.kill(signal)
    daemon.kill('SIGHUP')
    await daemon.line('configuration reloaded')
    daemon.kill('SIGTERM')
    t.equal(await daemon.exit, 0, signal)
    t.equal(daemon.stderr(), '', 'no debugger')
    const wait = start(t, ['wait', '--max', '100ms', '--admin', '127.0.0.1:1'], { node: sending(signal) })
    t.equal(await wait.exit, 1)
    t.notMatch(wait.stderr(), /Debugger/)
  }))
})

t.test('a debugger that a SIGUSR1 has opened before the program began is closed; one that was asked for stays', async (t) => {
  const file = configFile(t)
  const opening = ['--import', 'data:text/javascript,process.getBuiltinModule("node:inspector").open(0,"127.0.0.1")']
  const portOf = (daemon: Daemon): number => Number(/ws:\/\/127\.0\.0\.1:(\d+)/.exec(daemon.stderr())?.[1])
  const isOpen = async (port: number): Promise<boolean> => await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => { resolve(true) }).on('error', () => { resolve(false) })
    socket.on('connect', () => { socket.destroy() })
  })
  await Promise.all([{ node: opening }, { node: ['--inspect=0'] }, { env: { NODE_OPTIONS: '--inspect=0' } }].map(async (options) => {
    const daemon = start(t, ['serve', '-c', file], options)
    await daemon.line('listening')
    t.equal(await isOpen(portOf(daemon)), options.node !== opening)
  }))
})

t.test('SIGTERM during the first login ends it, whatever the login has come to', async (t) => {
  const credentials = {
    oauth: (url: string) => ({ type: 'oauth2', tokenUrl: `${url}/token`, clientId: 'id', clientSecret: 'secret' }),
    pool: (url: string) => ({
      type: 'cognito',
      userPoolId: 'eu-west-1_AbCdEf123',
      clientId: 'id',
      username: 'user',
      password: 'password',
      endpoint: url
    })
  }
  for (const [name, credentialAt] of Object.entries(credentials)) {
    const { url, connected } = await startSilence(t)
    const file = configFile(
      t,
      JSON.stringify({
        listen: '127.0.0.1:0',
        admin: '127.0.0.1:0',
        shutdownTimeoutMs: 60_000,
        credentials: { [name]: credentialAt(url) },
        routes: [{ prefix: '/', upstream: url, credential: name }]
      })
    )
    const ends = async (daemon: Daemon, when: string): Promise<void> => {
      t.equal(await daemon.exit, 0, `${name}, ${when}`)
      t.equal(daemon.lines().at(-1)?.['msg'], 'stopped', 'it did not have to be left behind')
    }
    const waiting = start(t, ['serve', '-c', file])
    await connected
    waiting.kill('SIGTERM')
    await ends(waiting, 'while it waits for a response')
    // At once, so that the modules of a login are still being read; and a little later.
    await Promise.all([0, 60].map(async (afterMs) => {
      const killing = `setTimeout(() => { process.kill(process.pid, 'SIGTERM') }, ${afterMs})`
      await ends(
        start(t, ['serve', '-c', file], { node: atCall('node:fs', 'writeSync', 'String(args[1]).includes(\'"listening"\')', killing) }),
        `${afterMs} ms after it listens`
      )
    }))
  }
})

t.test('a thread that hangs, as in the lookup of a name, does not keep it from ending', {
  skip: typeof Reflect.get(process, 'execve') === 'function' ? false : 'Node can replace a process from 22.15 on'
}, async (t) => {
  const pipe = join(temporaryFolder(t), 'nobody-writes')
  // Where it runs need not be there any more when it ends.
  const gone = temporaryFolder(t)
  spawnSync('mkfifo', [pipe])
  // Opening it waits for a writer in a thread of libuv's, as getaddrinfo does for a resolver.
  const hanging = atFirst(`process.getBuiltinModule('node:fs').open('${pipe}', 'r', () => {})`)
  for (const args of [['serve', '-c', configFile(t)], DEMO]) {
    const daemon = start(t, args, { node: hanging, cwd: gone })
    await daemon.shows(/listening|curl/)
    rmSync(gone, { recursive: true, force: true })
    daemon.kill('SIGTERM')
    t.equal(await daemon.exit, 0)
    t.match(daemon.stdout(), /stopped|has ended/)
    t.equal(daemon.stderr(), '')
    mkdirSync(gone)
  }
  const wait = start(t, ['wait', '--max', '60s', '--admin', '127.0.0.1:1'], { node: [...hanging, ...sending('SIGTERM', 200)] })
  t.equal(await wait.exit, 143)
})

t.test('what hangs while it stops is left behind when the drain time is over', async (t) => {
  const { url, connected } = await startSilence(t)
  const file = configFile(
    t,
    JSON.stringify({ listen: '127.0.0.1:0', admin: '127.0.0.1:0', shutdownTimeoutMs: 300, routes: [{ prefix: '/', upstream: url }] })
  )
  // No connection is ever said to be closed.
  const daemon = start(t, ['serve', '-c', file], {
    node: ['--import', 'data:text/javascript,process.getBuiltinModule("node:net").Server.prototype.close=function(){return this}']
  })
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
  t.equal(await start(t, ['serve', '-c', file], { under: isolated, node: sending('SIGTERM') }).exit, 0)
  t.equal(await start(t, ['wait', '--admin', '127.0.0.1:1'], { under: isolated, node: sending('SIGTERM', 50) }).exit, 143)
})

t.test('the entry imports nothing in front of its handlers', async (t) => {
  const text = readFileSync(new URL('../../src/cli.ts', import.meta.url), 'utf8')
  t.same([...text.matchAll(/^import .* from '(.*)'/gm)].map(([, name]) => name), ['./cli/signals.ts'])
})
