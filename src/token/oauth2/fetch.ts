import type { ProxyEnvironment } from '../../http/proxies.ts'
import { askProvider, connectProvider, type ProviderResponse } from '../provider/client.ts'
import { classifyNetworkError, tokenErrorOf } from '../provider/failures.ts'
import { OAUTH2_SETTINGS } from './classify.ts'
import { readTokenResponse, type TokenType } from './response.ts'

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
 * Makes the `fetch` of oauth4webapi: one POST, whose response is judged here. The library sees only what is a success by our
 * rules, reduced to the fields that matter: it would take a `scope` that is a list, or an ID token of another issuer, for a
 * failure of the whole response, and it does not read the error code of a response that carries a challenge.
 *
 * @returns a function that throws a {@link TokenError} and nothing else
 */
export function createTokenFetch (negotiation: Negotiation): (url: string, request: TokenRequest) => Promise<Response> {
  return async (url, request) => {
    let response: ProviderResponse
    try {
      response = await post(new URL(url), request, negotiation)
    } catch (error) {
      throw tokenErrorOf(classifyNetworkError(error, OAUTH2_SETTINGS))
    }
    const { clockSkewMs, retryAfterMs } = response
    negotiation.clockSkewMs = clockSkewMs
    const result = readTokenResponse(response, negotiation.tokenType)
    if ('access_token' in result) return Response.json(result)
    throw tokenErrorOf(result, { retryAfterMs, clockSkewMs })
  }
}

// Connections for one call: logins are an hour apart, and what is destroyed afterwards can neither keep the process alive nor
// outlive a reload.
async function post (url: URL, { headers, body }: TokenRequest, { proxies, signal }: Negotiation): Promise<ProviderResponse> {
  const pool = connectProvider(url, { proxies, signal })
  try {
    return await askProvider(pool, { url, headers, body: body.toString(), signal })
  } finally {
    pool.destroy().catch(() => {})
  }
}
