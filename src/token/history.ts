import type { Clock } from './clock.ts'
import { isRejection, UNCLEAR_RETRIES } from './failure-policy.ts'
import { toRfc3339, type CredentialLog, type CredentialStatus } from './report.ts'
import { TOLERATED_SKEW_MS } from './schedule.ts'
import { TokenError, type FailureClass, type NegotiationKind } from './token.ts'

/** Why the last attempt failed. */
export interface Failure {
  readonly class: FailureClass
  readonly code: string
  readonly message: string
  /** Epoch milliseconds. */
  readonly at: number
}

/** What {@link History.failed} makes of a failure. */
export interface FailedAttempt {
  readonly error: TokenError
  /** Failures like this one since the last success, this one included: transient ones, or rejections. */
  readonly times: number
}

/** The part of a credential's status that tells what happened. */
export type HistoryFacts = Pick<CredentialStatus, 'lastSuccessAt' | 'lastError' | 'logins' | 'refreshes' | 'failures' | 'clockSkewMs'>

/** What happened to one credential: its failures since the last success, its counters, and how far the clocks are apart. */
export class History {
  readonly #clock: Clock
  readonly #log: CredentialLog
  #failure: Failure | undefined
  /** Since the last success, as the next two. */
  #transients = 0
  #rejections = 0
  #unclear = 0
  #lastSuccessAt: number | undefined
  #clockSkewMs: number | undefined
  #logins = 0
  #refreshes = 0
  #failures = 0

  constructor (clock: Clock, log: CredentialLog) {
    this.#clock = clock
    this.#log = log
  }

  /** Why the last attempt failed; undefined after a success. */
  get failure (): Failure | undefined {
    return this.#failure
  }

  /** Whether the identity provider gave a token since the start. */
  get wasGranted (): boolean {
    return this.#logins + this.#refreshes > 0
  }

  /** Whether an attempt failed since the start. */
  get hasFailed (): boolean {
    return this.#failures > 0
  }

  /** The provider's clock minus ours in milliseconds, as far as it was measured. */
  get clockSkewMs (): number | undefined {
    return this.#clockSkewMs
  }

  /** Counts a token that the provider gave. */
  succeeded (kind: NegotiationKind, clockSkewMs: number | undefined): void {
    this.#failure = undefined
    this.#transients = 0
    this.#rejections = 0
    this.#unclear = 0
    this.#lastSuccessAt = this.#clock.wall()
    this.#measure(clockSkewMs)
    if (kind === 'login') this.#logins += 1
    else this.#refreshes += 1
  }

  /** Notes a token of the cache, which an earlier process asked for at `issuedAt` (epoch milliseconds). */
  restored (issuedAt: number): void {
    this.#lastSuccessAt = issuedAt
  }

  /** Counts a refresh that was refused and that a login follows within the same attempt. */
  refreshRefused (): void {
    this.#failures += 1
    this.#log.event('refresh', 'rejected')
  }

  /**
   * Counts an attempt that failed.
   *
   * @param thrown a {@link TokenError}; of anything else nothing is kept, since its message may quote what was sent
   */
  failed (thrown: unknown): FailedAttempt {
    this.#failures += 1
    const error = thrown instanceof TokenError ? this.#settleDoubt(thrown) : createUnexpected()
    this.#failure = { class: error.class, code: error.code, message: error.message, at: this.#clock.wall() }
    const times = isRejection(error.class) ? ++this.#rejections : ++this.#transients
    this.#measure(error.clockSkewMs)
    return { error, times }
  }

  /** What the status shows of it. */
  facts (): HistoryFacts {
    const failure = this.#failure
    return {
      lastSuccessAt: toRfc3339(this.#lastSuccessAt),
      lastError: failure === undefined ? null : { code: failure.code, message: failure.message, at: toRfc3339(failure.at) ?? '' },
      logins: this.#logins,
      refreshes: this.#refreshes,
      failures: this.#failures,
      clockSkewMs: this.#clockSkewMs ?? null
    }
  }

  /**
   * Decides what an unclear failure counts as: a transient one, since a rejection with an unknown code may pass by itself, and a
   * permanent one after {@link UNCLEAR_RETRIES} of them.
   */
  #settleDoubt (error: TokenError): TokenError {
    if (error.class !== 'unclear') return error
    this.#unclear += 1
    const { code, message, retryAfterMs, clockSkewMs } = error
    return new TokenError(this.#unclear > UNCLEAR_RETRIES ? 'permanent' : 'transient', code, message, { retryAfterMs, clockSkewMs })
  }

  /** Keeps what a response told of the clocks; a difference that logins must correct is logged when it begins. */
  #measure (clockSkewMs: number | undefined): void {
    if (clockSkewMs === undefined) return
    const isWrong = Math.abs(clockSkewMs) > TOLERATED_SKEW_MS
    if (isWrong && Math.abs(this.#clockSkewMs ?? 0) <= TOLERATED_SKEW_MS) {
      this.#log.warn(
        { clockSkewMs },
        "the clocks of this machine and of the identity provider differ; logins correct that, but set this machine's clock"
      )
    }
    this.#clockSkewMs = clockSkewMs
  }
}

function createUnexpected (): TokenError {
  return new TokenError('transient', 'Unexpected', 'The token source failed in a way that it should not; the log has the place.')
}
