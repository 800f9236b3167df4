import type { AllowRule } from '../auth/allow.ts'
import type { ErrorCode } from '../errors.ts'
import type { Recorder } from './recorder.ts'

/** One way to misuse the proxy, in every spelling that is known of it. Data: what is sent, and what must be true afterwards. */
export interface Attack {
  /** Names the attack in reports and in test/security; letters are those of the group, numbers stay once given. */
  readonly id: string
  readonly name: string
  /** Where it happened to somebody. */
  readonly advisory?: string
  /** What the attacker wants, in a sentence or two. */
  readonly why: string
  /** `proxy`: it is about a listener, not about a route, and is tried once. */
  readonly scope?: 'proxy'
  /** None where the attack does not apply to the route: there is no allow list to get around, say. */
  readonly variants: (target: Target) => readonly Variant[]
}

/** One spelling of an attack. */
export interface Variant {
  /** What is special about it, for people. */
  readonly what: string
  /** What goes over the wire, as Latin-1. */
  readonly bytes: string
  readonly must: Must
  /** Sent to the admin listener instead. */
  readonly admin?: true
  /** Nothing follows: the client ends its side behind the bytes, since they are no whole request. */
  readonly cut?: true
  /** There is more than one request in it, and a response to each may come. */
  readonly several?: true
  /** The client resets the connection behind the bytes: what comes back is not looked at. */
  readonly leaves?: true
}

/** What must be true afterwards, besides what is always judged: see `judge.ts`. Refused, passed on, or whichever of the two. */
export interface Must {
  /** The response is one of these and our own, and no byte went to an upstream. */
  readonly refused?: Rejection
  /** Exactly one request reached the route's upstream. */
  readonly passed?: Passage
  /** It may as well reach another route, by that route's own rules. */
  readonly elsewhere?: true
}

export interface Rejection {
  readonly statuses: readonly number[]
  readonly code?: ErrorCode
  /** The proxy closes the connection, and reads nothing behind the request. */
  readonly closes?: true
}

export interface Passage {
  /** The path below the route's base path and the query, byte for byte, without what the route itself puts into the query. */
  readonly target?: string
  /** Texts that no request at the upstream may hold. */
  readonly without?: readonly string[]
  /** Texts that must be there. */
  readonly holds?: readonly string[]
}

/** A route as an attacker sees it, with the facts that only its owner knows. */
export interface Target {
  /** Names the route for people. */
  readonly label: string
  readonly port: number
  /** The admin listener's; absent where it is off. */
  readonly adminPort?: number
  /** The prefix without a trailing slash: empty for `/` and for a listener of the route's own. */
  readonly prefix: string
  /** The upstream's path, without a trailing slash. */
  readonly basePath: string
  /** A request that the route lets through; the path is the one below the prefix. */
  readonly plain: { readonly method: string, readonly path: string }
  /** The header lines that the route relays and does not work without. */
  readonly lines: readonly string[]
  readonly callerToken?: string
  readonly injected: readonly Injected[]
  readonly allow?: readonly AllowRule[]
  readonly websocket: boolean
  /** In lower case, with or without a port. */
  readonly allowedHosts: readonly string[]
  readonly allowedOrigins: readonly string[]
  /** The recorder in the upstream's place. */
  readonly upstream: Recorder
  /** Every canary of the whole proxy. */
  readonly canaries: readonly string[]
}

/** A field that a route puts into a request. */
export interface Injected {
  readonly in: 'header' | 'query' | 'cookie'
  readonly name: string
  /** The whole value on the wire; absent where it is made for each request. */
  readonly value?: string
  /** A POST has it in its body. */
  readonly inBody: boolean
}

export function refused (statuses: number | readonly number[], code?: ErrorCode): Must {
  return { refused: { statuses: typeof statuses === 'number' ? [statuses] : statuses, ...(code !== undefined && { code }) } }
}

/** Refused as malformed, with the connection closed behind it. */
export function cutOff (statuses: number | readonly number[] = 400): Must {
  return { refused: { statuses: typeof statuses === 'number' ? [statuses] : statuses, closes: true } }
}

export function passed (passage: Passage = {}): Must {
  return { passed: passage }
}

/** Refused or passed on: both are harmless. */
export function either (statuses: readonly number[], passage: Passage = {}): Must {
  return { refused: { statuses }, passed: passage }
}

/** The route's upstream must see nothing of the request, whatever the proxy does with it. */
export function notHere (statuses: readonly number[]): Must {
  return { refused: { statuses }, elsewhere: true }
}
