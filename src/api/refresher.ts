import { systemClock } from '../token/clock.ts'
import { createCustomSource, type CustomSource } from '../token/custom.ts'
import { createLoginGate } from '../token/login-gate.ts'
import { TokenRefresher } from '../token/refresher.ts'
import { QUIET, type CredentialStatus, type FetchEvent } from '../token/report.ts'
import type { Token } from '../token/token.ts'
import type { ApiLog } from './log.ts'

/** What {@link createRefresher} takes beside the source. */
export interface RefresherOptions {
  /** Names the credential in log lines, events and the status. Default: `credential`. */
  readonly name?: string | undefined
  /** Where log lines go; pino fits. Default: nowhere. */
  readonly log?: ApiLog | undefined
  /** Hears of every login and refresh that is over, however it ended. */
  readonly onFetch?: ((event: FetchEvent) => void) | undefined
}

/** What keeps the token of one credential usable; made by {@link createRefresher}. */
export interface Refresher {
  /**
   * The token to send: at once where one is usable (more than 30 s left, or a tenth of a short life), else the one that the
   * fetch in flight brings, which is waited for at most 10 s.
   *
   * @param signal ends the waiting, and nothing else
   * @throws ProxyError as a rejection: `CS_CREDENTIAL_REJECTED` at once while the provider refuses the credential, `CS_TOKEN_UNAVAILABLE`
   *   (with `retryAfter`, in seconds) where there is no token in time; the reason of `signal` when that aborts first
   */
  readonly get: (signal?: AbortSignal) => Promise<Token>
  /** The token to send, if there is one now. */
  readonly current: () => Token | undefined
  /**
   * An upstream answered 401 to `token`: it is replaced, and serves on until the new one is here. Does nothing where it is no longer
   * the current one, or a failed fetch waits for its next turn.
   *
   * @param leastAgeMs how old the token must be before that, in milliseconds; default 0. An upstream that refuses every token
   *   would otherwise cost a login for each request
   */
  readonly reject: (token: Token, leastAgeMs?: number) => void
  /** What to send in place of a token that was rejected: waits for the fetch that replaces it; undefined where no other can be had. */
  readonly another: (token: Token) => Promise<Token | undefined>
  /** The state, the instants (RFC 3339), the counts and the last error, as the admin listener's `/status` has them. No secret. */
  readonly status: () => CredentialStatus
  /** Ends every fetch and every timer. A token that is held can still be had until its life is over. */
  readonly stop: () => void
}

/**
 * Starts to keep a token usable: the first login begins at once, and each token is replaced at 72 to 80 % of its life. Failures are
 * backed off (1 s to 60 s; 15 min where the provider refuses the credential), while the old token serves on. Nothing here keeps
 * the process alive.
 *
 * @param source of {@link createTokenSource}, or an own one
 * @returns the refresher, started; `stop` ends it
 * @throws TypeError where the source has no function `token`
 * @example
 * const refresher = createRefresher(createTokenSource({ type: 'oauth2', tokenUrl, clientId, clientSecret }))
 * const { value } = await refresher.get()
 * await fetch(url, { headers: { authorization: `Bearer ${value.reveal()}` } })
 * refresher.stop()
 */
export function createRefresher (source: CustomSource, { name = 'credential', log, onFetch }: RefresherOptions = {}): Refresher {
  if (typeof source?.token !== 'function') throw new TypeError('createRefresher takes a token source, an object with a function token')
  const clock = systemClock()
  const refresher = new TokenRefresher({
    name,
    source: createCustomSource({ token: (signal, renewal) => source.token(signal, renewal) }),
    clock,
    random: Math.random,
    gate: createLoginGate({ clock, concurrency: 1, perSecond: 20 }),
    log: log ?? QUIET,
    ...(onFetch !== undefined && { onFetch })
  })
  refresher.start()
  return {
    get: (signal) => refresher.get(signal),
    current: () => refresher.current(),
    reject: (token, leastAgeMs = 0) => { refresher.reject(token, Number.isFinite(leastAgeMs) ? leastAgeMs : 0) },
    another: (token) => refresher.another(token),
    status: () => refresher.status(),
    stop: () => { refresher.stop() }
  }
}
