import type { ProxyEnvironment } from '../../http/proxies.ts'
import { classifyTokenNetworkError } from './classify.ts'
import { readTokenResponse, type TokenResponse, type TokenType } from './response.ts'
import { askProvider, connectProvider } from '../provider/client.ts'
import { retryAfterMs, skewOf } from '../provider/clock.ts'
import type { Classification } from '../cognito/classify.ts'
import { TokenError } from '../token.ts'

/** One login under way, and what its call brought to light. */
export interface Negotiation {
  readonly proxies: ProxyEnvironment
  /** Aborts at the deadline, or when nobody wants the response any more. */
  readonly signal: AbortSignal
  readonly tokenType?: TokenType
  /** From the response's `Date`: the provider's clock minus ours. */
  clockSkewMs: number | undefined
}

/** A token request as oauth4webapi hands it over. */
export interface TokenRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: URLSearchParams
}

/**
 * The `fetch` of oauth4webapi: one POST, whose response is judged here. The library sees only what is a success by our rules,
 * reduced to the fields that matter: it would take a `scope` that is a list, or an ID token of another issuer, for a failure
 * of the whole response, and it does not read the error code of a response that carries a challenge.
 *
 * @returns a function that throws a {@link TokenError} and nothing else
 */
export function createTokenFetch (negotiation: Negotiation): (url: string, request: TokenRequest) => Promise<Response> {
  return async (url, request) => {
    let response: Received
    try {
      response = await post(new URL(url), request, negotiation)
    } catch (error) {
      throw createFailure(classifyTokenNetworkError(error), negotiation)
    }
    const result = readTokenResponse(response, negotiation.tokenType)
    if ('access_token' in result) return Response.json(result)
    throw createFailure(result, negotiation, retryAfterMs(response.retryAfter, Date.now() + (negotiation.clockSkewMs ?? 0)))
  }
}

/** A verdict as an error, with what was measured on the way. */
export function createFailure (
  { class: failure, code, message }: Classification,
  { clockSkewMs }: Pick<Negotiation, 'clockSkewMs'>,
  retryAfterMs?: number
): TokenError {
  return new TokenError(failure, code, message, {
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(clockSkewMs !== undefined && { clockSkewMs })
  })
}

interface Received extends TokenResponse {
  readonly retryAfter: string | string[] | undefined
}

// Connections for one call: logins are an hour apart, and what is destroyed afterwards can neither keep the process alive nor
// outlive a reload.
async function post (url: URL, { headers, body }: TokenRequest, negotiation: Negotiation): Promise<Received> {
  const { proxies, signal } = negotiation
  const pool = connectProvider(url, { proxies, signal })
  try {
    const sentAt = Date.now()
    const response = await askProvider(pool, { url, headers, body: body.toString(), signal })
    negotiation.clockSkewMs = skewOf(response.headers['date'], sentAt, response.receivedAt)
    return { status: response.status, retryAfter: response.headers['retry-after'], text: textOf(response.bytes) }
  } finally {
    pool.destroy().catch(() => {})
  }
}

function textOf (bytes: Buffer | undefined): string | undefined {
  // Not Buffer's own decoding: that would leave a byte order mark in front of the JSON.
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
}
