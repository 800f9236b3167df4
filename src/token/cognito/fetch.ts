import { createHmac } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { ProxyEnvironment } from '../../http/proxies.ts'
import type { Pool } from '../../upstream/pool.ts'
import type { Sender } from '../../upstream/sender.ts'
import { classifyResponse, classifyChallenge, classifyNetworkError, unexpectedResponse, type Classification } from './classify.ts'
import type { NegotiationRequest, PlainFailure } from './messages.ts'
import { askProvider, connectProvider } from '../provider/client.ts'
import { retryAfterMs, skewOf } from '../provider/clock.ts'

/** One login or refresh under way, and what its calls brought to light. */
export interface Negotiation {
  readonly request: NegotiationRequest
  /** Aborts at the deadline, or when nobody wants the response any more. */
  readonly signal: AbortSignal
  /** From the first answer with a `Date`: the provider's clock minus ours. */
  clockSkewMs: number | undefined
  /** `AuthenticationResult` as it arrived, for the library drops `ExpiresIn` (CognitoUser.js:1635). */
  tokens: CapturedTokens | undefined
  /** The first verdict is final: whatever the library calls afterwards is a consequence. */
  failure: PlainFailure | undefined
}

interface CapturedTokens {
  readonly value: string
  readonly expiresIn: number | undefined
  readonly refreshToken: string | undefined
  readonly newDevice: { readonly key: string, readonly groupKey: string } | undefined
}

/** Connections to identity providers. */
export interface Connections {
  readonly senderTo: (url: URL) => Sender
  readonly close: () => Promise<void>
}

/**
 * What the library gets from our fetch instead of a response that is no success. `nonRetryable` stops its retries, which would
 * repeat even a dead refresh token six times (amazon-cognito-identity-js Client.js:160-224).
 */
class RejectedCall extends Error {
  override readonly name = 'Refusal'
  readonly nonRetryable = true
}

/** What the library and this program hand to a `fetch`. */
interface FetchInit {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * What the library reads of a success (Client.js:106-131). No `Response`, nor `Headers` or `Request` on the way: in a thread of
 * its own each of these names loads an HTTP client of Node's, which has more memory than all else here.
 */
type FetchResponse = Pick<Response, 'ok' | 'json'>

export type CognitoFetch = (input: string, init: FetchInit) => Promise<FetchResponse>

/** Connections to identity providers, a few of each. */
export function createConnections (proxies: ProxyEnvironment): Connections {
  const ending = new AbortController()
  // One listener for each connection that is being opened.
  setMaxListeners(0, ending.signal)
  const pools = new Map<string, Pool>()
  return {
    senderTo: (url) => {
      const pool = pools.get(url.origin) ?? connectProvider(url, { proxies, signal: ending.signal, connectTimeoutMs: CONNECT_TIMEOUT_MS })
      pools.set(url.origin, pool)
      return pool
    },
    close: async () => {
      ending.abort()
      await Promise.all(Array.from(pools.values(), (pool) => pool.destroy()))
    }
  }
}

/**
 * The `fetch` of the library: one POST under the exchange's signal, whose response is judged and captured before the library sees it.
 *
 * @param current the exchange that the caller belongs to
 */
export function createCognitoFetch (senderTo: Connections['senderTo'], current: () => Negotiation | undefined): CognitoFetch {
  return async (input, init) => {
    const negotiation = current()
    if (negotiation === undefined || negotiation.signal.aborted) throw new RejectedCall('the exchange is over')
    const call = readCall(input, init, negotiation)
    try {
      const response = await post(senderTo(call.url), call, negotiation)
      const value = judge(response, call, negotiation)
      if (call.operation !== 'ConfirmDevice') negotiation.tokens ??= capture(value, negotiation.request.tokenUse)
      return { ok: true, json: async () => value }
    } catch (error) {
      // An abort needs no verdict of ours: whoever aborted knows why.
      if (!negotiation.signal.aborted && call.operation !== 'ConfirmDevice') negotiation.failure ??= failureOf(error, negotiation)
      throw error instanceof RejectedCall ? error : new RejectedCall('no response')
    }
  }
}

interface Call {
  readonly url: URL
  readonly operation: string
  /** The `AuthFlow` or the `ChallengeName`. */
  readonly flow: unknown
  readonly headers: Record<string, string>
  readonly body: string
}

interface TextResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

class Rejected extends RejectedCall {
  readonly verdict: Classification
  readonly retryAfterMs: number | undefined

  constructor (verdict: Classification, retryAfterMs?: number) {
    super(verdict.code)
    this.verdict = verdict
    this.retryAfterMs = retryAfterMs
  }
}

// The exchange has a deadline of its own, which is no longer unless somebody set it so.
const CONNECT_TIMEOUT_MS = 10_000
// A device that cannot be confirmed must not spend the whole deadline of a login that has its tokens.
const CONFIRM_DEVICE_SHARE = 0.3

function readCall (input: string, init: FetchInit, negotiation: Negotiation): Call {
  const headers = Object.fromEntries(Object.entries(init.headers).map(([name, value]) => [name.toLowerCase(), value]))
  const body = JSON.parse(init.body) as Record<string, unknown>
  return {
    url: new URL(input),
    operation: headers['x-amz-target']?.split('.')[1] ?? '',
    flow: body['AuthFlow'] ?? body['ChallengeName'],
    headers,
    body: JSON.stringify(addSecretHash(body, negotiation.request))
  }
}

// The library knows no client secret. SECRET_HASH is made over the name in the same request: the one given in step 1,
// USER_ID_FOR_SRP in step 2 (alexrudd/cognito-srp#1). A refresh names no user; it goes another way (worker.ts).
function addSecretHash (body: Record<string, unknown>, { clientId, clientSecret }: NegotiationRequest): Record<string, unknown> {
  const key = 'AuthParameters' in body ? 'AuthParameters' : 'ChallengeResponses'
  const inner = body[key] as Record<string, unknown> | undefined
  const username = inner?.['USERNAME']
  if (clientSecret === undefined || typeof username !== 'string') return body
  const hash = createHmac('sha256', clientSecret).update(username + clientId).digest('base64')
  return { ...body, [key]: { ...inner, SECRET_HASH: hash } }
}

async function post (sender: Sender, { url, headers, body, operation }: Call, negotiation: Negotiation): Promise<TextResponse> {
  const { deadlineMs } = negotiation.request
  const signal = operation === 'ConfirmDevice'
    ? AbortSignal.any([negotiation.signal, AbortSignal.timeout(deadlineMs * CONFIRM_DEVICE_SHARE)])
    : negotiation.signal
  const sentAt = Date.now()
  const { status, headers: fields, receivedAt, bytes } = await askProvider(sender, { url, headers, body, signal })
  negotiation.clockSkewMs ??= skewOf(fields['date'], sentAt, receivedAt)
  if (bytes === undefined) throw new Rejected(unexpectedResponse(status))
  return { status, headers: fields, text: bytes.toString('utf8') }
}

/** The JSON of a success, or a {@link Rejected}. */
function judge (response: TextResponse, call: Call, { request: { kind, tokenUse }, clockSkewMs }: Negotiation): Record<string, unknown> {
  const json = parseObject(response.text)
  if (response.status !== 200) {
    throw new Rejected(judgeError(response, json, kind), retryAfterMs(response.headers['retry-after'], Date.now() + (clockSkewMs ?? 0)))
  }
  if (json === undefined) throw new Rejected(unexpectedResponse(200))
  if (call.operation === 'ConfirmDevice') return json
  const challenge = json['ChallengeName']
  if (challenge === 'PASSWORD_VERIFIER' && call.flow === 'USER_SRP_AUTH') {
    if (isPasswordVerifier(json['ChallengeParameters'])) return json
    throw new Rejected(unexpectedResponse(200))
  }
  if (challenge !== undefined && challenge !== null) throw new Rejected(classifyChallenge(challenge))
  if (capture(json, tokenUse) === undefined) throw new Rejected(unexpectedResponse(200))
  return json
}

function judgeError (
  { status, headers, text }: TextResponse,
  json: Record<string, unknown> | undefined,
  kind: NegotiationRequest['kind']
): Classification {
  if (json === undefined) return unexpectedResponse(status)
  const declared = json['__type'] ?? json['code'] ?? String(headers['x-amzn-errortype'] ?? '').split(':')[0]
  // `namespace#Name` (aws/aws-sdk-cpp#1789).
  const code = typeof declared === 'string' ? declared.split('#').pop() : undefined
  const words = json['message'] ?? json['Message']
  return classifyResponse({ kind, status, code, text: typeof words === 'string' ? words : text })
}

// Bounded, because the library's big integers are slow; a salt may be negative for users that do not exist (aws-amplify/amplify-js#7618).
function isPasswordVerifier (value: unknown): boolean {
  if (!isObject(value)) return false
  const { SRP_B: B, SALT: salt, SECRET_BLOCK: block, USER_ID_FOR_SRP: userId } = value
  return typeof B === 'string' && /^[0-9a-f]{1,768}$/i.test(B) &&
    typeof salt === 'string' && /^-?[0-9a-f]{1,128}$/i.test(salt) &&
    typeof block === 'string' && block !== '' && typeof userId === 'string' && userId !== ''
}

function capture (response: Record<string, unknown>, tokenUse: 'access' | 'id'): CapturedTokens | undefined {
  const result = response['AuthenticationResult']
  if (!isObject(result)) return undefined
  const { ExpiresIn: expiresIn, RefreshToken: refreshToken, NewDeviceMetadata: device } = result
  const value = result[tokenUse === 'access' ? 'AccessToken' : 'IdToken']
  if (typeof value !== 'string' || value === '') return undefined
  const { DeviceKey: key, DeviceGroupKey: groupKey } = isObject(device) ? device : {}
  return {
    value,
    expiresIn: typeof expiresIn === 'number' && expiresIn > 0 ? expiresIn : undefined,
    refreshToken: typeof refreshToken === 'string' && refreshToken !== '' ? refreshToken : undefined,
    newDevice: typeof key === 'string' && typeof groupKey === 'string' ? { key, groupKey } : undefined
  }
}

function failureOf (error: unknown, { clockSkewMs }: Negotiation): PlainFailure {
  if (error instanceof Rejected) return { ...error.verdict, retryAfterMs: error.retryAfterMs, clockSkewMs }
  return { ...classifyNetworkError(error), retryAfterMs: undefined, clockSkewMs }
}

function parseObject (text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
