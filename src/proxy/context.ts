import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RelayKind } from '../auth/relay.ts'
import { ProxyError } from '../errors.ts'
import { parseTarget } from '../http/target.ts'
import { judgeServiceWorker } from '../route/judge.ts'
import { findRoute, type RouteTable } from '../route/table.ts'
import type { Secret } from '../secret.ts'
import type { Token } from '../token/token.ts'
import type { ReplayBuffer } from '../upstream/replay-buffer.ts'
import type { Attempt } from './attempt.ts'
import type { Dependencies } from './dependencies.ts'
import type { ObservedRequest } from './observer.ts'
import type { ProxyRoute } from './route.ts'

/** What is known of one request. Each step adds to it; what is sent to the upstream stands in an {@link Attempt}. */
export interface Context extends ObservedRequest {
  readonly proxy: Dependencies
  readonly message: IncomingMessage
  readonly response: ServerResponse
  readonly method: string
  /** As it came: Fastify puts another one into the message. */
  readonly target: string
  readonly route: ProxyRoute | undefined
  /** The raw path below the prefix. */
  readonly rest: string
  readonly query: string
  /** Why no route takes the request. The client learns it only once the guards have let it pass. */
  readonly misrouted: ProxyError | undefined
  /** The client waits for `100 Continue` before it sends its body (RFC 9110 section 10.1.1). */
  expectsContinue: boolean
  /** The listed origin that gets CORS headers. */
  corsOrigin: string | undefined
  /** What the injections are made of. */
  values: CredentialValues
  /** The client's body, as far as it can be sent once more. */
  body: SentBody
  /** The attempt that was made last. */
  attempt: Attempt | undefined
  sentAt: number | undefined
  switched: boolean
  /** The response is closed: the client has all of it, or is gone. */
  ended: boolean
  code: string | undefined
  rawStatus: number | undefined
  /** Its place among the open requests. */
  place: number
}

/** A request that a route takes. */
export type RoutedContext = Context & { readonly route: ProxyRoute }

/** What a route's injections are made of. */
export interface CredentialValues {
  readonly tokens: ReadonlyMap<string, Token>
  /** Generated values among them stay as they are when a request is sent once more: it is the same request. */
  readonly relayed: ReadonlyMap<RelayKind, Secret>
  /** The client's body, where fields are put into it. */
  readonly unspliced?: Buffer | undefined
}

/** The client's body, as far as it can be sent once more. */
interface SentBody {
  /** The whole body, where it had arrived before the request was sent. */
  whole?: Buffer
  /** Holds a body that streams; absent where there is none, or one that is announced to be too large. */
  held?: ReplayBuffer
  /** It streams and is not held, so it cannot be sent again. */
  gone?: boolean
}

export const NO_VALUES: CredentialValues = { tokens: new Map(), relayed: new Map() }

// The pattern by which Node tells such a request (lib/_http_server.js, continueExpression).
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i

const CONTEXT = Symbol('countersign.context')

interface KnownMessage extends IncomingMessage {
  [CONTEXT]?: Context
}

/** Finds a request's route from its raw target, and ties what was found to the message. */
export function openContext (
  message: IncomingMessage,
  response: ServerResponse,
  table: RouteTable<ProxyRoute>,
  proxy: Dependencies
): Context {
  const context = createContext(message, response, table, proxy)
  ;(message as KnownMessage)[CONTEXT] = context
  return context
}

/** The context of a message that {@link openContext} has seen. */
export function contextOf (message: IncomingMessage): Context {
  const context = (message as KnownMessage)[CONTEXT]
  if (context === undefined) throw new TypeError('a request arrived before its context was opened')
  return context
}

// All members at once, since objects of one shape are fast: every request passes through here.
function createContext (message: IncomingMessage, response: ServerResponse, table: RouteTable<ProxyRoute>, proxy: Dependencies): Context {
  const method = message.method ?? ''
  const target = message.url ?? ''
  const { route, path, rest, query, misrouted } = find(method, target, message, table)
  return {
    proxy,
    message,
    response,
    method,
    target,
    startedAt: proxy.clock.monotonic(),
    route,
    path,
    rest,
    query,
    misrouted,
    expectsContinue: expectsContinue(message),
    corsOrigin: undefined,
    values: NO_VALUES,
    body: {},
    attempt: undefined,
    sentAt: undefined,
    switched: false,
    ended: false,
    code: undefined,
    rawStatus: undefined,
    place: 0
  }
}

type Found = Pick<Context, 'route' | 'path' | 'rest' | 'query' | 'misrouted'>

function find (method: string, target: string, { rawHeaders }: IncomingMessage, table: RouteTable<ProxyRoute>): Found {
  if (method === 'TRACE' || method === 'CONNECT') return nowhere(target, new ProxyError('CS_METHOD_NOT_ALLOWED'))
  try {
    const { path, query } = parseTarget(target)
    const found = findRoute(table, path)
    if (found === undefined) return nowhere(target, new ProxyError('CS_NO_ROUTE'))
    const { route, rest } = found
    return { route, path, rest, query, misrouted: judgeServiceWorker(route, rawHeaders) }
  } catch (error) {
    if (error instanceof ProxyError) return nowhere(target, error)
    throw error
  }
}

function nowhere (target: string, misrouted: ProxyError): Found {
  return { route: undefined, path: pathOf(target), rest: '', query: '', misrouted }
}

function expectsContinue ({ headers: { expect }, httpVersion }: IncomingMessage): boolean {
  return expect !== undefined && httpVersion === '1.1' && CONTINUE.test(expect)
}

// Drops the query, and a target that has an authority: both are places for passwords.
function pathOf (target: string): string {
  if (!target.startsWith('/') || target.startsWith('//')) return target === '*' ? target : ''
  const mark = target.indexOf('?')
  return mark === -1 ? target : target.slice(0, mark)
}
