import { systemClock, type Clock } from '#src/token/clock.ts'

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  #monotonic = 1_000_000
  #wall = Date.UTC(2026, 0, 1)
  readonly #timers = new Set<{ readonly at: number, readonly fn: () => void }>()

  monotonic (): number {
    return this.#monotonic
  }

  wall (): number {
    return this.#wall
  }

  setTimer (fn: () => void, ms: number): () => void {
    const timer = { at: this.#monotonic + Math.max(0, ms), fn }
    this.#timers.add(timer)
    return () => { this.#timers.delete(timer) }
  }

  /** Timers that are armed. */
  get armed (): number {
    return this.#timers.size
  }

  /** Lets `ms` pass: timers fire in the order of their instants, and promises settle after each. */
  async advance (ms: number): Promise<void> {
    const end = this.#monotonic + ms
    await settle()
    for (let timer = this.#nextUntil(end); timer !== undefined; timer = this.#nextUntil(end)) {
      this.#move(Math.max(0, timer.at - this.#monotonic))
      this.#timers.delete(timer)
      timer.fn()
      await settle()
    }
    this.#move(end - this.#monotonic)
  }

  /** Sets the wall clock forward, or back with a negative number. */
  jump (ms: number): void {
    this.#wall += ms
  }

  /**
   * Suspends the machine for `ms`: nothing fires. As on Linux the monotonic clock stands still, and timers wait on;
   * with `counted` it runs on (as on Windows), and overdue timers fire late, with the next `advance`.
   */
  sleep (ms: number, { counted = false } = {}): void {
    this.#wall += ms
    if (counted) this.#monotonic += ms
  }

  #move (ms: number): void {
    this.#monotonic += ms
    this.#wall += ms
  }

  #nextUntil (end: number): { readonly at: number, readonly fn: () => void } | undefined {
    let next: { readonly at: number, readonly fn: () => void } | undefined
    for (const timer of this.#timers) {
      if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer
    }
    return next
  }
}

/** The machine's clock, which a test can set forward: what is held ages, and timers wait as long as ever. */
export function createAgingClock (): Clock & { readonly age: (ms: number) => void } {
  const clock = systemClock()
  let aheadMs = 0
  return {
    monotonic: () => clock.monotonic() + aheadMs,
    wall: () => clock.wall() + aheadMs,
    setTimer: clock.setTimer,
    age: (ms) => { aheadMs += ms }
  }
}

/** Lets every promise that can settle do so: an immediate runs after the whole microtask queue. */
export function settle (): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
