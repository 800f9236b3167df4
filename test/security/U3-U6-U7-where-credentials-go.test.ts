/**
 * Ways to have a credential sent to somebody else, or shown: an upstream that redirects to another host (U3), an upstream
 * that echoes what it was sent (U6), a request that asks for the identity provider or for a token itself (U7).
 *
 * A redirect is returned, never followed. An echo passes as it is, which is why a credential belongs to one upstream. No
 * request reaches an origin that no route names.
 */
import t from 'tap'
import { message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { BEARER, CANARY, startProxy } from '../helpers/proxy.ts'
import { respondWith, startUpstream } from '../helpers/recording-upstream.ts'

t.test('U3: no redirect is followed, whatever its status, target and method', async (t) => {
  const [upstream, evil] = await Promise.all([startUpstream(t), startUpstream(t)])
  const proxy = await startProxy(t, { routes: [{ upstream: `${upstream.origin}/v2`, bindings: [BEARER] }] })
  for (const status of [300, 301, 302, 303, 305, 307, 308]) {
    for (const location of [
      `${evil.origin}/x`,
      `//127.0.0.1:${evil.port}/x`,
      `http://user@127.0.0.1:${evil.port}/v2`,
      `${upstream.origin}@127.0.0.1:${evil.port}/`,
      `${upstream.origin.replace('http:', 'https:')}/v2/x`
    ]) {
      for (const method of ['GET', 'POST']) {
        upstream.respond = () => respondWith(`${status} X`, [`Location: ${location}`])
        const response = await rawRequest(proxy.port, message(`${method} /x HTTP/1.1`, [`Host: localhost:${proxy.port}`]))
        // One without a scheme gets the upstream's: resolved here, it would be called by the local one.
        const absolute = location.startsWith('//') ? `http:${location}` : location
        t.same([response.statusCode, response.all('location')], [status, [absolute]], 'returned as it came')
      }
    }
  }
  t.equal(evil.accepted, 0)
  t.equal(upstream.exchanges.length, 70, 'each was sent once')
})

t.test('U3: only a Location within the base leads back here', async (t) => {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, { routes: [{ prefix: '/orders', upstream: `${upstream.origin}/v2`, bindings: [BEARER] }] })
  for (const [location, expected] of [
    [`${upstream.origin}/v2/a`, '/orders/a'],
    [`${upstream.origin}/v2/../admin`, `${upstream.origin}/v2/../admin`],
    [`${upstream.origin}/v2evil`, `${upstream.origin}/v2evil`]
  ] as const) {
    upstream.respond = () => respondWith('302 Found', [`Location: ${location}`])
    t.equal(
      (await rawRequest(proxy.port, message('GET /orders/x HTTP/1.1', [`Host: localhost:${proxy.port}`]))).header('location'),
      expected
    )
  }
})

t.test('U6: an echo shows the credential of its own upstream, and of no other', async (t) => {
  const [one, two] = await Promise.all([startUpstream(t), startUpstream(t)])
  one.respond = two.respond = ({ connection }) => respondWith('200 OK', [], connection.received)
  const proxy = await startProxy(t, {
    routes: [
      { prefix: '/one', upstream: one.origin, bindings: [BEARER] },
      { prefix: '/two', upstream: two.origin }
    ]
  })
  const ask = (path: string): Promise<RawResponse> =>
    rawRequest(proxy.port, message(`GET ${path} HTTP/1.1`, [`Host: localhost:${proxy.port}`]))
  t.match((await ask('/one')).text, CANARY.token)
  t.notMatch((await ask('/two')).text, CANARY.token)
})

t.test('U7: no request is forwarded to an origin that is no route\'s, or shows a token', async (t) => {
  const [upstream, provider] = await Promise.all([startUpstream(t), startUpstream(t)])
  const proxy = await startProxy(t, { routes: [{ prefix: '/api', upstream: upstream.origin, bindings: [BEARER] }] })
  const host = `Host: localhost:${proxy.port}`
  for (const [line, ...lines] of [
    [`GET ${provider.origin}/token HTTP/1.1`, host],
    ['GET /token HTTP/1.1', `Host: 127.0.0.1:${provider.port}`],
    [`CONNECT 127.0.0.1:${provider.port} HTTP/1.1`, host],
    [`GET //127.0.0.1:${provider.port}/token HTTP/1.1`, host],
    [`GET /api/../${provider.origin} HTTP/1.1`, host],
    ['GET /token HTTP/1.1', host],
    ['GET /status HTTP/1.1', host],
    ['GET /metrics HTTP/1.1', host],
    ['GET /oauth/token HTTP/1.1', host],
    ['TRACE /api/x HTTP/1.1', host],
    [`GET @127.0.0.1:${provider.port}/ HTTP/1.1`, host]
  ] as const) {
    const response = await rawRequest(proxy.port, message(line, lines))
    t.ok(response.statusCode >= 400 && response.statusCode < 500, `${line}: ${response.statusCode}`)
    t.notMatch(response.text, 'CANARY')
  }
  t.equal(upstream.accepted, 0)
  // Within the route's own origin such words are data.
  for (const [target, ...lines] of [
    [`/api/${provider.origin}`],
    [`/api/x?url=${provider.origin}`],
    [
      '/api/x',
      `X-Forwarded-Host: 127.0.0.1:${provider.port}`,
      `X-Original-URL: ${provider.origin}`,
      `Forwarded: host=127.0.0.1:${provider.port}`
    ]
  ] as const) {
    const { statusCode } = await rawRequest(proxy.port, message(`GET ${target} HTTP/1.1`, [host, ...lines]))
    t.ok(statusCode === 200 || statusCode === 400, `${target}: ${statusCode}`)
  }
  t.ok(upstream.exchanges.length > 0)
  t.ok(upstream.exchanges.every(({ header }) => header('host') === `127.0.0.1:${upstream.port}`))
  t.equal(provider.accepted, 0)
})
