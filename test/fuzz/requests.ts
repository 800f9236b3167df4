import fc from 'fast-check'

/** A request as a hostile client may write it; the stage adds `Host` and the line that tells whose it is. */
export interface FuzzedRequest {
  readonly startLine: string
  readonly method: string
  /** Header lines, Host not among them. */
  readonly lines: readonly string[]
  /** `right` for the listener's own name; `PORT` stands for its port. */
  readonly host: string
  readonly body: string
}

/** What no client may get through under any name: looked for at the upstreams. */
export const EVIL = 'EVIL-VALUE'

// Another request within a body: whoever frames differently sees it.
const SMUGGLED = 'GET /header/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n'

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'PROPFIND', 'TRACE', 'CONNECT', 'QUERY', 'get', 'FOO']
const PREFIXES = [
  '/header',
  '/header/deep',
  '/query',
  '/cookie',
  '/open',
  '/allow',
  '/HEADER',
  '/%68eader',
  '/header%2f',
  '/headerx',
  '//header',
  '/open/../header',
  ''
]
const SEGMENTS = [
  'a',
  'ok',
  'txs',
  '1',
  'admin',
  '..',
  '.',
  '%2e%2e',
  '.%2e',
  '%2E.',
  '%252e%252e',
  '..;',
  ';',
  ';/..',
  '..%2f',
  '%2f',
  '%2F..',
  '%5c',
  '..%5c',
  '\\',
  '..\\',
  '%00',
  '%0d%0a',
  '%',
  '%zz',
  '%ff',
  '%c3%a9',
  '%c0%ae',
  '%e2%80%8b',
  '',
  ' ',
  '~',
  '{}',
  '|',
  '^',
  '`',
  '"',
  '<>',
  '*',
  '**',
  '@',
  ':80',
  'http:',
  '#',
  '#/header',
  '%23',
  '%3f',
  '__proto__',
  'é',
  'x'.repeat(300)
]
const QUERY = [
  'key=' + EVIL,
  'KEY=' + EVIL,
  '%6bey=' + EVIL,
  'k%65y=' + EVIL,
  '+key=1',
  'key',
  'key=',
  '&',
  '=',
  'a=1',
  'a=%20+%2B',
  'a=%zz',
  '?',
  '/../..',
  '#',
  'key[]=1',
  'key%00=1',
  'sid=' + EVIL,
  ';key=' + EVIL,
  'é=1'
]
const NAMES = [
  'X-Api-Key',
  'x-api-key',
  'X_Api_Key',
  'X-API_KEY',
  'x-api-key ',
  'Authorization',
  'AUTHORIZATION',
  'Proxy-Authorization',
  'X-Countersign-Token',
  'Cookie',
  'cookie',
  'Connection',
  'connection',
  'Proxy-Connection',
  'Keep-Alive',
  'TE',
  'Trailer',
  'Upgrade',
  'HTTP2-Settings',
  'Transfer-Encoding',
  'transfer-encoding',
  'Transfer_Encoding',
  'Content-Length',
  'content-length',
  'Content_Length',
  'Expect',
  'Forwarded',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X_Forwarded_Proto',
  'X-Original-URL',
  'X-Rewrite-URL',
  'X-HTTP-Method-Override',
  'Host',
  'Origin',
  'Referer',
  'Sec-Fetch-Site',
  'Sec-Fetch-Mode',
  'Content-Type',
  'Content-Encoding',
  'Accept',
  'Range',
  'If-None-Match',
  '__proto__',
  'constructor',
  'toString',
  'X-A',
  'x' + 'y'.repeat(200),
  '',
  ' X',
  'X\t',
  'X:Y',
  'X\0',
  'é'
]
const VALUES = [
  EVIL,
  `Bearer ${EVIL}`,
  `Basic ${EVIL}`,
  `sid=${EVIL}`,
  `a=1; sid=${EVIL}; b=2`,
  `SID=1; sid="${EVIL}"`,
  `$Version=1;sid=${EVIL}`,
  'close',
  'keep-alive',
  'close, X-Api-Key, Authorization',
  'cookie, content-length',
  'upgrade',
  'Upgrade, HTTP2-Settings',
  'websocket',
  'h2c',
  'spdy/3.1',
  'chunked',
  'Chunked',
  'identity',
  'gzip',
  'chunked, identity',
  'xchunked',
  ' chunked',
  '0',
  '1',
  '5',
  '+5',
  '-1',
  '5, 5',
  '0x5',
  '99999999999999999999',
  '100-continue',
  'trailers',
  'same-origin',
  'cross-site',
  'none',
  'https://evil.example',
  'null',
  'application/json',
  'application/json; charset=utf-8',
  'application/x-www-form-urlencoded',
  'text/plain',
  'multipart/form-data',
  'br',
  '',
  ' ',
  '\t',
  'a\tb',
  'é',
  'a\0b',
  'a\rb',
  'a\nX-Api-Key: ' + EVIL,
  'a\r\n b',
  'x'.repeat(3000),
  '127.0.0.1',
  'evil.example'
]
const HOSTS = [
  'evil.example',
  'localhost',
  'localhost:1',
  '127.0.0.1',
  '',
  'a b',
  '[::1',
  'localhost:PORT',
  'LOCALHOST:PORT',
  '127.0.0.1:PORT',
  '127.1:PORT',
  'localhost.:PORT',
  'user@localhost:PORT',
  'localhost:PORT, evil.example',
  'localhost:0PORT'
]
const BODIES = [
  '',
  'a',
  '{}',
  '{"a":1}',
  `{"key":"${EVIL}"}`,
  `{"\\u006bey":"${EVIL}","a":{"key":1}}`,
  `{"key":"${EVIL}","key":"${EVIL}"}`,
  '[1]',
  '"x"',
  '{',
  '{"a":1}{}',
  `key=${EVIL}`,
  `a=1&key=${EVIL}&%6bey=${EVIL}`,
  '&&',
  '=',
  '\0\xff',
  SMUGGLED,
  `0\r\n\r\n${SMUGGLED}`,
  'x'.repeat(5000)
]
const ENDINGS = [
  '0\r\n\r\n',
  '0\r\n\r\n',
  '0\r\n\r\n',
  '0\r\n\r\n',
  '0\r\n\r\n',
  '0\r\n\r\n',
  `0\r\nX-Api-Key: ${EVIL}\r\nAuthorization: ${EVIL}\r\n\r\n`,
  '0;a=b\r\n\r\n',
  '00\r\n\r\n',
  '0\n\n',
  'zz\r\n',
  '-1\r\n\r\n',
  ''
]
const PUNCTUATION = ['\r', '\n', '\r\n', '\0', ' ', '\t', ':', '%', '/', '\\', '..', ';', '?', '#', '\x7f', '\xff', ',']

const anyText = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 20 })
const field = fc
  .tuple(
    fc.oneof({ arbitrary: fc.constantFrom(...NAMES), weight: 20 }, { arbitrary: anyText, weight: 1 }),
    fc.oneof({ arbitrary: fc.constantFrom(...VALUES), weight: 20 }, { arbitrary: anyText, weight: 1 })
  )
  .map(([name, value]) => `${name}: ${value}`)
/** Headers that do not make a request malformed as often as the whole list does. */
const plainField = fc
  .tuple(
    fc.constantFrom(
      'X-Api-Key',
      'X_Api_Key',
      'x-api-key',
      'Authorization',
      'Cookie',
      'Connection',
      'Content-Type',
      'X-Forwarded-For',
      'Proxy-Authorization',
      'Accept',
      'X-A'
    ),
    fc.constantFrom(...VALUES.filter((value) => /^[\x20-\x7e]+$/.test(value) && value.length < 100))
  )
  .map(([name, value]) => `${name}: ${value}`)
const segment = fc.oneof(
  { arbitrary: fc.constantFrom(...SEGMENTS), weight: 10 },
  { arbitrary: anyText.map((text) => text.replace(/[\s\0]/g, '')), weight: 1 }
)
const path = fc
  .tuple(
    fc.oneof({ arbitrary: fc.constantFrom(...PREFIXES.slice(0, 6)), weight: 4 }, { arbitrary: fc.constantFrom(...PREFIXES), weight: 1 }),
    fc.oneof(
      { arbitrary: fc.array(fc.constantFrom('a', 'ok', 'txs', '1', '~', '%c3%a9', '%2f'), { maxLength: 3 }), weight: 2 },
      { arbitrary: fc.array(segment, { maxLength: 4 }), weight: 1 }
    )
  )
  .map(([prefix, segments]) => [prefix, ...segments].join('/'))
const query = fc.oneof(
  { arbitrary: fc.constant(''), weight: 2 },
  { arbitrary: fc.array(fc.constantFrom(...QUERY), { minLength: 1, maxLength: 5 }).map((parts) => `?${parts.join('&')}`), weight: 1 }
)
const target = fc
  .tuple(path, query, fc.constantFrom(...Array<string>(30).fill(''), 'http://evil.example', 'http://localhost:1', '*'))
  .map(([first, second, form]) => (form === '*' ? form : form + first + second))

interface Framed { readonly lines: readonly string[], readonly body: string }

const chunk = fc
  .tuple(fc.constantFrom(...BODIES), fc.constantFrom('', '', '', ';a=b', ';a="\r\n"', ' '))
  .map(([text, extension]) => (text === '' ? '' : `${text.length.toString(16)}${extension}\r\n${text}\r\n`))
const framed: fc.Arbitrary<Framed> = fc.oneof(
  { arbitrary: fc.constant({ lines: [], body: '' }), weight: 8 },
  { arbitrary: fc.constantFrom(...BODIES).map((body) => ({ lines: [`Content-Length: ${body.length}`], body })), weight: 8 },
  {
    arbitrary: fc
      .tuple(fc.array(chunk, { maxLength: 3 }), fc.constantFrom(...ENDINGS))
      .map(([chunks, end]) => ({ lines: ['Transfer-Encoding: chunked'], body: chunks.join('') + end })),
    weight: 6
  },
  // Less than was announced: the rest never comes.
  { arbitrary: fc.constantFrom(...BODIES).map((body) => ({ lines: [`Content-Length: ${body.length + 7}`], body })), weight: 1 }
)

/** Puts, replaces or removes a few characters anywhere. */
function mutated (text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const change = fc.tuple(fc.nat(), fc.nat({ max: 2 }), fc.constantFrom(...PUNCTUATION))
  return fc.tuple(text, fc.array(change, { maxLength: 2 })).map(([whole, changes]) => changes.reduce((current, [place, removed, put]) => {
    const at = place % (current.length + 1)
    return current.slice(0, at) + put + current.slice(at + removed)
  }, whole))
}

const sane = fc.oneof(
  { arbitrary: fc.array(plainField, { maxLength: 5 }), weight: 6 },
  { arbitrary: fc.array(field, { maxLength: 4 }), weight: 1 }
)

/** Any request: most are nearly right, since what is plainly malformed ends at the parser. */
export const fuzzedRequest: fc.Arbitrary<FuzzedRequest> = fc
  .record({
    method: fc.oneof(
      { arbitrary: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'), weight: 6 },
      { arbitrary: fc.constantFrom(...METHODS), weight: 1 }
    ),
    target,
    version: fc.oneof(
      { arbitrary: fc.constant('HTTP/1.1'), weight: 30 },
      { arbitrary: fc.constantFrom('HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.1 ', 'HTTP/1.2', ''), weight: 1 }
    ),
    host: fc.oneof({ arbitrary: fc.constant('right' as const), weight: 20 }, { arbitrary: fc.constantFrom(...HOSTS), weight: 1 }),
    fields: sane,
    framed,
    noise: fc.oneof({ arbitrary: fc.constant(undefined), weight: 15 }, { arbitrary: mutated(field), weight: 1 })
  })
  .map(({ method, target: where, version, host, fields, framed: { lines, body }, noise }) => ({
    startLine: `${method} ${where} ${version}`,
    method,
    host,
    lines: [...fields, ...(noise === undefined ? [] : [noise]), ...lines],
    body
  }))
