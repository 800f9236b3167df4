import type { Refused } from '../listen/service.ts'
import { requestWriterOf, type Logger } from '../logger.ts'
import type { ObservedRequest, Observer } from '../proxy/observer.ts'
import type { Route } from '../route/route.ts'
import type { Clock } from '../token/clock.ts'
import { endedMembers, refusedMembers, routeMember, type Members } from './access-log.ts'
import type { Metrics } from './metrics.ts'
import { countRequest, type CredentialNumbers, type RouteNumbers } from './numbers.ts'

export interface ObserverOptions {
  /** All routes of the configuration. */
  readonly routes: readonly Route[]
  readonly log: Logger
  readonly metrics: Metrics
  /** The share of requests that get a line in the access log, from 0 to 1; those that were refused always do. False: none gets one. */
  readonly accessLog: number | false
  /** In [0, 1). */
  readonly random: () => number
  readonly clock: Pick<Clock, 'monotonic'>
}

/** An observer that listeners tell of their refusals too. */
export interface RequestObserver extends Observer {
  /** A listener has refused a request by itself: one that never reached the application, or the body of one that is open. */
  readonly refusedEarly: (refused: Refused) => void
}

/** What is counted and written of a route, looked up before its first request. */
interface ObservedRoute {
  readonly numbers: RouteNumbers
  readonly member: Members
  readonly injected: readonly CredentialNumbers[]
}

/** Makes the observer that logs and counts. */
export function createObserver (options: ObserverOptions): RequestObserver {
  const { log, metrics, clock } = options
  const writeRequest = requestWriterOf(log)
  const of = observedRoutes(options)
  const isLogged = accessLogFilter(options)
  return {
    sent: (route) => {
      for (const credential of of(route).injected) credential.injected++
    },
    replayed: (route, credentials) => {
      for (const credential of credentials) metrics.credential(credential).replays++
      log.info({ route: route.label, credential: credentials.join() }, 'upstream answered 401, request sent once more with a new token')
    },
    passedOn: (route, reason) => {
      log.warn({ route: route.label, credential: route.credentials.join(), reason }, 'upstream answered 401, which is passed on')
    },
    masked: (route, count, first) => {
      of(route).numbers.scrubbed += count
      if (first) log.warn({ route: route.label }, 'upstream echoed a credential, which is masked')
    },
    refused: ({ route }, { code, statusCode, cause }) => {
      metrics.refused(code)
      if (statusCode >= 500) log.warn({ route: route?.label, code, error: cause }, 'request failed')
    },
    ended: (request) => {
      const { message: { method = '' }, route, startedAt, sentAt, code } = request
      const { numbers, member } = of(route)
      const status = statusOf(request)
      const endedAt = clock.monotonic()
      countRequest(numbers, method, status, endedAt - startedAt, sentAt === undefined ? undefined : endedAt - sentAt)
      if (isLogged(code)) writeRequest(endedMembers(request, member, status, isComplete(request), endedAt - startedAt))
    },
    refusedEarly: (refused) => {
      const { current, rejection: { statusCode, code }, method = '', durationMs } = refused
      metrics.refused(code)
      if (current !== undefined) return
      countRequest(of(undefined).numbers, method, statusCode, durationMs, undefined)
      if (isLogged(code)) writeRequest(refusedMembers(refused))
    }
  }
}

/** Looks the numbers of all routes up once. Returns those of a route; undefined is for requests that no route took. */
function observedRoutes ({ routes, metrics }: ObserverOptions): (route: Route | undefined) => ObservedRoute {
  const nowhere: ObservedRoute = { numbers: metrics.route(''), member: '', injected: [] }
  const observed = routes.map(({ label, injectedCredentials }): ObservedRoute => ({
    numbers: metrics.route(label),
    member: routeMember(label),
    injected: injectedCredentials.map((name) => metrics.credential(name))
  }))
  return (route) => route === undefined ? nowhere : observed[route.index] ?? nowhere
}

/** Decides which requests get a line in the access log: all that were refused, and the configured share of the others. */
function accessLogFilter ({ log, accessLog, random }: ObserverOptions): (code: string | undefined) => boolean {
  return (code) => accessLog !== false && log.isLevelEnabled('info') && (code !== undefined || accessLog === 1 || random() < accessLog)
}

/** The status that the client got; 0 where it got no response. */
function statusOf ({ rawStatus, switched, response }: ObservedRequest): number {
  return rawStatus ?? (switched ? 101 : response.headersSent ? response.statusCode : 0)
}

function isComplete ({ rawStatus, switched, response }: ObservedRequest): boolean {
  return switched || response.writableFinished || rawStatus !== undefined
}
