import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import fc from 'fast-check'
import t from 'tap'
import { groupModulus, nativeModPow, replaceModPow, type BigIntegerClass } from '#src/token/cognito/mod-pow.ts'

const { default: BigInteger } = createRequire(import.meta.url)('amazon-cognito-identity-js/lib/BigInteger.js') as {
  default: BigIntegerClass
}
const original = BigInteger.prototype.modPow
const N = BigInt(`0x${groupModulus()}`)

/** Square and multiply, as in any textbook: what OpenSSL must agree with. */
function textbook (base: bigint, exponent: bigint): bigint {
  let result = 1n
  let square = ((base % N) + N) % N
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = result * square % N
    square = square * square % N
  }
  return result
}

const hex = (value: bigint): string => value.toString(16)

t.test('powers are those of the textbook, for bases of any size and sign', async () => {
  const base = fc.bigInt({ min: -(1n << 3400n), max: 1n << 3400n }).filter((value) => value % N !== 0n)
  const exponent = fc.bigInt({ min: 0n, max: 1n << 300n })
  fc.assert(
    fc.property(base, exponent, (base, exponent) => nativeModPow(hex(base), hex(exponent)) === hex(textbook(base, exponent))),
    { numRuns: 40 }
  )
})

t.test('an exponent as long as those of a login works', async (t) => {
  const base = -BigInt(`0x${randomBytes(410).toString('hex')}`)
  const exponent = BigInt(`0x01${randomBytes(160).toString('hex')}`)
  t.equal(nativeModPow(hex(base), hex(exponent)), hex(textbook(base, exponent)))
})

t.test('the bases that OpenSSL refuses are answered without it', async (t) => {
  t.equal(nativeModPow('1', 'abc'), '1')
  t.equal(nativeModPow(hex(N + 1n), 'abc'), '1')
  t.equal(nativeModPow(hex(N - 1n), '4'), '1', 'even')
  t.equal(nativeModPow('-1', '3'), hex(N - 1n), 'odd')
  t.equal(nativeModPow('5', '0'), '1')
})

t.test('a base that is a multiple of N is an error, as SRP demands', async (t) => {
  for (const base of ['0', hex(N), hex(N * 7n), `-${hex(N)}`]) t.throws(() => nativeModPow(base, '3'), RangeError)
  t.throws(() => nativeModPow('2', '-3'), RangeError)
})

t.test('a result that begins with zeros loses them', async (t) => {
  const inverse = textbook(3n, N - 2n)
  t.equal(nativeModPow(hex(inverse * 255n), '1'), '55', '255/3')
})

t.test('the library computes with the native power, once per call and before it returns', async (t) => {
  t.teardown(() => { BigInteger.prototype.modPow = original })
  let calls = 0
  t.equal(replaceModPow(BigInteger, (base, exponent) => {
    calls += 1
    return nativeModPow(base, exponent)
  }), true)
  const before = calls
  const results: unknown[] = []
  new BigInteger('-1234567890abcdef', 16).modPow(new BigInteger('fedcba', 16), new BigInteger(hex(N), 16), (error, value) => {
    results.push(error, value?.toString(16))
  })
  t.same(results, [null, hex(textbook(-0x1234567890abcdefn, 0xfedcban))])
  t.equal(calls, before + 1)
})

t.test('another modulus stays with the library', async (t) => {
  t.teardown(() => { BigInteger.prototype.modPow = original })
  replaceModPow(BigInteger)
  const results: unknown[] = []
  new BigInteger('5', 16).modPow(new BigInteger('1234567', 16), new BigInteger('10001', 16), (_, value) => {
    results.push(value?.toString(16))
  })
  t.same(results, [hex(5n ** 0x1234567n % 0x10001n)])
})

t.test('nothing is replaced where OpenSSL disagrees with the library, or fails', async (t) => {
  t.teardown(() => { BigInteger.prototype.modPow = original })
  t.equal(replaceModPow(BigInteger, () => '7'), false)
  t.equal(BigInteger.prototype.modPow, original)
  t.equal(replaceModPow(BigInteger, () => { throw new Error('no such group') }), false)
  t.equal(BigInteger.prototype.modPow, original)
})

t.test('a value that is 0 modulo N throws, so that the library stops before it signs', async (t) => {
  t.teardown(() => { BigInteger.prototype.modPow = original })
  replaceModPow(BigInteger)
  t.throws(
    () =>
      new BigInteger(hex(N), 16).modPow(new BigInteger('3', 16), new BigInteger(hex(N), 16), () => {
        t.fail('no callback')
      }),
    RangeError
  )
})
