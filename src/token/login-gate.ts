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
export function createLoginGate (options: LoginGateOptions): LoginGate {
  return new Gate(options)
}

class Gate implements LoginGate {
  readonly #clock: Clock
  #limits: GateLimits
  /** A Set keeps the order of arrival and lets go of a waiter in the middle. */
  readonly #queue = new Set<Waiting>()
  /** When the last `windowSize` logins started, oldest first. */
  readonly #starts: number[] = []
  #running = 0
  #doubtfulRunning = 0
  #isClosed = false
  #disarm: (() => void) | undefined

  constructor ({ clock, ...limits }: LoginGateOptions) {
    this.#clock = clock
    this.#limits = readLimits(limits)
  }

  enter (signal: AbortSignal, isDoubtful = (): boolean => false): Promise<() => void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      if (this.#isClosed) throw createClosed()
      const abort = (): void => waiting.refuse(signal.reason)
      const waiting: Waiting = {
        isDoubtful,
        admit: (doubtful) => {
          signal.removeEventListener('abort', abort)
          resolve(this.#createTurn(doubtful))
        },
        refuse: (reason) => {
          signal.removeEventListener('abort', abort)
          this.#queue.delete(waiting)
          reject(reason)
        }
      }
      signal.addEventListener('abort', abort, { once: true })
      this.#queue.add(waiting)
      this.#admitNext()
    })
  }

  adjust (limits: LoginLimits): void {
    this.#limits = readLimits(limits)
    this.#starts.splice(0, this.#starts.length - this.#limits.windowSize)
    this.#rest()
    this.#admitNext()
  }

  close (): void {
    this.#isClosed = true
    this.#rest()
    for (const waiting of [...this.#queue]) waiting.refuse(createClosed())
  }

  #rest (): void {
    this.#disarm?.()
    this.#disarm = undefined
  }

  #createTurn (doubtful: boolean): () => void {
    this.#running += 1
    if (doubtful) this.#doubtfulRunning += 1
    let over = false
    return () => {
      if (over) return
      over = true
      this.#running -= 1
      if (doubtful) this.#doubtfulRunning -= 1
      this.#admitNext()
    }
  }

  #admitNext (): void {
    for (let next = this.#findNext(); next !== undefined; next = this.#findNext()) {
      const waitMs = this.#untilWindowOpensMs()
      if (waitMs > 0) {
        this.#disarm ??= this.#clock.setTimer(() => {
          this.#disarm = undefined
          this.#admitNext()
        }, waitMs)
        return
      }
      this.#starts.push(this.#clock.monotonic())
      if (this.#starts.length > this.#limits.windowSize) this.#starts.shift()
      this.#queue.delete(next.waiting)
      next.waiting.admit(next.doubtful)
    }
  }

  #findNext (): { readonly waiting: Waiting, readonly doubtful: boolean } | undefined {
    const { concurrency, doubtfulLimit } = this.#limits
    if (this.#isClosed || this.#running >= concurrency) return undefined
    for (const waiting of this.#queue) if (!waiting.isDoubtful()) return { waiting, doubtful: false }
    const [waiting] = this.#queue
    return waiting === undefined || this.#doubtfulRunning >= doubtfulLimit ? undefined : { waiting, doubtful: true }
  }

  #untilWindowOpensMs (): number {
    const { windowSize, windowMs } = this.#limits
    const oldest = this.#starts[0]
    if (oldest === undefined || this.#starts.length < windowSize) return 0
    return oldest + windowMs - this.#clock.monotonic()
  }
}

function createClosed (): Error {
  return new Error('the login gate is closed')
}

interface GateLimits {
  readonly concurrency: number
  /** How many turns the doubtful may hold. */
  readonly doubtfulLimit: number
  /** How many logins may start within `windowMs` milliseconds. */
  readonly windowSize: number
  readonly windowMs: number
}

function readLimits ({ concurrency, perSecond }: LoginLimits): GateLimits {
  const windowSize = Math.max(1, Math.floor(perSecond))
  return { concurrency, doubtfulLimit: Math.max(1, Math.floor(concurrency / 2)), windowSize, windowMs: (windowSize / perSecond) * 1000 }
}
