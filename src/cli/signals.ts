import { constants } from 'node:os'
import { leave } from './leave.ts'

/** The signals that this process hears, from its first moment to its last: no handler is ever taken off. */
export interface Signals {
  /** The first SIGTERM or SIGINT, whenever it came. A second one ends the process at once, with the status that shells expect. */
  readonly ended: Promise<NodeJS.Signals>
  /** The same without waiting: undefined as long as none came. */
  readonly first: () => NodeJS.Signals | undefined
  /**
   * Calls `hear` at each SIGHUP from now on, and once where one came before, until the function that it returns is called.
   * From then on SIGHUP does nothing: one that comes late must not give a process that ends well the status of one that was killed.
   */
  readonly onHangUp: (hear: () => void) => () => void
}

/** Begins to handle signals. Their effect is decided later; until then they are remembered. */
export function hearSignals (): Signals {
  let first: NodeJS.Signals | undefined
  let end = (_signal: NodeJS.Signals): void => {}
  const ended = new Promise<NodeJS.Signals>((resolve) => { end = resolve })
  let hungUp = false
  let hear = (): void => { hungUp = true }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (first !== undefined) leave(statusOf(signal), true)
      first = signal
      end(signal)
    })
  }
  process.on('SIGHUP', () => { hear() })
  // Without a handler the one opens a debugger (nginx users send it to have logs reopened), and the other kills.
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {})
  return {
    ended,
    first: () => first,
    onHangUp: (listener) => {
      hear = listener
      if (hungUp) listener()
      return () => { hear = () => {} }
    }
  }
}

/** Lets SIGTERM, SIGINT and SIGHUP end the process as they would by default, be it process 1, which no default reaches. */
export function endAtSignals (signals: Signals): void {
  signals.ended.then((signal) => { leave(statusOf(signal)) }, () => {})
  signals.onHangUp(() => { leave(statusOf('SIGHUP')) })
}

function statusOf (signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}
