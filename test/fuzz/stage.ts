import { parseTree } from 'jsonc-parser'
import type { Binding } from '#src/auth/scheme.ts'
import { Secret } from '#src/secret.ts'
import { apiKey, startProxy, type TestProxy } from '../helpers/proxy.ts'
import { connectRaw, type RawClient, type RawResponse } from '../helpers/raw-client.ts'
import { respondWith, startUpstream, type RecordingUpstream, type UpstreamExchange } from '../helpers/recording-upstream.ts'
import { EVIL, type FuzzedRequest } from './requests.ts'

type Place = 'header' | 'bearer' | 'query' | 'cookie'

/** A route of the stage: where its credentials go, and the base path by which its requests are told apart upstream. */
interface StagedRoute {
  readonly prefix: string
  readonly base: string
  readonly upstream: 0 | 1
  readonly fields: ReadonlyArray<readonly [place: Place, name: string, value: string]>
}

const ROUTES: readonly StagedRoute[] = [
  {
    prefix: '/header',
    base: '/base-header',
    upstream: 0,
    fields: [
      ['header', 'X-Api-Key', 'CANARY-HEADER-1'],
      ['bearer', 'authorization', 'CANARY-BEARER-1']
    ]
  },
  { prefix: '/header/deep', base: '/base-deep', upstream: 1, fields: [['bearer', 'authorization', 'CANARY-DEEP-2']] },
  { prefix: '/query', base: '/base-query', upstream: 0, fields: [['query', 'key', 'CANARY-QUERY-3']] },
  { prefix: '/cookie', base: '/base-cookie', upstream: 1, fields: [['cookie', 'sid', 'CANARY-COOKIE-4']] },
  { prefix: '/allow', base: '/base-allow', upstream: 0, fields: [['bearer', 'authorization', 'CANARY-ALLOW-5']] },
  { prefix: '/open', base: '/base-open', upstream: 1, fields: [] }
]
const ALLOWED = /^(?:GET \/base-allow\/ok\/[^/?]+|POST \/base-allow\/txs)(?:\?|$)/
const NEVER_FORWARDED =
  /^(?:proxy-authorization|x-countersign-token|keep-alive|proxy-connection|te|trailer|http2-settings|expect|forwarded|x-forwarded-.*)$/
const PATIENCE_MS = 150
const HANG_MS = 10_000

interface Teardown {
  teardown (handler: () => unknown): void
}

/** A proxy with every placement, between a client and two upstreams that are looked at. */
export interface Stage {
  readonly proxy: TestProxy
  /** Sends a request; resolves to what is wrong with what came of it, undefined where nothing is. */
  readonly judge: (request: FuzzedRequest) => Promise<string | undefined>
  /** How many requests reached an upstream, and how many responses of each status there were. */
  readonly figures: { reached: number, readonly statuses: Map<number, number> }
}

/** Starts the stage; it ends with the test. */
export async function startStage (t: Teardown): Promise<Stage> {
  const upstreams = await Promise.all(
    [0, 1].map(() =>
      startUpstream(t, {
        respond: ({ method, header }) =>
          method === 'HEAD'
            ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'
            : respondWith('200 OK', [`X-Answer-To: ${header('x-fuzz-id') ?? ''}`], 'ok')
      })
    )
  )
  const proxy = await startProxy(t, {
    config: { accessLog: false },
    timeouts: { headersMs: 2000, stillMs: 2000 },
    credentials: ROUTES.flatMap(({ prefix, fields }) =>
      fields
        .filter(([place]) => place === 'bearer')
        .map(([, , value]) => ({ name: `of${prefix}`, type: 'static' as const, value: new Secret(value) }))
    ),
    routes: ROUTES.map(({ prefix, base, upstream, fields }) => ({
      prefix,
      upstream: `${upstreams[upstream]?.origin ?? ''}${base}`,
      idleTimeoutMs: 500,
      bindings: fields.map(([place, name, value]): Binding =>
        place === 'bearer'
          ? { scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token', credential: `of${prefix}` } }
          : apiKey(place, name, value)
      ),
      ...(prefix === '/allow' && { allow: ['GET /ok/*', 'POST /txs'] })
    }))
  })
  const figures = { reached: 0, statuses: new Map<number, number>() }
  let newest = 0

  async function judge (request: FuzzedRequest): Promise<string | undefined> {
    const id = String(++newest)
    const seen = upstreams.map(({ exchanges }) => exchanges.length)
    const client = await connectRaw(proxy.port)
    try {
      const text = [
        request.startLine,
        `Host: ${(request.host === 'right' ? 'localhost:PORT' : request.host).replaceAll('PORT', String(proxy.port))}`,
        `X-Fuzz-Id: ${id}`,
        ...request.lines,
        '',
        request.body
      ].join('\r\n')
      client.send(text)
      const response = await responseOf(client, request.method)
      if (response === 'hang') return 'neither answered nor closed'
      if (typeof response === 'string') return response
      const news = upstreams.flatMap(({ exchanges }, index) =>
        exchanges.slice(seen[index]).map((exchange) => ({ exchange, upstream: index }))
      )
      const strays = news.filter(({ exchange }) => exchange.all('x-fuzz-id').length !== 1)
      if (strays.length > 0) return `a request that nobody sent: ${strays[0]?.exchange.startLine ?? ''}`
      const mine = news.filter(({ exchange }) => exchange.header('x-fuzz-id') === id)
      if (mine.length > 1) return 'sent twice'
      for (const { exchange, upstream } of mine) {
        figures.reached++
        const failure = failureOf(exchange, upstreams, upstream, request.method)
        if (failure !== undefined) return failure
      }
      if (response === undefined) return undefined
      figures.statuses.set(response.statusCode, (figures.statuses.get(response.statusCode) ?? 0) + 1)
      return responseFailure(response, id, mine.map(({ exchange }) => exchange), request)
    } finally {
      client.destroy()
    }
  }
  return { proxy, judge, figures }
}

/** The response; undefined where the connection was closed without one, which is a response to what is no HTTP/1.1. */
async function responseOf (client: RawClient, method: string): Promise<RawResponse | string | undefined> {
  let timer: NodeJS.Timeout | undefined
  // What is incomplete is completed somehow: as a header, as a body, as chunks.
  const filler = setTimeout(() => { client.send(`\r\n0\r\n\r\n${'x'.repeat(40_000)}\r\n\r\n`) }, PATIENCE_MS)
  const hang = new Promise<'hang'>((resolve) => { timer = setTimeout(() => { resolve('hang') }, HANG_MS) })
  try {
    return await Promise.race([
      client.response({ method: method.trim() }).then(
        // A HEAD that cannot be read is answered like anything else that cannot, and the connection closed.
        (response) =>
          client.unread.length > 0 &&
          response.header('connection') !== 'close' &&
          !client.unread.toString('latin1').startsWith('HTTP/1.1 '.slice(0, client.unread.length))
            ? `bytes behind the response: ${client.unread.toString('latin1').slice(0, 60)}`
            : response,
        (error: unknown) => (client.ended ? undefined : String(error))
      ),
      hang
    ])
  } finally {
    clearTimeout(timer)
    clearTimeout(filler)
  }
}

function responseFailure (
  response: RawResponse,
  id: string,
  reached: readonly UpstreamExchange[],
  { method, body }: FuzzedRequest
): string | undefined {
  const { statusCode, text } = response
  if (!Number.isInteger(statusCode) || statusCode < 200 || statusCode > 599) return `status ${statusCode}`
  const ours = response.header('proxy-status') !== undefined
  if (!ours) {
    if (statusCode !== 200) return `a response of nobody: ${statusCode}`
    if (reached.length !== 1) return 'a response to nothing that was sent'
    return method === 'HEAD' || response.header('x-answer-to') === id ? undefined : 'the response to another request'
  }
  if (!response.complete) return 'a refusal that is cut'
  if (method !== 'HEAD' && !/^\{"statusCode":\d+,"code":"CS_[A-Z_]+","error":"[^"]+","message":"/.test(text)) {
    return `a refusal of another form: ${text.slice(0, 100)}`
  }
  if (statusCode >= 500) return `${statusCode}: ${text.slice(0, 100)}`
  if (reached.some(({ complete }) => complete)) return `${statusCode} to the client, and the upstream got a whole request`
  if (reached.length > 0 && body === '') return `${statusCode} to the client, and the upstream got bytes`
  return undefined
}

function failureOf (
  exchange: UpstreamExchange,
  upstreams: readonly RecordingUpstream[],
  index: number,
  method: string
): string | undefined {
  const { target, fields, all } = exchange
  const [path = '', ...rest] = target.split('?')
  const route = ROUTES.find(({ base }) => path === base || path.startsWith(`${base}/`))
  if (route === undefined) return `outside of every base path: ${target}`
  if (route.upstream !== index) return `at the wrong upstream: ${target}`
  if (leaves(path)) return `a path that can be read as leaving its base: ${target}`
  if (/[^\x21-\x7e]/.test(target)) return `bytes in the target: ${JSON.stringify(target)}`
  if (exchange.method !== method) return `the method became ${exchange.method}`
  if (route.prefix === '/allow' && !ALLOWED.test(`${method} ${target}`)) return `past the allow list: ${method} ${target}`
  if (all('host').join('|') !== `127.0.0.1:${upstreams[index]?.port ?? 0}`) return `Host: ${all('host').join('|')}`
  if (all('content-length').length + all('transfer-encoding').length > 1) return 'two framings'
  const dropped = fields.find(([name]) => NEVER_FORWARDED.test(name.toLowerCase().replaceAll('_', '-')))
  if (dropped !== undefined) return `passed on: ${dropped[0]}`
  const everything = [target, ...fields.flat(), exchange.body.toString('latin1'), ...exchange.trailers.flat()].join('\n')
  const own = route.fields.map(([, , value]) => value)
  const foreign = ROUTES.flatMap((other) => (other === route ? [] : other.fields.map(([, , value]) => value))).find((value) =>
    everything.includes(value)
  )
  if (foreign !== undefined) return `the credential of another route: ${foreign}`
  if (exchange.trailers.length > 0) return 'trailers of a client'
  if (!exchange.complete) return undefined
  const twice = own.find((value) => everything.split(value).length !== 2)
  if (twice !== undefined) return `${everything.split(twice).length - 1} times ${twice}`
  for (const [place, name, value] of route.fields) {
    const values = valuesIn(exchange, place, name, rest.join('?'))
    if (values.length !== 1 || values[0]?.endsWith(value) !== true) return `${place} ${name}: ${JSON.stringify(values)}`
  }
  if (route.fields.length > 0 && all('authorization').some((value) => value.includes(EVIL))) return "the client's own Authorization"
  return undefined
}

/** Every value that a reader of an upstream could find under the name of an injected field. */
function valuesIn (exchange: UpstreamExchange, place: Place, name: string, query: string): string[] {
  switch (place) {
    case 'header':
    case 'bearer':
      return exchange.fields.filter(([given]) => given.toLowerCase().replaceAll('_', '-') === name.toLowerCase()).map(([, value]) => value)
    case 'cookie':
      return exchange
        .all('cookie')
        .flatMap((line) => line.split(';'))
        .map((pair) => pair.trim().split('='))
        .filter(([given]) => given === name)
        .map(([, value = '']) => value)
    case 'query': {
      if (exchange.method !== 'POST') return new URLSearchParams(query).getAll(name)
      const text = exchange.body.toString('utf8')
      if (!/json/i.test(exchange.header('content-type') ?? '')) return new URLSearchParams(text).getAll(name)
      return (parseTree(text)?.children ?? [])
        .filter(({ children }) => children?.[0]?.value === name)
        .map(({ children }) => String(children?.[1]?.value))
    }
    default:
      return unreachable(place)
  }
}

function unreachable (place: never): never {
  throw new TypeError(String(place))
}

/**
 * Whether some reader could take a path for one that climbs out of its base: as it is or decoded, with `\` for `/`, without
 * parameters. What is encoded twice is data (RFC 3986 section 2.4).
 */
function leaves (path: string): boolean {
  const decoded = path.replace(/%[0-9a-f]{2}/gi, (escape) => String.fromCharCode(parseInt(escape.slice(1), 16)))
  return [path, decoded].some((text) => {
    let depth = -1
    return text.replaceAll('\\', '/').split('/').slice(1).some((segment) => {
      const plain = segment.replace(/;.*$/, '')
      depth += plain === '..' ? -1 : plain === '.' || plain === '' ? 0 : 1
      return depth < 0
    })
  })
}
