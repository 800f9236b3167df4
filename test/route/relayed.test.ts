import t from 'tap'
import type { RelayKind, RelaySource } from '#src/auth/relay.ts'
import { outgoingHeaders } from '#src/route/outgoing.ts'
import { readRelayed } from '#src/route/relayed.ts'
import { compileRoute, injectionsOf, type Route } from '#src/route/route.ts'
import { Secret } from '#src/secret.ts'
import { routeOf } from '../helpers/proxy.ts'

const ADDRESS = '0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512'

function routeWith (kind: RelayKind, source: RelaySource): Route {
  return compileRoute(
    routeOf({
      prefix: '/x',
      upstream: 'https://api.example.com',
      bindings: [{ scheme: { type: kind, in: 'header', name: 'X-Relayed' }, value: { type: 'relay', kind, source } }]
    }),
    0
  )
}

t.test('fixed, generated and asserted values', async (t) => {
  t.equal(readRelayed(routeWith('relayChainId', { type: 'fixed', value: '31337' }), []).get('relayChainId')?.reveal(), '31337')
  const generated = routeWith('relayRequestId', { type: 'generate' })
  const [first, second] = [readRelayed(generated, []), readRelayed(generated, [])].map((values) => values.get('relayRequestId')?.reveal())
  t.match(first, /^0x[0-9a-f]{64}$/)
  t.not(first, second, 'one per request')
  const asserted = routeWith('relayRequesterAddress', { type: 'header', name: 'X-Requester' })
  t.equal(readRelayed(asserted, ['Accept', '*/*', 'x-requester', ADDRESS]).get('relayRequesterAddress')?.reveal(), ADDRESS)
})

t.test('a missing, doubled or malformed value is 400', async (t) => {
  const route = routeWith('relayRequesterAddress', { type: 'header', name: 'X-Requester' })
  for (const headers of [
    [],
    ['X-Requester', ''],
    ['X-Requester', '0x1'],
    ['X-Requester', `${ADDRESS} `],
    ['X-Requester', 'undefined'],
    ['X-Requester', ADDRESS, 'x_requester', ADDRESS]
  ]) {
    t.throws(() => readRelayed(route, headers), { code: 'CS_BAD_REQUEST', statusCode: 400 }, JSON.stringify(headers))
  }
})

t.test('the source header is taken off, and a spoofed target too', async (t) => {
  const route = routeWith('relayRequesterAddress', { type: 'header', name: 'X-Requester' })
  const client = ['X-Requester', ADDRESS, 'X_Relayed', 'evil', 'Authorization', 'mine', 'Accept', '*/*']
  const relayed = readRelayed(route, client)
  const injections = injectionsOf(route, () => new Secret(''), (kind) => relayed.get(kind) ?? new Secret(''))
  t.same(outgoingHeaders(route, client, injections), ['Accept', '*/*', 'X-Relayed', ADDRESS])
})
