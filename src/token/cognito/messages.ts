import type { ProxyEnvironment } from '../../http/proxies.ts'
import type { NegotiationKind } from '../token.ts'
import type { Classification } from '../provider/failures.ts'

/** What the worker is given at its start; it reads nothing of the environment by itself. */
export interface WorkerSettings {
  readonly proxies: ProxyEnvironment
}

/** One login or refresh, as it crosses to the worker: plain text, because a structured clone has no private fields. */
export interface NegotiationRequest {
  readonly kind: NegotiationKind
  readonly endpoint: string
  readonly userPoolId: string
  readonly clientId: string
  readonly clientSecret: string | undefined
  readonly username: string
  /** Only for a login. */
  readonly password: string | undefined
  readonly authFlow: 'srp' | 'password'
  readonly tokenUse: 'access' | 'id'
  /** Only for a refresh. */
  readonly renewal: PlainRenewal | undefined
  /** Milliseconds for the whole negotiation. */
  readonly deadlineMs: number
}

export interface PlainRenewal {
  readonly refreshToken: string
  readonly device: { readonly key: string, readonly groupKey: string, readonly password: string } | undefined
}

export interface PlainGrant {
  readonly value: string
  readonly lifetimeMs: number | undefined
  readonly renewal: PlainRenewal | undefined
  readonly clockSkewMs: number | undefined
}

/** A classification with what was measured on the way. */
export interface PlainFailure extends Classification {
  readonly retryAfterMs: number | undefined
  readonly clockSkewMs: number | undefined
}

export type ToWorker =
  | { readonly type: 'negotiation', readonly id: number, readonly request: NegotiationRequest }
  | { readonly type: 'abort', readonly id: number }
  | { readonly type: 'ping' }
  | { readonly type: 'close' }

export type FromWorker =
  | { readonly type: 'grant', readonly id: number, readonly grant: PlainGrant }
  | { readonly type: 'failure', readonly id: number, readonly failure: PlainFailure }
  | { readonly type: 'pong' }
  | { readonly type: 'warning', readonly message: string }
