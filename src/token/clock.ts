/** The token half reads time from here only. Tests bring their own. */
export interface Clock {
  /** Milliseconds that only ever grow; the origin means nothing. May stand still while the machine is suspended. */
  monotonic (): number
  /** Epoch milliseconds; may jump either way. */
  wall (): number
  /** Calls `fn` once after at least `ms` milliseconds, however many. @returns a function that cancels it */
  setTimer (fn: () => void, ms: number): () => void
}

/** The machine's clock. Its timers keep no process alive. */
export function systemClock (): Clock {
  return {
    monotonic: () => performance.now(),
    wall: () => Date.now(),
    setTimer: setLongTimer
  }
}

/**
 * Makes a clock that runs on while the machine is suspended. Linux stops CLOCK_MONOTONIC during suspend, and with it
 * every timer of Node, so on the monotonic clock alone a laptop wakes up with "fresh" tokens that died hours ago.
 *
 * Where the wall clock has gained five seconds or more on the monotonic one, that gain counts as time that passed: a suspend,
 * or a clock that was set forward, which costs one early refresh. Where the wall clock falls behind, nothing happens. So a
 * token can only become older than the monotonic clock says, never younger.
 *
 * @returns a function that reads it, in milliseconds
 */
export function createElapsed (clock: Clock): () => number {
  let lead = clock.wall() - clock.monotonic()
  let skippedMs = 0
  return () => {
    const monotonic = clock.monotonic()
    const now = clock.wall() - monotonic
    if (now - lead >= SUSPEND_MS) {
      skippedMs += now - lead
      lead = now
    } else if (now < lead) {
      lead = now
    }
    return monotonic + skippedMs
  }
}

/** Resolves once `over` is settled or `ms` milliseconds have passed; rejects with the reason of `signal` when that aborts first. */
export function waitAtMost (clock: Clock, ms: number, over: Promise<unknown>, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason)
    const finish = (): void => {
      disarm()
      signal?.removeEventListener('abort', abort)
      resolve()
    }
    const abort = (): void => {
      disarm()
      reject(signal?.reason)
    }
    const disarm = clock.setTimer(finish, ms)
    signal?.addEventListener('abort', abort, { once: true })
    over.then(finish, finish)
  })
}

/**
 * The least gain that counts. It is above what an NTP daemon steps in ordinary life (its slewing moves both clocks) and below the
 * minimum life of a token of a minute, so that a suspend which is overlooked leaves every such token alive.
 */
const SUSPEND_MS = 5_000

/** `setTimeout` fires at once above this. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

function setLongTimer (fn: () => void, ms: number): () => void {
  let timer: NodeJS.Timeout
  const arm = (leftMs: number): void => {
    const stepMs = Math.min(leftMs, LONGEST_TIMEOUT_MS)
    // Rounded up: setTimeout cuts fractions off and would fire before its time.
    timer = setTimeout(() => leftMs > stepMs ? arm(leftMs - stepMs) : fn(), Math.ceil(stepMs)).unref()
  }
  arm(Math.max(0, ms))
  return () => clearTimeout(timer)
}
