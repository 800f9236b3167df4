/** How long nothing has moved on a connection, as far as a clock that looks now and then can tell. */
export class Stillness {
  /** Something moved since the last look. */
  #moved = true
  /** Since when nothing moved, on the clock of {@link look}. */
  #since = 0

  /** Something moved. */
  note (): void {
    this.#moved = true
  }

  /**
   * Looks at the clock.
   *
   * @param runMs what the clock shows, in milliseconds
   * @param excused nothing has to move now: it is somebody else's turn
   * @returns how long nothing moved that should have, in milliseconds
   */
  look (runMs: number, excused: boolean): number {
    if (!this.#moved && !excused) return runMs - this.#since
    this.#moved = false
    this.#since = runMs
    return 0
  }
}
