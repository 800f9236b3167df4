/**
 * Descriptors run out (R1): every connection is an open file, and behind `ulimit -n` accept() and connect() fail alike. A
 * server that does not expect it crashes, or spins on accept() with a full CPU; one whose limits were set without looking
 * at `ulimit -n` lets a crowd at the proxy's port keep probes out, and the orchestrator ends what only was busy.
 *
 * Clients over what fits hear 503, probes are answered all along, and where descriptors are gone for another reason,
 * requests hear 503, the process waits without work, and everything is as before once there are some again.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDaemon, type Daemon } from '../helpers/daemon.ts'
import { connectRaw, message, rawRequest, type RawClient } from '../helpers/raw-client.ts'
import { OK, startUpstream, type RecordingUpstream } from '../helpers/recording-upstream.ts'
import { until } from '../helpers/until.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const FILES = 320
const CROWD = 400
const needed = existsSync('/proc/self/limits') && works('prlimit', '--version')
const skip = needed ? false : 'no /proc, or no prlimit'

t.test('a crowd over ulimit -n hears 503, probes do not notice it', { skip }, async (t) => {
  const { daemon, port, adminPort } = await start(t)
  t.match(
    await daemon.line('fewer connections than limits.connections are served, since this process may open so few files; raise ulimit -n'),
    { level: 'warn', openFiles: FILES, connections: 64 }
  )
  const kept: RawClient[] = []
  const crowd = await Promise.all(Array.from({ length: CROWD }, () => connectRaw(port).catch(() => undefined)))
  for (const client of crowd) {
    if (client === undefined) continue
    client.send(get(port, '/kept'))
    const response = await client.response().catch(() => undefined)
    if (response?.statusCode === 200) kept.push(client)
    else if (response !== undefined) t.match(response, { statusCode: 503, text: /CS_OVERLOADED/ })
    if (response?.statusCode !== 200) client.destroy()
    if (kept.length % 16 === 0) t.equal((await rawRequest(adminPort, get(adminPort, '/live'))).statusCode, 200)
  }
  t.equal(kept.length, 64)
  t.equal((await rawRequest(adminPort, get(adminPort, '/ready'))).statusCode, 200)
  for (const client of kept) {
    client.send(get(port, '/again'))
    t.equal((await client.response()).statusCode, 200)
    client.destroy()
  }
  await isServed(t, port)
})

t.test('without a single descriptor left nothing crashes or spins, and it recovers', { skip }, async (t) => {
  const { daemon, upstream, port, adminPort } = await start(t)
  upstream.respond = ({ target }) => target === '/held' ? undefined : OK
  const [held, client, probe] = await Promise.all([connectRaw(port), connectRaw(port), connectRaw(adminPort)])
  held.send(get(port, '/held'))
  await upstream.until(() => upstream.exchanges.length === 1)
  const open = new Set(readdirSync(`/proc/${daemon.pid}/fd`).map(Number))
  limitFiles(daemon, Array.from({ length: FILES }, (_, file) => file).find((file) => !open.has(file)) ?? FILES)

  const before = cpuMs(daemon.pid)
  for (let turn = 0; turn < 50; turn++) {
    // What cannot be accepted is closed at once, and the process goes on.
    const lost = await connectRaw(port).catch(() => undefined)
    lost?.send(get(port, '/lost'))
    t.equal((await lost?.rest())?.length ?? 0, 0)
    client.send(get(port, '/x'))
    const refused = await client.response()
    t.match(refused, { statusCode: 503, complete: true })
    t.match(JSON.parse(refused.text), { code: 'CS_OVERLOADED', message: /ulimit -n/ })
    t.match(refused.header('retry-after'), /^\d+$/)
    probe.send(get(adminPort, '/live'))
    t.equal((await probe.response()).statusCode, 200)
  }
  const spent = cpuMs(daemon.pid) - before
  t.ok(spent < 3000, `${spent} ms of CPU for 50 turns`)
  t.equal(upstream.exchanges.length, 1)

  limitFiles(daemon, FILES)
  upstream.last.send(OK)
  t.equal((await held.response()).statusCode, 200, 'what was under way is not disturbed')
  await isServed(t, port)
  for (const one of [held, client, probe]) one.destroy()
})

async function start (
  t: Test
): Promise<{ readonly daemon: Daemon, readonly upstream: RecordingUpstream, readonly port: number, readonly adminPort: number }> {
  const upstream = await startUpstream(t)
  const folder = temporaryFolder(t)
  const file = join(folder, 'countersign.jsonc')
  writeFileSync(
    file,
    `{ "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "routes": [{ "prefix": "/", "upstream": "${upstream.origin}" }] }`
  )
  const daemon = startDaemon(['serve', '-c', file], { cwd: folder, openFiles: FILES })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const { address, admin } = await daemon.line('listening')
  return { daemon, upstream, port: portOf(address), adminPort: portOf(admin) }
}

/** The limit of a running process; only the soft one, since that may be raised again. */
function limitFiles (daemon: Daemon, files: number): void {
  execFileSync('prlimit', ['--pid', String(daemon.pid), `--nofile=${files}:`])
}

/** User and system time of a process so far: fields 14 and 15 of /proc/PID/stat, in hundredths of a second. */
function cpuMs (pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

async function isServed (t: Test, port: number): Promise<void> {
  const response = await until('it to serve', async () => {
    const response = await rawRequest(port, get(port, '/x')).catch(() => undefined)
    return response?.statusCode === 200 && response
  })
  t.equal(response.statusCode, 200, 'as before')
}

function get (port: number, path: string): string {
  return message(`GET ${path} HTTP/1.1`, [`Host: 127.0.0.1:${port}`])
}

function portOf (address: unknown): number {
  return Number(String(address).split(':').at(-1))
}

function works (command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
