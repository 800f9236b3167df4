import fc from 'fast-check'
import t from 'tap'
import type { Binding } from '#src/auth/scheme.ts'
import { judgeAllowed } from '#src/route/judge.ts'
import { compileRoute, injectionsOf, upstreamTarget, type Route, type RouteOptions } from '#src/route/route.ts'
import { findRoute, sharedTable, type RouteTable } from '#src/route/table.ts'
import { Secret } from '#src/secret.ts'
import { routeOf } from '../helpers/proxy.ts'

const UPSTREAM = 'https://api.example.com'
const compile = (options: Partial<RouteOptions>, index = 0): Route => compileRoute(routeOf({ upstream: UPSTREAM, ...options }), index)
const routes = (...prefixes: string[]): RouteTable => sharedTable(prefixes.map((prefix, index) => compile({ prefix }, index)))
const token = (credential: string): Binding => ({ scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token', credential } })
const fixed = (place: 'header' | 'query' | 'cookie', name: string): Binding => ({
  scheme: { type: 'apiKey', in: place, name },
  value: { type: 'fixed', credential: 'maps', value: new Secret('k') }
})

t.test('the longest prefix wins, whatever the order', async (t) => {
  for (const table of [routes('/', '/api', '/api/v2'), routes('/api/v2', '/api', '/')]) {
    const found = (path: string): readonly unknown[] => {
      const match = findRoute(table, path)
      return [match?.route.label, match?.rest]
    }
    t.same(found('/api/v2/x'), ['/api/v2', '/x'])
    t.same(found('/api/v2'), ['/api/v2', ''])
    t.same(found('/api/v2x'), ['/api', '/v2x'])
    t.same(found('/api/'), ['/api', '/'])
    t.same(found('/apix'), ['/', '/apix'])
    t.same(found('/'), ['/', '/'])
  }
})

t.test('no prefix matches in the middle of a segment, in another case or behind an encoded slash', async (t) => {
  const table = routes('/api')
  for (const path of ['/', '/apix', '/ap', '/API', '/api%2fsecret', '/api%2F', '/x/api', '/api;v=1/x', '//api', '/api%']) {
    t.equal(findRoute(table, path), undefined, path)
  }
})

t.test('an encoded spelling of a prefix gets the verdict of the plain one', async (t) => {
  const table = routes('/', '/api', '/a/b')
  for (const [path, label, rest] of [
    ['/%61pi/secret', '/api', '/secret'],
    ['/%61%70%69', '/api', ''],
    ['/ap%69/%2F', '/api', '/%2F'],
    ['/%61/b/c', '/a/b', '/c'],
    ['/a/%62', '/a/b', ''],
    ['/a%2fb', '/', '/a%2fb'],
    ['/%2561pi', '/', '/%2561pi']
  ] as const) {
    const found = findRoute(table, path)
    t.same([found?.route.label, found?.rest], [label, rest], path)
  }
})

t.test('what is below a prefix keeps its very bytes', async (t) => {
  const segment = fc.constantFrom('a', '%41', '%2F', '', 'b;c', '%C3%A9', '{x}')
  fc.assert(fc.property(fc.constantFrom('/api', '/%61pi', '/ap%69'), fc.array(segment), (spelling, segments) => {
    const rest = segments.map((part) => `/${part}`).join('')
    return findRoute(routes('/', '/api'), spelling + rest)?.rest === rest
  }))
  t.pass()
})

t.test('the target is the base path, the rest and the query', async (t) => {
  t.equal(upstreamTarget(compile({ upstream: `${UPSTREAM}/v2` }), '/a', '?b'), '/v2/a?b')
  t.equal(upstreamTarget(compile({ upstream: `${UPSTREAM}/v2` }), '', ''), '/v2')
  t.equal(upstreamTarget(compile({}), '', '?b'), '/?b')
  t.equal(upstreamTarget(compile({}), '/', ''), '/')
})

t.test('a rest that begins with two slashes is refused where it would begin the target', async (t) => {
  t.throws(() => judgeAllowed(compile({ prefix: '/a' }), 'GET', '//evil.example'), { code: 'CS_BAD_REQUEST' })
  t.doesNotThrow(() => judgeAllowed(compile({ prefix: '/a', upstream: `${UPSTREAM}/v2` }), 'GET', '//x'))
})

t.test('an allow list is asked about the path below the prefix', async (t) => {
  const route = compile({ prefix: '/relayer', allow: ['POST /txs', 'GET /'] })
  t.doesNotThrow(() => judgeAllowed(route, 'POST', '/txs'))
  t.doesNotThrow(() => judgeAllowed(route, 'GET', ''))
  t.throws(() => judgeAllowed(route, 'POST', '/relayer/txs'), { code: 'CS_NOT_ALLOWED', statusCode: 403 })
  t.throws(() => judgeAllowed(compile({ allow: [] }), 'GET', '/'), { code: 'CS_NOT_ALLOWED' })
})

t.test('a route that injects owns Authorization and the folded names of its schemes; a public one owns nothing', async (t) => {
  t.same([...compile({}).ownedHeaders], [])
  t.same([...compile({ bindings: [fixed('query', 'key')] }).ownedHeaders], ['authorization'])
  t.same([...compile({ bindings: [fixed('header', 'X_Api_Key'), token('orders')] }).ownedHeaders].sort(), ['authorization', 'x-api-key'])
})

t.test('an allow list takes off what would make another method of the one that it holds', async (t) => {
  const owned = compile({ prefix: '/a', allow: ['POST /txs'] }).ownedHeaders
  t.same([...owned], ['x-http-method-override', 'x-http-method', 'x-method-override'])
})

t.test('a route knows which tokens it waits for and which credentials leave with it', async (t) => {
  const route = compile({ bindings: [token('orders'), fixed('header', 'X-Api-Key'), token('orders')] })
  t.same(route.credentials, ['orders'])
  t.same(route.injectedCredentials, ['orders', 'maps'])
  t.same([route.writesQuery, route.writesCookies], [false, false])
  t.same(
    injectionsOf(route, () => new Secret('t'), never).map(({ name, value }) => [name, value.reveal()]),
    [
      ['authorization', 't'],
      ['X-Api-Key', 'k'],
      ['authorization', 't']
    ]
  )
})

function never (): never {
  throw new Error('nothing is relayed here')
}
