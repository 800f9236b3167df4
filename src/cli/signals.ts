import { constants } from 'node:os'

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** Waits for the first SIGTERM or SIGINT; a second one ends the process at once, with the status that shells expect. */
export function untilSignal (): { readonly received: Promise<NodeJS.Signals>, readonly release: () => void } {
  let listener: (signal: NodeJS.Signals) => void = () => {}
  const received = new Promise<NodeJS.Signals>((resolve) => {
    let first = true
    listener = (signal) => {
      if (!first) process.exit(128 + constants.signals[signal])
      first = false
      resolve(signal)
    }
    for (const signal of SIGNALS) process.on(signal, listener)
  })
  return { received, release: () => { for (const signal of SIGNALS) process.off(signal, listener) } }
}

/**
 * Calls `hear` at each SIGHUP, until the function that it returns is called. From then on SIGHUP does nothing, rather than
 * what it does by default: one that comes late must not give a process that ends well the status of one that was killed.
 */
export function onHangUp (hear: () => void): () => void {
  let hearing = true
  process.on('SIGHUP', () => { if (hearing) hear() })
  return () => { hearing = false }
}
