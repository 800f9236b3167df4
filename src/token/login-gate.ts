import type { Clock } from './clock.ts'

/** How fast credentials may log in. Refreshes do not pass here: a storm of logins must not starve them. */
export interface LoginGate {
  /**
   * Waits for its turn: first come, first served, the doubtful behind all others.
   *
   * @param isDoubtful whether the login may hold its turn for nothing, as far as is known when there is one to give
   * @returns a function that ends the turn; further calls of it do nothing
   * @throws the reason of `signal` when that aborts first
   */
  readonly enter: (signal: AbortSignal, isDoubtful?: () => boolean) => Promise<() => void>
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
  readonly isDoubtful: () => boolean
  readonly admit: (doubtful: boolean) => void
  readonly refuse: (reason: unknown) => void
}

/**
 * Makes a gate. The rate is a sliding window rather than a bucket that refills: a full bucket and its refill together would
 * let nearly twice `perSecond` start within one second.
 *
 * A login without a response holds its turn for ten seconds, so a few of them would keep everybody waiting, again and again.
 * Therefore the doubtful, whose last attempt or whose identity provider gave no response, come last and never hold more than
 * half of the turns. Of a single turn there is no half: with a concurrency of 1 they hold up the others.
 */
export function createLoginGate ({ clock, ...limits }: LoginGateOptions): LoginGate {
  let { concurrency, doubtfulLimit, windowSize, windowMs } = readLimits(limits)
  // A Set keeps the order of arrival and lets go of a waiter in the middle.
  const queue = new Set<Waiting>()
  /** When the last `windowSize` logins started, oldest first. */
  const starts: number[] = []
  let running = 0
  let doubtfulRunning = 0
  let closed = false
  let disarm: (() => void) | undefined

  return { enter, adjust, close }

  function enter (signal: AbortSignal, isDoubtful = (): boolean => false): Promise<() => void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      if (closed) throw new Error('the login gate is closed')
      const abort = (): void => waiting.refuse(signal.reason)
      const waiting: Waiting = {
        isDoubtful,
        admit (doubtful) {
          signal.removeEventListener('abort', abort)
          resolve(createTurn(doubtful))
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
    ({ concurrency, doubtfulLimit, windowSize, windowMs } = readLimits(changed))
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

  function createTurn (doubtful: boolean): () => void {
    running += 1
    if (doubtful) doubtfulRunning += 1
    let over = false
    return () => {
      if (over) return
      over = true
      running -= 1
      if (doubtful) doubtfulRunning -= 1
      admitNext()
    }
  }

  function admitNext (): void {
    for (let next = findNext(); next !== undefined; next = findNext()) {
      const waitMs = untilWindowOpensMs()
      if (waitMs > 0) {
        disarm ??= clock.setTimer(reopen, waitMs)
        return
      }
      starts.push(clock.monotonic())
      if (starts.length > windowSize) starts.shift()
      queue.delete(next.waiting)
      next.waiting.admit(next.doubtful)
    }
  }

  function findNext (): { readonly waiting: Waiting, readonly doubtful: boolean } | undefined {
    if (closed || running >= concurrency) return undefined
    for (const waiting of queue) if (!waiting.isDoubtful()) return { waiting, doubtful: false }
    const [waiting] = queue
    return waiting === undefined || doubtfulRunning >= doubtfulLimit ? undefined : { waiting, doubtful: true }
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

function readLimits ({ concurrency, perSecond }: LoginLimits): {
  concurrency: number
  doubtfulLimit: number
  windowSize: number
  windowMs: number
} {
  const windowSize = Math.max(1, Math.floor(perSecond))
  return { concurrency, doubtfulLimit: Math.max(1, Math.floor(concurrency / 2)), windowSize, windowMs: (windowSize / perSecond) * 1000 }
}
