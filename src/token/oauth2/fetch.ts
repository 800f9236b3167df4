import type { ProxyEnvironment } from '../../http/proxies.ts'
import { classifyTokenNetworkError } from './classify.ts'
import { readAnswer } from './response.ts'
import { askProvider, connectProvider } from '../provider/client.ts'
import { retryAfterMs, skewOf } from '../provider/clock.ts'
import type { Answer, TokenType } from './response.ts'
import type { Verdict } from '../cognito/classify.ts'
import { TokenError } from '../token.ts'

/** One login under way, and what its call brought to light. */
export interface Exchange {
  readonly proxies: ProxyEnvironment
  /** Aborts at the deadline, or when nobody wants the answer any more. */
  readonly signal: AbortSignal
  readonly tokenType?: TokenType
  /** From the answer's `Date`: the provider's clock minus ours. */
  clockSkewMs: number | undefined
}

/** A token request as oauth4webapi hands it over. */
export interface TokenRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: URLSearchParams
}

/**
 * The `fetch` of oauth4webapi: one POST, whose answer is judged here. The library sees only what is a success by our rules,
 * reduced to the fields that matter: it would take a `scope` that is a list, or an ID token of another issuer, for a failure
 * of the whole answer, and it does not read the error code of an answer that carries a challenge.
 *
 * @returns a function that throws a {@link TokenError} and nothing else
 */
export function createTokenFetch (exchange: Exchange): (url: string, request: TokenRequest) => Promise<Response> {
  return async (url, request) => {
    let answer: Received
    try {
      answer = await post(new URL(url), request, exchange)
    } catch (error) {
      throw createFailure(classifyTokenNetworkError(error), exchange)
    }
    const result = readAnswer(answer, exchange.tokenType)
    if ('access_token' in result) return Response.json(result)
    throw createFailure(result, exchange, retryAfterMs(answer.retryAfter, Date.now() + (exchange.clockSkewMs ?? 0)))
  }
}

/** A verdict as an error, with what was measured on the way. */
export function createFailure ({ class: failure, code, message }: Verdict, { clockSkewMs }: Pick<Exchange, 'clockSkewMs'>, retryAfterMs?: number): TokenError {
  return new TokenError(failure, code, message, {
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(clockSkewMs !== undefined && { clockSkewMs })
  })
}

interface Received extends Answer {
  readonly retryAfter: string | string[] | undefined
}

// Connections for one call: logins are an hour apart, and what is destroyed afterwards can neither keep the process alive nor
// outlive a reload.
async function post (url: URL, { headers, body }: TokenRequest, exchange: Exchange): Promise<Received> {
  const { proxies, signal } = exchange
  const pool = connectProvider(url, { proxies, signal })
  try {
    const sentAt = Date.now()
    const answer = await askProvider(pool, { url, headers, body: body.toString(), signal })
    exchange.clockSkewMs = skewOf(answer.headers['date'], sentAt, answer.receivedAt)
    return { status: answer.status, retryAfter: answer.headers['retry-after'], text: textOf(answer.bytes) }
  } finally {
    pool.destroy().catch(() => {})
  }
}

function textOf (bytes: Buffer | undefined): string | undefined {
  // Not Buffer's own decoding: that would leave a byte order mark in front of the JSON.
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
}
