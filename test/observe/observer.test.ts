import t, { type Test } from 'tap'
import { apiKey, startProxy, type ProxyOptions, type TestProxy } from '../helpers/proxy.ts'
import { message, rawRequest } from '../helpers/raw-client.ts'
import { respondWith, startUpstream } from '../helpers/recording-upstream.ts'
import { createTokenCredential } from '../helpers/token-credential.ts'
import { until } from '../helpers/until.ts'

async function start (t: Test, options: Partial<ProxyOptions>): Promise<TestProxy> {
  const upstream = await startUpstream(t)
  return startProxy(t, { routes: [{ prefix: '/api', upstream: upstream.origin }], ...options })
}

/** Sends a request, and resolves once it is counted, by when its line is written. */
async function send (proxy: TestProxy, path: string, count: number): Promise<void> {
  await rawRequest(proxy.port, message(`GET ${path} HTTP/1.1`, [`Host: localhost:${proxy.port}`]))
  const total = async (): Promise<number> =>
    [...(await proxy.scrape()).matchAll(/^countersign_requests_total\{.*\} (\d+)$/gm)].reduce((sum, [, number]) => sum + Number(number), 0)
  await until('the end of the request', async () => await total() === count)
}

function pathsOf (proxy: TestProxy): unknown[] {
  return proxy.lines().filter(({ msg }) => msg === 'request').map(({ path }) => path)
}

t.test('of what was not refused a sample has lines', async (t) => {
  let random = 0
  const proxy = await start(t, { config: { accessLog: 0.25 }, random: () => random })
  let count = 0
  for (const share of [0, 0.249, 0.25, 0.5, 0.999]) {
    random = share
    await send(proxy, `/api/${share}`, ++count)
    await send(proxy, `/none/${share}`, ++count)
  }
  t.same(pathsOf(proxy), ['/api/0', '/none/0', '/api/0.249', '/none/0.249', '/none/0.25', '/none/0.5', '/none/0.999'])
})

t.test('levels above info leave the lines out, those below do not; requests are counted all the same', async (t) => {
  for (const [logLevel, lines] of [
    ['trace', 2],
    ['debug', 2],
    ['info', 2],
    ['warn', 0],
    ['error', 0],
    ['fatal', 0],
    ['silent', 0]
  ] as const) {
    const proxy = await start(t, { config: { logLevel } })
    await send(proxy, '/api', 1)
    await send(proxy, '/none', 2)
    t.equal(pathsOf(proxy).length, lines, logLevel)
  }
})

t.test('routes that share a label, and those of a listener of their own, are counted and named by it', async (t) => {
  const upstream = await startUpstream(t)
  upstream.respond = () => respondWith('204 No Content')
  const own = {
    listen: { type: 'tcp', host: '127.0.0.1', port: 0 },
    upstream: upstream.origin,
    bindings: [apiKey('header', 'X-Key')]
  } as const
  const proxy = await startProxy(t, { routes: [own, { prefix: '/api', upstream: upstream.origin }, own] })
  const ports = [...proxy.own.map(({ address }) => address.type === 'tcp' ? address.port : 0), proxy.port]
  for (const port of ports) await rawRequest(port, message('GET /api HTTP/1.1', [`Host: localhost:${port}`]))
  await until('the last line', () => pathsOf(proxy).length === 3)
  const text = await proxy.scrape()
  t.match(text, '\ncountersign_requests_total{route="127.0.0.1:0",method="GET",status="2xx"} 2\n')
  t.match(text, '\ncountersign_requests_total{route="/api",method="GET",status="2xx"} 1\n')
  t.match(text, '\ncountersign_injected_total{credential="maps"} 2\n')
  t.same(proxy.lines().filter(({ msg }) => msg === 'request').map(({ route }) => route), ['127.0.0.1:0', '127.0.0.1:0', '/api'])
})

t.test('of each credential with a token a scrape has its end, and when it came', async (t) => {
  const proxy = await start(t, { credentials: ['one', 'two'].map((name) => createTokenCredential(name).options) })
  await proxy.fetched(2)
  const text = await proxy.scrape()
  for (const { name, expiresAt, lastSuccessAt } of proxy.store.statuses().slice(-2)) {
    // Both are made of a monotonic instant whenever they are asked for, and rounded.
    const isAbout = (gauge: string, instant: string | null): boolean =>
      Math.abs(
        1000 * Number(new RegExp(`\\n${gauge}\\{credential="${name}"\\} ([\\d.]+)\\n`).exec(text)?.[1]) - Date.parse(instant ?? '')
      ) <= 2
    t.ok(isAbout('countersign_token_expiry_timestamp_seconds', expiresAt))
    t.ok(isAbout('countersign_token_last_success_timestamp_seconds', lastSuccessAt))
  }
  t.notMatch(text, /countersign_clock_skew_seconds\{/)
  t.notMatch(text, /_seconds\{credential="(?:orders|maps)"\}/, 'fixed ones have neither')
})
