/**
 * Money spent twice (R5): reply-from sends a GET up to eleven times to an upstream that answers 503, and reads Retry-After
 * in milliseconds. Nothing is sent again here but what a 401 allows (contract section 4), whatever the upstream says.
 */
import t from 'tap'
import { message, rawRequest } from '../helpers/raw-client.ts'
import { BEARER, startProxy } from '../helpers/proxy.ts'
import { respondWith, startUpstream } from '../helpers/recording-upstream.ts'

t.test('one request in, one request out', async (t) => {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin, bindings: [BEARER] }] })
  let sent = 0
  for (const status of [
    '408 Request Timeout',
    '425 Too Early',
    '429 Too Many Requests',
    '500 Oops',
    '502 Bad Gateway',
    '503 Service Unavailable',
    '504 Gateway Timeout'
  ]) {
    for (const retryAfter of ['0', '1', '120', 'Fri, 01 Jan 2100 00:00:00 GMT']) {
      for (const [method, ...body] of [['GET'], ['POST', 'Content-Length: 5', 'hello']] as const) {
        upstream.respond = () => respondWith(status, [`Retry-After: ${retryAfter}`], 'later')
        const response = await rawRequest(
          proxy.port,
          message(`${method} / HTTP/1.1`, [`Host: localhost:${proxy.port}`, ...body.slice(0, 1)], body[1] ?? '')
        )
        t.match([response.statusCode, response.header('retry-after'), response.text], [Number(status.slice(0, 3)), retryAfter, 'later'])
        t.equal(upstream.exchanges.length, ++sent)
      }
    }
  }
})
