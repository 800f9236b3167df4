import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ProxyError } from '../errors.ts'
import type { Route } from '../route/route.ts'

/** What logs and metrics may know of one request. */
export interface ObservedRequest {
  readonly message: IncomingMessage
  readonly response: ServerResponse
  /** Undefined where no route was found. */
  readonly route: Route | undefined
  /** The raw path, without its query. */
  readonly path: string
  /** Monotonic milliseconds. */
  readonly startedAt: number
  /** When it was first sent to the upstream, on the same clock. */
  readonly sentAt: number | undefined
  /** The connection was handed over to another protocol. */
  readonly switched: boolean
  /** The code of the error response, where it got one. */
  readonly code: string | undefined
  /** The status that the listener has sent in place of the response. */
  readonly rawStatus: number | undefined
}

/** Why an upstream's 401 was passed on; a bounded set, for the log. */
export type PassedOn = 'the body is gone' | 'no other token' | 'the response to the second attempt'

/** Hears of all that happens to requests, and alone decides what is logged and counted. */
export interface Observer {
  /** A request leaves for the upstream, with the credentials of its route. */
  readonly sent: (route: Route) => void
  /** It leaves once more after a 401, with another token of these credentials. */
  readonly replayed: (route: Route, credentials: readonly string[]) => void
  /** An upstream's 401 to our tokens is passed on. */
  readonly passedOn: (route: Route, reason: PassedOn) => void
  /** Some places of a response were masked; `first` for the first ones of a response. */
  readonly masked: (route: Route, count: number, first: boolean) => void
  /** The proxy refuses the request. */
  readonly refused: (request: ObservedRequest, rejection: ProxyError) => void
  /** A request is over, for whatever reason. */
  readonly ended: (request: ObservedRequest) => void
}
