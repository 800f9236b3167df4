import type { Clock } from './clock.ts'

/** How fast credentials may log in. Refreshes do not pass here: a storm of logins must not starve them. */
export interface LoginGate {
  /**
   * Waits for its turn, first come, first served.
   *
   * @returns a function that ends the turn; further calls of it do nothing
   * @throws the reason of `signal` when that aborts first
   */
  readonly enter: (signal: AbortSignal) => Promise<() => void>
  /** From now on these limits hold, for those who wait too. */
  readonly adjust: (limits: LoginLimits) => void
  /** Turns away everybody who waits or comes later. */
  readonly close: () => void
}

export interface LoginLimits {
  /** Logins at the same time, at least 1. */
  readonly concurrency: number
  /** Logins that start in any one second. */
  readonly perSecond: number
}

export interface LoginGateOptions extends LoginLimits {
  readonly clock: Clock
}

interface Waiting {
  readonly admit: () => void
  readonly refuse: (reason: unknown) => void
}

/**
 * Makes a gate. The rate is a sliding window rather than a bucket that refills: a full bucket and its refill together would
 * let nearly twice `perSecond` start within one second.
 */
export function createLoginGate ({ clock, ...limits }: LoginGateOptions): LoginGate {
  let { concurrency, windowSize, windowMs } = readLimits(limits)
  // A Set keeps the order of arrival and lets go of a waiter in the middle.
  const queue = new Set<Waiting>()
  /** When the last `windowSize` logins started, oldest first. */
  const starts: number[] = []
  let running = 0
  let closed = false
  let disarm: (() => void) | undefined

  return { enter, adjust, close }

  function enter (signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      if (closed) throw new Error('the login gate is closed')
      const abort = (): void => waiting.refuse(signal.reason)
      const waiting: Waiting = {
        admit () {
          signal.removeEventListener('abort', abort)
          resolve(createTurn())
        },
        refuse (reason) {
          signal.removeEventListener('abort', abort)
          queue.delete(waiting)
          reject(reason)
        }
      }
      signal.addEventListener('abort', abort, { once: true })
      queue.add(waiting)
      admitNext()
    })
  }

  function adjust (changed: LoginLimits): void {
    ({ concurrency, windowSize, windowMs } = readLimits(changed))
    starts.splice(0, starts.length - windowSize)
    disarm?.()
    disarm = undefined
    admitNext()
  }

  function close (): void {
    closed = true
    disarm?.()
    disarm = undefined
    for (const waiting of [...queue]) waiting.refuse(new Error('the login gate is closed'))
  }

  function createTurn (): () => void {
    let over = false
    return () => {
      if (over) return
      over = true
      running -= 1
      admitNext()
    }
  }

  function admitNext (): void {
    for (const waiting of queue) {
      if (closed || running >= concurrency) return
      const waitMs = untilWindowOpensMs()
      if (waitMs > 0) {
        disarm ??= clock.setTimer(reopen, waitMs)
        return
      }
      starts.push(clock.monotonic())
      if (starts.length > windowSize) starts.shift()
      running += 1
      queue.delete(waiting)
      waiting.admit()
    }
  }

  function reopen (): void {
    disarm = undefined
    admitNext()
  }

  function untilWindowOpensMs (): number {
    const oldest = starts[0]
    if (oldest === undefined || starts.length < windowSize) return 0
    return oldest + windowMs - clock.monotonic()
  }
}

function readLimits ({ concurrency, perSecond }: LoginLimits): { concurrency: number, windowSize: number, windowMs: number } {
  const windowSize = Math.max(1, Math.floor(perSecond))
  return { concurrency, windowSize, windowMs: windowSize / perSecond * 1000 }
}
