import type { Clock } from './clock.ts'
import type { TokenError, TokenSource } from './token.ts'

export interface DeadlineOptions {
  readonly clock: Pick<Clock, 'setTimer'>
  /** Milliseconds for one call. */
  readonly deadlineMs: number
  /** Makes the error of a call that took longer. */
  readonly createTimeout: () => TokenError
  /** Makes the error of a call whose signal aborted; default: the reason of the signal. */
  readonly createAborted?: () => TokenError
}

/**
 * Makes a source whose calls end at a deadline or with their signal, even where the inner source never settles: that one is told
 * by its own signal, and what it brings later is dropped.
 */
export function withDeadline (source: TokenSource, { clock, deadlineMs, createTimeout, createAborted }: DeadlineOptions): TokenSource {
  return {
    token: async (signal, renewal) => {
      const over = new AbortController()
      const onAbort = (): void => { over.abort(createAborted?.() ?? signal.reason) }
      if (signal.aborted) onAbort()
      over.signal.throwIfAborted()
      signal.addEventListener('abort', onAbort, { once: true })
      const disarm = clock.setTimer(() => { over.abort(createTimeout()) }, deadlineMs)
      try {
        return await new Promise((resolve, reject) => {
          over.signal.addEventListener('abort', () => reject(over.signal.reason), { once: true })
          source.token(over.signal, renewal).then(resolve, reject)
        })
      } finally {
        disarm()
        signal.removeEventListener('abort', onAbort)
      }
    }
  }
}

/**
 * Makes a source whose refreshes grant the renewal that they were given where the inner source grants none: Cognito gives no new
 * refresh token unless rotation is on, and the old one stays good.
 */
export function keepingRenewal (source: TokenSource): TokenSource {
  return {
    token: async (signal, renewal) => {
      const grant = await source.token(signal, renewal)
      return renewal === undefined ? grant : { ...grant, renewal: grant.renewal ?? renewal }
    }
  }
}
