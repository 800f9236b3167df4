import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import t from 'tap'
import { respondToClient, claimSignature, createVerifier, passwordMatches, secretHash } from '#src/demo/srp-server.ts'
import { replaceModPow, type BigIntegerClass, type BigIntegerLike } from '#src/token/cognito/mod-pow.ts'

interface Vector {
  readonly id: string
  readonly aim: string
  readonly poolId: string
  readonly userIdForSrp: string
  readonly password: string
  readonly clientId?: string
  readonly clientSecret?: string
  readonly secretHash?: string
  readonly a: string
  readonly A: string
  readonly b?: string
  readonly B: string
  readonly salt: string
  readonly secretBlock: string
  readonly timestamp: string
  readonly intermediate: { readonly v: string, readonly hkdfKey: string }
  readonly signature: string
}

interface Helper {
  smallAValue: BigIntegerLike
  largeAValue: BigIntegerLike
  calculateA: (a: BigIntegerLike, callback: (error: Error | null, A: BigIntegerLike) => void) => void
  getPasswordAuthenticationKey: (
    user: string,
    password: string,
    B: BigIntegerLike,
    salt: BigIntegerLike,
    callback: (error: Error | null, key: Uint8Array) => void
  ) => void
}

// The library as shipped, in this thread: what the worker runs, without the worker.
const load = createRequire(import.meta.url)
const { default: BigInteger } = load('amazon-cognito-identity-js/lib/BigInteger.js') as { default: BigIntegerClass }
const { default: AuthenticationHelper } = load('amazon-cognito-identity-js/lib/AuthenticationHelper.js') as {
  default: new (poolName: string) => Helper
}

const vectors = JSON.parse(readFileSync(new URL('../../../test/vectors/cognito-srp.json', import.meta.url), 'utf8')) as Vector[]
const poolName = (vector: Vector): string => vector.poolId.split('_')[1] ?? ''
const original = BigInteger.prototype.modPow

t.equal(vectors.length, 12)

for (const arithmetic of ['original', 'native'] as const) {
  t.test(`the library with ${arithmetic} modPow gives every known signature`, async (t) => {
    if (arithmetic === 'native') t.ok(replaceModPow(BigInteger))
    t.teardown(() => { BigInteger.prototype.modPow = original })
    for (const vector of vectors) {
      const helper = new AuthenticationHelper(poolName(vector))
      helper.smallAValue = new BigInteger(vector.a, 16)
      helper.calculateA(helper.smallAValue, (_, A) => { helper.largeAValue = A })
      t.equal(helper.largeAValue.toString(16), vector.A, `A: ${vector.aim}`)
      let key = Buffer.alloc(0)
      helper.getPasswordAuthenticationKey(
        vector.userIdForSrp,
        vector.password,
        new BigInteger(vector.B, 16),
        new BigInteger(vector.salt, 16),
        (_, bytes) => {
          key = Buffer.from(bytes)
        }
      )
      t.equal(key.toString('hex'), vector.intermediate.hkdfKey, `key: ${vector.aim}`)
      const claim = [
        Buffer.from(poolName(vector) + vector.userIdForSrp, 'utf8'),
        Buffer.from(vector.secretBlock, 'base64'),
        Buffer.from(vector.timestamp, 'utf8')
      ]
      t.equal(createHmac('sha256', key).update(Buffer.concat(claim)).digest('base64'), vector.signature, `signature: ${vector.aim}`)
    }
  })
}

t.test('the emulator computes every known verifier, B, key and signature', async (t) => {
  for (const vector of vectors) {
    const known = createVerifier(poolName(vector), vector.userIdForSrp, vector.password, vector.salt)
    t.equal(known.verifier, vector.intermediate.v, `v: ${vector.aim}`)
    t.ok(passwordMatches(poolName(vector), vector.userIdForSrp, vector.password, known))
    if (vector.b === undefined) continue
    const negotiation = respondToClient(vector.A, known, 'any', vector.b)
    t.equal(negotiation?.B, vector.B, `B: ${vector.aim}`)
    t.equal(negotiation?.key.toString('hex'), vector.intermediate.hkdfKey, `key: ${vector.aim}`)
  }
})

t.test('the emulator signs the claim of every case as its client did', async (t) => {
  for (const vector of vectors) {
    const signature = claimSignature(
      Buffer.from(vector.intermediate.hkdfKey, 'hex'),
      poolName(vector),
      vector.userIdForSrp,
      Buffer.from(vector.secretBlock, 'base64'),
      vector.timestamp
    )
    t.equal(signature.toString('base64'), vector.signature, vector.aim)
  }
})

t.test('the secret hash is that of the published case', async (t) => {
  const [published] = vectors
  t.equal(secretHash(published?.clientSecret ?? '', published?.userIdForSrp ?? '', published?.clientId ?? ''), published?.secretHash)
})
