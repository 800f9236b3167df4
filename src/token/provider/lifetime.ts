import { parseObject } from './json.ts'

/**
 * How long a token lives, in milliseconds: from what the response says, else from the token's own `exp` and `iat` (RFC 7519
 * section 4.1). Never from `exp` and our clock, which may be wrong.
 *
 * @param expiresIn seconds
 * @returns undefined where neither tells
 */
export function lifetimeOf (token: string, expiresIn: number | undefined): number | undefined {
  if (expiresIn !== undefined) return expiresIn * 1000
  const { exp, iat } = claimsOf(token)
  return typeof exp === 'number' && typeof iat === 'number' && exp > iat ? (exp - iat) * 1000 : undefined
}

// Read, not verified: the token came over TLS from its issuer, and only its lifetime is of interest.
function claimsOf (token: string): Readonly<Record<string, unknown>> {
  return parseObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) ?? {}
}
