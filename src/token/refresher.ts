import { ProxyError } from '../errors.ts'
import { SENDABLE_TOKEN } from '../http/header-value.ts'
import { Secret } from '../secret.ts'
import { fromCached, toCached, type CachedToken, type Instants, type TokenCache } from './cache/cache.ts'
import { unusableToken } from './cognito/classify.ts'
import { createElapsed, waitAtMost, type Clock } from './clock.ts'
import { FAILURE_POLICIES, isRejection, UNCLEAR_RETRIES } from './failure-policy.ts'
import {
  createCredentialLog,
  stackFrames,
  toRfc3339,
  type CredentialStatus,
  type FetchEvent,
  type CredentialLog,
  type TokenLog
} from './report.ts'
import {
  backoffDelayMs,
  LONGEST_BACKOFF_MS,
  LONGEST_HOLD_MS,
  refreshDelayMs,
  rejectedDelayMs,
  TOLERATED_SKEW_MS,
  usableLifetimeMs
} from './schedule.ts'
import { isUsable, tokenState } from './state.ts'
import { TokenError, type FailureClass, type Grant, type NegotiationKind, type Renewal, type Token, type TokenSource } from './token.ts'
import type { LoginGate } from './login-gate.ts'

export interface RefresherOptions {
  readonly name: string
  readonly source: TokenSource
  readonly clock: Clock
  /** From 0 (included) to 1 (excluded), as Math.random. */
  readonly random: () => number
  readonly gate: Pick<LoginGate, 'enter'>
  readonly log: TokenLog
  readonly onFetch?: (event: FetchEvent) => void
  readonly onToken?: () => void
  /** Where the token outlives the process. */
  readonly cache?: TokenCache
}

/** How long a request waits for the fetch in flight (contract, section 9). */
const LONGEST_WAIT_MS = 10_000

/** A source gives up by itself after 10 s and says why; this is for one that does not. */
const FETCH_DEADLINE_MS = 11_000

/** A cache that takes longer helps nobody: a login needs no more. */
const CACHE_DEADLINE_MS = 2_000

/** An armed timer looks at the clocks at least this often, so that a suspended machine refreshes within a minute of waking. */
const LONGEST_NAP_MS = 60_000

/** Between a success and the next fetch, whatever lifetime the provider dictates. */
const SHORTEST_PAUSE_MS = 500

interface Failure {
  readonly class: FailureClass
  readonly code: string
  readonly message: string
  /** Epoch milliseconds. */
  readonly at: number
}

/** One attempt: a look into the cache, a refresh, a login, or one after the other. */
interface Flight {
  readonly controller: AbortController
  kind: NegotiationKind
  /** When the provider was asked, in elapsed milliseconds. */
  askedAt: number
  /** Settles when the attempt is over, well or not; never rejects. */
  over: Promise<void>
}

/**
 * Keeps the token of one credential usable.
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
  readonly #source: TokenSource
  readonly #clock: Clock
  readonly #elapsed: () => number
  readonly #random: () => number
  readonly #gate: Pick<LoginGate, 'enter'>
  readonly #report: CredentialLog
  readonly #cache: TokenCache | undefined

  #token: Token | undefined
  /** Beside the token, not in it: tokens go to requests, and dropping a renewal must not change the token's identity. */
  #renewal: Renewal | undefined
  /** The cache until it is read, by the first flight. */
  #unread: TokenCache | undefined
  #flight: Flight | undefined
  #disarm: (() => void) | undefined
  /** Those who wait for the token to be old enough to be replaced. */
  readonly #pauses = new Set<() => void>()
  /** When the next fetch is due; stays while one is in flight. Infinity: stopped, or not started. */
  #dueAt = Infinity
  #failure: Failure | undefined
  #transientInARow = 0
  #rejections = 0
  /** Unclear refusals since the last success. */
  #unclear = 0
  /** The cache has what this refresher had last. */
  #isKept = false
  #lastSuccessAt: number | undefined
  #clockSkewMs: number | undefined
  #logins = 0
  #refreshes = 0
  #failures = 0

  constructor (options: RefresherOptions) {
    this.name = options.name
    this.#source = options.source
    this.#clock = options.clock
    this.#elapsed = createElapsed(options.clock)
    this.#random = options.random
    this.#gate = options.gate
    this.#report = createCredentialLog(options)
    this.#cache = options.cache
    this.#unread = options.cache
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
    for (const end of [...this.#pauses]) end()
  }

  /** The token to send now, if there is one. The hot path: two clock readings, no promise. */
  current (): Token | undefined {
    const now = this.#elapsed()
    // The timer does this; but after a suspend a request may come before it.
    if (now >= this.#dueAt && this.#flight === undefined) this.#begin()
    return this.#usable(now)
  }

  /**
   * The token to send.
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
    if (this.#flight !== undefined && !isRejection(this.#failure?.class)) {
      await waitAtMost(this.#clock, LONGEST_WAIT_MS, this.#flight.over, signal)
      const fetched = this.current()
      if (fetched !== undefined) return fetched
    }
    throw this.#unavailable()
  }

  /**
   * An upstream answered 401 to `token`: if that is still the current one, it is replaced once it is old enough. Until the new
   * one is here it serves on, and where none can be had to the end of its life, in the next process too: the 401 may be that
   * upstream's alone. A fetch that waits out a failure is not brought forward.
   *
   * @param leastAgeMs see acceptance.ts
   */
  reject (token: Token, leastAgeMs: number): void {
    if (token !== this.#token || this.#failure !== undefined || this.#dueAt === Infinity) return
    this.#dueAt = Math.min(this.#dueAt, Math.max(this.#elapsed(), token.obtainedAt + leastAgeMs))
    this.#tick()
  }

  /**
   * What to send in place of `token`, which an upstream answered with 401: the token that has replaced it already, or that the
   * fetch in flight brings. One that must grow older first is waited for where that takes 2 s at most.
   *
   * @returns undefined where no other token can be had
   */
  async another (token: Token): Promise<Token | undefined> {
    const differing = (): Token | undefined => {
      const held = this.current()
      return held === token ? undefined : held
    }
    const isWaiting = (): boolean => differing() === undefined && this.#flight === undefined && this.#failure === undefined
    let waitMs = this.#dueAt - this.#elapsed()
    for (; isWaiting() && waitMs > 0 && waitMs <= LONGEST_HOLD_MS; waitMs = this.#dueAt - this.#elapsed()) {
      await this.#pause(Math.ceil(waitMs))
    }
    // This timer and the one of the fetch are due at the same moment, and either may come first.
    if (isWaiting() && waitMs <= 0) this.#tick()
    if (differing() === undefined && this.#flight !== undefined) await waitAtMost(this.#clock, LONGEST_WAIT_MS, this.#flight.over)
    return differing()
  }

  /** Whether a first fetch is over, however it ended; or a token of the cache made it unnecessary. */
  get attempted (): boolean {
    return this.#token !== undefined || this.#failures > 0
  }

  status (): CredentialStatus {
    const now = this.#elapsed()
    const failure = this.#failure
    const toWall = (instant: number): string | null => toRfc3339(this.#clock.wall() + instant - now)
    return {
      name: this.name,
      state: tokenState({ token: this.#token, dueAt: this.#dueAt, failure: failure?.class }, now),
      expiresAt: this.#token === undefined ? null : toWall(this.#token.obtainedAt + this.#token.lifetimeMs),
      refreshAt: toWall(this.#dueAt),
      lastSuccessAt: toRfc3339(this.#lastSuccessAt),
      lastError: failure === undefined ? null : { code: failure.code, message: failure.message, at: toRfc3339(failure.at) ?? '' },
      logins: this.#logins,
      refreshes: this.#refreshes,
      failures: this.#failures,
      clockSkewMs: this.#clockSkewMs ?? null
    }
  }

  /** Ends after so many milliseconds, or with `stop`. */
  #pause (ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        disarm()
        this.#pauses.delete(end)
        resolve()
      }
      const disarm = this.#clock.setTimer(end, ms)
      this.#pauses.add(end)
    })
  }

  #usable (now: number): Token | undefined {
    const token = this.#token
    return token !== undefined && isUsable(token, now) ? token : undefined
  }

  #unavailable (): ProxyError {
    if (isRejection(this.#failure?.class)) return new ProxyError('CS_CREDENTIAL_REJECTED')
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
    const flight: Flight = { controller: new AbortController(), kind: 'login', askedAt: this.#elapsed(), over: Promise.resolve() }
    this.#flight = flight
    flight.over = this.#fly(flight)
  }

  async #fly (flight: Flight): Promise<void> {
    try {
      const cache = this.#unread
      this.#unread = undefined
      if (cache === undefined || !await this.#restore(flight, cache)) {
        const grant = await this.#fetch(flight)
        if (this.#flight === flight) this.#accept(flight, grant)
      }
    } catch (error) {
      if (this.#flight === flight) this.#fail(flight, error)
    }
    if (this.#flight !== flight) return
    this.#flight = undefined
    this.#tick()
  }

  /** Takes over what an earlier process left. @returns whether that is a usable token */
  async #restore (flight: Flight, cache: TokenCache): Promise<boolean> {
    let cached: CachedToken | undefined
    const read = async (): Promise<void> => { cached = await cache.read() }
    await waitAtMost(this.#clock, CACHE_DEADLINE_MS, read(), flight.controller.signal)
    return cached !== undefined && this.#flight === flight && this.#takeOver(cached)
  }

  #takeOver (cached: CachedToken): boolean {
    const instants = this.#instants()
    this.#isKept = true
    // Kept however old the token is: a refresh token lives longer, and our clock does not matter to it.
    this.#renewal = cached.renewal
    const token = fromCached(cached, instants)
    if (token === undefined) {
      this.#report.warn({}, 'cached token not used: it is from the future, so this machine\'s clock was set back')
      return false
    }
    if (!token.value.matches(SENDABLE_TOKEN)) {
      this.#report.warn({}, 'cached token not used: no header can carry it')
      return false
    }
    if (!isUsable(token, instants.now)) {
      this.#report.info({}, 'cached token not used: its life is over')
      return false
    }
    const dueAt = token.obtainedAt + refreshDelayMs(token.lifetimeMs, this.#random)
    this.#token = token
    this.#dueAt = dueAt
    this.#lastSuccessAt = cached.issuedAt
    this.#report.info({ expiresAt: this.status().expiresAt }, 'token taken from the cache')
    this.#report.token()
    return true
  }

  #instants (): Instants {
    return { now: this.#elapsed(), wall: this.#clock.wall() }
  }

  async #fetch (flight: Flight): Promise<Grant> {
    const renewal = this.#renewal
    if (renewal === undefined) return await this.#login(flight)
    try {
      flight.kind = 'refresh'
      // After a start a thousand renewals of the cache would come at one instant.
      const isFirst = this.#logins + this.#refreshes === 0
      const grant = await (isFirst ? this.#askInTurn(flight, renewal) : this.#ask(flight, renewal))
      // Cognito gives no new refresh token unless rotation is on: the old one stays good.
      return { ...grant, renewal: grant.renewal ?? renewal }
    } catch (error) {
      flight.controller.signal.throwIfAborted()
      // Where the policy drops it, the verdict is one on the renewal only; the login that follows judges the credential.
      if (!(error instanceof TokenError) || FAILURE_POLICIES[error.class].refreshToken === 'keep') throw error
      this.#renewal = undefined
      this.#failures += 1
      this.#report.event(flight.kind, 'rejected')
      this.#report.warn({ code: error.code }, 'refresh token refused, logging in')
    }
    return await this.#login(flight)
  }

  async #login (flight: Flight): Promise<Grant> {
    flight.kind = 'login'
    return await this.#askInTurn(flight)
  }

  async #askInTurn (flight: Flight, renewal?: Renewal): Promise<Grant> {
    const leave = await this.#gate.enter(flight.controller.signal, () => this.#failure?.class === 'transient')
    try {
      return await this.#ask(flight, renewal)
    } finally {
      leave()
    }
  }

  /** One exchange, which `stop` or the deadline ends, even where the source never settles: then it is left behind. */
  async #ask (flight: Flight, renewal?: Renewal): Promise<Grant> {
    const { signal } = flight.controller
    signal.throwIfAborted()
    flight.askedAt = this.#elapsed()
    const disarm = this.#clock.setTimer(() => flight.controller.abort(createTimeout()), FETCH_DEADLINE_MS)
    try {
      return await new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        this.#source.token(signal, renewal).then(resolve, reject)
      })
    } finally {
      disarm()
    }
  }

  #accept (flight: Flight, grant: Grant): void {
    if (!(grant.value instanceof Secret)) throw new TokenError('transient', 'NoToken', 'The token source answered without a token.')
    if (!grant.value.matches(SENDABLE_TOKEN)) throw createUnusable(grant.clockSkewMs)
    const now = this.#elapsed()
    // From the question, not from the response: the provider may have counted since then.
    const token: Token = { value: grant.value, obtainedAt: flight.askedAt, lifetimeMs: usableLifetimeMs(grant) }
    const dueAt = Math.max(now + SHORTEST_PAUSE_MS, token.obtainedAt + refreshDelayMs(token.lifetimeMs, this.#random))

    this.#token = token
    this.#renewal = grant.renewal
    this.#dueAt = dueAt
    this.#failure = undefined
    this.#transientInARow = 0
    this.#rejections = 0
    this.#unclear = 0
    this.#lastSuccessAt = this.#clock.wall()
    this.#measure(grant.clockSkewMs)
    this.#isKept = true
    this.#cache?.write(toCached(token, grant.renewal, this.#instants(), this.#clockSkewMs)).catch(() => {})
    if (flight.kind === 'login') this.#logins += 1
    else this.#refreshes += 1
    this.#report.event(flight.kind, 'ok')
    this.#report.info({ kind: flight.kind, expiresAt: this.status().expiresAt }, 'token fetched')
    this.#report.token()
  }

  #fail (flight: Flight, thrown: unknown): void {
    const now = this.#elapsed()
    // A plan comes first: nothing that is thrown below may leave the loop without one.
    this.#dueAt = now + LONGEST_BACKOFF_MS
    this.#failures += 1
    try {
      const error = thrown instanceof TokenError ? this.#settleDoubt(thrown) : createUnexpected()
      this.#failure = { class: error.class, code: error.code, message: error.message, at: this.#clock.wall() }
      this.#dueAt = now + this.#retryDelayMs(error)
      this.#measure(error.clockSkewMs)
      const refused = isRejection(error.class)
      if (refused) this.#forget(now)
      this.#report.event(flight.kind, refused ? 'rejected' : 'transient')
      const fields = { kind: flight.kind, code: error.code, reason: error.message, refreshAt: this.status().refreshAt }
      if (refused) this.#report.error(fields, 'credential rejected')
      else this.#report.warn(thrown instanceof TokenError ? fields : { ...fields, frames: stackFrames(thrown) }, 'token fetch failed')
    } catch {
      // Only an injected `random` that throws, or a hostile error object, comes here; the plan above stands.
    }
  }

  /** Takes out of the cache what no start can use any more: a token whose life is over, of a credential that is refused. */
  #forget (now: number): void {
    if (!this.#isKept || this.#renewal !== undefined || this.#usable(now) !== undefined) return
    this.#isKept = false
    this.#cache?.remove().catch(() => {})
  }

  /** A refusal that nobody can read may pass like a failure of the provider; when it does not it is taken at its word. */
  #settleDoubt (error: TokenError): TokenError {
    if (error.class !== 'unclear') return error
    this.#unclear += 1
    const { code, message, retryAfterMs, clockSkewMs } = error
    return new TokenError(this.#unclear > UNCLEAR_RETRIES ? 'permanent' : 'transient', code, message, {
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      ...(clockSkewMs !== undefined && { clockSkewMs })
    })
  }

  /** Keeps what an exchange told of the clocks; a difference that logins must correct is said when it begins. */
  #measure (clockSkewMs: number | undefined): void {
    if (clockSkewMs === undefined) return
    const isWrong = Math.abs(clockSkewMs) > TOLERATED_SKEW_MS
    if (isWrong && Math.abs(this.#clockSkewMs ?? 0) <= TOLERATED_SKEW_MS) {
      this.#report.warn(
        { clockSkewMs },
        "the clocks of this machine and of the identity provider differ; logins correct that, but set this machine's clock"
      )
    }
    this.#clockSkewMs = clockSkewMs
  }

  #retryDelayMs (error: TokenError): number {
    if (isRejection(error.class)) {
      this.#rejections += 1
      return rejectedDelayMs(this.#rejections, error.class)
    }
    this.#transientInARow += 1
    return backoffDelayMs(this.#transientInARow, this.#random, error.retryAfterMs)
  }
}

function createTimeout (): TokenError {
  return new TokenError('transient', 'Timeout', 'The identity provider did not answer in time.')
}

function createUnusable (clockSkewMs: number | undefined): TokenError {
  const { class: failure, code, message } = unusableToken()
  return new TokenError(failure, code, message, clockSkewMs === undefined ? {} : { clockSkewMs })
}

/** For what is no TokenError: its own message may quote what was sent, so it is told nowhere. */
function createUnexpected (): TokenError {
  return new TokenError('transient', 'Unexpected', 'The token source failed in a way that it should not; the log has the place.')
}
