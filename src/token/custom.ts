import { Secret } from '../secret.ts'
import { FAILURE_POLICIES } from './failure-policy.ts'
import { TokenError, type Renewal, type TokenSource } from './token.ts'

/**
 * A source of tokens that a program brings along. It holds no token: whoever asks it keeps what it gives.
 *
 * @example
 * const source = {
 *   token: async (signal) => {
 *     const response = await fetch('https://vault.example.com/token', { method: 'POST', signal })
 *     if (response.status === 403) throw new TokenError('permanent', 'Forbidden', 'The vault refuses this machine.')
 *     const { token, ttl } = await response.json()
 *     return { value: token, lifetimeMs: ttl * 1000 }
 *   }
 * }
 */
export interface CustomSource {
  /**
   * Gets a token.
   *
   * @param signal aborts after 11 s, and when the token is no longer wanted; the source ends soon after that
   * @param renewal what the last grant had of it; absent for a full login. Where it is refused, throw a `TokenError` of class
   *   `refresh-dead`: a login follows at once.
   * @throws TokenError with a class that says when to try again. Whatever else is thrown counts as `transient`, and its message is told
   *   nowhere, since it may hold a secret
   */
  readonly token: (signal: AbortSignal, renewal?: Renewal) => Promise<CustomGrant>
}

/** What a {@link CustomSource} gives: a token, and what is known about it. */
export interface CustomGrant {
  /** Visible ASCII, as it goes behind `Bearer ` (RFC 6750 section 2.1). */
  readonly value: string | Secret
  /** Milliseconds from when it was asked for; default 300 000. It is replaced at 72 to 80 % of that. */
  readonly lifetimeMs?: number
  /** What a refresh needs, where the provider has refresh tokens. */
  readonly renewal?: { readonly refreshToken: string | Secret }
  /** The provider's clock minus this machine's, in milliseconds. */
  readonly clockSkewMs?: number
}

/** Makes a source of one that a program brings along: text becomes secret, here, where it comes in. */
export function createCustomSource ({ token }: { readonly token: (signal: AbortSignal, renewal?: Renewal) => unknown }): TokenSource {
  async function ask (signal: AbortSignal, renewal?: Renewal): Promise<CustomGrant> {
    try {
      return await (token(signal, renewal) as Promise<CustomGrant>)
    } catch (error) {
      throw withKnownClass(error)
    }
  }

  return {
    token: async (signal, renewal) => {
      // What is malformed in it, the refresher refuses as it does with every source.
      const { value, renewal: next, ...rest } = await ask(signal, renewal)
      return { ...rest, value: seal(value), ...(next !== undefined && { renewal: { ...next, refreshToken: seal(next.refreshToken) } }) }
    }
  }
}

/** A class that there is no policy for says as little as an error of another kind. */
function withKnownClass (error: unknown): unknown {
  if (!(error instanceof TokenError) || Object.hasOwn(FAILURE_POLICIES, error.class)) return error
  const { code, message, retryAfterMs, clockSkewMs } = error
  return new TokenError('transient', code, message, { retryAfterMs, clockSkewMs })
}

function seal (text: string | Secret): Secret {
  return typeof text === 'string' ? new Secret(text) : text
}
