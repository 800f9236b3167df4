// A response and the next request cross the network once each while the upstream's clock runs, and its clock is not exact.
const SAFE_SHARE = 0.5

/**
 * How long a connection to one upstream may have been idle to be used again: gunicorn closes after 2 s, others after 1 s,
 * and none of them says so. Learned from each end of an idle connection, and unlearned as later ones last longer.
 */
export class IdleLimit {
  /** Milliseconds after which the upstream closes. */
  #closesAfterMs = Infinity

  allows (idleMs: number): boolean {
    return idleMs < this.#closesAfterMs * SAFE_SHARE
  }

  /** The upstream closed a connection that was idle for so long. */
  closedAfter (idleMs: number): void {
    // A restart closes fresh ones too, so a longer life is believed step by step.
    this.#closesAfterMs = idleMs < this.#closesAfterMs ? idleMs : Math.min(idleMs, this.#closesAfterMs * 2)
  }

  /** The upstream kept a connection that was idle for so long: far longer than was learned, since its end may be under way. */
  keptFor (idleMs: number): void {
    if (idleMs >= this.#closesAfterMs / SAFE_SHARE) this.#closesAfterMs = idleMs
  }
}
