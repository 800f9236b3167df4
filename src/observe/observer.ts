import { createJournal } from '../journal.ts'
import type { Refused } from '../listen/listener.ts'
import type { Logger } from '../logger.ts'
import type { Metrics } from '../plugins/metrics.ts'
import type { ObservedRequest, Observer } from '../proxy/observer.ts'

export interface ObserverOptions {
  readonly log: Logger
  readonly metrics: Metrics
  /** The share of requests that get a line in the access log, from 0 to 1; false: none. */
  readonly accessLog: number | false
  /** In [0, 1). */
  readonly random: () => number
  /** Monotonic milliseconds. */
  readonly now: () => number
}

export interface RequestObserver extends Observer {
  /** A listener has refused a request by itself: one that never came so far, or the body of one that is open. */
  readonly refusedEarly: (refused: Refused) => void
}

/** Makes the observer that logs and counts. */
export function createObserver ({ log, metrics, accessLog, random, now }: ObserverOptions): RequestObserver {
  const journal = createJournal({ log, metrics, sample: accessLog, random, now })
  return {
    sent: (route) => { for (const credential of route.injectedCredentials) metrics.injected(credential) },
    replayed: (route, credentials) => {
      for (const credential of credentials) metrics.replayed(credential)
      log.info({ route: route.label, credential: credentials.join() }, 'upstream answered 401, request sent once more with a new token')
    },
    passedOn: (route, reason) => { log.warn({ route: route.label, credential: route.credentials.join(), reason }, 'upstream answered 401, which is passed on') },
    masked: (route, count, first) => {
      metrics.scrubbed(route.label, count)
      if (first) log.warn({ route: route.label }, 'upstream echoed a credential, which is masked')
    },
    refused: ({ route }, { code, statusCode, cause }) => {
      metrics.refused(code)
      if (statusCode >= 500) log.warn({ route: route?.label, code, error: cause }, 'request failed')
    },
    ended: (request: ObservedRequest) => { journal.ended(request) },
    refusedEarly: ({ current, ...refused }) => {
      metrics.refused(refused.refusal.code)
      if (current === undefined) journal.refused(refused)
    }
  }
}
