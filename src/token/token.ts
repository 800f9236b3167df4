import type { Secret } from '../secret.ts'

/** What a source keeps between two fetches of one credential. Opaque to everybody but the source. */
export interface Renewal {
  readonly refreshToken: Secret
  /** Cognito pools with device tracking: the device that the refresh token is bound to. */
  readonly device?: { readonly key: string, readonly groupKey: string, readonly password: Secret }
}

/** What an identity provider gave. */
export interface Grant {
  readonly value: Secret
  /** Milliseconds, from the response's `ExpiresIn`; absent where the response and the token itself told none. */
  readonly lifetimeMs?: number
  readonly renewal?: Renewal
  /** The provider's clock minus ours, in milliseconds, from its `Date` header. */
  readonly clockSkewMs?: number
}

/** A token that is held. Instants are milliseconds on the monotonic clock of the refresher that holds it. */
export interface Token {
  readonly value: Secret
  readonly obtainedAt: number
  /** Milliseconds; `Infinity` for a static secret. */
  readonly lifetimeMs: number
}

/**
 * Why a fetch failed; what follows from each is in failure-policy.ts.
 *
 * - `transient`: the provider gave no response that could be used
 * - `ambiguous`: it refused name and password, for which throttling and a wrong clock can be the reason as well
 * - `lockout`: it locked the user after too many wrong passwords
 * - `refresh-dead`: it no longer takes the refresh token
 * - `unclear`: it refused the credential for a reason that nobody knows; tried again a few times before that counts as `permanent`
 * - `permanent`: it refused the credential for a reason that a person must mend
 * - `challenge`: it wants something answered that a program cannot answer
 */
export type FailureClass = 'transient' | 'ambiguous' | 'lockout' | 'refresh-dead' | 'unclear' | 'permanent' | 'challenge'

/** What a call of the identity provider was. A response means another thing to a login than to a refresh. */
export type NegotiationKind = 'login' | 'refresh'

/** What is known of a failure beside its class. */
export interface TokenErrorDetails {
  /** Milliseconds, from the response's `Retry-After`. */
  readonly retryAfterMs?: number | undefined
  /** As {@link Grant.clockSkewMs}. */
  readonly clockSkewMs?: number | undefined
  readonly cause?: unknown
}

/**
 * Why a fetch failed: what a source throws. The message is a sentence for people and holds no secret. `retryAfterMs`, from the
 * provider's `Retry-After`, wins over the growing pause, within a second and an hour (RFC 9110 section 10.2.3).
 *
 * @example
 * throw new TokenError('permanent', 'Forbidden', 'The vault refuses this machine.')
 */
export class TokenError extends Error {
  override readonly name = 'TokenError'
  readonly class: FailureClass
  /** A bounded, stable word: the provider's `__type`, or one of ours such as `Timeout`. */
  readonly code: string
  readonly retryAfterMs: number | undefined
  readonly clockSkewMs: number | undefined

  constructor (
    failure: FailureClass,
    code: string,
    message: string,
    details: TokenErrorDetails = {}
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.class = failure
    this.code = code
    this.retryAfterMs = details.retryAfterMs
    this.clockSkewMs = details.clockSkewMs
  }
}

/**
 * Where the tokens of one credential come from, as golang/oauth2's TokenSource. A source holds no token: what a refresh needs is
 * an argument.
 */
export interface TokenSource {
  /**
   * Gets a new token: with a renewal by a refresh, without one by a login with the credential's own secret. A source that cannot
   * refresh (OAuth 2.0 client credentials) grants no renewal and therefore is never given one.
   *
   * @param signal the call ends soon after it aborts
   * @param renewal of the grant before
   * @throws a {@link TokenError} as a rejection, and nothing else
   */
  readonly token: (signal: AbortSignal, renewal?: Renewal) => Promise<Grant>
}
