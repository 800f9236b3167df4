import { createHash, createHmac, getDiffieHellman, randomBytes, timingSafeEqual } from 'node:crypto'

/** A server's record of a password. Both are big integers in hex, without leading zeros, as Cognito sends them. */
export interface Verifier {
  readonly salt: string
  readonly verifier: string
}

/** The wanted shape of the random `B`; naive padding gets these shapes wrong. */
export type ShapeOfB = 'any' | 'odd' | 'top-bit' | 'short'

/** The server's half of one SRP login: the `B` to send, and the key that both sides should arrive at. */
export interface ServerNegotiation {
  readonly B: string
  readonly key: Buffer
}

/** The verifier of a password: v = g^x with x = H(PAD(salt) | H(poolName userId ":" password)). */
export function createVerifier (poolName: string, userId: string, password: string, salt: string = randomSalt()): Verifier {
  const inner = sha256(Buffer.from(`${poolName}${userId}:${password}`, 'utf8'))
  const x = toInteger(sha256(pad(BigInt(`0x${salt}`)), inner))
  return { salt, verifier: power(G, x, modulus()).toString(16) }
}

/** Whether a plain password belongs to a verifier; in constant time. */
export function passwordMatches (poolName: string, userId: string, password: string, known: Verifier): boolean {
  const candidate = createVerifier(poolName, userId, password, known.salt)
  return equalBytes(Buffer.from(candidate.verifier, 'utf8'), Buffer.from(known.verifier, 'utf8'))
}

/**
 * Responds to a client's `A` (RFC 5054 section 2.5.4, with Cognito's padding and key derivation).
 *
 * @param b the secret exponent in hex; drawn at random unless a known response is tested
 * @returns undefined where `A` is no hex integer of the group, or `A mod N` is 0 (RFC 5054 section 2.5.4: the server must abort)
 */
export function respondToClient (clientA: string, known: Verifier, shape: ShapeOfB = 'any', b?: string): ServerNegotiation | undefined {
  const N = modulus()
  // 768 digits are N's length; more would only buy an attacker our time (faiscadev/fakecloud#1961: 1.8 s for one request).
  if (!/^[0-9a-f]{1,768}$/i.test(clientA)) return undefined
  const A = BigInt(`0x${clientA}`)
  if (A % N === 0n) return undefined
  const v = BigInt(`0x${known.verifier}`)
  const drawn = b === undefined ? drawB(v, N, shape) : { exponent: BigInt(`0x${b}`), B: publicB(v, BigInt(`0x${b}`), N) }
  const u = toInteger(sha256(pad(A), pad(drawn.B)))
  const S = power(A * power(v, u, N), drawn.exponent, N)
  return { B: drawn.B.toString(16), key: deriveKey(S, u) }
}

/** `PASSWORD_CLAIM_SIGNATURE` as bytes. */
export function claimSignature (key: Buffer, poolName: string, userId: string, secretBlock: Buffer, timestamp: string): Buffer {
  return hmac(key, Buffer.from(poolName, 'utf8'), Buffer.from(userId, 'utf8'), secretBlock, Buffer.from(timestamp, 'utf8'))
}

/** `SECRET_HASH` of an app client that has a secret. */
export function secretHash (clientSecret: string, username: string, clientId: string): string {
  return hmac(Buffer.from(clientSecret, 'utf8'), Buffer.from(username + clientId, 'utf8')).toString('base64')
}

/** Compares in constant time; a difference in length is no secret here. */
export function equalBytes (left: Buffer, right: Buffer): boolean {
  return left.length === right.length && timingSafeEqual(left, right)
}

const G = 2n

function modulus (): bigint {
  return BigInt(`0x${getDiffieHellman('modp15').getPrime('hex')}`)
}

// A salt is an integer for Cognito, so leading zeros are lost and its length may be odd.
function randomSalt (): string {
  return toInteger(randomBytes(16)).toString(16)
}

function drawB (v: bigint, N: bigint, shape: ShapeOfB): { exponent: bigint, B: bigint } {
  for (;;) {
    const exponent = toInteger(randomBytes(32))
    const B = publicB(v, exponent, N)
    if (B !== 0n && hasShape(B.toString(16), shape)) return { exponent, B }
  }
}

function hasShape (hex: string, shape: ShapeOfB): boolean {
  switch (shape) {
    case 'any': return true
    case 'odd': return hex.length % 2 === 1
    case 'top-bit': return hex.length % 2 === 0 && /^[89a-f]/.test(hex)
    case 'short': return hex.length <= 766
    default: return shape satisfies never
  }
}

// k is H(PAD(N) | PAD(g)), and not RFC 5054's: PAD here only makes a number positive, it does not fill g up to the length of N.
function publicB (v: bigint, b: bigint, N: bigint): bigint {
  const k = toInteger(sha256(pad(N), pad(G)))
  return (k * v + power(G, b, N)) % N
}

function deriveKey (S: bigint, u: bigint): Buffer {
  const extracted = hmac(pad(u), pad(S))
  return hmac(extracted, Buffer.from('Caldera Derived Key\u0001', 'utf8')).subarray(0, 16)
}

/** Big-endian two's complement of a positive number: 00 goes in front of a set top bit. */
function pad (value: bigint): Buffer {
  const digits = value.toString(16)
  const even = digits.length % 2 === 1 ? `0${digits}` : digits
  return Buffer.from(/^[89a-f]/.test(even) ? `00${even}` : even, 'hex')
}

// Square and multiply on big integers: exponents are 256 bits here, so a login costs some ten milliseconds, and unlike
// OpenSSL's Diffie-Hellman it costs that in every version of Node.
function power (base: bigint, exponent: bigint, N: bigint): bigint {
  let result = 1n
  let square = base % N
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = result * square % N
    square = square * square % N
  }
  return result
}

function toInteger (bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`)
}

function sha256 (...parts: readonly Buffer[]): Buffer {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

function hmac (key: Buffer, ...parts: readonly Buffer[]): Buffer {
  const mac = createHmac('sha256', key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}
