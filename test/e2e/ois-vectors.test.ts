/**
 * What an Airnode sends, and what arrives through the proxy, for every vector about requests (test/vectors/README.md).
 * The parameters of a vector are the client's own request here; `expected` is what the Airnode does, `countersign` what we do.
 */
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { setCookies } from '#src/http/cookie.ts'
import { loadOis, metadataHeaders, RELAYED, type Metadata, type OisCredential } from '../helpers/ois.ts'
import { startProxy } from '../helpers/proxy.ts'
import { rawRequest } from '../helpers/raw-client.ts'
import { respondWith, startUpstream, type UpstreamExchange } from '../helpers/recording-upstream.ts'

interface OperationParameter { readonly in: 'query' | 'header' | 'cookie', readonly name: string }

interface Vector {
  readonly id: string
  readonly layer: string
  readonly ois: {
    readonly apiSpecifications: { readonly servers?: ReadonlyArray<{ readonly url: string }>, readonly paths?: object }
    readonly endpoints?: ReadonlyArray<{
      readonly operation: { readonly path: string }
      readonly fixedOperationParameters: ReadonlyArray<{ readonly operationParameter: OperationParameter, readonly value: string }>
      readonly parameters: ReadonlyArray<{ readonly name: string, readonly operationParameter: OperationParameter }>
    }>
  }
  readonly apiCredentials: readonly OisCredential[] | null
  readonly metadata: Metadata | null
  readonly method: string
  readonly parameters: Readonly<Record<string, string>>
  readonly expected: {
    readonly wire?: { readonly url: string, readonly headers: Readonly<Record<string, readonly string[]>>, readonly body: string }
    readonly headers?: Readonly<Record<string, string>>
    readonly query?: Readonly<Record<string, string>>
    readonly cookies?: Readonly<Record<string, string>> | string | null
  }
  readonly countersign: { readonly verdict: string, readonly outcome?: string }
}

const all = JSON.parse(readFileSync(new URL('../../test/vectors/ois.json', import.meta.url), 'utf8')) as Vector[]
const vectors = all.filter(
  ({ layer, method, ois }) =>
    ['auth-fragment', 'request-parameters', 'built-request', 'wire'].includes(layer) && method !== undefined && ois !== undefined
)

/** The requests that differ from the Airnode's on purpose: what arrives instead. */
const DIFFERENT: Readonly<Record<string, (seen: Seen, t: Test) => void>> = {
  'wire/cookie-vs-header-cookie-param': (seen, t) => { t.equal(seen.headers['cookie'], 'u=1; sid=1', 'merged') },
  'wire/cookie-vs-header-cookie-lc-param': (seen, t) => { t.equal(seen.headers['cookie'], 'u=1; sid=1', 'merged') },
  'wire/post-noauth-noparams': (seen, t) => { t.same([seen.body, seen.target], ['', '/convert'], 'an empty body stays empty') },
  'wire/get-path-querystring': (seen, t) => { t.equal(seen.target, '/convert?x=1&access_key=sec', 'exactly one') },
  'wire/base-trailing-slash': (seen, t) => { t.equal(seen.target, '/v1/convert', 'joined with one slash') },
  'wire/header-ws': (seen, t) => { t.equal(seen.headers['x-key'], 'abc') },
  'wire/header-unicode': (seen, t) => { t.equal(seen.headers['x-key'], 'cl\u00e9') }
}

interface Seen { readonly target: string, readonly headers: Readonly<Record<string, string>>, readonly body: string }

t.ok(vectors.length >= 30, `${vectors.length} vectors`)

t.test('cookie-header: cookies as an Airnode writes them, without its trailing `;`', async (t) => {
  const cases = (
    all as ReadonlyArray<{ layer: string, cookiesIn?: Record<string, string>, expected: { headers?: Record<string, string> } }>
  ).filter(({ layer }) => layer === 'cookie-header')
  t.equal(cases.length, 2)
  for (const { cookiesIn = {}, expected } of cases) {
    t.equal(setCookies('', Object.entries(cookiesIn)), expected.headers?.['Cookie']?.replace(/;$/, ''))
  }
})

t.test('http-client: a POST keeps its fields in the body, and a redirect is returned, never followed', async (t) => {
  const cases = all.filter(({ layer, ois }) => layer === 'http-client' || (layer === 'wire' && ois === undefined))
  t.equal(cases.length, 3)
  const elsewhere = await startUpstream(t)
  const upstream = await startUpstream(t, { respond: () => respondWith('302 Found', [`Location: ${elsewhere.origin}/next`]) })
  const { routes } = loadOis(
    t.testdir({}),
    {
      servers: [{ url: upstream.origin }],
      components: { securitySchemes: { k: { type: 'apiKey', in: 'header', name: 'X-API-Key' } } },
      security: { k: [] }
    },
    [{ securitySchemeName: 'k', securitySchemeValue: 'K' }]
  )
  const proxy = await startProxy(t, { routes })
  const body = '{"from":"ETH","to":"USD"}'
  for (const { method } of cases) {
    const response = await rawRequest(
      proxy.port,
      `${method.toUpperCase()} /ois/convert HTTP/1.1\r\nHost: 127.0.0.1:${proxy.port}\r\n${method === 'post' ? `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}` : '\r\n'}`
    )
    t.match(
      { statusCode: response.statusCode, location: response.header('location') },
      { statusCode: 302, location: `${elsewhere.origin}/next` }
    )
    const seen = seenBy(upstream.last)
    t.match(seen, { target: '/convert', headers: { 'x-api-key': 'K' }, body: method === 'post' ? body : '' })
  }
  t.equal(elsewhere.accepted, 0, 'the key travels to nobody else')
})

for (const vector of vectors) {
  t.test(vector.id, async (t) => {
    const upstream = await startUpstream(t)
    const { apiSpecifications } = vector.ois
    const url = (apiSpecifications.servers?.[0]?.url ?? 'http://HOST').replace(
      /^http:\/\/(?:HOST|localhost:5000)/,
      `http://127.0.0.1:${upstream.port}`
    )
    const { routes, problems } = loadOis(
      t.testdir({}),
      { ...apiSpecifications, servers: [{ url }], paths: plainPaths(apiSpecifications.paths) },
      vector.apiCredentials ?? []
    )
    const { outcome } = vector.countersign
    if (outcome === 'config-error') {
      t.ok(problems.some(({ severity }) => severity === 'error'), 'refused at load')
      return
    }
    t.same(problems.filter(({ severity }) => severity === 'error'), [])
    const proxy = await startProxy(t, { routes })
    const sent = clientRequest(vector)
    const lines = [`${vector.method.toUpperCase()} /ois${sent.target} HTTP/1.1`, `Host: 127.0.0.1:${proxy.port}`]
    for (let index = 0; index < sent.headers.length; index += 2) {
      lines.push(`${sent.headers[index] ?? ''}: ${sent.headers[index + 1] ?? ''}`)
    }
    if (sent.body !== '') lines.push(`Content-Length: ${Buffer.byteLength(sent.body)}`)
    const response = await rawRequest(proxy.port, `${lines.join('\r\n')}\r\n\r\n${sent.body}`)
    if (outcome === '400' || outcome === '415') {
      t.equal(response.statusCode, Number(outcome))
      t.same(upstream.connections, [], 'nothing was sent')
      return
    }
    t.equal(response.statusCode, 200)
    const exchange = upstream.connections[0]?.exchanges[0]
    if (exchange === undefined) throw new Error('the upstream saw nothing')
    await exchange.whole
    const seen = seenBy(exchange)
    const different = DIFFERENT[vector.id]
    if (different !== undefined) different(seen, t)
    else compare(t, vector, seen)
    for (const [kind, , header] of RELAYED) {
      if (routes[0]?.bindings.some(({ scheme }) => scheme.type === kind) === true) {
        t.equal(seen.headers[header.toLowerCase()], undefined, 'a source header is not passed on')
      }
    }
  })
}

/** The same request as a client of the proxy makes it: without what the Airnode adds. */
function clientRequest ({ ois, method, parameters, metadata }: Vector): { target: string, headers: string[], body: string } {
  const [endpoint] = ois.endpoints ?? []
  const fields = [
    ...(endpoint?.parameters ?? []).flatMap(({ name, operationParameter }) =>
      parameters[name] === undefined ? [] : [[operationParameter, parameters[name]] as const]
    ),
    ...(endpoint?.fixedOperationParameters ?? []).map(({ operationParameter, value }) => [operationParameter, value] as const)
  ]
  const of = (place: string): Array<[string, string]> =>
    fields.flatMap(([{ in: where, name }, value]) => (where === place ? [[name, value]] : []))
  const headers = [...metadataHeaders(metadata), ...of('header').flat()]
  const cookies = of('cookie').map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  if (cookies.length > 0) headers.push('Cookie', cookies.join('; '))
  const path = (endpoint?.operation.path ?? '/convert').replace(/#.*$/, '')
  const query = of('query')
  if (method !== 'post') {
    return { target: query.length === 0 ? path : `${path}?${new URLSearchParams(query).toString()}`, headers, body: '' }
  }
  const type = of('header').find(([name]) => name.toLowerCase() === 'content-type')?.[1]
  if (type === undefined && query.length > 0) headers.push('Content-Type', 'application/json')
  return {
    target: path,
    headers,
    body:
      query.length === 0
        ? ''
        : type?.includes('form') === true
          ? new URLSearchParams(query).toString()
          : JSON.stringify(Object.fromEntries(query))
  }
}

function seenBy (exchange: UpstreamExchange): Seen {
  const headers: Record<string, string> = {}
  for (const [name, value] of exchange.fields) {
    // Each injected field arrives once; the client's own are not doubled in these vectors.
    if (headers[name.toLowerCase()] !== undefined) throw new Error(`the header ${name} arrived twice`)
    headers[name.toLowerCase()] = value
  }
  return { target: exchange.target, headers, body: exchange.body.toString('latin1') }
}

/** The Airnode's request and ours, up to the trailing `;` of its cookies and the spelling of a space in a query. */
function compare (t: Test, { expected, method }: Vector, seen: Seen): void {
  const target = new URL(seen.target, 'http://upstream')
  if (expected.wire !== undefined) {
    t.same(pairs(seen.target), pairs(expected.wire.url), 'query')
    t.equal(target.pathname, new URL(expected.wire.url, 'http://upstream').pathname, 'path')
    for (const [name, values] of Object.entries(expected.wire.headers)) {
      if (name.toLowerCase() === 'content-length') continue
      t.equal(seen.headers[name.toLowerCase()], values.join(', ').replace(/;$/, ''), name)
    }
    if (method === 'post') t.same(fieldsOf(seen), fieldsOf({ ...seen, body: expected.wire.body }), 'body')
    return
  }
  for (const [name, value] of Object.entries(expected.headers ?? {})) t.equal(seen.headers[name.toLowerCase()], value, name)
  t.same(Object.fromEntries(target.searchParams), expected.query ?? {}, 'query')
  const cookies = typeof expected.cookies === 'object' ? Object.entries(expected.cookies ?? {}) : []
  t.equal(
    seen.headers['cookie'],
    cookies.length === 0 ? undefined : cookies.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('; '),
    'cookies'
  )
}

function pairs (target: string): string[] {
  return [...new URL(target, 'http://upstream').searchParams].map(([name, value]) => `${name}=${value}`).sort()
}

function fieldsOf ({ headers, body }: Seen): Record<string, unknown> {
  return headers['content-type']?.includes('form') === true
    ? Object.fromEntries(new URLSearchParams(body))
    : (JSON.parse(body) as Record<string, unknown>)
}

// One vector has a query in a path of the OIS; paths are not what these are about.
function plainPaths (paths: object | undefined): object {
  return Object.fromEntries(Object.entries(paths ?? {}).filter(([path]) => !/[?#]/.test(path)))
}
