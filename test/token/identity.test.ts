/** Who a credential is, from the configuration file on: every field of every type, so that none that is added is forgotten. */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { CREDENTIAL_SHAPES } from '#src/config/credential/schema.ts'
import { createCacheSeal } from '#src/token/cache/seal.ts'
import { identityOf, identityChangeOf, type CredentialIdentity, type IdentityChange } from '#src/token/identity.ts'
import { Secret } from '#src/secret.ts'
import { configOf, loadFile } from '../config/load-fixture.ts'

type Fields = Readonly<Record<string, unknown>>

/** Two values of each field of a type, and what a change of it makes of the credential; `same` for those that no provider hears of. */
type Table = Readonly<Record<string, readonly [one: unknown, other: unknown, change: IdentityChange]>>

const PERMISSION: Table[string] = [false, true, 'same']

const TABLES: Readonly<Record<Exclude<keyof typeof CREDENTIAL_SHAPES, 'static'>, Table>> = {
  cognito: {
    userPoolId: ['eu-west-1_A', 'eu-west-1_Ab', 'other'],
    clientId: ['client', 'lient', 'other'],
    username: ['user', 'other', 'other'],
    password: ['password', 'changed', 'rotated'],
    clientSecret: ['secret', 'changed', 'rotated'],
    tokenUse: ['access', 'id', 'other'],
    authFlow: ['srp', 'password', 'other'],
    endpoint: ['https://a.example', 'https://b.example', 'other'],
    allowInsecureEndpoint: PERMISSION
  },
  'defender-relayer': defender(),
  'defender-admin': defender(),
  oauth2: {
    tokenUrl: ['https://id.example/token', 'https://id.example/token?tenant=1', 'other'],
    clientId: ['client', 'lient', 'other'],
    clientSecret: ['secret', 'changed', 'rotated'],
    scope: ['read', 'write', 'other'],
    audience: ['api', 'other', 'other'],
    resource: ['urn:api', 'urn:other', 'other'],
    clientAuth: ['basic', 'post', 'other'],
    tokenType: ['bearer', 'any', 'other'],
    lifetimeSeconds: [60, 61, 'other'],
    extra: [{ organization: 'one', team: 'two' }, { organization: 'one', team: 'three' }, 'other'],
    allowInsecureEndpoint: PERMISSION
  }
}

function defender (): Table {
  return {
    apiKey: ['key', 'other', 'other'],
    apiSecret: ['secret', 'changed', 'rotated'],
    userPoolId: ['us-west-2_A', 'us-west-2_B', 'other'],
    clientId: ['client', 'other', 'other'],
    endpoint: ['https://a.example', 'https://b.example', 'other'],
    allowInsecureEndpoint: PERMISSION
  }
}

const SEAL = createCacheSeal(new Secret('ab'.repeat(32)))

/** Who the credential of a configuration file with these fields is. */
function load (t: Test, credential: Fields): CredentialIdentity {
  const config = configOf(
    loadFile(t, { credentials: { a: credential }, routes: [{ prefix: '/', upstream: 'https://x.example', credential: 'a' }] })
  ).credentials.get('a')
  if (config === undefined) throw new Error('the configuration has this credential')
  return identityOf(config)
}

/** The identity change, after a look at what a reload and a cache make of it: they must be of one mind. */
function compare (t: Test, before: CredentialIdentity, now: CredentialIdentity, what: string): IdentityChange {
  const identityChange = identityChangeOf(before, now)
  t.equal(identityChangeOf(now, before), identityChange, what)
  t.equal(SEAL.nameOf(before) === SEAL.nameOf(now), identityChange !== 'other', `${what}: an entry of its own in the cache`)
  const sealed = SEAL.seal(before, { value: new Secret('token'), issuedAt: 1, lifetimeMs: 1 })
  t.equal(SEAL.open(now, sealed) !== undefined, identityChange === 'same', `${what}: nobody else's token`)
  return identityChange
}

for (const [type, table] of Object.entries(TABLES)) {
  const whole = { type, ...Object.fromEntries(Object.entries(table).map(([key, [one]]) => [key, one])) }

  t.test(`${type}: the table has every field of the schema`, async (t) => {
    t.same(['type', ...Object.keys(table)].sort(), Object.keys(CREDENTIAL_SHAPES[type as keyof typeof TABLES].shape).sort())
  })

  t.test(`${type}: equal fields are one credential, whatever objects hold them and in whatever order`, async (t) => {
    const turned = Object.fromEntries(Object.entries(whole).reverse())
    t.equal(compare(t, load(t, whole), load(t, turned), type), 'same')
  })

  t.test(`${type}: a change of any one field makes another identity of it; of a secret, the same with another proof`, async (t) => {
    const before = load(t, whole)
    for (const [key, [, other, identityChange]] of Object.entries(table)) {
      t.equal(compare(t, before, load(t, { ...whole, [key]: other }), key), identityChange, key)
    }
  })

  t.test(`${type}: a field that is left out is another one than any that is written`, async (t) => {
    const before = load(t, whole)
    for (const [key, schema] of Object.entries(CREDENTIAL_SHAPES[type as keyof typeof TABLES].shape)) {
      if (!schema.safeParse(undefined).success) continue
      const without = Object.fromEntries(Object.entries(whole).filter(([name]) => name !== key))
      const [, , identityChange] = table[key] ?? []
      // What is written is the default of some.
      if (key === 'tokenUse' || key === 'authFlow' || key === 'clientAuth' || key === 'tokenType' || key === 'allowInsecureEndpoint') {
        t.equal(compare(t, before, load(t, without), key), 'same', key)
      } else t.equal(compare(t, before, load(t, without), key), identityChange, key)
    }
  })
}

t.test('a type is part of who it is, and a fixed secret is all that it is', async (t) => {
  const { apiKey, apiSecret } = { apiKey: 'key', apiSecret: 'secret' }
  const preset = { userPoolId: 'us-west-2_A', clientId: 'client', endpoint: 'https://a.example' }
  const relayer = load(t, { type: 'defender-relayer', apiKey, apiSecret, ...preset })
  t.equal(compare(t, relayer, load(t, { type: 'defender-admin', apiKey, apiSecret, ...preset }), 'admin'), 'other')
  t.equal(compare(t, relayer, load(t, { type: 'cognito', username: apiKey, password: apiSecret, ...preset }), 'cognito'), 'other')
  const fixed = load(t, { type: 'static', value: 'value' })
  t.equal(compare(t, fixed, load(t, { type: 'static', value: 'value' }), 'static'), 'same')
  t.equal(compare(t, fixed, load(t, { type: 'static', value: 'other' }), 'static'), 'other')
  t.equal(compare(t, fixed, relayer, 'static'), 'other')
})

t.test('CVE-2026-33496: no two credentials that differ anywhere are one, however their fields are cut', async (t) => {
  const text = fc.oneof(fc.constantFrom('a', 'ab', 'b', 'bc', '', 'a.b', '0'), fc.string({ maxLength: 3 }))
  const credential = fc.record({
    clientId: text,
    scope: fc.option(text, { nil: undefined }),
    audience: fc.option(fc.array(text, { minLength: 1, maxLength: 3 }), { nil: undefined }),
    extra: fc
      .array(fc.tuple(text, text), { maxLength: 3 })
      .map((pairs) => new Map(pairs.map(([name, value]) => [name, new Secret(value)]))),
    clientSecret: text.map((value) => new Secret(value))
  })
  const spell = ({ extra, clientSecret, ...rest }: { extra: ReadonlyMap<string, Secret>, clientSecret: Secret }): string =>
    JSON.stringify([
      Object.entries(rest)
        .filter(([, value]) => value !== undefined)
        .sort(),
      [...extra].map(([name, value]) => [name, value.reveal()]).sort(),
      clientSecret.reveal()
    ])
  fc.assert(fc.property(credential, credential, (one, other) => {
    t.equal(identityChangeOf(identityOf(one), identityOf(other)) === 'same', spell(one) === spell(other))
  }), { numRuns: 500 })
})
