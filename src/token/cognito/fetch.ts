import { createHmac } from 'node:crypto'
import type { Sender } from '../../upstream/sender.ts'
import { askProvider, type Connections, type ProviderResponse } from '../provider/client.ts'
import { classifyNetworkError, unexpectedResponse, type Classification } from '../provider/failures.ts'
import { isObject, parseObject } from '../provider/json.ts'
import { classifyChallenge, classifyResponse, COGNITO_SETTINGS } from './classify.ts'
import type { NegotiationRequest, PlainFailure } from './messages.ts'

/** One login or refresh under way, and what its calls brought to light. */
export interface Negotiation {
  readonly request: NegotiationRequest
  /** Aborts at the deadline, or when nobody wants the response any more. */
  readonly signal: AbortSignal
  /** From the first response with a `Date`: the provider's clock minus ours. */
  clockSkewMs: number | undefined
  /** `AuthenticationResult` as it arrived, for the library drops `ExpiresIn` (CognitoUser.js:1635). */
  tokens: CapturedTokens | undefined
  /** The first failure is final: what the library does afterwards follows from it. */
  failure: PlainFailure | undefined
}

interface CapturedTokens {
  readonly value: string
  readonly expiresIn: number | undefined
  readonly refreshToken: string | undefined
  readonly newDevice: { readonly key: string, readonly groupKey: string } | undefined
}

/**
 * What the library gets from our fetch instead of a response that is no success. `nonRetryable` stops its retries, which would
 * repeat even a dead refresh token six times (amazon-cognito-identity-js Client.js:160-224).
 */
class RejectedCall extends Error {
  override readonly name = 'RejectedCall'
  readonly nonRetryable = true
}

/** The options that the library and this program give a `fetch`. */
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

/**
 * Makes the `fetch` of the library: one POST under the negotiation's signal, whose response is judged and captured before the
 * library sees it.
 *
 * @param current returns the negotiation that the caller belongs to
 */
export function createCognitoFetch (senderTo: Connections['senderTo'], current: () => Negotiation | undefined): CognitoFetch {
  return async (input, init) => {
    const negotiation = current()
    if (negotiation === undefined || negotiation.signal.aborted) throw new RejectedCall('the negotiation is over')
    const call = readCall(input, init, negotiation)
    try {
      const response = await post(senderTo(call.url), call, negotiation)
      const value = judge(response, call, negotiation)
      if (call.operation !== 'ConfirmDevice') negotiation.tokens ??= capture(value, negotiation.request.tokenUse)
      return { ok: true, json: async () => value }
    } catch (error) {
      // An abort needs no failure of ours: whoever aborted knows why.
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

type JsonObject = Readonly<Record<string, unknown>>

interface TextResponse extends ProviderResponse {
  readonly text: string
}

class Rejected extends RejectedCall {
  readonly classification: Classification
  readonly retryAfterMs: number | undefined

  constructor (classification: Classification, retryAfterMs?: number) {
    super(classification.code)
    this.classification = classification
    this.retryAfterMs = retryAfterMs
  }
}

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
  const response = await askProvider(sender, { url, headers, body, signal, clockSkewMs: negotiation.clockSkewMs })
  negotiation.clockSkewMs ??= response.clockSkewMs
  const { status, text } = response
  if (text === undefined) throw new Rejected(unexpectedResponse(status, COGNITO_SETTINGS))
  return { ...response, text }
}

/** The JSON of a success, or a {@link Rejected}. */
function judge (response: TextResponse, call: Call, { request: { kind, tokenUse } }: Negotiation): JsonObject {
  const json = parseObject(response.text)
  if (response.status !== 200) throw new Rejected(judgeError(response, json, kind), response.retryAfterMs)
  if (json === undefined) throw new Rejected(unexpectedResponse(200, COGNITO_SETTINGS))
  if (call.operation === 'ConfirmDevice') return json
  const challenge = json['ChallengeName']
  if (challenge === 'PASSWORD_VERIFIER' && call.flow === 'USER_SRP_AUTH') {
    if (isPasswordVerifier(json['ChallengeParameters'])) return json
    throw new Rejected(unexpectedResponse(200, COGNITO_SETTINGS))
  }
  if (challenge !== undefined && challenge !== null) throw new Rejected(classifyChallenge(challenge))
  if (capture(json, tokenUse) === undefined) throw new Rejected(unexpectedResponse(200, COGNITO_SETTINGS))
  return json
}

function judgeError (
  { status, headers, text }: TextResponse,
  json: JsonObject | undefined,
  kind: NegotiationRequest['kind']
): Classification {
  if (json === undefined) return unexpectedResponse(status, COGNITO_SETTINGS)
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

function capture (response: JsonObject, tokenUse: 'access' | 'id'): CapturedTokens | undefined {
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
  if (error instanceof Rejected) return { ...error.classification, retryAfterMs: error.retryAfterMs, clockSkewMs }
  return { ...classifyNetworkError(error, COGNITO_SETTINGS), retryAfterMs: undefined, clockSkewMs }
}
