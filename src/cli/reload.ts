import { watchFiles } from '../config/read/watch.ts'
import type { LoadResult } from '../config/load.ts'
import type { Logger } from '../logger.ts'
import type { RunningServer } from '../server.ts'
import type { Signals } from './signals.ts'

export interface ReloadOptions extends Pick<Signals, 'onHangUp'> {
  /** Reads everything again; `expected` are files that must be there. */
  readonly load: (expected: readonly string[]) => LoadResult
  /** The files of the configuration that the server starts with. */
  readonly files: readonly string[]
  readonly server: Promise<Pick<RunningServer, 'reload'>>
  readonly log: Logger
}

/**
 * Reloads the configuration at SIGHUP and whenever one of its files has changed. Signals and changes that come while the server
 * starts, or during a reload, cause one reload afterwards.
 *
 * @returns a function that stops reloading
 */
export function startReloading ({ load, files, server, log, onHangUp }: ReloadOptions): () => void {
  let expected = files
  let running = false
  let again: string | undefined
  const watching = watchFiles({ files, onChange: () => { request('files changed') } })
  const release = onHangUp(() => { request('SIGHUP') })
  return () => {
    watching.close()
    release()
  }

  function request (reason: string): void {
    again = reason
    if (running) return
    running = true
    // A server that does not start reports that itself.
    server
      .then(run, () => {})
      .catch((error: unknown) => {
        log.error({ error }, 'reload failed, the old configuration keeps serving')
      })
      .finally(() => {
        running = false
      })
  }

  async function run ({ reload }: Pick<RunningServer, 'reload'>): Promise<void> {
    while (again !== undefined) {
      log.info({ reason: again }, 'reloading')
      again = undefined
      const loaded = load(expected)
      if (loaded.ok) expected = loaded.files
      // A bad configuration may name fewer files than there are: a mended one must be noticed wherever it is mended.
      watching.update(loaded.ok ? loaded.files : [...new Set([...expected, ...loaded.files])])
      await reload(loaded)
    }
  }
}
