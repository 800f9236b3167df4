import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Injection } from '../auth/injection.ts'
import { ProxyError } from '../errors.ts'
import { isServiceWorkerScript } from '../http/browser.ts'
import { parseTarget } from '../http/target.ts'
import type { SplicedBody } from '../route/body.ts'
import { findRoute, type Route } from '../route/table.ts'
import type { Exchange } from '../upstream/exchange.ts'
import type { Sent } from './replay.ts'

/** What is known of one request while it is here. Made before Fastify routes it; every later step reads and adds. */
export interface Visit {
  readonly message: IncomingMessage
  readonly response: ServerResponse
  /** Monotonic milliseconds. */
  readonly startedAt: number
  /** Undefined where no route was found; `refusal` says why. */
  readonly route: Route | undefined
  /** The raw path, for the log. */
  readonly path: string
  /** The raw path below the prefix. */
  readonly rest: string
  readonly query: string
  /** Why no route takes the request; answered only behind the guards, which come first. */
  readonly refusal: ProxyError | undefined
  /** The client waits for `100 Continue` before it sends its body (RFC 9110 section 10.1.1). */
  expectsContinue: boolean
  /** The listed origin that gets CORS headers. */
  corsOrigin: string | undefined
  injections: readonly Injection[]
  /** What an attempt carried that met 401 and was made once more. */
  spent: readonly Injection[]
  /** The request's body with the injected fields in it, where they go there. */
  spliced: SplicedBody | undefined
  /** What it takes to send the request once more; undefined on routes that have no token. */
  sent: Sent | undefined
  exchange: Exchange | undefined
  /** The connection was handed over to another protocol; its end is the end of the visit. */
  switched: boolean
  upstreamStartedAt: number | undefined
  /** The client is answered, or gone: nothing more can be said to it. */
  ended: boolean
  /** The code of the error that was answered, if any. */
  code: string | undefined
  /** The status that the listener has sent in place of the response. */
  rawStatus: number | undefined
  /** Where it stands among those that are open. */
  place: number
}

// The pattern by which Node tells such a request (lib/_http_server.js, continueExpression).
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i

const VISIT = Symbol('countersign.visit')

interface VisitedMessage extends IncomingMessage {
  [VISIT]?: Visit
}

/** Finds a request's route from its raw target, and ties what was found to the message. */
export function openVisit (message: IncomingMessage, response: ServerResponse, routes: readonly Route[], startedAt: number): Visit {
  const visit = look(message, response, routes, startedAt)
  ;(message as VisitedMessage)[VISIT] = visit
  return visit
}

/** The visit of a message that {@link openVisit} has seen. */
export function visitOf (message: IncomingMessage): Visit {
  const visit = (message as VisitedMessage)[VISIT]
  if (visit === undefined) throw new TypeError('a request reached a hook before its visit was opened')
  return visit
}

// One shape for all: every request passes through here.
function look (message: IncomingMessage, response: ServerResponse, routes: readonly Route[], startedAt: number): Visit {
  const { route, path, rest, query, refusal } = find(message, routes)
  return {
    message,
    response,
    startedAt,
    route,
    path,
    rest,
    query,
    refusal,
    expectsContinue: expectsContinue(message),
    corsOrigin: undefined,
    injections: [],
    spent: [],
    spliced: undefined,
    sent: undefined,
    exchange: undefined,
    switched: false,
    upstreamStartedAt: undefined,
    ended: false,
    code: undefined,
    rawStatus: undefined,
    place: 0
  }
}

type Found = Pick<Visit, 'route' | 'path' | 'rest' | 'query' | 'refusal'>

function find (message: IncomingMessage, routes: readonly Route[]): Found {
  const raw = message.url ?? ''
  if (message.method === 'TRACE' || message.method === 'CONNECT') return nowhere(raw, new ProxyError('CS_METHOD_NOT_ALLOWED'))
  try {
    const { path, query } = parseTarget(raw)
    const found = findRoute(routes, path)
    if (found === undefined) return nowhere(raw, new ProxyError('CS_NO_ROUTE'))
    const { route, rest } = found
    return { route, path, rest, query, refusal: route.sharesOrigin && isServiceWorkerScript(message.rawHeaders) ? serviceWorkerRefusal() : undefined }
  } catch (error) {
    if (error instanceof ProxyError) return nowhere(raw, error)
    throw error
  }
}

/** The answer to a browser that wants an upstream's service worker, which could answer in place of other routes. */
export function serviceWorkerRefusal (): ProxyError {
  return new ProxyError('CS_NOT_ALLOWED', { message: 'A page wants to install a service worker, which would reach the other routes of this address; give its route a listen of its own if that is wanted.' })
}

function nowhere (raw: string, refusal: ProxyError): Found {
  return { route: undefined, path: pathOf(raw), rest: '', query: '', refusal }
}

function expectsContinue ({ headers: { expect }, httpVersion }: IncomingMessage): boolean {
  return expect !== undefined && httpVersion === '1.1' && CONTINUE.test(expect)
}

// Without the query, and without a target that has an authority: both are places for passwords.
function pathOf (target: string): string {
  if (!target.startsWith('/') || target.startsWith('//')) return target === '*' ? target : ''
  const mark = target.indexOf('?')
  return mark === -1 ? target : target.slice(0, mark)
}
