import { randomUUID } from 'node:crypto'
import type { ShapeOfB } from './srp-server.ts'

/** The operations that `X-Amz-Target` names. */
export type Operation = 'InitiateAuth' | 'RespondToAuthChallenge' | 'GetTokensFromRefreshToken' | 'ConfirmDevice'

/** One way to misbehave. The first group responds instead of the operation, the second lets it run and spoils its response. */
export type Mischief =
  /** An error of the service, as every client error with status 400. */
  | { readonly type: 'error', readonly code: string, readonly message: string, readonly status?: number, readonly retryAfter?: string }
  | { readonly type: 'throttled' }
  /** Throttling that looks like a wrong password (OpenZeppelin/defender-client#153). */
  | { readonly type: 'throttled-in-disguise' }
  | { readonly type: 'lockout' }
  | { readonly type: 'dead-refresh-token' }
  /** A gateway's 502 with a page of HTML. */
  | { readonly type: 'bad-gateway' }
  /** A captive portal: 200 with a page of HTML. */
  | { readonly type: 'captive-portal' }
  | { readonly type: 'redirect', readonly location: string }
  /** 200 without a body. */
  | { readonly type: 'empty' }
  /** 200 with a JSON object that holds nothing. */
  | { readonly type: 'no-tokens' }
  /** No response at all. */
  | { readonly type: 'hang' }
  /** The connection is closed without a byte of a response. */
  | { readonly type: 'drop' }
  | { readonly type: 'challenge', readonly name: string }
  /** The response stops in the middle of its JSON. */
  | { readonly type: 'truncated' }
  /** The connection is reset in the middle of the body. */
  | { readonly type: 'reset' }
  | { readonly type: 'slow', readonly ms: number }
  | { readonly type: 'expires-in', readonly seconds: number }
  | { readonly type: 'no-expires-in' }
  | { readonly type: 'no-id-token' }
  /** Step 1 of a login draws a `B` of this shape. */
  | { readonly type: 'shape-of-b', readonly shape: ShapeOfB }

/**
 * A mischief, with the number of calls that get it (default 1, `Infinity` for all) and which ones; without `operation` and
 * `flow`, calls where it shows (a challenge comes in place of tokens, say).
 */
export type Fault = Mischief & {
  readonly times?: number
  readonly operation?: Operation
  /** The `AuthFlow` of InitiateAuth, or the `ChallengeName` of RespondToAuthChallenge. */
  readonly flow?: string
}

/** The faults that wait for their calls. */
export interface FaultQueue {
  /** Appends a fault; each call takes the first one that fits it. */
  readonly add: (fault: Fault) => void
  readonly clear: () => void
  /** The fault of a call, used up by it. */
  readonly take: (operation: Operation, flow: string | undefined) => Mischief | undefined
  /** How far the emulator's clock is ahead, for `Date`, for tokens and for the window of TIMESTAMP alike. */
  clockOffsetMs: number
}

/** An HTTP response without the headers that every response gets. */
export interface EmulatorResponse {
  readonly status: number
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

export function createFaultQueue (): FaultQueue {
  const waiting: { fault: Fault, left: number }[] = []
  return {
    clockOffsetMs: 0,
    add: (fault) => { waiting.push({ fault, left: fault.times ?? 1 }) },
    clear: () => { waiting.length = 0 },
    take: (operation, flow) => {
      const index = waiting.findIndex(({ fault }) => fits(fault, operation, flow))
      const entry = waiting[index]
      if (entry === undefined) return undefined
      entry.left -= 1
      if (entry.left <= 0) waiting.splice(index, 1)
      return entry.fault
    }
  }
}

/** The response of a fault in the operation's place; `nothing` keeps the caller waiting, undefined lets the operation run. */
export function insteadOf (mischief: Mischief): EmulatorResponse | 'nothing' | undefined {
  const html = { 'content-type': 'text/html' }
  switch (mischief.type) {
    case 'error': return errorResponse(mischief.code, mischief.message, mischief.status, mischief.retryAfter)
    case 'throttled': return errorResponse('TooManyRequestsException', 'Rate exceeded')
    case 'throttled-in-disguise': return errorResponse('NotAuthorizedException', 'Incorrect username or password.')
    case 'lockout': return errorResponse('NotAuthorizedException', 'Password attempts exceeded')
    case 'dead-refresh-token': return errorResponse('NotAuthorizedException', 'Refresh Token has been revoked')
    case 'bad-gateway': return { status: 502, body: HTML, headers: html }
    case 'captive-portal': return { status: 200, body: HTML, headers: html }
    case 'redirect': return { status: 307, body: '', headers: { location: mischief.location } }
    case 'empty': return { status: 200, body: '' }
    case 'no-tokens': return { status: 200, body: '{}' }
    case 'challenge': return { status: 200, body: JSON.stringify(challengeNamed(mischief.name)) }
    case 'hang':
    case 'drop': return 'nothing'
    case 'truncated':
    case 'reset':
    case 'slow':
    case 'expires-in':
    case 'no-expires-in':
    case 'no-id-token':
    case 'shape-of-b': return undefined
    default: return mischief satisfies never
  }
}

/** Spoils an operation's result as a fault wants it. */
export function spoil (result: object, mischief: Mischief | undefined): object {
  if (!('AuthenticationResult' in result)) return result
  const tokens: Record<string, unknown> = { ...result.AuthenticationResult as object }
  if (mischief?.type === 'expires-in') tokens['ExpiresIn'] = mischief.seconds
  if (mischief?.type === 'no-expires-in') delete tokens['ExpiresIn']
  if (mischief?.type === 'no-id-token') delete tokens['IdToken']
  return { ...result, AuthenticationResult: tokens }
}

/**
 * An error as the service sends it: every client error is 400, whatever its model says, and the header ends in a colon
 * (aws/aws-sdk-cpp#1789).
 */
export function errorResponse (code: string, message: string, status = 400, retryAfter?: string): EmulatorResponse {
  return {
    status,
    body: JSON.stringify({ __type: code, message }),
    headers: { 'x-amzn-errortype': `${code}:`, ...(retryAfter !== undefined && { 'retry-after': retryAfter }) }
  }
}

const SHOWS_IN_TOKENS: ReadonlySet<Mischief['type']> = new Set(['challenge', 'no-tokens', 'expires-in', 'no-expires-in', 'no-id-token'])
const HTML = '<!doctype html><html><head><title>Sign in</title></head><body><h1>Not what you asked for</h1></body></html>'

function fits (fault: Fault, operation: Operation, flow: string | undefined): boolean {
  if (fault.operation === undefined && fault.flow === undefined) return makesSense(fault, operation, flow)
  return (fault.operation === undefined || fault.operation === operation) && (fault.flow === undefined || fault.flow === flow)
}

/** Whether a fault that names no call can show in this one. */
function makesSense ({ type }: Mischief, operation: Operation, flow: string | undefined): boolean {
  const startsSrp = flow === 'USER_SRP_AUTH'
  if (type === 'shape-of-b') return startsSrp
  if (type === 'dead-refresh-token') {
    return operation === 'GetTokensFromRefreshToken' || flow === 'REFRESH_TOKEN_AUTH' || flow === 'REFRESH_TOKEN'
  }
  return !SHOWS_IN_TOKENS.has(type) || (!startsSrp && operation !== 'ConfirmDevice')
}

function challengeNamed (name: string): object {
  return { ChallengeName: name, Session: randomUUID(), ChallengeParameters: { userAttributes: '{}', requiredAttributes: '[]' } }
}
