import { unexpectedResponse, type Classification } from '../provider/failures.ts'
import { parseObject } from '../provider/json.ts'
import { classifyErrorResponse, OAUTH2_SETTINGS, redirected, unsupportedTokenType } from './classify.ts'

/** A response of a token endpoint, read to its end. */
export interface TokenResponse {
  readonly status: number
  /** Undefined where it was longer than a token's response can be. */
  readonly text: string | undefined
}

/** Which types of token are taken (RFC 6749 section 7.1). */
export type TokenType = 'bearer' | 'any'

/**
 * What a response gave, under the names of RFC 6749 section 5.1. It holds nothing else of the response: a refresh token is ignored
 * (section 4.4.3), and so is an ID token.
 */
export interface Issued {
  readonly access_token: string
  readonly token_type: 'bearer'
  /** Seconds; absent where the response told none that makes sense. */
  readonly expires_in?: number
}

/**
 * Reads a response. It is more lenient than the RFC where servers are known to be sloppy and nothing depends on it (the
 * content type, any 2xx, a lifetime in a string, a `scope` that is a list, an error under status 200), and strict about what the
 * token is. Whether it can be sent is the same question for every provider; the refresher asks it.
 */
export function readTokenResponse ({ status, text }: TokenResponse, tokenType: TokenType = 'bearer'): Issued | Classification {
  if (status >= 300 && status < 400) return redirected(status)
  const json = text === undefined ? undefined : parseObject(text)
  if (status < 200 || status >= 400) return classifyErrorResponse(status, json?.['error'])
  if (json === undefined) return unexpectedResponse(status, OAUTH2_SETTINGS)
  const { error, access_token: token, token_type: type, expires_in: lifetime } = json
  if (typeof error === 'string' && error !== '') return classifyErrorResponse(status, error)
  if (typeof token !== 'string' || token === '') return unexpectedResponse(status, OAUTH2_SETTINGS)
  if (tokenType !== 'any' && !isBearer(type)) return unsupportedTokenType(type)
  const seconds = readSeconds(lifetime)
  return { access_token: token, token_type: 'bearer', ...(seconds !== undefined && { expires_in: seconds }) }
}

// Shopify names no type, Apigee calls it BearerToken.
function isBearer (type: unknown): boolean {
  if (type === undefined || type === null) return true
  return typeof type === 'string' && ['', 'bearer', 'bearertoken'].includes(type.trim().toLowerCase())
}

// A number, or one in a string, of at least a second. The rest counts as missing: Grant.lifetimeMs has rules for that.
function readSeconds (value: unknown): number | undefined {
  const seconds = typeof value === 'string' && /^\s*\d+(?:\.\d*)?\s*$/.test(value) ? Number(value) : value
  return typeof seconds === 'number' && Number.isFinite(seconds) && seconds >= 1 ? seconds : undefined
}
