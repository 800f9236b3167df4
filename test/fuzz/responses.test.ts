/**
 * Any answer at all: a whole one reaches the client whole, one that breaks off never looks whole, and behind every one
 * the next request gets its own response. Nothing crashes or hangs. `npm run fuzz -- RUNS [SEED]` does many.
 */
import fc from 'fast-check'
import t from 'tap'
import { BEARER, startProxy } from '../helpers/proxy.ts'
import { connectRaw, message, type RawResponse } from '../helpers/raw-client.ts'
import { respondWith, startUpstream, type UpstreamExchange } from '../helpers/recording-upstream.ts'
import { fuzzedResponse, type FuzzedResponse } from './responses.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 600)
const SEED = Number(process.env['FUZZ_SEED'] ?? 20261120)
/** Requests at a time on average. */
const AT_ONCE = 16
const PER_STAGE = 5000

const totals = { responses: 0, whole: 0, cut: 0, refused: 0 }

for (let first = 0; first < RUNS; first += PER_STAGE) {
  const runs = Math.min(PER_STAGE, RUNS - first)
  t.test(`answers ${first + 1} to ${first + runs}`, async (t) => {
    const scripts = new Map<string, FuzzedResponse>()
    const upstream = await startUpstream(t, {
      respond: (exchange) => {
        const script = scripts.get(exchange.target)
        return script === undefined ? respondWith('200 OK', [], `clean ${exchange.target}`) : play(exchange, script)
      }
    })
    const proxy = await startProxy(t, {
      config: { accessLog: false },
      routes: [{ upstream: upstream.origin, bindings: [BEARER], timeoutMs: 300, idleTimeoutMs: 300 }]
    })
    let newest = 0

    async function judge (script: FuzzedResponse): Promise<string | undefined> {
      const id = ++newest
      scripts.set(`/${id}`, script)
      const client = await connectRaw(proxy.port)
      try {
        client.send(message(`GET /${id} HTTP/1.1`, [`Host: localhost:${proxy.port}`]))
        const response = await client.response().catch((error: unknown) => client.ended ? 'broken' as const : String(error))
        if (typeof response === 'string' && response !== 'broken') return response
        const failure = failureOf(response, script)
        if (failure !== undefined) return failure
      } finally {
        client.destroy()
        scripts.delete(`/${id}`)
      }
      const next = await connectRaw(proxy.port)
      try {
        next.send(message(`GET /next-${id} HTTP/1.1`, [`Host: localhost:${proxy.port}`]))
        const { text } = await next.response()
        return text === `clean /next-${id}` ? undefined : `the next request got: ${text.slice(0, 80)}`
      } finally {
        next.destroy()
      }
    }

    await fc.assert(fc.asyncProperty(fc.array(fuzzedResponse, { minLength: 1, maxLength: 2 * AT_ONCE - 1, size: 'max' }), async (list) => {
      totals.responses += list.length
      const failures = (await Promise.all(list.map(async (script) => {
        const failure = await judge(script)
        return failure === undefined ? [] : [`${failure}\n${JSON.stringify(script)}`]
      }))).flat()
      if (failures.length > 0) throw new Error(failures.join('\n'))
    }), { numRuns: Math.ceil(runs / AT_ONCE), seed: SEED + first })
    t.same(proxy.lines().filter(({ level }) => level === 'error'), [])
    t.notMatch(proxy.logged(), 'CANARY')
  })
}

t.test('in all', async (t) => {
  t.comment(
    `${totals.responses} answers: ${totals.whole} reached the client whole, ${totals.cut} broken off, ${totals.refused} as 502 or 504`
  )
  t.ok(totals.responses > 0)
})

/** Each piece leaves by itself; the one before has left the process then. */
function play ({ connection: { socket } }: UpstreamExchange, { pieces, end }: FuzzedResponse): undefined {
  const write = (index: number): void => {
    const piece = pieces[index]
    if (piece !== undefined) socket.write(Buffer.from(piece, 'latin1'), () => { setImmediate(() => { write(index + 1) }) })
    else if (end === 'end') socket.end()
    else if (end === 'reset') socket.resetAndDestroy()
  }
  write(0)
  return undefined
}

function failureOf (response: RawResponse | 'broken', { body, cut, end }: FuzzedResponse): string | undefined {
  if (response === 'broken' || !response.complete) {
    totals.cut++
    return body === undefined || end === 'reset' ? undefined : 'a whole response arrived broken'
  }
  const ours =
    response.header('proxy-status')?.startsWith('countersign; error=') === true &&
    (response.statusCode === 502 || response.statusCode === 504) &&
    response.text.includes('"code":"CS_UPSTREAM_')
  if (ours) {
    totals.refused++
    return body === undefined ? undefined : `a whole response became ${response.statusCode}`
  }
  totals.whole++
  if (cut) return `a response that breaks off looks whole: ${response.statusCode} ${response.text.slice(0, 60)}`
  if (body !== undefined && response.body.toString('latin1') !== body) return 'another body'
  return undefined
}
