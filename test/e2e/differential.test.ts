import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { valuesOf, type Field } from '../helpers/http-reader.ts'
import { apiKey, BEARER, CANARY, startProxy } from '../helpers/proxy.ts'
import { connectRaw, message, type RawClient, type RawResponse } from '../helpers/raw-client.ts'
import { startUpstream, type RecordingUpstream, type UpstreamExchange } from '../helpers/recording-upstream.ts'
import { CORPUS, SEQUENCES, type Case, type Reply } from './corpus.ts'

/**
 * Every case of the corpus goes to the upstream directly and through the proxy, and both sides of both are compared. What
 * the tables below do not name must be equal: start line, every header with its case, order and multiplicity, every byte
 * of body, every trailer. A rule says what the proxy makes of a message; one that no case needs fails the suite.
 */
interface Rule<Message> {
  readonly name: string
  /** Where the difference is documented. */
  readonly source: string
  /** What becomes of a message; `through` is what came out, for what cannot be foreseen. */
  readonly apply: (message: Message, through: Message, asked: Case) => Message
}

interface SeenRequest {
  readonly startLine: string
  readonly fields: readonly Field[]
  readonly body: string
  readonly trailers: readonly Field[]
}

interface SeenResponse extends Pick<RawResponse, 'statusCode' | 'reason' | 'framing' | 'fields' | 'trailers' | 'complete'> {
  readonly body: string
}

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade', 'http2-settings'])
const INJECTED = new Set(['authorization', 'x-api-key'])
const BODILESS = new Set([204, 304])
const REQUEST_RULES: ReadonlyArray<Rule<SeenRequest>> = [
  rule('the upstream hears HTTP/1.1 from a 1.0 client', 'RFC 9110 section 6.2: an intermediary sends its own version', (request) => ({
    ...request,
    startLine: request.startLine.replace(/1\.0$/, '1.1')
  })),
  rule('hop-by-hop headers stay behind, those that Connection lists as well', 'contract section 4; RFC 9110 section 7.6.1', (request) =>
    dropFields(request, (name) => HOP_BY_HOP.has(name) || listedBy(request.fields).has(name))
  ),
  rule('forwarding headers of the client stay behind', 'contract section 4; threats rule 5', (request) =>
    dropFields(request, (name) => name === 'forwarded' || name.startsWith('x-forwarded-'))
  ),
  rule('what authenticates to a proxy stays here', 'contract sections 4 and 6', (request) =>
    dropFields(request, (name) => name === 'proxy-authorization' || name === 'x-countersign-token')
  ),
  rule('request trailers are dropped, and their announcement', 'contract section 4', (request) => ({
    ...dropFields(request, (name) => name === 'trailer'),
    trailers: []
  })),
  rule('what is injected wins', 'contract section 4', (request) => {
    const { fields } = dropFields(request, (name) => INJECTED.has(name))
    return { ...request, fields: [...fields, ['authorization', `Bearer ${CANARY.token}`], ['X-Api-Key', CANARY.key]] }
  }),
  rule(
    'Content-Length stands last, in its canonical form',
    'RFC 9110 sections 5.3 (order of different names means nothing) and 8.6',
    (request) => {
      const [length] = valuesOf(request.fields, 'content-length')
      return length === undefined
        ? request
        : {
            ...dropFields(request, (name) => name === 'content-length'),
            fields: [...without(request.fields, 'content-length'), ['content-length', String(Number(length))]]
          }
    }
  ),
  rule('chunked stands last; chunks are framed anew', 'RFC 9112 section 7.1: framing belongs to each connection', (request) => {
    const [coding] = valuesOf(request.fields, 'transfer-encoding')
    return coding === undefined
      ? request
      : { ...request, fields: [...without(request.fields, 'transfer-encoding'), ['transfer-encoding', 'chunked']] }
  }),
  rule(
    'an empty body is announced where the method gives it a meaning, and only there',
    'RFC 9110 section 8.6',
    (request, through, { reply }) => {
      if (reply.early === true || request.body !== '') return request
      if (valuesOf(through.fields, 'transfer-encoding').length > 0) return request
      const fields = without(without(request.fields, 'content-length'), 'transfer-encoding')
      return {
        ...request,
        fields: valuesOf(through.fields, 'content-length').includes('0') ? [...fields, ['content-length', '0']] : fields
      }
    }
  ),
  rule(
    "Host stands first; the connection is one of the proxy's own",
    'contract section 4; RFC 9112 sections 3.2 and 9',
    (request, through) => {
      const [host = ''] = valuesOf(request.fields, 'host')
      const [connection = ''] = valuesOf(through.fields, 'connection')
      return {
        ...request,
        fields: [
          ['host', host],
          ...(/^(?:keep-alive|close)$/.test(connection) ? [['connection', connection] as const] : []),
          ...without(request.fields, 'host')
        ]
      }
    }
  )
]

const RESPONSE_RULES: ReadonlyArray<Rule<SeenResponse>> = [
  rule('hop-by-hop headers and trailers stay behind', 'contract section 4; RFC 9110 section 7.6.1', (response) => {
    const listed = listedBy(response.fields)
    const hop = (name: string): boolean => HOP_BY_HOP.has(name) || listed.has(name)
    return { ...dropFields(response, hop), trailers: response.trailers.filter(([name]) => !hop(name.toLowerCase())) }
  }),
  rule('what an upstream says to proxies stays here', 'RFC 9110 sections 11.7.1 and 11.7.3', (response) =>
    dropFields(response, (name) => name.startsWith('proxy-authenticat'))
  ),
  rule('CORS headers stay behind', 'contract section 4', (response) => dropFields(response, (name) => name.startsWith('access-control-'))),
  rule("a Location in the upstream's base becomes the local one", 'contract section 4', (response) => ({
    ...response,
    fields: response.fields.map(([name, value]) => [name, /^location$/i.test(name) ? value.replace(/^\/v2\//, '/api/') : value] as const)
  })),
  rule('a reason that is no ASCII text is left out', 'RFC 9112 section 4: clients should ignore it', (response) =>
    /^[\t\x20-\x7e]*$/.test(response.reason) ? response : { ...response, reason: '' }
  ),
  rule('behind an early response the connection ends', 'RFC 9112 section 9.6; fastify/fastify-http-proxy#474', (response, _, { reply }) =>
    reply.early === true ? { ...response, fields: [...response.fields, ['Connection', 'close']] } : response
  ),
  rule('Date is added where there is none', 'RFC 9110 section 6.6.1', (response, through) => {
    const [date] = valuesOf(through.fields, 'date')
    return valuesOf(response.fields, 'date').length > 0 || date === undefined || Number.isNaN(Date.parse(date))
      ? response
      : { ...response, fields: [...response.fields, ['Date', date]] }
  }),
  rule('Trailer goes where no trailers can', 'RFC 9110 section 6.5.1', (response, _, { version, method }) =>
    version === '1.0' || method === 'HEAD' ? { ...dropFields(response, (name) => name === 'trailer'), trailers: [] } : response
  ),
  rule("the client's connection is another one", 'RFC 9112 section 9', (response, _, asked) => {
    if (asked.reply.early === true) return response
    const close = isLast(asked)
    return {
      ...response,
      fields: [
        ...response.fields,
        ...(close
          ? ([['Connection', 'close']] as const)
          : ([
              ['Connection', 'keep-alive'],
              ['Keep-Alive', 'timeout=72']
            ] as const))
      ]
    }
  }),
  rule(
    "a body without a length is framed as the client's version has it",
    'RFC 9112 sections 6.3 and 7.1',
    (response, _, { version, method }) => {
      const fields = without(response.fields, 'transfer-encoding')
      if (method === 'HEAD' || BODILESS.has(response.statusCode) || valuesOf(fields, 'content-length').length > 0) {
        return { ...response, fields }
      }
      return version === '1.0'
        ? { ...response, fields, framing: 'close' }
        : { ...response, fields: [...fields, ['Transfer-Encoding', 'chunked']], framing: 'chunked' }
    }
  )
]

t.test('through the proxy a message is what it is without it', async (t) => {
  const used = new Set<string>()
  const { upstream, direct, through } = await sides(t)
  t.ok(CORPUS.length >= 150, `${CORPUS.length} cases`)
  for (const asked of CORPUS) {
    const plain = await ask(upstream, direct, asked)
    const proxied = await ask(upstream, through, asked)
    t.same(proxied.request, expected(REQUEST_RULES, plain.request, proxied.request, asked, used), `request: ${asked.name}`)
    t.same(proxied.response, expected(RESPONSE_RULES, plain.response, proxied.response, asked, used), `response: ${asked.name}`)
    t.equal(proxied.response.complete, true, asked.name)
  }
  t.same(
    [...REQUEST_RULES, ...RESPONSE_RULES].map(({ name }) => name).filter((name) => !used.has(name)),
    [],
    'no rule allows what nobody needs'
  )
})

t.test('on one connection, one after the other or all at once, answers come in their order', async (t) => {
  const { upstream, direct, through } = await sides(t)
  for (const pipelined of [false, true]) {
    for (const sequence of SEQUENCES) {
      const [plain, proxied] = [await askAll(upstream, direct, sequence, pipelined), await askAll(upstream, through, sequence, pipelined)]
      for (const [index, asked] of sequence.entries()) {
        const [before, after] = [plain[index], proxied[index]]
        t.ok(before !== undefined && after !== undefined && before.complete, asked.name)
        if (before !== undefined && after !== undefined) {
          t.same(after, expected(RESPONSE_RULES, before, after, asked, new Set()), `${pipelined ? 'pipelined' : 'in turn'}: ${asked.name}`)
        }
      }
    }
  }
})

interface Side {
  readonly port: number
  readonly host: string
  readonly base: string
}

async function sides (t: Test): Promise<{ readonly upstream: RecordingUpstream, readonly direct: Side, readonly through: Side }> {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, {
    routes: [{ prefix: '/api', upstream: `${upstream.origin}/v2`, bindings: [BEARER, apiKey('header', 'X-Api-Key')] }]
  })
  return {
    upstream,
    direct: { port: upstream.port, host: `127.0.0.1:${upstream.port}`, base: '/v2' },
    through: { port: proxy.port, host: `127.0.0.1:${proxy.port}`, base: '/api' }
  }
}

async function ask (
  upstream: RecordingUpstream,
  side: Side,
  asked: Case
): Promise<{ readonly request: SeenRequest, readonly response: SeenResponse }> {
  // Connections are used again, so the newest request need not be on the newest connection.
  let seen: UpstreamExchange | undefined
  const respond = (exchange: UpstreamExchange): Promise<undefined> => {
    seen = exchange
    return play(asked.reply, exchange)
  }
  upstream.early = asked.reply.early === true ? respond : undefined
  upstream.respond = respond
  const client = await connectRaw(side.port)
  try {
    client.send(bytesOf(side, asked))
    const response = await readResponse(client, asked)
    if (seen === undefined) {
      throw new Error(`${asked.name} got a response that the upstream did not give: ${response.statusCode} ${response.body}`)
    }
    // How much of a body has come by the time of an early response is a matter of chance, and none of the proxy's.
    const body = asked.reply.early === true ? '' : seen.body.toString('latin1')
    return { request: { startLine: seen.startLine, fields: seen.fields, body, trailers: seen.trailers }, response }
  } finally {
    client.destroy()
  }
}

async function askAll (upstream: RecordingUpstream, side: Side, sequence: readonly Case[], pipelined: boolean): Promise<SeenResponse[]> {
  const client = await connectRaw(side.port)
  const seen: SeenResponse[] = []
  upstream.early = undefined
  // By their targets: pipelined requests may overtake each other on their way to the upstream, though never back.
  upstream.respond = (exchange) => {
    const asked = sequence.find(({ target }) => exchange.target.endsWith(target))
    return asked === undefined ? undefined : play(asked.reply, exchange)
  }
  if (pipelined) client.send(sequence.map((asked) => bytesOf(side, asked)).join(''))
  for (const asked of sequence) {
    if (!pipelined) client.send(bytesOf(side, asked))
    seen.push(await readResponse(client, asked))
  }
  client.destroy()
  return seen
}

function bytesOf (side: Side, { method, target, version, lines, body }: Case): string {
  return message(`${method} ${side.base}${target} HTTP/${version}`, [`Host: ${side.host}`, ...lines], body)
}

async function readResponse (client: RawClient, { method }: Case): Promise<SeenResponse> {
  const { statusCode, reason, fields, trailers, complete, framing, body } = await client.response({ method })
  return { statusCode, reason, fields, trailers, complete, framing, body: body.toString('latin1') }
}

async function play ({ bytes, end = false, drip = false }: Reply, { send, connection }: UpstreamExchange): Promise<undefined> {
  if (drip) {
    connection.socket.setNoDelay(true)
    for (const byte of bytes) {
      send(byte)
      await turn()
    }
  } else send(bytes)
  if (end) connection.socket.end()
  return undefined
}

function expected<Message> (
  rules: ReadonlyArray<Rule<Message>>,
  direct: Message,
  through: Message,
  asked: Case,
  used: Set<string>
): Message {
  return rules.reduce((message, { name, apply }) => {
    const next = apply(message, through, asked)
    if (JSON.stringify(next) !== JSON.stringify(message)) used.add(name)
    return next
  }, direct)
}

function rule<Message> (name: string, source: string, apply: Rule<Message>['apply']): Rule<Message> {
  return { name, source, apply }
}

function isLast ({ version, lines }: Case): boolean {
  return lines.includes('Connection: close') || (version === '1.0' && !lines.includes('Connection: keep-alive'))
}

function listedBy (fields: readonly Field[]): ReadonlySet<string> {
  return new Set(
    [...valuesOf(fields, 'connection'), ...valuesOf(fields, 'proxy-connection')].flatMap((value) =>
      value.split(',').map((token) => token.trim().toLowerCase())
    )
  )
}

function without (fields: readonly Field[], name: string): Field[] {
  return fields.filter(([given]) => given.toLowerCase() !== name)
}

/** By names that are folded as CGI folds them: `X_Api_Key` is `X-Api-Key` there. */
function dropFields<Message extends { readonly fields: readonly Field[] }> (message: Message, drop: (name: string) => boolean): Message {
  return { ...message, fields: message.fields.filter(([name]) => !drop(name.toLowerCase().replaceAll('_', '-'))) }
}
