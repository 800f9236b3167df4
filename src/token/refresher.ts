import { ProxyError } from '../errors.ts'
import { Attempts, type Attempt, type AttemptsOptions, type Obtained } from './attempt.ts'
import { createElapsed, waitAtMost, type Clock } from './clock.ts'
import { isRejection } from './failure-policy.ts'
import { History } from './history.ts'
import { Pauses } from './pauses.ts'
import { createCredentialLog, stackFrames, toRfc3339, type CredentialLog, type CredentialLogOptions, type CredentialStatus } from './report.ts'
import { LONGEST_BACKOFF_MS, LONGEST_HOLD_MS, refreshDelayMs, retryDelayMs } from './schedule.ts'
import { isUsable, tokenState } from './state.ts'
import { TokenError, type Token } from './token.ts'

export interface RefresherOptions extends CredentialLogOptions, Pick<AttemptsOptions, 'source' | 'gate' | 'cache'> {
  /** From 0 (included) to 1 (excluded), as Math.random. */
  readonly random: () => number
}

/** How long a request waits for the fetch in flight (contract, section 9). */
const LONGEST_WAIT_MS = 10_000

/** An armed timer looks at the clocks at least this often, so that a suspended machine refreshes within a minute of waking. */
const LONGEST_NAP_MS = 60_000

/** Between a success and the next fetch, whatever lifetime the provider dictates. */
const SHORTEST_PAUSE_MS = 500

/** An attempt under way. */
interface Flight extends Attempt {
  readonly controller: AbortController
  /** Settles when the attempt is over, well or not; never rejects. */
  over: Promise<void>
}

/**
 * Keeps the token of one credential usable: decides when the next attempt begins, and lets requests wait for it. What an attempt
 * does is in attempt.ts, what is remembered of attempts in history.ts.
 *
 *     fetch ok ──────────▶ next at 80 % of the lifetime, up to 10 % earlier
 *     transient ─────────▶ next after a jittered backoff, 1 s … 60 s, or Retry-After; the token serves while usable
 *     rejected ──────────▶ next after 5 s once (not after a lockout), then 15 min; the token serves while usable
 *     refresh refused ───▶ drop the renewal, log in at once
 *     upstream 401 ──────▶ same token? fetch once it is old enough, and it serves meanwhile : nothing
 *     stop ──────────────▶ abort; a late response finds that its flight is no longer the current one, and is dropped
 *
 * Every attempt ends in #fly, which arms a timer or finds that it was stopped. Instants are elapsed milliseconds: the
 * monotonic clock and the time spent suspended.
 */
export class TokenRefresher {
  readonly name: string
  readonly #clock: Clock
  readonly #elapsed: () => number
  readonly #random: () => number
  readonly #log: CredentialLog
  readonly #history: History
  readonly #attempts: Attempts

  #token: Token | undefined
  #flight: Flight | undefined
  /** When the next fetch is due; stays while one is in flight. Infinity: stopped, or not started. */
  #dueAt = Infinity
  #disarm: (() => void) | undefined
  /** The waits for the token to be old enough to be replaced. */
  readonly #pauses: Pauses

  constructor (options: RefresherOptions) {
    const { name, clock, random } = options
    this.name = name
    this.#clock = clock
    this.#elapsed = createElapsed(clock)
    this.#random = random
    this.#log = createCredentialLog(options)
    this.#history = new History(clock, this.#log)
    this.#attempts = new Attempts({ ...options, elapsed: this.#elapsed, history: this.#history, log: this.#log })
    this.#pauses = new Pauses(clock)
  }

  /** Begins to fetch and to keep fresh, with what the cache has of an earlier process. Does not wait. */
  start (): void {
    if (this.#dueAt !== Infinity) return
    this.#dueAt = this.#elapsed()
    this.#tick()
  }

  /** Ends everything at once. A token that is held still serves requests that drain. */
  stop (): void {
    this.#dueAt = Infinity
    this.#disarm?.()
    this.#disarm = undefined
    const flight = this.#flight
    this.#flight = undefined
    flight?.controller.abort(new TokenError('transient', 'Stopped', 'The proxy stops.'))
    this.#pauses.end()
  }

  /** The token to send now, if there is one. The hot path: two clock readings, no promise. */
  current (): Token | undefined {
    const now = this.#elapsed()
    // The timer does this; but after a suspend a request may come before it.
    if (now >= this.#dueAt && this.#flight === undefined) this.#begin()
    return this.#usable(now)
  }

  /**
   * Gets the token to send.
   *
   * 1. Fresh: it is returned.
   * 2. Stale: it is returned, the refresh runs in the background.
   * 3. Spent or absent: the fetch in flight is awaited, at most 10 s.
   *
   * @throws ProxyError `CS_CREDENTIAL_REJECTED` at once when the provider refuses the credential, `CS_TOKEN_UNAVAILABLE` when
   *   nothing is in flight or it brought no token; the reason of `signal` when that aborts first
   */
  async get (signal?: AbortSignal): Promise<Token> {
    const held = this.current()
    if (held !== undefined) return held
    if (this.#flight !== undefined && !isRejection(this.#history.failure?.class)) {
      await waitAtMost(this.#clock, LONGEST_WAIT_MS, this.#flight.over, signal)
      const fetched = this.current()
      if (fetched !== undefined) return fetched
    }
    throw this.#unavailable()
  }

  /**
   * Notes that an upstream answered 401 to `token`. Where that is still the current one, it is replaced once it is old enough.
   * Until the new one is here it serves on, and where none can be had to the end of its life, in the next process too: the 401
   * may be that upstream's alone. A fetch that waits out a failure is not brought forward.
   *
   * @param leastAgeMs see acceptance.ts
   */
  reject (token: Token, leastAgeMs: number): void {
    if (token !== this.#token || this.#history.failure !== undefined || this.#dueAt === Infinity) return
    this.#dueAt = Math.min(this.#dueAt, Math.max(this.#elapsed(), token.obtainedAt + leastAgeMs))
    this.#tick()
  }

  /**
   * Gets the token to send in place of `token`, which an upstream answered with 401: the one that has replaced it already, or
   * that the fetch in flight brings. One that must grow older first is waited for where that takes 2 s at most.
   *
   * @returns undefined where no other token can be had
   */
  async another (token: Token): Promise<Token | undefined> {
    const differing = (): Token | undefined => {
      const held = this.current()
      return held === token ? undefined : held
    }
    const isWaiting = (): boolean => differing() === undefined && this.#flight === undefined && this.#history.failure === undefined
    let waitMs = this.#dueAt - this.#elapsed()
    for (; isWaiting() && waitMs > 0 && waitMs <= LONGEST_HOLD_MS; waitMs = this.#dueAt - this.#elapsed()) {
      await this.#pauses.wait(Math.ceil(waitMs))
    }
    // This timer and the one of the fetch are due at the same moment, and either may come first.
    if (isWaiting() && waitMs <= 0) this.#tick()
    if (differing() === undefined && this.#flight !== undefined) await waitAtMost(this.#clock, LONGEST_WAIT_MS, this.#flight.over)
    return differing()
  }

  /** Whether a first fetch is over, however it ended; or a token of the cache made it unnecessary. */
  get attempted (): boolean {
    return this.#token !== undefined || this.#history.hasFailed
  }

  /** What people and metrics see of the credential. */
  status (): CredentialStatus {
    const now = this.#elapsed()
    const toWall = (instant: number): string | null => toRfc3339(this.#clock.wall() + instant - now)
    return {
      name: this.name,
      state: tokenState({ token: this.#token, dueAt: this.#dueAt, failure: this.#history.failure?.class }, now),
      expiresAt: this.#token === undefined ? null : toWall(this.#token.obtainedAt + this.#token.lifetimeMs),
      refreshAt: toWall(this.#dueAt),
      ...this.#history.facts()
    }
  }

  #usable (now: number): Token | undefined {
    const token = this.#token
    return token !== undefined && isUsable(token, now) ? token : undefined
  }

  #unavailable (): ProxyError {
    if (isRejection(this.#history.failure?.class)) return new ProxyError('CS_CREDENTIAL_REJECTED')
    const waitMs = this.#dueAt - this.#elapsed()
    return new ProxyError('CS_TOKEN_UNAVAILABLE', { retryAfter: Number.isFinite(waitMs) ? Math.max(1, Math.ceil(waitMs / 1000)) : 1 })
  }

  /** Starts what is due, or sleeps until it is. However late a timer comes, this looks at the clocks again. */
  #tick (): void {
    this.#disarm?.()
    this.#disarm = undefined
    if (this.#flight !== undefined || this.#dueAt === Infinity) return
    const waitMs = this.#dueAt - this.#elapsed()
    if (waitMs <= 0) return this.#begin()
    this.#disarm = this.#clock.setTimer(() => this.#tick(), Math.min(waitMs, LONGEST_NAP_MS))
  }

  #begin (): void {
    const controller = new AbortController()
    const flight: Flight = { controller, signal: controller.signal, kind: 'login', over: Promise.resolve() }
    this.#flight = flight
    flight.over = this.#fly(flight)
  }

  async #fly (flight: Flight): Promise<void> {
    try {
      const obtained = await this.#attempts.run(flight)
      if (this.#flight === flight) this.#accept(flight, obtained)
    } catch (error) {
      if (this.#flight === flight) this.#fail(flight, error)
    }
    if (this.#flight !== flight) return
    this.#flight = undefined
    this.#tick()
  }

  #accept ({ kind }: Flight, obtained: Obtained): void {
    const { token } = obtained
    const refreshAt = token.obtainedAt + refreshDelayMs(token.lifetimeMs, this.#random)
    const dueAt = obtained.from === 'cache' ? refreshAt : Math.max(this.#elapsed() + SHORTEST_PAUSE_MS, refreshAt)
    this.#token = token
    this.#dueAt = dueAt
    if (obtained.from === 'cache') {
      this.#history.restored(obtained.issuedAt)
      this.#log.info({ expiresAt: this.status().expiresAt }, 'token taken from the cache')
    } else {
      this.#history.succeeded(kind, obtained.clockSkewMs)
      this.#attempts.keep(token, obtained.renewal)
      this.#log.event(kind, 'ok')
      this.#log.info({ kind, expiresAt: this.status().expiresAt }, 'token fetched')
    }
    this.#log.token()
  }

  #fail ({ kind }: Flight, thrown: unknown): void {
    const now = this.#elapsed()
    // A plan comes first: nothing that is thrown below may leave the loop without one.
    this.#dueAt = now + LONGEST_BACKOFF_MS
    try {
      const { error, times } = this.#history.failed(thrown)
      this.#dueAt = now + retryDelayMs(error, times, this.#random)
      const refused = isRejection(error.class)
      if (refused) this.#attempts.forget(this.#usable(now) !== undefined)
      this.#log.event(kind, refused ? 'rejected' : 'transient')
      const fields = { kind, code: error.code, reason: error.message, refreshAt: this.status().refreshAt }
      if (refused) this.#log.error(fields, 'credential rejected')
      else this.#log.warn(thrown instanceof TokenError ? fields : { ...fields, frames: stackFrames(thrown) }, 'token fetch failed')
    } catch {
      // Only an injected `random` that throws, or a hostile error object, comes here; the plan above stands.
    }
  }
}
