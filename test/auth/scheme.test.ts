import t from 'tap'
import { describeScheme, injectionOf } from '#src/auth/scheme.ts'
import { Secret } from '#src/secret.ts'

const value = new Secret('CANARY')

t.test('an API key goes where its scheme says, verbatim', async (t) => {
  for (const place of ['header', 'query', 'cookie'] as const) {
    t.same(injectionOf({ type: 'apiKey', in: place, name: 'X-Api-Key' }, value), { in: place, name: 'X-Api-Key', prefix: '', value })
  }
})

t.test('bearer and basic go into Authorization', async (t) => {
  t.same(injectionOf({ type: 'http', scheme: 'bearer' }, value), { in: 'header', name: 'authorization', prefix: 'Bearer ', value })
  t.same(injectionOf({ type: 'http', scheme: 'basic' }, value), { in: 'header', name: 'authorization', prefix: 'Basic ', value })
})

t.test('an injection keeps its secret wrapped', async (t) => {
  t.equal(injectionOf({ type: 'http', scheme: 'bearer' }, value).value, value)
  t.notMatch(JSON.stringify(injectionOf({ type: 'http', scheme: 'bearer' }, value)), 'CANARY')
})

t.test('a scheme is described in one line', async (t) => {
  t.equal(describeScheme({ type: 'http', scheme: 'basic' }), 'http basic')
  t.equal(describeScheme({ type: 'apiKey', in: 'header', name: 'X-Api-Key' }), 'apiKey header X-Api-Key')
})
