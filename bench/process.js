/** Starts the processes that are measured, and reads what the kernel counts of them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'

const START_MS = 60_000
const POLL_MS = 2
const STOP_MS = 10_000
const TICKS_A_SECOND = 100

/**
 * Starts a process and waits until it listens. One that is given a `port` is asked there until it takes a connection; any other
 * says on the first line of its stdout where it listens, as JSON. Returns `{ pid, child, said, listeningMs, stop }`.
 */
export async function startProcess (command, args, { env = {}, port, ipc = false } = {}) {
  const startedAt = performance.now()
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? ['ipc'] : [])],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env }
  })
  endWithUs(child)
  const failed = new AbortController()
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text) => { complaint = (complaint + text).slice(-2000) })
  child.once('error', (error) => { failed.abort(error) })
  child.once('exit', (status) => { failed.abort(new Error(`${command} ended with ${status}: ${complaint}`)) })
  const signal = AbortSignal.any([failed.signal, AbortSignal.timeout(START_MS)])
  const stop = () => end(child)
  try {
    const said = port === undefined ? JSON.parse(await nextLine(child, /^\{/, signal)) : { port: await accepting(port, child, signal) }
    return { pid: child.pid, child, said, listeningMs: performance.now() - startedAt, stop }
  } catch (error) {
    await stop()
    throw signal.reason ?? error
  }
}

/** Reads stdout up to a line that matches; what comes behind it is thrown away. */
export async function nextLine (child, pattern, signal = AbortSignal.timeout(START_MS)) {
  let text = ''
  let hear
  try {
    return await new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => { reject(signal.reason) }, { once: true })
      hear = (data) => {
        const lines = (text + data.toString()).split('\n')
        text = lines.pop()
        const line = lines.find((line) => pattern.test(line))
        if (line !== undefined) resolve(line)
      }
      child.stdout.on('data', hear)
    })
  } finally {
    child.stdout.off('data', hear).resume()
  }
}

/** A port that was free a moment ago, for programs that cannot tell which one they got. */
export async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/**
 * The CPU time of a process in microseconds, in `all` its threads and in the `main` one. The scheduler counts nanoseconds;
 * a kernel that does not tell them has ticks of 10 ms.
 */
export function readCpu (pid) {
  const threads = readdirSync(`/proc/${pid}/task`)
  const micros = Object.fromEntries(threads.map((thread) => [thread, threadMicros(`/proc/${pid}/task/${thread}`)]))
  return { all: Object.values(micros).reduce((sum, value) => sum + value, 0), main: micros[pid] }
}

/** Resident memory of a process in bytes, `now` and at its `peak`. */
export function readMemory (pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const read = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
  return { now: read('VmRSS'), peak: read('VmHWM') }
}

function threadMicros (folder) {
  try {
    return Number(readFileSync(`${folder}/schedstat`, 'utf8').split(' ')[0]) / 1000
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    return ticksOf(folder) / TICKS_A_SECOND * 1e6
  }
}

function ticksOf (folder) {
  try {
    // The name in parentheses may hold blanks; user and system time are the 12th and 13th field behind it.
    const fields = readFileSync(`${folder}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')
    return Number(fields[11]) + Number(fields[12])
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    return 0
  }
}

async function accepting (port, child, signal) {
  child.stdout.resume()
  while (true) {
    signal.throwIfAborted()
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return port
    } catch {
      await pause(POLL_MS)
    } finally {
      socket.destroy()
    }
  }
}

/** A defect of the benchmark leaves no process behind. */
function endWithUs (child) {
  const kill = () => { child.kill('SIGKILL') }
  process.once('exit', kill)
  child.once('exit', () => { process.off('exit', kill) })
}

async function end (child) {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const gone = once(child, 'exit')
  const timer = setTimeout(() => { child.kill('SIGKILL') }, STOP_MS)
  child.kill('SIGTERM')
  await gone
  clearTimeout(timer)
}
