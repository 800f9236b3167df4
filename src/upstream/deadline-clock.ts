// How exactly deadlines are kept: a share of the shortest one.
const TICKS_PER_DEADLINE = 16
const [SHORTEST_TICK_MS, LONGEST_TICK_MS] = [5, 500]

/** One clock for the deadlines of many connections: a timer for each request costs more than the rest of its bookkeeping. */
export class DeadlineClock {
  readonly #tickMs: number
  readonly #onTick: (now: number, runMs: number) => void
  #timer: NodeJS.Timeout | undefined
  /** When it ticked last, in monotonic milliseconds. */
  #tickedAt = 0
  #runMs = 0

  /**
   * @param shortestMs the shortest deadline
   * @param onTick called now and then with the monotonic time, and with how long the process has run, both in milliseconds
   */
  constructor (shortestMs: number, onTick: (now: number, runMs: number) => void) {
    this.#tickMs = Math.min(Math.max(shortestMs / TICKS_PER_DEADLINE, SHORTEST_TICK_MS), LONGEST_TICK_MS)
    this.#onTick = onTick
  }

  /** Starts the clock, unless it runs already. */
  start (): void {
    if (this.#timer !== undefined) return
    this.#tickedAt = performance.now()
    this.#timer = setInterval(this.#tick, this.#tickMs).unref()
  }

  /** Stops the clock. */
  stop (): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  readonly #tick = (): void => {
    const now = performance.now()
    // A process that was stopped, or a machine that slept, is no silence of the upstream: what came meanwhile is read behind this.
    this.#runMs += Math.min(now - this.#tickedAt, 2 * this.#tickMs)
    this.#tickedAt = now
    this.#onTick(now, this.#runMs)
  }
}
