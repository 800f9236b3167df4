import fc from 'fast-check'
import t from 'tap'
import type { Binding } from '#src/auth/scheme.ts'
import { foldName } from '#src/http/headers.ts'
import { outgoingHeaders, outgoingQuery } from '#src/route/outgoing.ts'
import { compileRoute, injectionsOf, type Route } from '#src/route/route.ts'
import { Secret } from '#src/secret.ts'
import { routeOf } from '../helpers/proxy.ts'

const BEARER: Binding = { scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token', credential: 'orders' } }
const key = (place: 'header' | 'query' | 'cookie', name: string): Binding => ({
  scheme: { type: 'apiKey', in: place, name },
  value: { type: 'fixed', credential: 'maps', value: new Secret('our-key') }
})
const route = (...bindings: Binding[]): Route => compileRoute(routeOf({ upstream: 'https://api.example.com', bindings }), 0)
const headers = (on: Route, client: readonly string[]): string[] =>
  outgoingHeaders(
    on,
    client,
    injectionsOf(on, () => new Secret('our-token'), never)
  )
const pairs = (flat: readonly string[]): Array<[string, string]> =>
  flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? ''] as [string, string]] : []))

t.test('a public route passes on what it got, in order, case and multiplicity', async (t) => {
  const client = [
    'Accept',
    '*/*',
    'X-A',
    '1',
    'x-a',
    '2',
    'Authorization',
    'Basic abc',
    'COOKIE',
    'a=1',
    'Cookie',
    'b=2',
    'X_Under',
    '3',
    'X-Empty',
    '',
    'X-Latin',
    '\xe9'
  ]
  t.same(headers(route(), client), client)
})

t.test('what is never passed on is gone', async (t) => {
  t.same(
    headers(route(), [
      'Host',
      'a',
      'Connection',
      'close, X-Hop',
      'X-Hop',
      '1',
      'x_hop',
      '2',
      'Proxy-Connection',
      'x-too',
      'X-Too',
      '3',
      'Transfer-Encoding',
      'chunked',
      'Content-Length',
      '1',
      'TE',
      'trailers',
      'Trailer',
      'X',
      'Upgrade',
      'h2c',
      'HTTP2-Settings',
      'a',
      'Expect',
      '100-continue',
      'Forwarded',
      'for=1',
      'X-Forwarded-For',
      '1',
      'X_FORWARDED_PROTO',
      'https',
      'Proxy-Authorization',
      'Bearer x',
      'X-Countersign-Token',
      'x',
      'X_Countersign_Token',
      'x',
      'X-Kept',
      'y'
    ]),
    ['X-Kept', 'y']
  )
})

t.test('ours replaces every spelling of the client\'s', async (t) => {
  const client = [
    'Authorization',
    'Bearer evil',
    'AUTHORIZATION',
    'Bearer evil',
    'authorization',
    '',
    'X-Api-Key',
    'evil',
    'X_Api_Key',
    'evil',
    'x-api_key',
    'evil',
    'X_API_KEY',
    'evil',
    'X-Api-Key2',
    'kept'
  ]
  t.same(headers(route(BEARER, key('header', 'X-Api-Key')), client), [
    'X-Api-Key2',
    'kept',
    'authorization',
    'Bearer our-token',
    'X-Api-Key',
    'our-key'
  ])
})

t.test('a Connection list can neither strip nor double what is injected', async (t) => {
  const client = ['Connection', 'close, X-Api-Key, Authorization', 'connection', 'cookie', 'Proxy-Connection', 'authorization']
  t.same(headers(route(BEARER, key('header', 'X-Api-Key'), key('cookie', 'session')), client), [
    'cookie',
    'session=our-key',
    'authorization',
    'Bearer our-token',
    'X-Api-Key',
    'our-key'
  ])
})

t.test('cookies are merged into one header', async (t) => {
  t.same(headers(route(key('cookie', 'session')), ['Cookie', 'a=1; session=evil', 'X', 'y', 'cookie', 'b=2']), [
    'X',
    'y',
    'cookie',
    'a=1; b=2; session=our-key'
  ])
})

t.test('a route that injects elsewhere still takes the client\'s Authorization off', async (t) => {
  t.same(headers(route(key('query', 'key')), ['Authorization', 'Bearer evil']), [])
})

t.test('a query is the client\'s very bytes, but for the parameters that the route writes', async (t) => {
  const raw = '?a=1&a=2&b=%20+%2B&c=%C3%A9&=x&d'
  t.equal(outgoingQuery(route(BEARER), 'GET', raw, []), raw)
  const on = route(key('query', 'key'))
  t.equal(outgoingQuery(on, 'GET', `${raw}&k%65y=evil`, injectionsOf(on, never, never)), `${raw}&key=our-key`)
})

t.test('exactly one of each injected header leaves, whatever the client sends', async (t) => {
  const name = fc.oneof(
    fc.constantFrom(
      'Authorization',
      'authorization',
      'AUTHORIZATION',
      'X-Api-Key',
      'x_api_key',
      'X_API-KEY',
      'Connection',
      'connection',
      'Proxy-Connection',
      'Cookie',
      'cookie',
      '__proto__',
      'constructor',
      'toString',
      'X-Other',
      'hasOwnProperty'
    ),
    fc.string({ unit: fc.constantFrom(...'aAxX-_k'), minLength: 1, maxLength: 9 })
  )
  const value = fc.constantFrom(
    'evil',
    'Bearer evil',
    'close, authorization',
    'X-Api-Key, X_Api_Key',
    'cookie',
    'session=evil; a=1',
    '__proto__',
    '',
    'authorization,,x-api-key, constructor'
  )
  const on = route(BEARER, key('header', 'X-Api-Key'), key('cookie', 'session'))
  fc.assert(fc.property(fc.array(fc.tuple(name, value), { maxLength: 12 }), (client) => {
    const sent = pairs(headers(on, client.flat()))
    const named = (folded: string): string[] => sent.filter(([given]) => foldName(given) === folded).map(([, given]) => given)
    const listed = new Set(
      client
        .filter(([given]) => /^(?:proxy-)?connection$/i.test(given))
        .flatMap(([, given]) => given.split(',').map((part) => foldName(part.trim())))
    )
    const owned = new Set(['authorization', 'x-api-key', 'cookie', 'connection', 'proxy-connection'])
    const others = (list: ReadonlyArray<[string, string]>): string =>
      JSON.stringify(list.filter(([given]) => !owned.has(foldName(given)) && !listed.has(foldName(given))))
    return (
      JSON.stringify(named('authorization')) === '["Bearer our-token"]' &&
      JSON.stringify(named('x-api-key')) === '["our-key"]' &&
      named('cookie').length === 1 &&
      named('cookie')[0]
        ?.split('; ')
        .filter((pair) => pair.startsWith('session'))
        .join() === 'session=our-key' &&
      named('connection').length === 0 &&
      others(sent) === others(client)
    )
  }), { numRuns: 5000 })
  t.pass()
})

function never (): never {
  throw new Error('nothing of the kind is injected here')
}
