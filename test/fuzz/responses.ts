import fc from 'fast-check'

/** What an upstream sends, in the pieces in which it sends it, and how it ends its connection behind that. */
export interface FuzzedResponse {
  readonly pieces: readonly string[]
  readonly end: 'keep' | 'end' | 'reset'
  /** Set where the bytes are a whole, valid response: the body that a client has to get. */
  readonly body?: string
  /** The bytes are the beginning of a valid response, framed by itself, whose rest never comes. */
  readonly cut: boolean
}

const STATUSES = ['200 OK', '200 ', '201 Created', '404 Not Found', '500 Oops', '301 Moved', '206 Partial Content', '299 Odd']
const FIELDS = [
  'X-A: 1',
  'Set-Cookie: a=b; Path=/',
  'Location: /x',
  'Location: http://evil.example/',
  'Connection: keep-alive',
  'Connection: X-A',
  'Connection: close',
  'Keep-Alive: timeout=0',
  'Keep-Alive: timeout=99999999999',
  'Trailer: X-T',
  'Content-Type: text/event-stream',
  'Content-Encoding: gzip',
  'Access-Control-Allow-Origin: *',
  'Upgrade: h2c',
  'Date: never',
  'Proxy-Status: countersign; error=fake',
  'X-Empty:',
  'X-Latin: \xe9',
  '__proto__: 1',
  'constructor: x',
  'Retry-After: 0',
  'Vary: *'
]
const ODD_FIELDS = [
  'Content-Length: 3',
  'content-length: 99',
  'Content-Length: -1',
  'Transfer-Encoding: gzip',
  'Transfer-Encoding: chunked',
  'X Y: 1',
  ': 1',
  'X: a\0b',
  ' folded',
  'X-Long: ' + 'x'.repeat(20_000),
  'X: a\nb',
  'Connection: content-length, transfer-encoding'
]
const PREFACES = [
  '',
  '',
  '',
  '',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
  'HTTP/1.1 102 Processing\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  '\r\n'
]
const ODD_STARTS = [
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  'HTTP/1.1 999 X\r\n\r\n',
  'HTTP/1.1 000 X\r\n\r\n',
  'HTTP/3 200 OK\r\n\r\n',
  'SSH-2.0-x\r\n',
  '\x16\x03\x01',
  'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
  'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'
]
const PUNCTUATION = ['\r', '\n', '\r\n', '\0', ' ', ':', '0', '\x7f', '\xff', ',', ';', 'HTTP/1.1 200 OK\r\n\r\n']

interface Whole { readonly bytes: string, readonly body: string, readonly framed: boolean }

const body = fc.oneof(
  fc.constantFrom('', 'a', 'hello', '0\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 'x'.repeat(70_000)),
  fc.string({ maxLength: 40 }).map((text) => text.replace(/[^\x20-\x7e]/g, '?'))
)
const head = fc
  .tuple(
    fc.constantFrom(...PREFACES.filter((preface) => !preface.includes(' 100 ') && preface !== '\r\n')),
    fc.constantFrom(...STATUSES),
    fc.array(fc.constantFrom(...FIELDS), { maxLength: 5 })
  )
  .map(([preface, status, fields]) => `${preface}HTTP/1.1 ${status}\r\n${fields.map((field) => `${field}\r\n`).join('')}`)

const whole: fc.Arbitrary<Whole> = fc
  .tuple(head, body, fc.constantFrom('length', 'chunked', 'close'), fc.nat({ max: 20 }))
  .map(([start, text, framing, size]) => {
    if (framing === 'length') return { bytes: `${start}Content-Length: ${text.length}\r\n\r\n${text}`, body: text, framed: true }
    if (framing === 'close') return { bytes: `${start}\r\n${text}`, body: text, framed: false }
    const chunks =
      text === ''
        ? []
        : [text.slice(0, size), text.slice(size)].filter((part) => part !== '').map((part) => `${part.length.toString(16)}\r\n${part}\r\n`)
    return {
      bytes: `${start}Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n${size % 3 === 0 ? 'X-T: 1\r\n' : ''}\r\n`,
      body: text,
      framed: true
    }
  })

const broken = fc
  .tuple(
    fc.constantFrom(...PREFACES),
    fc.constantFrom(...STATUSES, '1000 X', '20 X', '', 'OK 200'),
    fc.array(fc.constantFrom(...FIELDS, ...ODD_FIELDS), { maxLength: 5 }),
    body
  )
  .map(([preface, status, fields, text]) => `${preface}HTTP/1.1 ${status}\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n${text}`)

function inPieces (bytes: string, places: readonly number[]): string[] {
  const cuts = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((one, other) => one - other)
  return [0, ...cuts].map((from, index) => bytes.slice(from, cuts[index] ?? bytes.length)).filter((piece) => piece !== '')
}

const places = fc.array(fc.nat(), { maxLength: 3 })
const end = fc.constantFrom('keep' as const, 'end' as const, 'reset' as const)
const change = fc.tuple(fc.nat(), fc.nat({ max: 3 }), fc.constantFrom(...PUNCTUATION))

/** Any response: whole ones, ones that break off, ones with a few bytes changed, and plain nonsense. */
export const fuzzedResponse: fc.Arbitrary<FuzzedResponse> = fc.oneof(
  fc
    .tuple(whole, places, end)
    .map(([{ bytes, body: text, framed }, at, how]) => ({
      pieces: inPieces(bytes, at),
      end: framed && how !== 'reset' ? how : ('end' as const),
      body: text,
      cut: false
    })),
  fc
    .tuple(
      whole.filter(({ framed }) => framed),
      places,
      fc.nat(),
      fc.constantFrom('end' as const, 'reset' as const)
    )
    .map(([{ bytes }, at, length, how]) => ({ pieces: inPieces(bytes.slice(0, length % bytes.length), at), end: how, cut: true })),
  fc.tuple(whole, places, fc.array(change, { minLength: 1, maxLength: 3 }), end).map(([{ bytes }, at, changes, how]) => ({
    pieces: inPieces(
      changes.reduce(
        (text, [place, removed, put]) => text.slice(0, place % (text.length + 1)) + put + text.slice((place % (text.length + 1)) + removed),
        bytes
      ),
      at
    ),
    end: how,
    cut: false
  })),
  fc
    .tuple(fc.oneof(broken, fc.constantFrom(...ODD_STARTS)), places, end)
    .map(([bytes, at, how]) => ({ pieces: inPieces(bytes, at), end: how, cut: false }))
)
