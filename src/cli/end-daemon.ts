import { ListenError } from '../listen/bind.ts'
import type { LineWriter } from '../line-writer.ts'
import type { Logger } from '../logger.ts'
import type { RunningServer } from '../server.ts'
import { EXIT } from './command.ts'
import { leave } from './leave.ts'

export interface Ending {
  /** The server, which may still be starting. */
  readonly server: Promise<Pick<RunningServer, 'stop'>>
  /** The longest that requests in flight may take. */
  readonly shutdownTimeoutMs: number
  readonly log: Pick<Logger, 'warn'>
  readonly outputs: readonly LineWriter[]
}

/** From the end of the drain time to the end of the process; contract section 8 says two seconds at most. */
const GRACE_MS = 1_800
/** How long the last lines may take to be read. */
export const LAST_LINES_MS = 2_000
// The longest that a timer takes.
const LONGEST_TIMER_MS = 2 ** 31 - 1

/**
 * Stops the server and writes the last lines. Where anything still hangs after the drain time and its grace, the process ends
 * without it.
 */
export async function endDaemon ({ server, shutdownTimeoutMs, log, outputs }: Ending): Promise<void> {
  const deadline = performance.now() + Math.min(shutdownTimeoutMs + GRACE_MS, LONGEST_TIMER_MS)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => { timer = setTimeout(() => { resolve('late') }, deadline - performance.now()) })
  const stopped = server.then((started) => started.stop()).catch((error: unknown) => {
    // The address is no longer needed.
    if (!(error instanceof ListenError)) throw error
  })
  const outcome = await Promise.race([stopped, late])
  clearTimeout(timer)
  if (outcome === 'late') log.warn({}, 'something still hangs, the process ends without it')
  await Promise.all(outputs.map((output) => output.end(Math.min(LAST_LINES_MS, deadline - performance.now()))))
  if (outcome === 'late') leave(EXIT.ok, true)
}
