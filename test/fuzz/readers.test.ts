/**
 * Any response at all, to three readers: our client, Node's own (`insecureHTTPParser` off) and undici. What both of those
 * refuse is never accepted here; what any of them accepts with us has the same status, headers, body and trailers; and no
 * response ever reaches another request: each has a mark.
 *
 * A small run with a fixed seed belongs to the suite. `npm run fuzz -- responses RUNS [SEED]` does as many as are wanted.
 */
import fc from 'fast-check'
import { once } from 'node:events'
import { request as requestHttp } from 'node:http'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { Client } from 'undici'
import { connectUpstream } from '#src/upstream/connect.ts'
import type { Pool } from '#src/upstream/pool.ts'
import { send } from '../helpers/ask.ts'
import { fuzzedResponse } from './responses.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 800)
const SEED = Number(process.env['FUZZ_SEED'] ?? 20261128)
const AT_ONCE = 24
const PER_STAGE = 2400
const HEADER_BYTES = 32_768

/** What a reader made of a response; undefined where it refused it, or found it cut. */
type Reading =
  { readonly status: number, readonly headers: readonly string[], readonly body: string, readonly trailers: readonly string[] } | undefined

interface Script {
  readonly pieces: readonly string[]
  /** The connection stays open behind it: a whole response, so that it is used again. */
  readonly keep: boolean
  /** How many connections it is being sent on. */
  playing: number
}

const totals = { responses: 0, accepted: 0, stricter: 0 }

for (let first = 0; first < RUNS; first += PER_STAGE) {
  const runs = Math.min(PER_STAGE, RUNS - first)
  t.test(`responses ${first + 1} to ${first + runs}`, async (t) => {
    const { origin, port, scripts } = await startStage(t)
    const pool = connect(origin)
    t.teardown(() => pool.destroy())
    const failures: string[] = []
    const samples = fc.sample(fc.tuple(fuzzedResponse, fc.array(fc.nat(), { maxLength: 4 }), fc.nat({ max: 9 })), {
      numRuns: runs,
      seed: SEED + first
    })
    for (let at = 0; at < samples.length; at += AT_ONCE) {
      await Promise.all(samples.slice(at, at + AT_ONCE).map(async ([response, cuts, dice], index) => {
        const id = `m${first + at + index}x`
        const keep = response.body !== undefined && response.end === 'keep'
        const script: Script = { pieces: inPieces(marked(response.pieces.join(''), id), cuts, dice), keep, playing: 0 }
        scripts.set(id, script)
        const failure = await judge(pool, port, origin, id, script)
        if (failure !== undefined && failures.length < 5) failures.push(`${failure}: ${JSON.stringify(script)}`)
        scripts.delete(id)
      }))
    }
    totals.responses += samples.length
    t.same(failures, [])
  })
}

t.test('in all', async (t) => {
  t.comment(`${totals.responses} responses: ${totals.accepted} accepted, ${totals.stricter} refused here alone`)
  t.ok(totals.accepted > totals.responses / 10)
})

function connect (origin: string): Pool {
  return connectUpstream({ origin, timeoutMs: 60_000, idleTimeoutMs: 60_000, proxies: {}, headerBytes: HEADER_BYTES })
}

/**
 * @param shared for whole responses; the others have a pool of their own, since nobody can tell bytes that come late from a response to the
 * next request
 */
async function judge (shared: Pool, port: number, origin: string, id: string, script: Script): Promise<string | undefined> {
  const pool = script.keep ? shared : connect(origin)
  try {
    return await compare(pool, port, origin, id, script)
  } finally {
    if (!script.keep) await pool.destroy()
  }
}

async function compare (pool: Pool, port: number, origin: string, id: string, script: Script): Promise<string | undefined> {
  const [ours, node, undici] = await Promise.all([readByUs(pool, id), readByNode(port, id), readByUndici(origin, id)])
  const stray = [...ours?.headers ?? []].filter((value) => /^m\d+x$/.test(value)).find((value) => value !== id)
  if (stray !== undefined) return `the response of ${stray}`
  if (ours === undefined) {
    if (node !== undefined || undici !== undefined) totals.stricter++
    return undefined
  }
  totals.accepted++
  if (node === undefined && undici === undefined) return 'accepted, and refused by both others'
  for (const [name, theirs] of [['Node', node], ['undici', undici]] as const) {
    if (theirs !== undefined && JSON.stringify(theirs) !== JSON.stringify(ours)) {
      return `${name} read ${JSON.stringify(theirs).slice(0, 300)}, we read ${JSON.stringify(ours).slice(0, 300)}`
    }
  }
  for (let turn = 0; turn < 5 || script.playing > 0; turn++) await new Promise((resolve) => { setImmediate(resolve) })
  const next = await readByUs(pool, `clean-${id}`)
  return next?.body === `clean-${id}` ? undefined : `the next request got ${JSON.stringify(next)}`
}

async function readByUs (pool: Pool, id: string): Promise<Reading> {
  const told = await send(pool, { target: `/${id}` }).until(({ ends }) => ends > 0)
  if (told.head === undefined || told.error !== undefined) return undefined
  return { status: told.head.statusCode, headers: told.head.rawHeaders, body: told.body.toString('latin1'), trailers: told.trailers ?? [] }
}

function readByNode (port: number, id: string): Promise<Reading> {
  return new Promise((resolve) => {
    const request = requestHttp(
      { host: '127.0.0.1', port, path: `/${id}`, agent: false, insecureHTTPParser: false, maxHeaderSize: HEADER_BYTES + 8192 },
      (response) => {
        const chunks: Buffer[] = []
        response
          .on('data', (chunk: Buffer) => {
            chunks.push(chunk)
          })
          .on('error', () => {})
          .on('close', () => {
            resolve(
              response.complete
                ? {
                    status: response.statusCode ?? 0,
                    headers: response.rawHeaders,
                    body: Buffer.concat(chunks).toString('latin1'),
                    trailers: response.rawTrailers
                  }
                : undefined
            )
          })
      }
    )
    // What comes behind a response is an error of its own: whether the response was whole is known by then.
    request.on('error', () => {}).on('close', () => { setImmediate(() => { resolve(undefined) }) }).end()
  })
}

async function readByUndici (origin: string, id: string): Promise<Reading> {
  const client = new Client(origin, { pipelining: 1, maxHeaderSize: HEADER_BYTES + 8192 })
  const reading = await new Promise<Reading>((resolve) => {
    let status = 0
    let headers: string[] = []
    const chunks: Buffer[] = []
    client.dispatch(
      { path: `/${id}`, method: 'GET' },
      {
        onRequestStart: () => {},
        onResponseStart: ({ rawHeaders }, statusCode) => {
          status = statusCode
          headers = texts(rawHeaders)
        },
        onResponseData: (_controller, chunk) => {
          chunks.push(chunk)
        },
        onResponseEnd: ({ rawTrailers }) => {
          resolve({ status, headers, body: Buffer.concat(chunks).toString('latin1'), trailers: texts(rawTrailers) })
        },
        onResponseError: () => {
          resolve(undefined)
        }
      }
    )
  })
  await client.destroy()
  return reading
}

/** Without the blanks around values, which are no part of them; undici leaves those behind a `Connection`. */
function texts (raw: unknown): string[] {
  return Array.isArray(raw)
    ? raw.map((item: Buffer | string) => (typeof item === 'string' ? item : item.toString('latin1')).replace(/^[\t ]+|[\t ]+$/g, ''))
    : []
}

/** With a header behind the first line that tells whose it is. */
function marked (bytes: string, id: string): string {
  const at = bytes.search(/HTTP\/1\.[01] [2-9]\d\d[^\r\n]*\r\n/)
  const end = at === -1 ? -1 : bytes.indexOf('\r\n', at) + 2
  return end === -1 ? bytes : `${bytes.slice(0, end)}X-Mark: ${id}\r\n${bytes.slice(end)}`
}

/** Cut anywhere; now and then at every byte of the first hundreds. */
function inPieces (bytes: string, places: readonly number[], dice: number): string[] {
  const every = dice === 0 ? Math.min(bytes.length, 300) : 0
  const cuts = [
    ...new Set([...Array.from({ length: every }, (_, index) => index + 1), ...places.map((place) => place % (bytes.length + 1))])
  ].sort((one, other) => one - other)
  return [0, ...cuts].map((from, index) => bytes.slice(from, cuts[index] ?? bytes.length)).filter((piece) => piece !== '')
}

async function startStage (t: Test): Promise<{ readonly origin: string, readonly port: number, readonly scripts: Map<string, Script> }> {
  const scripts = new Map<string, Script>()
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    let text = ''
    socket.on('error', () => {}).on('close', () => { sockets.delete(socket) }).on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      const match = /^GET \/(\S+) HTTP\/1\.1\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(text)
      if (match === null) return
      text = text.slice(match[0].length)
      const id = match[1] ?? ''
      const script = scripts.get(id)
      if (script === undefined) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${id.length}\r\n\r\n${id}`)
      else {
        script.playing++
        play(socket, script, 0)
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => { server.close(resolve) })
  })
  const { port } = server.address() as AddressInfo
  return { origin: `http://127.0.0.1:${port}`, port, scripts }
}

/** Each piece leaves by itself; the one before has left the process then. */
function play (socket: Socket, script: Script, index: number): void {
  const piece = script.pieces[index]
  if (piece !== undefined && socket.writable) {
    socket.write(Buffer.from(piece, 'latin1'), () => { setImmediate(() => { play(socket, script, index + 1) }) })
    return
  }
  script.playing--
  if (!script.keep) socket.end()
}
