import { format, inspect } from 'node:util'
import { serialize } from 'node:v8'
import t from 'tap'
import { Secret } from '#src/secret.ts'

t.test('a secret opens only by reveal', async (t) => {
  const secret = new Secret('CANARY')
  const texts = [
    String(secret),
    `${secret as unknown as string}`,
    '' + (secret as unknown as string),
    JSON.stringify({ secret }),
    inspect(secret),
    inspect({ a: [secret] }, { depth: null, showHidden: true }),
    JSON.stringify(Object.entries(secret)),
    inspect(secret, { customInspect: false, showHidden: true })
  ]
  for (const text of texts) t.notMatch(text, /CANARY/)
  t.equal(JSON.stringify({ secret }), '{"secret":"[Redacted]"}')
  t.equal(secret.reveal(), 'CANARY')
  t.throws(() => structuredClone({ f: () => secret }), 'it does not travel by accident')
})

t.test('comparison takes text and secrets of any length', async (t) => {
  const secret = new Secret('token')
  t.ok(secret.equals('token'))
  t.ok(secret.equals(new Secret('token')))
  for (const other of ['', 'toke', 'tokens', 'Token']) t.notOk(secret.equals(other))
})

t.test('a secret has no text form inside anything either', async (t) => {
  const secret = new Secret('CANARY')
  const error = Object.assign(new Error('failed', { cause: { secret } }), { secret, list: [secret] })
  const wrapped = { secret, map: new Map([['key', secret]]), set: new Set([secret]), error, get own () { return secret } }
  const options = [
    {},
    { depth: null },
    { showHidden: true, depth: null },
    { getters: true, depth: null },
    { customInspect: false, showHidden: true, depth: null, getters: true },
    { showProxy: true, depth: null }
  ] as const
  for (const value of [secret, wrapped, [secret], new Proxy(secret, {}), Object.create(secret) as unknown]) {
    for (const option of options) t.notMatch(inspect(value, option), /CANARY/)
    t.notMatch(format('%s %o %O %j %d', value, value, value, value, value), /CANARY/)
  }
  t.notMatch(JSON.stringify(wrapped), /CANARY/)
  t.notMatch(JSON.stringify(structuredClone({ secret })), /CANARY/, 'a clone has no value')
  t.notMatch(serialize(secret).toString('latin1'), /CANARY/)
  t.same(
    [Object.keys(secret), Object.getOwnPropertyNames(secret), Reflect.ownKeys(secret), JSON.stringify({ ...secret })],
    [[], [], [], '{}']
  )
  t.throws(() => { throw new TypeError(`no ${String(secret)}`) }, { message: 'no [Redacted]' })
  t.ok(Number.isNaN(Number(secret)))
  t.ok(secret.isShorterThan(7) && !secret.isShorterThan(6))
})
