import { interpret, type ProcessContext } from '#src/cli/main.ts'
import type { Signals } from '#src/cli/signals.ts'
import { LineWriter } from '#src/line-writer.ts'
import { createTranscript, type Daemon, type DaemonOptions, type Transcript } from './daemon.ts'

// What the executable says and does is proved here without a process for each case: a start costs a hundred times what most of
// them cost. What is a process's own (signals, exit, memory, descriptors, its environment) wants `startDaemon` and `runCommand`.

type HereOptions = Pick<DaemonOptions, 'env' | 'cwd'>

/** Nobody sends any. */
const QUIET: Signals = { ended: new Promise(() => {}), first: () => undefined, onHangUp: () => () => {} }

/** Runs a command to its end as the executable would, in this process. Not for daemons that start. */
export async function interpretCommand (
  args: readonly string[],
  options: HereOptions = {}
): Promise<{ readonly status: number, readonly stdout: string, readonly stderr: string }> {
  const transcript = createTranscript()
  const status = await interpret(args, surroundingsOf(transcript, QUIET, options))
  return { status, stdout: transcript.reader.stdout(), stderr: transcript.reader.stderr() }
}

/** Runs a daemon as the executable would, in this process; SIGKILL ends it as SIGTERM does. */
export function interpretDaemon (args: readonly string[], options: HereOptions = {}): Daemon {
  const transcript = createTranscript()
  const { signals, send } = createSignals()
  const exit = interpret(args, surroundingsOf(transcript, signals, options)).finally(transcript.end)
  // Whoever asks is told; nobody has to.
  exit.catch(() => {})
  return { ...transcript.reader, pid: process.pid, kill: send, exit }
}

function surroundingsOf ({ say, complain }: Transcript, signals: Signals, { env = {}, cwd = process.cwd() }: HereOptions): ProcessContext {
  const openOutput = (descriptor: 1 | 2): LineWriter => new LineWriter((bytes) => {
    const hear = descriptor === 1 ? say : complain
    hear(Buffer.from(bytes).toString('utf8'))
    return bytes.length
  })
  return { env, cwd, hide: () => {}, stdout: { write: say }, stderr: { write: complain }, openOutput, signals }
}

function createSignals (): { readonly signals: Signals, readonly send: (signal: NodeJS.Signals) => void } {
  let first: NodeJS.Signals | undefined
  let end = (_signal: NodeJS.Signals): void => {}
  let hear = (): void => {}
  const ended = new Promise<NodeJS.Signals>((resolve) => { end = resolve })
  return {
    signals: {
      ended,
      first: () => first,
      onHangUp: (listener) => {
        hear = listener
        return () => { hear = () => {} }
      }
    },
    send: (signal) => {
      if (signal === 'SIGHUP') hear()
      else if (first === undefined) end(first = signal)
    }
  }
}
