import type { Clock } from './clock.ts'
import type { CredentialState } from './state.ts'
import type { NegotiationKind } from './token.ts'

/** The log of the token half; pino fits. Fields hold no secret. */
export interface TokenLog {
  info (fields: object, sentence: string): void
  warn (fields: object, sentence: string): void
  error (fields: object, sentence: string): void
}

/** One login or refresh that has ended. */
export interface FetchEvent {
  readonly credential: string
  readonly kind: NegotiationKind
  readonly outcome: 'ok' | 'transient' | 'rejected'
  /** Epoch milliseconds. */
  readonly at: number
}

/** What people and metrics see of a credential. Instants are RFC 3339, durations milliseconds. */
export interface CredentialStatus {
  readonly name: string
  readonly state: CredentialState
  readonly expiresAt: string | null
  /** When the next fetch is due; in the past while one is running. */
  readonly refreshAt: string | null
  readonly lastSuccessAt: string | null
  /** Why the last fetch failed; null after a success. */
  readonly lastError: { readonly code: string, readonly message: string, readonly at: string } | null
  /** Since the start: logins and refreshes that gave a token, fetches that did not. */
  readonly logins: number
  readonly refreshes: number
  readonly failures: number
  /** The provider's clock minus ours; null until it was measured. */
  readonly clockSkewMs: number | null
}

/** Logs nothing. */
export const QUIET: TokenLog = { info () {}, warn () {}, error () {} }

/** Tells the log and the listener of one credential. Never throws: what an observer throws is not the token's business. */
export interface CredentialLog extends TokenLog {
  event (kind: FetchEvent['kind'], outcome: FetchEvent['outcome']): void
  token (): void
}

export interface CredentialLogOptions {
  readonly name: string
  readonly clock: Clock
  readonly log: TokenLog
  readonly onFetch?: (event: FetchEvent) => void
  /** Called when there is a token, fetched or from the cache. */
  readonly onToken?: () => void
}

/** Makes the log of one credential; every line and event names it. */
export function createCredentialLog ({ name, clock, log, onFetch, onToken }: CredentialLogOptions): CredentialLog {
  return {
    info: (fields, sentence) => quietly(() => log.info({ credential: name, ...fields }, sentence)),
    warn: (fields, sentence) => quietly(() => log.warn({ credential: name, ...fields }, sentence)),
    error: (fields, sentence) => quietly(() => log.error({ credential: name, ...fields }, sentence)),
    event: (kind, outcome) => quietly(() => onFetch?.({ credential: name, kind, outcome, at: clock.wall() })),
    token: () => quietly(() => onToken?.())
  }
}

/** The frames of an error's stack, without its first lines: they repeat the message, which may quote what was sent. */
export function stackFrames (thrown: unknown): string[] {
  if (!(thrown instanceof Error) || thrown.stack === undefined) return []
  const stack = thrown.stack.slice(thrown.stack.indexOf(thrown.message) + thrown.message.length)
  return stack.split('\n').filter((line) => /^ {4}at /.test(line)).map((line) => line.trim())
}

/** An instant in epoch milliseconds as RFC 3339; null for none and for one that no date can hold. */
export function toRfc3339 (epochMs: number | undefined): string | null {
  const date = new Date(epochMs ?? NaN)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}

/** Calls what a program brought along to be told; that it throws, or rejects, is nobody's business. */
export function quietly (report: () => unknown): void {
  try {
    const told = report()
    if (told instanceof Promise) told.catch(() => {})
  } catch {
    // The log itself failed: there is nobody left to tell.
  }
}
