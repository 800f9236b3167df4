import { createPublicKey, generateKeyPair, sign, verify, type JsonWebKey, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

/** The claims of a token: whatever JSON object stood in it. */
export type Claims = Readonly<Record<string, unknown>>

/** The key ids that Cognito's two kinds of token name; the emulator has one key under both. */
type KeyUse = 'access' | 'id'

/** Signs and verifies RS256 tokens (RFC 7515, RFC 7518 section 3.3) with one key of its own. */
export interface TokenSigner {
  readonly sign: (use: KeyUse, claims: Claims) => string
  /** The claims of a token that this signer signed; undefined for any other. `exp` is not checked. */
  readonly verify: (token: string) => Claims | undefined
  /** A JSON Web Key Set (RFC 7517 section 5). */
  readonly jwks: { readonly keys: readonly JsonWebKey[] }
}

/** Makes a signer with a fresh 2048-bit key, off the main thread. */
export async function createTokenSigner (): Promise<TokenSigner> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  const jwk = publicKey.export({ format: 'jwk' })
  const keys = (['access', 'id'] as const).map((use) => ({ ...jwk, kid: keyId(use), alg: 'RS256', use: 'sig' }))
  return {
    sign: (use, claims) => signToken(privateKey, use, claims),
    verify: (token) => verifyToken(() => publicKey, token),
    jwks: { keys }
  }
}

/**
 * Creates a function that verifies a signer's tokens by its published keys alone, each by the `kid` that the token names. It does
 * not check `exp`.
 */
export function createVerifier ({ keys }: TokenSigner['jwks']): TokenSigner['verify'] {
  const byId = new Map<unknown, KeyObject>()
  for (const jwk of keys) {
    const key = readKey(jwk)
    if (key !== undefined) byId.set(jwk['kid'], key)
  }
  return (token) => verifyToken((keyId) => byId.get(keyId), token)
}

function keyId (use: KeyUse): string {
  return `countersign-demo-${use}`
}

function signToken (key: KeyObject, use: KeyUse, claims: Claims): string {
  const input = `${encode({ kid: keyId(use), alg: 'RS256' })}.${encode(claims)}`
  return `${input}.${sign('sha256', Buffer.from(input, 'ascii'), key).toString('base64url')}`
}

// A set may hold keys of other kinds and for other uses (RFC 7517 section 5): they are passed over.
function readKey (jwk: JsonWebKey): KeyObject | undefined {
  if (jwk.kty !== 'RSA' || typeof jwk['kid'] !== 'string' || (jwk['use'] ?? 'sig') !== 'sig' || (jwk['alg'] ?? 'RS256') !== 'RS256') {
    return undefined
  }
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    // RFC 7518 section 3.3: RS256 wants 2048 bits or more.
    return (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048 ? key : undefined
  } catch {
    return undefined
  }
}

// The algorithm is fixed: a token's own `alg` is compared, never followed (RFC 8725 section 3.1).
function verifyToken (findKey: (keyId: unknown) => KeyObject | undefined, token: string): Claims | undefined {
  const match = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(token)
  if (match === null) return undefined
  const [, header = '', payload = '', signature = ''] = match
  const named = decode(header)
  const key = named?.['alg'] === 'RS256' ? findKey(named['kid']) : undefined
  if (key === undefined) return undefined
  if (!verify('sha256', Buffer.from(`${header}.${payload}`, 'ascii'), key, Buffer.from(signature, 'base64url'))) return undefined
  return decode(payload)
}

function encode (value: unknown): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url')
}

function decode (part: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Claims : undefined
  } catch {
    return undefined
  }
}
