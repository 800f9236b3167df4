import t from 'tap'
import { message, rawRequest } from './helpers/raw-client.ts'
import { BEARER, CANARY, startProxy } from './helpers/proxy.ts'
import { startUpstream } from './helpers/recording-upstream.ts'

t.test('smoke', async (t) => {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, { routes: [{ prefix: '/api', upstream: `${upstream.origin}/v2`, bindings: [BEARER] }] })
  const response = await rawRequest(proxy.port, message('GET /api/x?a=1 HTTP/1.1', [`Host: localhost:${proxy.port}`]))
  console.error(response, upstream.received, proxy.logged())
  const bad = await rawRequest(proxy.port, message('POST /api/x?a=1 HTTP/1.1', [`Host: localhost:${proxy.port}`, 'Content-Length: 5'], 'hello'))
  console.error(bad.statusCode, upstream.received)
  t.match(upstream.received, CANARY.token)
})
