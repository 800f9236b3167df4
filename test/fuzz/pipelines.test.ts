/**
 * Random pipelines of requests that are served, refused, malformed or never whole, cut anywhere, with clients that leave
 * anywhere: answers come in order and to nobody else, nothing is sent to the upstream before its turn, and afterwards every
 * place among the limits is free and nothing is held.
 *
 * A small run with a fixed seed belongs to the suite. `npm run fuzz -- RUNS [SEED]` does as many as are wanted.
 */
import fc from 'fast-check'
import t from 'tap'
import { startProxy, type TestProxy } from '../helpers/proxy.ts'
import { connectRaw, message, rawRequest } from '../helpers/raw-client.ts'
import { respondWith, startUpstream, type RecordingUpstream } from '../helpers/recording-upstream.ts'
import { until } from '../helpers/until.ts'
import { pipeline, type Pipeline } from './pipelines.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1500)
const SEED = Number(process.env['FUZZ_SEED'] ?? 20261128)
/** Clients at a time at the most, which is what limits.requests lets through: one connection can have one place. */
const AT_ONCE = 16
const EXCHANGES_PER_CLIENT = 6
/** A stage keeps all that it has seen. */
const PER_STAGE = 3000

let newest = 0
let exchanges = 0

for (let first = 0; first < RUNS; first += PER_STAGE) {
  const runs = Math.min(PER_STAGE, RUNS - first)
  t.test(`exchanges ${first + 1} to ${first + runs}`, async (t) => {
    const upstream = await startUpstream(t, { respond })
    const proxy = await startProxy(t, {
      config: { accessLog: false, limits: { connections: 1000, requests: AT_ONCE } },
      routes: [{ prefix: '/open', upstream: upstream.origin }],
      timeouts: { headersMs: 20_000 }
    })
    await fc.assert(fc.asyncProperty(fc.array(pipeline, { minLength: 1, maxLength: AT_ONCE, size: 'max' }), async (clients) => {
      const failures = await Promise.all(clients.map((client) => run(proxy, upstream, client)))
      const found = failures.flatMap((failure, index) => failure === undefined ? [] : [`${failure}\n${JSON.stringify(clients[index])}`])
      if (found.length > 0) throw new Error(found.join('\n'))
      await allFree(proxy)
    }), { numRuns: Math.ceil(runs / EXCHANGES_PER_CLIENT / (AT_ONCE / 2)), seed: SEED + first })
    t.same(proxy.lines().filter(({ level }) => level === 'error'), [])
    t.notMatch(proxy.logged(), 'CANARY')
  })
}

t.test('in all', async (t) => {
  t.comment(`${exchanges} exchanges`)
  t.ok(exchanges > 0)
})

/** The upstream does what the path says. */
function respond ({ target, method, send, connection }: RecordingUpstream['exchanges'][number]): string | undefined {
  const [path = '', id = ''] = target.split('?')
  const line = `X-Answer-To: ${id}`
  if (method === 'HEAD') return `HTTP/1.1 200 OK\r\n${line}\r\nContent-Length: 2\r\n\r\n`
  switch (path) {
    case '/never': return undefined
    case '/broken':
      send(`HTTP/1.1 200 OK\r\n${line}\r\nContent-Length: 9\r\n\r\nab`)
      setImmediate(() => { connection.socket.destroy() })
      return undefined
    case '/later':
      setTimeout(() => { send(respondWith('200 OK', [line], 'ok')) }, 5)
      return undefined
    case '/large': return respondWith('200 OK', [line], 'x'.repeat(200_000))
    case '/chunked': return `HTTP/1.1 200 OK\r\n${line}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`
    case '/empty': return `HTTP/1.1 204 No Content\r\n${line}\r\n\r\n`
    case '/interim': return `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${respondWith('200 OK', [line], 'ok')}`
    default: return respondWith('200 OK', [line], 'ok')
  }
}

/** Plays a client; returns what is wrong with what came of it. */
async function run (
  proxy: TestProxy,
  upstream: RecordingUpstream,
  { requests, cuts, responses, end }: Pipeline
): Promise<string | undefined> {
  const numbered = requests.map((request) => ({ ...request, id: `id${++newest}` }))
  exchanges += numbered.length
  const bytes = numbered.map(({ bytes, id }) => bytes.replaceAll('PORT', String(proxy.port)).replace('?ID', `?${id}`)).join('')
  const client = await connectRaw(proxy.port)
  try {
    const places = [...new Set(cuts.map((share) => Math.floor(share * bytes.length)))].sort((one, other) => one - other)
    for (const [index, from] of [0, ...places].entries()) {
      client.send(bytes.slice(from, places[index] ?? bytes.length))
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
    }
    for (const [index, { id, kind, method }] of numbered.slice(0, responses).entries()) {
      if (kind === 'half') return undefined
      const response = await client.response({ method }).catch((error: unknown) => String(error))
      if (typeof response === 'string') return `request ${index} (${kind}): ${response}`
      const own = response.header('proxy-status') !== undefined
      if (own !== (kind !== 'served')) return `request ${index} (${kind}): ${response.statusCode} ${response.text.slice(0, 200)}`
      if (!own && response.header('x-answer-to') !== id) {
        return `request ${index}: the response to ${response.header('x-answer-to') ?? 'nobody'}`
      }
      if (!response.complete) return `request ${index}: cut`
      // Behind half a request nothing can have had its turn.
      const early =
        numbered[index + 1]?.kind !== 'half'
          ? undefined
          : numbered.slice(index + 2).find((later) => upstream.exchanges.some(({ target }) => target.endsWith(`?${later.id}`)))
      if (early !== undefined) return `${early.id} reached the upstream before its turn`
      if (kind === 'last') return (await client.rest()).length === 0 ? undefined : 'bytes behind the last response'
    }
    return undefined
  } finally {
    if (end === 'half-close') client.socket.end().resume()
    else if (end === 'reset') client.reset()
    else client.destroy()
    if (end === 'half-close') {
      await client.closed().finally(() => {
        client.destroy()
      })
    }
  }
}

/** As many as may be in flight at once are served at once: no place is lost. */
async function allFree (proxy: TestProxy): Promise<void> {
  const get = message('GET /open/now HTTP/1.1', [`Host: localhost:${proxy.port}`])
  await until('every place to be free', async () => {
    const all = await Promise.all(Array.from({ length: AT_ONCE }, () => rawRequest(proxy.port, get)))
    return all.every(({ statusCode }) => statusCode === 200)
  })
}
