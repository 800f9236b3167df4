import { inspect } from 'node:util'
import t from 'tap'
import { Secret } from '../src/secret.ts'

t.test('a secret opens only by reveal', async (t) => {
  const secret = new Secret('CANARY')
  const texts = [String(secret), `${secret as unknown as string}`, '' + (secret as unknown as string), JSON.stringify({ secret }), inspect(secret), inspect({ a: [secret] }, { depth: null, showHidden: true }), JSON.stringify(Object.entries(secret)), inspect(secret, { customInspect: false, showHidden: true })]
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
