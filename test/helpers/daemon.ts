import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { PATIENCE_MS } from './patience.ts'

const CLI = fileURLToPath(new URL('../../bin/countersign.js', import.meta.url))

/** A process of the built executable. */
export interface Daemon {
  readonly pid: number
  readonly stdout: () => string
  readonly stderr: () => string
  /**
   * Resolves with the first log line of that message, or the `count`-th, parsed. Rejects where the process ends before, or where patience
   * runs out.
   */
  readonly line: (message: string, count?: number) => Promise<Record<string, unknown>>
  /** The log lines so far, parsed. */
  readonly lines: () => Array<Record<string, unknown>>
  /** Resolves with the match once stdout has it. */
  readonly shows: (pattern: RegExp) => Promise<RegExpExecArray>
  readonly kill: (signal: NodeJS.Signals) => void
  /** The exit status, or the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals>
}

export interface DaemonOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly node?: readonly string[]
  /** `ulimit -n` of the process. */
  readonly openFiles?: number
  /** A program that runs it, with its arguments. */
  readonly under?: readonly string[]
}

/** Starts the executable as a user would. The environment holds PATH and what is given, nothing else. */
export function startDaemon (args: readonly string[], { env = {}, cwd, node = [], openFiles, under = [] }: DaemonOptions = {}): Daemon {
  const [command = '', ...rest] = [
    ...under,
    ...(openFiles === undefined ? [] : ['/bin/sh', '-c', `ulimit -n ${openFiles}; exec "$@"`, 'sh']),
    process.execPath,
    ...node,
    CLI,
    ...args
  ]
  const child = spawn(command, rest, {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    ...(cwd !== undefined && { cwd }),
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const transcript = createTranscript()
  child.stdout.setEncoding('utf8').on('data', transcript.say)
  child.stderr.setEncoding('utf8').on('data', transcript.complain)
  const exit = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => {
      transcript.end()
      resolve(code ?? signal ?? -1)
    })
  })
  return { ...transcript.reader, pid: child.pid ?? -1, kill: (signal) => { child.kill(signal) }, exit }
}

/** What a daemon says, and those who wait for something of it. */
export interface Transcript {
  readonly say: (text: string) => void
  readonly complain: (text: string) => void
  readonly end: () => void
  readonly reader: Pick<Daemon, 'stdout' | 'stderr' | 'line' | 'lines' | 'shows'>
}

export function createTranscript (): Transcript {
  let stdout = ''
  let stderr = ''
  let ended = false
  // Parsed once each: whoever waits looks at all of them with every piece of text.
  const lines: Array<Record<string, unknown>> = []
  let parsed = 0
  const watchers = new Set<() => void>()
  const wake = (): void => { for (const watcher of watchers) watcher() }

  function until<T> (what: string, find: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => { fail(`no ${what} after ${PATIENCE_MS} ms`) }, PATIENCE_MS)
      const look = (): void => {
        const found = find()
        if (found !== undefined) finish(() => { resolve(found) })
        else if (ended) fail(`the process ended without ${what}`)
      }
      const finish = (settle: () => void): void => {
        clearTimeout(timer)
        watchers.delete(look)
        settle()
      }
      const fail = (why: string): void => { finish(() => { reject(new Error(`${why}\n--- stdout\n${stdout}\n--- stderr\n${stderr}`)) }) }
      watchers.add(look)
      look()
    })
  }

  function parse (): Array<Record<string, unknown>> {
    for (let end = stdout.indexOf('\n', parsed); end !== -1; end = stdout.indexOf('\n', parsed)) {
      lines.push(JSON.parse(stdout.slice(parsed, end)) as Record<string, unknown>)
      parsed = end + 1
    }
    return lines
  }

  return {
    say: (text) => {
      stdout += text
      wake()
    },
    complain: (text) => {
      stderr += text
    },
    end: () => {
      ended = true
      wake()
    },
    reader: {
      stdout: () => stdout,
      stderr: () => stderr,
      lines: () => [...parse()],
      line: (message, count = 1) =>
        until(`line ${JSON.stringify(message)}`, () => parse().filter((fields) => fields['msg'] === message)[count - 1]),
      shows: (pattern) => until(String(pattern), () => pattern.exec(stdout) ?? undefined)
    }
  }
}

/** Runs a command to its end. */
export async function runCommand (
  args: readonly string[],
  options: DaemonOptions = {}
): Promise<{ readonly status: number | NodeJS.Signals, readonly stdout: string, readonly stderr: string }> {
  const daemon = startDaemon(args, options)
  const status = await daemon.exit
  return { status, stdout: daemon.stdout(), stderr: daemon.stderr() }
}
