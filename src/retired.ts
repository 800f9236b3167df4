import type { Generation } from './generation.ts'
import type { Logger } from './logger.ts'

/**
 * How many earlier configurations may still have requests open (a WebSocket may live for weeks). One more reload ends what
 * is open under the oldest, as HAProxy's `mworker-max-reloads` does, with its default.
 */
const MOST_RETIRED = 50

/** Earlier generations. Requests, streams and upgraded connections that are open go on under the configuration that they began with. */
export class RetiredGenerations {
  readonly #log: Logger
  /** The oldest one first. */
  readonly #retired = new Set<Generation>()

  constructor (log: Logger) {
    this.#log = log
  }

  /** Keeps a generation that takes no more requests until its last request has ended, then closes it. */
  add (generation: Generation): void {
    this.#retired.add(generation)
    const [oldest] = this.#retired
    if (oldest !== undefined && this.#retired.size > MOST_RETIRED) {
      this.#log.warn({}, 'too many earlier configurations are in use, what is open under the oldest is ended')
      oldest.app.abort()
    }
    generation.app
      .whenIdle()
      .then(() => generation.close())
      .finally(() => { this.#retired.delete(generation) })
      .catch((error: unknown) => { this.#log.error({ error }, 'an old configuration was not closed') })
  }

  /** Closes all that are left, with whatever is open under them. */
  async close (): Promise<void> {
    await Promise.all(Array.from(this.#retired, (generation) => generation.close()))
  }
}
