import type { GuardOptions } from '../guard/guard.ts'
import type { Clock } from '../token/clock.ts'
import type { CredentialStore } from '../token/store.ts'
import type { Observer } from './observer.ts'

/** How many requests are in flight. */
export interface RequestCount {
  requests: number
}

/** What all requests under one configuration share. */
export interface Dependencies {
  readonly guard: GuardOptions
  /** Requests in flight at a time; one more is refused. */
  readonly maxRequests: number
  readonly inFlight: RequestCount
  readonly store: Pick<CredentialStore, 'get' | 'reject' | 'another'>
  readonly observer: Observer
  readonly clock: Pick<Clock, 'monotonic'>
}
