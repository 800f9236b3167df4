import { METHODS } from 'node:http'
import { brotliCompressSync, gzipSync } from 'node:zlib'

/** How the upstream responses a case; Latin-1 text throughout. */
export interface Reply {
  readonly bytes: string
  /** Ends the connection behind it. */
  readonly end?: boolean
  /** One byte per write. */
  readonly drip?: boolean
  /** As soon as the head is here; the client sends no more of its body than the case holds. */
  readonly early?: boolean
}

/** A request as it stands on the wire, without `Host`, and what the upstream responses. */
export interface Case {
  readonly name: string
  readonly method: string
  /** Behind the prefix, or the upstream's base path. */
  readonly target: string
  readonly version: '1.0' | '1.1'
  readonly lines: readonly string[]
  readonly body: string
  readonly reply: Reply
}

type Part = Partial<Omit<Case, 'name' | 'reply'>> & { readonly reply?: Reply | string }

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const BODILESS_OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'
const EVERY_BYTE = String.fromCharCode(...Array.from({ length: 256 }, (_, byte) => byte))

function make (name: string, part: Part): Case {
  const { method = 'GET', target = '/x', version = '1.1', lines = [], body = '' } = part
  const reply = part.reply ?? (method === 'HEAD' ? BODILESS_OK : OK)
  return { name, method, target, version, lines, body, reply: typeof reply === 'string' ? { bytes: reply } : reply }
}

function sized (body: string, ...lines: string[]): Part {
  return { method: 'POST', lines: [...lines, `Content-Length: ${body.length}`], body }
}

function chunked (chunks: readonly string[], end = '0\r\n\r\n'): string {
  return chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('') + end
}

function respond (status: string, lines: readonly string[] = [], body = ''): string {
  return [`HTTP/1.1 ${status}`, ...lines, `Content-Length: ${body.length}`, '', body].join('\r\n')
}

function respondChunked (lines: readonly string[], body: string): string {
  return ['HTTP/1.1 200 OK', ...lines, 'Transfer-Encoding: chunked', '', body].join('\r\n')
}

// CONNECT never becomes a request; TRACE is refused (contract section 5).
const methods = METHODS.filter((method) => method !== 'CONNECT' && method !== 'TRACE').flatMap((method) => [
  make(`${method} without a body`, { method }),
  make(`${method} with Content-Length`, { method, lines: ['Content-Type: application/json', 'Content-Length: 8'], body: '{"a" : 1' }),
  make(`${method} in chunks`, {
    method,
    lines: ['Content-Type: x', 'Transfer-Encoding: chunked'],
    body: '3\r\nab\n\r\n2;ext=1;q="a;b"\r\nc\0\r\n0\r\n\r\n'
  }),
  make(`${method} of zero length`, { method, lines: ['Content-Length: 0'] })
])

const framings = [
  make('an empty chunked body', { method: 'PUT', lines: ['Transfer-Encoding: chunked'], body: '0\r\n\r\n' }),
  make('one byte per chunk', { method: 'POST', lines: ['Transfer-Encoding: chunked'], body: chunked([...EVERY_BYTE]) }),
  make('chunk sizes in upper case with leading zeros', {
    method: 'POST',
    lines: ['Transfer-Encoding: chunked'],
    body: '000C\r\nabcdefghijkl\r\n000\r\n\r\n'
  }),
  make('Chunked in mixed case', { method: 'POST', lines: ['transfer-ENCODING: CHUNKED'], body: chunked(['abc']) }),
  make('request trailers', {
    method: 'POST',
    lines: ['Trailer: X-Sum', 'Transfer-Encoding: chunked'],
    body: chunked(['abc'], '0\r\nX-Sum: 1\r\nAuthorization: evil\r\n\r\n')
  }),
  make('every byte value, with a length', sized(EVERY_BYTE, 'Content-Type: application/octet-stream')),
  make('200 kB with a length', sized('0123456789'.repeat(20_000))),
  make('200 kB in 4 chunks', {
    method: 'POST',
    lines: ['Transfer-Encoding: chunked'],
    body: chunked(Array.from({ length: 4 }, (_, turn) => String(turn).repeat(50_000)))
  }),
  make('a length with leading zeros', { method: 'POST', lines: ['Content-Length: 0003'], body: 'abc' }),
  make('a body that looks like a request', sized('GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n')),
  make('a body that looks like the last chunk', sized('0\r\n\r\n')),
  make('an HTTP/1.0 POST', { ...sized('old'), version: '1.0' }),
  make('an HTTP/1.0 GET', { version: '1.0' }),
  make('an HTTP/1.0 GET that wants keep-alive', { version: '1.0', lines: ['Connection: keep-alive'] })
]

const encodings = [
  make('a gzip body', sized(gzipSync('x'.repeat(1000)).toString('latin1'), 'Content-Encoding: gzip', 'Content-Type: application/json')),
  make('a br body', sized(brotliCompressSync('x'.repeat(1000)).toString('latin1'), 'Content-Encoding: br')),
  make('a body of two codings', sized('not really', 'Content-Encoding: deflate, gzip')),
  make('a coding nobody knows', sized('\xff\xfe', 'Content-Encoding: x-own')),
  make(
    'multipart',
    sized(
      '--b\r\nContent-Disposition: form-data; name="f"; filename="\xe9"\r\n\r\n\0\xff\r\n--b--\r\n',
      'Content-Type: multipart/form-data; boundary=b'
    )
  ),
  make('a form', sized('a=1&b=%20+&c', 'Content-Type: application/x-www-form-urlencoded')),
  make('invalid JSON', sized('{"a": 1e999,,', 'Content-Type: application/json')),
  make('JSON with a byte order mark', sized('\xef\xbb\xbf{"a": 1.0}', 'Content-Type: application/json; charset=utf-8')),
  make('text', sized('a\r\nb', 'Content-Type: text/plain')),
  make('a type that is none', sized('a', 'Content-Type: ;;;')),
  make('two types', sized('a', 'Content-Type: a/b', 'Content-Type: c/d'))
]

const targets = [
  '',
  '/',
  '//',
  '/a//b',
  '/a/',
  '/a///',
  '/{a}|b',
  '/"<>^`',
  '/%7B%7D%22',
  '/%C3%A9',
  '/%c3%a9',
  '/a%2Fb',
  '/a%2fb/c',
  '/a;v=1/b;w',
  '/;',
  '/a%3Bb',
  '/a%252eb',
  '/...',
  '/a..b',
  '/.well-known/x',
  '/~u',
  '/a:b@c',
  "/!$&'()*+,=",
  '/100%25',
  '/a%20b',
  '/a+b',
  '/-_.~',
  `/${'long/'.repeat(1500)}`,
  '?',
  '?a',
  '?a=1&a=2&b=%20+%2B&c=%C3%A9&=x&d',
  '/x?../..//\\&%zz&%00&?',
  '/x?u=http://evil.example/%23',
  '/x?a=[1]{2}|"\'^`<>',
  '/x?&&&',
  '/x?a=1;b=2',
  '/x?%',
  `/x?q=${'y'.repeat(7000)}`,
  '/x?a=b?c=d',
  '/x?=',
  '/x??',
  '/x/?/../y'
].map((target) => make(`target ${target.slice(0, 40)}`, { target }))

const headers = [
  make('order and case', { lines: ['X-B: 1', 'x-a: 2', 'X-C: 3', 'ACCEPT: */*'] }),
  make('duplicates', { lines: ['X-D: 1', 'X-Other: 0', 'x-d: 2', 'X-D: 1'] }),
  make('an empty value', { lines: ['X-Empty:', 'X-Blank:   ', 'X-After: 1'] }),
  make('white space round a value', { lines: ['X-Space:   a b  ', 'X-Tab:\ta\tb\t'] }),
  make('obs-text', { lines: ['X-Latin: caf\xe9', 'X-Utf8: caf\xc3\xa9', 'User-Agent: \xff'] }),
  make('a value of 8 kB', { lines: [`X-Long: ${'v'.repeat(8000)}`] }),
  make('200 headers', { lines: Array.from({ length: 200 }, (_, index) => `X-N-${index}: ${index}`) }),
  make('a name of every token character', { lines: ["!#$%&'*+-.^_`|~09azAZ: 1"] }),
  make('names of JavaScript', { lines: ['constructor: 1', '__proto__: 2', 'toString: 3', 'hasOwnProperty: 4'] }),
  make('two cookies headers', { lines: ['Cookie: a=1; b=2', 'cookie: c=3'] }),
  make('quotes and commas', { lines: ['X-Q: "a, b", c', 'If-Match: "x", W/"y"', 'Accept: a/b;q=0.1, */*'] }),
  make('ranges and conditions', {
    lines: [
      'Range: bytes=0-1,5-',
      'If-None-Match: *',
      'If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT',
      'Cache-Control: no-cache',
      'Pragma: no-cache'
    ]
  }),
  make('Accept-Encoding', { lines: ['Accept-Encoding: gzip, br;q=0.5, identity;q=0'] }),
  make('Via and Max-Forwards', { lines: ['Via: 1.0 a, 1.1 b', 'Max-Forwards: 1'] }),
  make('own-looking names', {
    lines: ['X-Real-IP: 1.2.3.4', 'X-Request-Id: 7', 'X-HTTP-Method-Override: DELETE', 'Traceparent: 00-0-0-00']
  }),
  make('Connection: close', { lines: ['Connection: close'] }),
  make('Connection that lists a header', { lines: ['Connection: keep-alive, X-Hop', 'X-Hop: 1', 'X-Kept: 2'] }),
  make('Connection twice', { lines: ['Connection: X-One', 'CONNECTION: x-two', 'X-One: 1', 'X-Two: 2'] }),
  make('Keep-Alive and Proxy-Connection', { lines: ['Keep-Alive: 300', 'Proxy-Connection: keep-alive'] }),
  make('TE', { lines: ['TE: trailers, deflate;q=0.5'] }),
  make('Upgrade to h2c', { lines: ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'] }),
  make('forwarding headers', {
    lines: [
      'Forwarded: for=1.2.3.4',
      'X-Forwarded-For: 1.2.3.4',
      'X-Forwarded-Proto: https',
      'X_Forwarded_Host: evil',
      'X-Forwarded-Anything: 1'
    ]
  }),
  make('credentials for proxies', { lines: ['Proxy-Authorization: Basic x', 'X-Countersign-Token: y'] }),
  make('what is injected', { lines: ['Authorization: Bearer evil', 'authorization: Basic evil', 'X-Api-Key: evil', 'x_api_key: evil'] }),
  make('Date, From, Referer, Origin of nobody', { lines: ['Date: then', 'From: a@b', 'Referer: http://localhost/'] })
]

const STATUSES = [
  '200 OK',
  '201 Created',
  '202 Accepted',
  '203 Non-Authoritative',
  '206 Partial',
  '207 Multi',
  '226 IM Used',
  '299 Unknown',
  '300 Multiple',
  '301 Moved',
  '302 Found',
  '303 See Other',
  '307 Temporary',
  '308 Permanent',
  '400 Bad',
  '401 Unauthorized',
  '402 Pay',
  '403 Forbidden',
  '404 Not Found',
  '405 No',
  '407 Proxy',
  '408 Timeout',
  '409 Conflict',
  '410 Gone',
  '412 Failed',
  '413 Large',
  '415 Media',
  '416 Range',
  '418 Teapot',
  '421 Misdirected',
  '422 No',
  '425 Early',
  '426 Upgrade',
  '428 Required',
  '429 Many',
  '431 Headers',
  '451 Legal',
  '499 Odd',
  '500 Error',
  '501 Not',
  '502 Bad',
  '503 Busy',
  '504 Late',
  '505 Version',
  '511 Network',
  '599 Last'
]

const responses = [
  ...STATUSES.map((status) => make(`status ${status}`, { reply: respond(status, ['X-A: 1'], 'body') })),
  make('an empty reason', { reply: 'HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok' }),
  make('no reason at all', { reply: 'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok' }),
  make('a long reason', { reply: respond(`200 ${'so '.repeat(50)}it is`) }),
  make('a reason of other bytes', { reply: respond('200 Caf\xe9') }),
  make('204', { reply: 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n' }),
  make('204 to a POST', { ...sized('abc'), reply: 'HTTP/1.1 204 No Content\r\n\r\n' }),
  make('204 to a DELETE', { method: 'DELETE', reply: 'HTTP/1.1 204 No Content\r\nETag: "x"\r\n\r\n' }),
  make('205', { method: 'POST', reply: respond('205 Reset Content') }),
  make('304 with a length', { reply: 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 1000\r\n\r\n' }),
  make('304 without one', { reply: 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nCache-Control: max-age=1\r\n\r\n' }),
  make('HEAD with a length', { method: 'HEAD', reply: 'HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nAccept-Ranges: bytes\r\n\r\n' }),
  make('HEAD without one', { method: 'HEAD', reply: 'HTTP/1.1 200 OK\r\nETag: "x"\r\n\r\n' }),
  make('HEAD with chunked', { method: 'HEAD', reply: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' }),
  make('HEAD of a 404', { method: 'HEAD', reply: 'HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n' }),
  make('HEAD of a 304', { method: 'HEAD', reply: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n' }),
  make('an empty body', { reply: respond('200 OK') }),
  make('an empty chunked body', { reply: respondChunked([], '0\r\n\r\n') }),
  make('chunks', { reply: respondChunked(['X-A: 1'], chunked(['abc', 'd', EVERY_BYTE])) }),
  make('chunks with extensions', { reply: respondChunked([], '3;a=b\r\nabc\r\n0;last\r\n\r\n') }),
  make('trailers', { reply: respondChunked(['Trailer: X-Sum, Grpc-Status'], chunked(['abc'], '0\r\nX-Sum: 1\r\nGrpc-Status: 0\r\n\r\n')) }),
  make('trailers that nobody announced', { reply: respondChunked([], chunked(['abc'], '0\r\nX-Sum: a:b\r\nx-sum: 2\r\n\r\n')) }),
  make('trailers that are hop-by-hop', { reply: respondChunked([], chunked(['abc'], '0\r\nConnection: X\r\nX-Sum: 1\r\n\r\n')) }),
  make('trailers behind an empty body', { reply: respondChunked([], '0\r\ngrpc-status: 5\r\n\r\n') }),
  make('delimited by the end', { reply: { bytes: 'HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nuntil the end', end: true } }),
  make('delimited by the end, empty', { reply: { bytes: 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n', end: true } }),
  make('delimited by the end, 300 kB', { reply: { bytes: `HTTP/1.1 200 OK\r\n\r\n${'z'.repeat(300_000)}`, end: true } }),
  make('HTTP/1.0', { reply: { bytes: 'HTTP/1.0 200 OK\r\nServer: old\r\n\r\nold', end: true } }),
  make('HTTP/1.0 with a length', { reply: { bytes: 'HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold', end: true } }),
  make('HTTP/1.0 with keep-alive', { reply: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold' }),
  make('Connection: close with a length', { reply: { bytes: respond('200 OK', ['Connection: close'], 'bye'), end: true } }),
  make('Connection: close in chunks', { reply: { bytes: respondChunked(['Connection: close'], chunked(['bye'])), end: true } }),
  make('Connection: close both ways', {
    lines: ['Connection: close'],
    reply: { bytes: respond('200 OK', ['Connection: close'], 'bye'), end: true }
  }),
  make('Connection that lists a header', {
    reply: respond(
      '200 OK',
      ['Connection: X-Hop', 'X-Hop: 1', 'X-Kept: 1', 'Keep-Alive: timeout=5, max=10', 'Upgrade: h2', 'Proxy-Connection: close'],
      'ok'
    )
  }),
  make('hop-by-hop for proxies', {
    reply: respond('407 No', ['Proxy-Authenticate: Basic realm="x"', 'Proxy-Authentication-Info: x'], 'ok')
  }),
  make('CORS', { reply: respond('200 OK', ['Access-Control-Allow-Origin: *', 'access-control-expose-headers: X', 'Vary: Origin'], 'ok') }),
  make('mixed case and order', { reply: respond('200 OK', ['x-b: 1', 'X-A: 2', 'ETAG: "x"', 'sErVeR: y'], 'ok') }),
  make('Set-Cookie twice', {
    reply: respond(
      '200 OK',
      ['Set-Cookie: a=1; Expires=Thu, 01 Jan 2099 00:00:00 GMT', 'X-A: 1', 'set-cookie: b=2', 'Set-Cookie: a=1'],
      'ok'
    )
  }),
  make('duplicates', {
    reply: respond(
      '200 OK',
      ['X-D: 1', 'x-d: 2', 'Vary: a', 'Vary: b', 'WWW-Authenticate: Basic', 'WWW-Authenticate: Bearer', 'Link: </a>', 'Link: </b>'],
      'ok'
    )
  }),
  make('empty values and obs-text', {
    reply: respond('200 OK', ['X-Empty:', 'X-Latin: \xe9', 'X-Utf8: \xc3\xa9', 'X-Space:   a  ', 'X-Tab: a\tb'], 'ok')
  }),
  make('a Date of its own', { reply: respond('200 OK', ['Date: Thu, 01 Jan 1970 00:00:00 GMT'], 'ok') }),
  make('a Date that is none', { reply: respond('200 OK', ['date: then'], 'ok') }),
  make('a header of 8 kB', { reply: respond('200 OK', [`X-Long: ${'v'.repeat(8000)}`], 'ok') }),
  make('100 headers', {
    reply: respond(
      '200 OK',
      Array.from({ length: 100 }, (_, index) => `X-N-${index}: ${index}`),
      'ok'
    )
  }),
  make('Proxy-Status and Via of its own', {
    reply: respond('502 Bad', ['Proxy-Status: other; error=dns_error', 'Via: 1.1 other', 'Age: 5'], 'theirs')
  }),
  make('gzip', {
    lines: ['Accept-Encoding: gzip'],
    reply: respond('200 OK', ['Content-Encoding: gzip', 'Vary: Accept-Encoding'], gzipSync('y'.repeat(5000)).toString('latin1'))
  }),
  make('gzip in chunks', { reply: respondChunked(['Content-Encoding: gzip'], chunked([gzipSync('y'.repeat(5000)).toString('latin1')])) }),
  make('br that nobody asked for', { reply: respond('200 OK', ['Content-Encoding: br'], brotliCompressSync('y').toString('latin1')) }),
  make('a coding that is a lie', { reply: respond('200 OK', ['Content-Encoding: gzip'], 'plain') }),
  make('every byte value', { reply: respond('200 OK', ['Content-Type: application/octet-stream'], EVERY_BYTE) }),
  make('500 kB', { reply: respond('200 OK', [], EVERY_BYTE.repeat(2000)) }),
  make('a partial one', { lines: ['Range: bytes=2-4'], reply: respond('206 Partial Content', ['Content-Range: bytes 2-4/10'], 'cde') }),
  make('multipart/byteranges', {
    lines: ['Range: bytes=0-0,2-2'],
    reply: respond(
      '206 Partial Content',
      ['Content-Type: multipart/byteranges; boundary=b'],
      '--b\r\nContent-Range: bytes 0-0/3\r\n\r\na\r\n--b\r\nContent-Range: bytes 2-2/3\r\n\r\nc\r\n--b--\r\n'
    )
  }),
  make('one byte at a time', { reply: { bytes: respond('200 OK', ['X-Slow: 1'], 'slowly'), drip: true } }),
  make('chunks, one byte at a time', {
    reply: { bytes: respondChunked(['Trailer: X-T'], chunked(['slow', 'ly'], '0\r\nX-T: 1\r\n\r\n')), drip: true }
  }),
  make('until the end, one byte at a time', { reply: { bytes: 'HTTP/1.1 200 OK\r\n\r\nslowly', drip: true, end: true } }),
  make('a redirect to elsewhere', { reply: respond('302 Found', ['Location: https://other.example/v2/x']) }),
  make('a relative redirect', { reply: respond('302 Found', ['Location: y/../z?z#f']) }),
  make('a redirect into the base', { reply: respond('302 Found', ['Location: /v2/y?z#f']) }),
  make('a Content-Location in the base', { reply: respond('200 OK', ['Content-Location: /v2/y'], 'ok') }),
  make('an early response to a length', {
    method: 'POST',
    lines: ['Content-Length: 100'],
    body: 'part',
    reply: { bytes: respond('413 Too Large', ['X-A: 1'], 'no'), early: true }
  }),
  make('an early response to chunks', {
    method: 'POST',
    lines: ['Transfer-Encoding: chunked'],
    body: '4\r\npart\r\n',
    reply: { bytes: respond('401 Unauthorized', [], 'no'), early: true }
  }),
  make('an early response that closes', {
    method: 'PUT',
    lines: ['Content-Length: 100'],
    body: 'part',
    reply: { bytes: respond('400 Bad', ['Connection: close'], 'no'), early: true, end: true }
  }),
  make('chunks to an HTTP/1.0 client', {
    version: '1.0',
    reply: respondChunked(['Trailer: X-T'], chunked(['abc'], '0\r\nX-T: 1\r\n\r\n'))
  }),
  make('until the end to an HTTP/1.0 client', { version: '1.0', reply: { bytes: 'HTTP/1.1 200 OK\r\n\r\nabc', end: true } }),
  make('204 to an HTTP/1.0 client', { version: '1.0', reply: 'HTTP/1.1 204 No Content\r\n\r\n' }),
  make('HEAD of an HTTP/1.0 client', { version: '1.0', method: 'HEAD', reply: 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n' })
]

/** Requests and answers that a proxy must leave as they are. */
export const CORPUS: readonly Case[] = [...methods, ...framings, ...encodings, ...targets, ...headers, ...responses]

/** Cases that share one connection, whose responses must come in their order. */
export const SEQUENCES: ReadonlyArray<readonly Case[]> = [
  [
    make('first', { reply: respond('200 OK', [], 'one') }),
    make('second', { ...sized('abc'), reply: respondChunked([], chunked(['two'])) }),
    make('third', { method: 'HEAD', reply: BODILESS_OK }),
    make('fourth', { reply: respond('404 Not Found', [], 'four') })
  ],
  [
    make('bodiless first', { reply: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n' }),
    make('then 204', { method: 'DELETE', reply: 'HTTP/1.1 204 No Content\r\n\r\n' }),
    make('then trailers', { reply: respondChunked([], chunked(['abc'], '0\r\nX-T: 1\r\n\r\n')) }),
    make('then a body', { reply: OK })
  ],
  [
    make('GET with a body', { lines: ['Content-Length: 3'], body: 'abc' }),
    make('chunks', { method: 'PUT', lines: ['Transfer-Encoding: chunked'], body: chunked(['abc', 'd']) }),
    make('the last', { lines: ['Connection: close'] })
  ]
].map((sequence) => sequence.map((asked, index) => ({ ...asked, target: `/${index}` })))
