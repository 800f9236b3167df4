// A response and the next request cross the network once each while the upstream's clock runs, and its clock is not exact.
const SAFE_SHARE = 0.5

/**
 * Learns for how long an idle connection to one upstream can still be used: gunicorn closes after 2 s, others after 1 s, and none
 * of them says so. Each idle connection that the upstream ends lowers the limit; connections that last longer raise it again.
 */
export class IdleLimit {
  /** Milliseconds after which the upstream closes. */
  #closesAfterMs = Infinity

  /** Whether a connection that was idle for so long can be used again. */
  allows (idleMs: number): boolean {
    return idleMs < this.#closesAfterMs * SAFE_SHARE
  }

  /** The upstream closed a connection that was idle for so long. */
  closedAfter (idleMs: number): void {
    // A restart closes fresh ones too, so a longer life is believed step by step.
    this.#closesAfterMs = idleMs < this.#closesAfterMs ? idleMs : Math.min(idleMs, this.#closesAfterMs * 2)
  }

  /**
   * The upstream kept an idle connection for so long. Counts only where it is far longer than the limit, since the end may be
   * under way.
   */
  keptFor (idleMs: number): void {
    if (idleMs >= this.#closesAfterMs / SAFE_SHARE) this.#closesAfterMs = idleMs
  }
}
