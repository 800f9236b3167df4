import { createDiffieHellman, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto'

/** base^exponent mod N for a base in [2, N-2] and an exponent of at least 1; all big-endian without leading zeros. */
export type Power = (base: Buffer, exponent: Buffer) => Buffer

/**
 * Modular exponentiation by OpenSSL: a Diffie-Hellman shared secret is exactly that.
 *
 * Node offers two ways to it, and no version has both in good order [measured on 20.20, 22.23, 24.21 and 26.10, with the
 * 3072-bit group of RFC 3526]:
 * - a `DiffieHellman` object takes any exponent in 2 ms on Node 20, but is made anew with a primality test of more than a
 *   second on 24 and later, and refuses half of all bases on 22;
 * - keys take 4 ms on 22 and later, but are checked at greater length and refuse half of all bases on 20.
 *
 * @param prime N, a safe prime with N ≡ 3 mod 4
 * @param nodeMajor `20` for v20.x
 */
export function createPower (prime: Buffer, nodeMajor: number): Power {
  return nodeMajor < 22 ? createObjectPower(prime) : createKeyPower(prime)
}

function createObjectPower (prime: Buffer): Power {
  return (base, exponent) => {
    const group = createDiffieHellman(prime, 2)
    group.setPrivateKey(exponent)
    return group.computeSecret(base)
  }
}

// PKCS #8 (RFC 5958) and SubjectPublicKeyInfo (RFC 5280 section 4.1) with the algorithm of PKCS #3: prime and base.
function createKeyPower (prime: Buffer): Power {
  const algorithm = der(0x30, der(0x06, PKCS3_DH), der(0x30, integer(prime), integer(Buffer.of(2))))
  return (base, exponent) => {
    const privateKey = createPrivateKey({
      format: 'der',
      type: 'pkcs8',
      key: der(0x30, integer(Buffer.of(0)), algorithm, der(0x04, integer(exponent)))
    })
    const publicKey = createPublicKey({ format: 'der', type: 'spki', key: der(0x30, algorithm, der(0x03, Buffer.of(0), integer(base))) })
    return diffieHellman({ privateKey, publicKey })
  }
}

/** 1.2.840.113549.1.3.1 */
const PKCS3_DH = Buffer.from('2a864886f70d010301', 'hex')

function integer (value: Buffer): Buffer {
  // A set top bit would make it negative (X.690 section 8.3).
  return (value[0] ?? 0) >= 0x80 ? der(0x02, Buffer.of(0), value) : der(0x02, value)
}

function der (tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...size), content])
}
