import { getDiffieHellman } from 'node:crypto'
import { createPower } from './mod-pow-openssl.ts'

/** The part of a big integer that {@link replaceModPow} needs; the library's `BigInteger` has it. */
export interface BigIntegerLike {
  /** Radix 16: lower-case, a minus sign in front of a negative number. */
  readonly toString: (radix: number) => string
  /** The callback is called before it returns (amazon-cognito-identity-js BigInteger.js:652). */
  modPow: (exponent: BigIntegerLike, modulus: BigIntegerLike, callback: ModPowCallback) => unknown
}

type ModPowCallback = (error: Error | null, value?: BigIntegerLike) => void

export interface BigIntegerClass {
  new (text: string, radix: number): BigIntegerLike
  readonly prototype: BigIntegerLike
}

/**
 * base^exponent mod N by OpenSSL, where N is the 3072-bit group of RFC 3526 section 5 that Cognito uses: a Diffie-Hellman
 * shared secret is exactly that. Ten to forty times faster than the library's own arithmetic.
 *
 * @param base hex; may be negative and larger than N, as B - k*g^x of a login always is
 * @param exponent hex; not negative
 * @returns hex without leading zeros
 * @throws RangeError where the base is a multiple of N: SRP must stop there
 */
export function nativeModPow (base: string, exponent: string): string {
  const modulus = Buffer.from(groupModulus(), 'hex')
  const N = toBigInt(groupModulus())
  const power = toBigInt(exponent)
  const reduced = ((toBigInt(base) % N) + N) % N
  if (power < 0n) throw new RangeError('the exponent is negative')
  if (reduced === 0n) throw new RangeError('the base is 0 modulo N')
  // OpenSSL refuses 1 and N-1 as public keys, and 0 as a private one.
  if (power === 0n || reduced === 1n) return '1'
  if (reduced === N - 1n) return power % 2n === 0n ? '1' : reduced.toString(16)
  const openssl = createPower(modulus, Number.parseInt(process.versions.node))
  const compute = (value: bigint): bigint => toBigInt(openssl(toBytes(value), toBytes(power)).toString('hex'))
  return withEitherSign(compute, reduced, power, N).toString(16)
}

/**
 * Where OpenSSL knows the group, it may refuse every base outside its large subgroup (NIST SP 800-56A section 5.6.2.3.1):
 * half of all numbers, and those that a wrong password leads to. N ≡ 3 mod 4, so of b and N - b exactly one is inside, and
 * b^e = ±(N - b)^e.
 */
function withEitherSign (compute: (base: bigint) => bigint, base: bigint, exponent: bigint, N: bigint): bigint {
  try {
    return compute(base)
  } catch {
    const power = compute(N - base)
    return exponent % 2n === 0n ? power : N - power
  }
}

/**
 * Puts {@link nativeModPow} in the place of `BigInteger.prototype.modPow`, as the library's own React Native build does
 * (amazon-cognito-identity-js enhance-rn.js). Other moduli stay with the original. First both compute a few powers; where they
 * disagree, nothing is replaced.
 *
 * @returns whether the native one is in place
 */
export function replaceModPow (BigInteger: BigIntegerClass, power: (base: string, exponent: string) => string = nativeModPow): boolean {
  const original = BigInteger.prototype.modPow
  if (!agrees(BigInteger, original, power)) return false
  const modulus = groupModulus()
  BigInteger.prototype.modPow = function modPow (this: BigIntegerLike, exponent, N, callback) {
    if (N.toString(16) !== modulus) return original.call(this, exponent, N, callback)
    // Where there is no power this throws. An error in the callback would not stop the library: it goes on, and sends a
    // signature made with no key, which counts as a wrong password (CognitoUser.js:288-297).
    return callback(null, new BigInteger(power(this.toString(16), exponent.toString(16)), 16))
  }
  return true
}

/** N in lower-case hex. */
export function groupModulus (): string {
  return getDiffieHellman('modp15').getPrime('hex')
}

// Short exponents keep the original fast here. The bases: the generator, two of full length (one of them outside the large
// subgroup), and a negative one of the size of k*v.
function agrees (
  BigInteger: BigIntegerClass,
  original: BigIntegerLike['modPow'],
  power: (base: string, exponent: string) => string
): boolean {
  const exponent = 'c3a5c85c97cb3127'
  const bases = ['2', groupModulus().slice(2), `${groupModulus().slice(0, -1)}d`, `-${'9e3779b97f4a7c15'.repeat(52)}`]
  const N = new BigInteger(groupModulus(), 16)
  return bases.every((base) => {
    let expected: string | undefined
    original.call(new BigInteger(base, 16), new BigInteger(exponent, 16), N, (_, value) => {
      expected = value?.toString(16)
    })
    return expected !== undefined && expected === attempt(() => power(base, exponent))
  })
}

function attempt (compute: () => string): string | undefined {
  try {
    return compute()
  } catch {
    return undefined
  }
}

function toBigInt (hex: string): bigint {
  return hex.startsWith('-') ? -BigInt(`0x${hex.slice(1)}`) : BigInt(`0x${hex}`)
}

function toBytes (value: bigint): Buffer {
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 1 ? `0${hex}` : hex, 'hex')
}
