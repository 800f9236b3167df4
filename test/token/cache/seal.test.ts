import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { Secret } from '#src/secret.ts'
import { createCacheSeal, LONGEST_ENTRY } from '#src/token/cache/seal.ts'
import { identityOf } from '#src/token/identity.ts'
import type { CachedToken } from '#src/token/cache/cache.ts'

const KEY = new Secret('0123456789abcdef'.repeat(4))
const COGNITO = {
  type: 'cognito',
  endpoint: 'https://cognito-idp.eu-west-1.amazonaws.com',
  userPoolId: 'eu-west-1_Pool',
  clientId: 'client',
  username: new Secret('alice'),
  password: new Secret('CANARY-PW'),
  clientSecret: new Secret('CANARY-CS'),
  tokenUse: 'access',
  authFlow: 'srp'
} as const
const ALICE = identityOf(COGNITO)
const TOKEN: CachedToken = {
  value: new Secret('CANARY-JWT'),
  issuedAt: 1_767_225_600_000,
  lifetimeMs: 3_600_000,
  renewal: {
    refreshToken: new Secret('CANARY-RT'),
    device: { key: 'eu-west-1_device', groupKey: '-group', password: new Secret('CANARY-DP') }
  }
}

/** A token with its secrets open. */
function plain (token: CachedToken | undefined): unknown {
  if (token === undefined) return undefined
  const { value, renewal, ...rest } = token
  return {
    ...rest,
    value: value.reveal(),
    ...(renewal && { refreshToken: renewal.refreshToken.reveal() }),
    ...(renewal?.device && { device: { ...renewal.device, password: renewal.device.password.reveal() } })
  }
}

t.test('what was sealed opens whole: with a device, with a refresh token only, and bare', async (t) => {
  const { seal, open } = createCacheSeal(KEY)
  const { renewal, ...bare } = TOKEN
  for (const token of [TOKEN, bare, { ...bare, renewal: { refreshToken: new Secret('CANARY-RT') } }]) {
    t.same(plain(open(ALICE, seal(ALICE, token))), plain(token))
  }
  t.ok(renewal)
})

t.test('whatever the token and the identity hold, they come back and stay apart', async (t) => {
  const { seal, open, nameOf } = createCacheSeal(KEY)
  const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('a', 'bc', 'ab', 'c', '","', '"],["', ''))
  const fields = fc.array(fc.tuple(text, text), { maxLength: 4 })
  fc.assert(
    fc.property(
      fields,
      fields,
      fc.string({ unit: 'grapheme', minLength: 1 }),
      fields,
      fields,
      (who, proof, value, otherWho, otherProof) => {
        const identity = { who, proof }
        const bytes = seal(identity, { value: new Secret(value), issuedAt: 1, lifetimeMs: 2 })
        t.equal(open(identity, bytes)?.value.reveal(), value)
        const other = { who: otherWho, proof: otherProof }
        const same = JSON.stringify(identity) === JSON.stringify(other)
        t.equal(open(other, bytes) !== undefined, same)
        t.equal(nameOf(identity) === nameOf(other), JSON.stringify(who) === JSON.stringify(otherWho))
      }
    )
  )
})

t.test('any byte flipped, any byte missing, any byte more: no token', async (t) => {
  const { seal, open } = createCacheSeal(KEY)
  const bytes = seal(ALICE, TOKEN)
  fc.assert(fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (index, mask) => {
    const flipped = Buffer.from(bytes)
    flipped[index] = (flipped[index] ?? 0) ^ mask
    return open(ALICE, flipped) === undefined
  }), { numRuns: 2000 })
  for (let length = 0; length < bytes.length; length++) if (open(ALICE, bytes.subarray(0, length)) !== undefined) t.fail(`cut to ${length}`)
  fc.assert(fc.property(fc.uint8Array({ minLength: 1 }), (more) => open(ALICE, Buffer.concat([bytes, more])) === undefined))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), (noise) => open(ALICE, Buffer.from(noise)) === undefined))
  t.equal(open(ALICE, Buffer.alloc(LONGEST_ENTRY + 1)), undefined)
  t.ok(open(ALICE, bytes), 'untouched it opens')
})

t.test('another key opens nothing, and gives other names', async (t) => {
  const ours = createCacheSeal(KEY)
  const theirs = createCacheSeal(new Secret(randomBytes(32).toString('hex')))
  t.equal(theirs.open(ALICE, ours.seal(ALICE, TOKEN)), undefined)
  t.not(theirs.nameOf(ALICE), ours.nameOf(ALICE))
  t.not(theirs.keyId, ours.keyId)
  t.equal(createCacheSeal(KEY).keyId, ours.keyId)
})

t.test('another identity has an entry of its own, another proof finds none in its own', async (t) => {
  const { nameOf, seal, open } = createCacheSeal(KEY)
  for (const [other, sameName] of [
    [{ ...COGNITO, username: new Secret('bob') }, false],
    [{ ...COGNITO, password: new Secret('new') }, true]
  ] as const) {
    t.equal(open(identityOf(other), seal(ALICE, TOKEN)), undefined)
    t.equal(nameOf(identityOf(other)) === nameOf(ALICE), sameName)
  }
})

t.test('no two sealings are alike, and neither shows anything', async (t) => {
  const { seal, nameOf, keyId } = createCacheSeal(KEY)
  const one = seal(ALICE, TOKEN)
  t.notSame(one, seal(ALICE, TOKEN))
  t.notMatch(`${one.toString('latin1')}${nameOf(ALICE)}${keyId}`, /CANARY|alice|device|0123456789abcdef/)
})
