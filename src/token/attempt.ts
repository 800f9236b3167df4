import { SENDABLE_TOKEN } from '../http/header-value.ts'
import { Secret } from '../secret.ts'
import { fromCached, toCached, type CachedToken, type Instants, type TokenCache } from './cache/cache.ts'
import { waitAtMost, type Clock } from './clock.ts'
import { FAILURE_POLICIES } from './failure-policy.ts'
import type { History } from './history.ts'
import type { LoginGate } from './login-gate.ts'
import { tokenErrorOf, unusableToken } from './provider/failures.ts'
import type { CredentialLog } from './report.ts'
import { usableLifetimeMs } from './schedule.ts'
import { isUsable } from './state.ts'
import { TokenError, type Grant, type NegotiationKind, type Renewal, type Token, type TokenSource } from './token.ts'
import { keepingRenewal, withDeadline } from './wrappers.ts'

/** One attempt to get a token: a look into the cache, a refresh, a login, or one after the other. */
export interface Attempt {
  readonly signal: AbortSignal
  /** How the provider was asked last, or will be. */
  kind: NegotiationKind
}

/** A token that an attempt brought: from the cache, or from the provider. Instants are elapsed milliseconds. */
export type Obtained =
  | { readonly from: 'cache', readonly token: Token, readonly issuedAt: number }
  | {
    readonly from: 'provider'
    readonly token: Token
    readonly renewal: Renewal | undefined
    readonly clockSkewMs: number | undefined
  }

export interface AttemptsOptions {
  readonly source: TokenSource
  /** Where the token outlives the process. */
  readonly cache?: TokenCache
  readonly clock: Clock
  /** Reads the clock of {@link Token.obtainedAt}. */
  readonly elapsed: () => number
  readonly gate: Pick<LoginGate, 'enter'>
  readonly history: History
  readonly log: CredentialLog
}

/** A source gives up by itself after 10 s and says why; this is for one that does not. */
const FETCH_DEADLINE_MS = 11_000

/** A cache that takes longer helps nobody: a login needs no more. */
const CACHE_DEADLINE_MS = 2_000

/** Gets tokens for one credential, one attempt at a time, and keeps what the next attempt needs: the renewal, and the cache. */
export class Attempts {
  readonly #source: TokenSource
  readonly #clock: Clock
  readonly #elapsed: () => number
  readonly #gate: Pick<LoginGate, 'enter'>
  readonly #history: History
  readonly #log: CredentialLog
  readonly #cache: TokenCache | undefined
  /** The cache until the first attempt reads it. */
  #unread: TokenCache | undefined
  /** Beside the token, not in it: tokens go to requests, and dropping a renewal must not change the token's identity. */
  #renewal: Renewal | undefined
  /** Whether the cache has the newest token. */
  #isKept = false

  constructor ({ source, cache, clock, elapsed, gate, history, log }: AttemptsOptions) {
    this.#source = keepingRenewal(withDeadline(source, { clock, deadlineMs: FETCH_DEADLINE_MS, createTimeout }))
    this.#cache = cache
    this.#unread = cache
    this.#clock = clock
    this.#elapsed = elapsed
    this.#gate = gate
    this.#history = history
    this.#log = log
  }

  /**
   * Makes one attempt.
   *
   * @throws a {@link TokenError}, the reason of the signal, or whatever a source, a cache or a gate throws against its contract
   */
  async run (attempt: Attempt): Promise<Obtained> {
    const cache = this.#unread
    this.#unread = undefined
    return (cache && await this.#restore(attempt, cache)) ?? await this.#fetch(attempt)
  }

  /** Keeps what a provider gave, for the next attempt and the next process. */
  keep (token: Token, renewal: Renewal | undefined): void {
    this.#renewal = renewal
    this.#isKept = true
    this.#cache?.write(toCached(token, renewal, this.#instants(), this.#history.clockSkewMs)).catch(() => {})
  }

  /**
   * Takes the token of a refused credential out of the cache, unless a start could still use it or its renewal.
   *
   * @param isHeldUsable whether the token that is held may still be sent
   */
  forget (isHeldUsable: boolean): void {
    if (!this.#isKept || this.#renewal !== undefined || isHeldUsable) return
    this.#isKept = false
    this.#cache?.remove().catch(() => {})
  }

  /** Reads what an earlier process left. @returns undefined where that is no usable token */
  async #restore ({ signal }: Attempt, cache: TokenCache): Promise<Obtained | undefined> {
    let cached: CachedToken | undefined
    const read = async (): Promise<void> => { cached = await cache.read() }
    await waitAtMost(this.#clock, CACHE_DEADLINE_MS, read(), signal)
    return cached === undefined || signal.aborted ? undefined : this.#judge(cached)
  }

  #judge (cached: CachedToken): Obtained | undefined {
    const instants = this.#instants()
    this.#isKept = true
    // Kept however old the token is: a refresh token lives longer, and our clock does not matter to it.
    this.#renewal = cached.renewal
    const token = fromCached(cached, instants)
    if (token === undefined) {
      this.#log.warn({}, 'cached token not used: it is from the future, so this machine\'s clock was set back')
    } else if (!token.value.matches(SENDABLE_TOKEN)) {
      this.#log.warn({}, 'cached token not used: no header can carry it')
    } else if (!isUsable(token, instants.now)) {
      this.#log.info({}, 'cached token not used: its life is over')
    } else {
      return { from: 'cache', token, issuedAt: cached.issuedAt }
    }
    return undefined
  }

  /** Refreshes where there is a renewal; logs in where there is none, or where the provider no longer takes it. */
  async #fetch (attempt: Attempt): Promise<Obtained> {
    const renewal = this.#renewal
    if (renewal !== undefined) {
      try {
        return await this.#ask(attempt, renewal)
      } catch (error) {
        attempt.signal.throwIfAborted()
        // Where the policy drops it, the verdict is one on the renewal only; the login that follows judges the credential.
        if (!(error instanceof TokenError) || FAILURE_POLICIES[error.class].refreshToken === 'keep') throw error
        this.#renewal = undefined
        this.#history.refreshRefused()
        this.#log.warn({ code: error.code }, 'refresh token refused, logging in')
      }
    }
    return await this.#ask(attempt)
  }

  /**
   * Asks the source. Logins wait for their turn, and so does the first refresh of a process: after a start a thousand renewals of
   * the cache would come at one instant.
   */
  async #ask (attempt: Attempt, renewal?: Renewal): Promise<Obtained> {
    const { signal } = attempt
    attempt.kind = renewal === undefined ? 'login' : 'refresh'
    const needsTurn = renewal === undefined || !this.#history.wasGranted
    const leave = needsTurn ? await this.#gate.enter(signal, () => this.#history.failure?.class === 'transient') : () => {}
    try {
      signal.throwIfAborted()
      const askedAt = this.#elapsed()
      return obtainedFrom(await this.#source.token(signal, renewal), askedAt)
    } finally {
      leave()
    }
  }

  #instants (): Instants {
    return { now: this.#elapsed(), wall: this.#clock.wall() }
  }
}

/** Takes a grant apart. @throws a {@link TokenError} where it has no token, or none that a header can carry */
function obtainedFrom (grant: Grant, askedAt: number): Obtained {
  const { value, renewal, clockSkewMs } = grant
  if (!(value instanceof Secret)) throw new TokenError('transient', 'NoToken', 'The token source answered without a token.')
  if (!value.matches(SENDABLE_TOKEN)) throw tokenErrorOf(unusableToken(), { clockSkewMs })
  // From the question, not from the response: the provider may have counted since then.
  return { from: 'provider', token: { value, obtainedAt: askedAt, lifetimeMs: usableLifetimeMs(grant) }, renewal, clockSkewMs }
}

function createTimeout (): TokenError {
  return new TokenError('transient', 'Timeout', 'The identity provider did not answer in time.')
}
