import type { Clock } from './clock.ts'

/** Waits on one clock that can all be ended at once. */
export class Pauses {
  readonly #clock: Clock
  readonly #ends = new Set<() => void>()

  constructor (clock: Clock) {
    this.#clock = clock
  }

  /** Resolves after so many milliseconds, or with {@link Pauses.end}. */
  wait (ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        disarm()
        this.#ends.delete(end)
        resolve()
      }
      const disarm = this.#clock.setTimer(end, ms)
      this.#ends.add(end)
    })
  }

  /** Ends every wait. */
  end (): void {
    for (const end of [...this.#ends]) end()
  }
}
