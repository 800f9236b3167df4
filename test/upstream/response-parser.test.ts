import fc from 'fast-check'
import t, { type Test } from 'tap'
import { ProxyError } from '#src/errors.ts'
import type { ResponseHead } from '#src/upstream/response-head.ts'
import { ResponseParser } from '#src/upstream/response-parser.ts'
import { isLinear } from '../helpers/linear.ts'

/** What becomes of some bytes. */
interface Outcome {
  readonly interim: readonly number[]
  readonly status: number | undefined
  readonly reason: string | undefined
  readonly fields: readonly string[]
  readonly keepAlive: boolean | undefined
  readonly body: string
  /** Undefined where the response is not whole. */
  readonly trailers: readonly string[] | undefined
  readonly switched: boolean
  /** Bytes behind the response. */
  readonly rest: string
  /** The RFC 9209 type of the failure. */
  readonly failure: string | undefined
}

interface Reading {
  readonly method?: string
  readonly upgrade?: boolean
  readonly headerBytes?: number
  /** Bytes at a time; default all. */
  readonly step?: number
  /** The connection ends behind the bytes: in order, or as nobody knows. */
  readonly end?: 'whole' | 'cut'
}

function read (text: string, { method = 'GET', upgrade = false, headerBytes = 32_768, step = Infinity, end }: Reading = {}): Outcome {
  const interim: number[] = []
  let head: ResponseHead | undefined
  let body = ''
  let trailers: readonly string[] | undefined
  let switched = false
  const parser = new ResponseParser({
    onInterim: ({ statusCode }) => { interim.push(statusCode) },
    onHead: (told) => { head = told },
    onBody: (chunk) => { body += chunk.toString('latin1') },
    onEnd: (told) => { trailers = told },
    onSwitch: (told) => {
      head = told
      switched = true
    }
  }, headerBytes)
  parser.begin(method, upgrade)
  const bytes = Buffer.from(text, 'latin1')
  let at = 0
  let failure: string | undefined
  try {
    for (let used = 1; used > 0; at += used) used = parser.push(bytes.subarray(at, at + step))
    if (end !== undefined && trailers === undefined) parser.end(end === 'whole')
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error
    failure = error.proxyStatus
  }
  return {
    interim,
    status: head?.statusCode,
    reason: head?.reason,
    fields: head?.rawHeaders ?? [],
    keepAlive: head?.keepAlive,
    body,
    trailers,
    switched,
    rest: failure === undefined ? bytes.toString('latin1', at) : '',
    failure
  }
}

/** Reads whole and byte by byte, and in pieces between: it must come to the same. */
function readEverywhichWay (t: Test, text: string, reading: Reading = {}): Outcome {
  const whole = read(text, reading)
  for (const step of [1, 2, 3, 7, 16]) t.same(read(text, { ...reading, step }), whole, `${JSON.stringify(text.slice(0, 120))} by ${step}`)
  return whole
}

const OK = 'HTTP/1.1 200 OK\r\n'

function refused (t: Test, text: string, reading: Reading = {}, type = 'http_protocol_error'): void {
  const { failure, trailers } = readEverywhichWay(t, text, reading)
  t.same([failure, trailers], [type, undefined], JSON.stringify(text.slice(0, 120)))
}

t.test('status lines: one form', async (t) => {
  for (const [line, status, reason] of [
    ['HTTP/1.1 200 OK', 200, 'OK'],
    ['HTTP/1.1 200 ', 200, ''],
    ['HTTP/1.1 200', 200, ''],
    ['HTTP/1.0 404 Not Found', 404, 'Not Found'],
    ['HTTP/1.1 999 Odd', 999, 'Odd'],
    ['HTTP/1.1 600  two  blanks ', 600, ' two  blanks '],
    ['HTTP/1.1 200 a\tb', 200, 'a\tb'],
    ['HTTP/1.1 200 Caf\xe9', 200, 'Caf\xe9'],
    ['HTTP/1.1 299 HTTP/1.1 200 OK', 299, 'HTTP/1.1 200 OK']
  ] as const) {
    t.match(readEverywhichWay(t, `${line}\r\nContent-Length: 0\r\n\r\n`), { status, reason, trailers: [], failure: undefined }, line)
  }
  for (const line of [
    'HTTP/1.2 200 OK',
    'HTTP/2.0 200 OK',
    'HTTP/2 200 OK',
    'HTTP/0.9 200 OK',
    'HTTP/1.10 200 OK',
    'HTTP/11 200 OK',
    'http/1.1 200 OK',
    'HTTP/1.1  200 OK',
    ' HTTP/1.1 200 OK',
    'HTTP/1.1\t200 OK',
    'HTTP /1.1 200 OK',
    'HTTP/1.1 200\tOK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 099 No',
    'HTTP/1.1 000 No',
    'HTTP/1.1 +20 No',
    'HTTP/1.1 2x0 No',
    'HTTP/1.1 -20 No',
    'HTTP/1.1 200OK',
    'HTTP/1.1 200 a\0b',
    'HTTP/1.1 200 a\x7fb',
    'HTTP/1.1 200 a\x1bb',
    'HTTP/1.1 200 a\rb',
    'ICY 200 OK',
    'SSH-2.0-x',
    '<html>',
    'GET / HTTP/1.1',
    'HTTP/1.1'
  ]) { refused(t, `${line}\r\nContent-Length: 0\r\n\r\n`) }
})

t.test('what can be no response is told at once, and nothing is waited for', async (t) => {
  for (const text of ['n', 'HTTQ', 'HTTP/1.1 x', 'HTTP/1.1 20\r', '\r\r', '\n', ' ', 'HTTP/1.1 200 OK\n', `${OK}X: a\n`, '\x16\x03\x01']) {
    refused(t, text)
  }
  for (const text of ['', '\r', '\r\n', 'H', 'HTTP/1.1 2', 'HTTP/1.1 200 O', OK, `${OK}X: a\r`]) {
    t.match(readEverywhichWay(t, text), { status: undefined, failure: undefined, rest: '' }, JSON.stringify(text))
  }
})

t.test('empty lines in front of a response are skipped, but not for ever', async (t) => {
  t.match(readEverywhichWay(t, `\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`), { status: 200, body: 'ok', trailers: [] })
  refused(t, `${'\r\n'.repeat(65)}${OK}Content-Length: 2\r\n\r\nok`)
})

t.test('fields: names are tokens, values without control characters, no folding, no bare CR or LF', async (t) => {
  t.same(
    readEverywhichWay(
      t,
      `${OK}X-CASE: A\r\nx-case:B\r\nX:\t v \t\r\nEmpty:\r\nBlank: \t \r\n!#$%&'*+-.^_\`|~: 1\r\nLatin: \xe9\r\nTab: a\tb\r\nColon: a:b\r\nContent-Length: 0\r\n\r\n`
    ).fields,
    [
      'X-CASE',
      'A',
      'x-case',
      'B',
      'X',
      'v',
      'Empty',
      '',
      'Blank',
      '',
      "!#$%&'*+-.^_`|~",
      '1',
      'Latin',
      '\xe9',
      'Tab',
      'a\tb',
      'Colon',
      'a:b',
      'Content-Length',
      '0'
    ]
  )
  for (const line of [
    'X Y: 1',
    'X : 1',
    'X\t: 1',
    ': 1',
    ' X: 1',
    '\tX: 1',
    'X',
    'X 1',
    'X=1',
    'X(: 1',
    'X\xe9: 1',
    'X\0: 1',
    'X: a\0b',
    'X: a\x01b',
    'X: a\x7fb',
    'X: a\x0bb',
    'X: a\rb',
    'X: a\nb',
    'X: a\r\rb',
    'X: a\r',
    'X: 1\r\n folded',
    'X: 1\r\n\tfolded',
    'X: 1\r\n : 2',
    '{"json": 1}',
    'X;y: 1',
    'X,Y: 1',
    '"X": 1',
    'X@: 1',
    '[X]: 1',
    'X/Y: 1',
    'X\\Y: 1',
    'X?: 1',
    'X{}: 1',
    'X<>: 1'
  ]) { refused(t, `${OK}${line}\r\nContent-Length: 0\r\n\r\n`) }
  for (const head of [
    'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
    'HTTP/1.1 200 OK\rContent-Length: 0\r\r',
    `${OK}Content-Length: 0\n\r\n`,
    `${OK}Content-Length: 0\r\n\n`,
    `${OK}\rX: 1\r\n\r\n`
  ]) {
    const { failure, trailers } = readEverywhichWay(t, head, { end: 'whole' })
    t.same([failure === 'http_protocol_error' || failure === 'http_response_incomplete', trailers], [true, undefined], JSON.stringify(head))
  }
})

t.test('Content-Length: digits, once', async (t) => {
  for (const value of ['5', ' 5', '5 ', '\t5\t', '05', '0000000000000005']) {
    t.match(readEverywhichWay(t, `${OK}content-LENGTH:${value}\r\n\r\nhello`), { body: 'hello', trailers: [], rest: '' }, value)
  }
  for (const value of [
    '',
    ' ',
    '-5',
    '+5',
    '5,5',
    '5, 5',
    '5;',
    '5 5',
    '0x5',
    '5.0',
    '5e0',
    'five',
    '５',
    '9007199254740992',
    '9'.repeat(16),
    '0'.repeat(17),
    '1'.repeat(400),
    '\xb25'
  ]) { refused(t, `${OK}Content-Length: ${value}\r\n\r\nhello`) }
  refused(t, `${OK}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`)
  refused(t, `${OK}Content-Length: 5\r\nX: 1\r\ncontent-length: 6\r\n\r\nhello`)
  t.match(read(`${OK}Content-Length: 9007199254740991\r\n\r\nhello`), { body: 'hello', failure: undefined, trailers: undefined })
})

t.test('Transfer-Encoding: one "chunked", and no Content-Length beside it', async (t) => {
  const chunks = '5\r\nhello\r\n0\r\n\r\n'
  for (const value of ['chunked', 'Chunked', ' CHUNKED ', '\tchunked']) {
    t.match(readEverywhichWay(t, `${OK}transfer-ENCODING:${value}\r\n\r\n${chunks}`), { body: 'hello', trailers: [], rest: '' }, value)
  }
  for (const value of [
    '',
    'gzip',
    'gzip, chunked',
    'chunked, chunked',
    'chunked,',
    ',chunked',
    'chunked;q=1',
    'identity',
    'xchunked',
    'chunked x',
    '"chunked"',
    'chunked\x0b',
    'chun\tked',
    'cow'
  ]) { refused(t, `${OK}Transfer-Encoding: ${value}\r\n\r\n${chunks}`) }
  refused(t, `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`)
  refused(t, `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${chunks}`)
  for (const method of ['GET', 'HEAD']) {
    refused(t, `${OK}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${chunks}`, { method })
    refused(t, `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`, { method })
    refused(t, 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n', { method })
  }
})

t.test('chunks: hexadecimal sizes without blanks, extensions of the one form, CR LF', async (t) => {
  const chunked = `${OK}Transfer-Encoding: chunked\r\n\r\n`
  for (const [chunks, body] of [
    ['0\r\n\r\n', ''],
    ['1\r\na\r\n0\r\n\r\n', 'a'],
    ['A\r\n0123456789\r\n0\r\n\r\n', '0123456789'],
    ['a\r\n0123456789\r\n00000\r\n\r\n', '0123456789'],
    ['0000000000000001\r\na\r\n0\r\n\r\n', 'a'],
    ['3\r\n\r\n\r\r\n2\r\n0\r\r\n0\r\n\r\n', '\r\n\r0\r'],
    ['1;x\r\na\r\n0\r\n\r\n', 'a'],
    ['1;x=y;z="a;\\"\r b"\r\na\r\n0\r\n\r\n'.replace('\r b', ' b'), 'a'],
    ['1;x=y\r\na\r\n0;last\r\n\r\n', 'a']
  ] as const) {
    t.match(readEverywhichWay(t, chunked + chunks), { body, trailers: [], rest: '', failure: undefined }, JSON.stringify(chunks))
  }
  for (const chunks of [
    'g\r\na\r\n',
    '\r\n',
    ' 1\r\na\r\n',
    '1 \r\na\r\n',
    '1\t\r\na\r\n',
    '0 \r\n\r\n',
    '+1\r\na\r\n',
    '-1\r\na\r\n',
    '0x1\r\na\r\n',
    '1_0\r\n',
    '1\na\r\n',
    '1\ra\r\n',
    '1\r\nab\r\n',
    '1\r\na\n',
    '1\r\na\r\r\n',
    '1\r\na0\r\n\r\n',
    '1;\r\na\r\n',
    '1;;x\r\na\r\n',
    '1; x\r\na\r\n',
    '1;x \r\na\r\n',
    '1;x=\r\na\r\n',
    '1 ;x\r\na\r\n',
    '1;x="\r\na\r\n',
    '1;x=a b\r\na\r\n',
    '1;x\0\r\na\r\n',
    '1;x\n\r\na\r\n',
    '1x\r\na\r\n',
    '1,2\r\na\r\n',
    'ffffffffffffffff\r\n',
    '10000000000000000\r\n',
    '20000000000000\r\n',
    `${'0'.repeat(40)}1\r\na\r\n`,
    `1;${'x'.repeat(2000)}\r\n`,
    '0\r\n\n',
    '0\n\r\n'
  ]) { refused(t, chunked + chunks) }
  refused(t, chunked + `1;${'x'.repeat(1000)}\r\na\r\n`.repeat(20))
})

t.test('trailers: as fields are, and bounded', async (t) => {
  const last = `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n`
  t.same(readEverywhichWay(t, `${last}X-Sum: a:b\r\nGrpc-Status:0\r\n\r\nrest`), {
    ...read(`${last}\r\n`),
    trailers: ['X-Sum', 'a:b', 'Grpc-Status', '0'],
    rest: 'rest'
  })
  for (const trailers of [
    'X Y: 1\r\n\r\n',
    'X : 1\r\n\r\n',
    ' folded\r\n\r\n',
    'X: 1\r\n y\r\n\r\n',
    'X: a\0b\r\n\r\n',
    'X: a\rb\r\n\r\n',
    'X: a\n\r\n',
    'X\r\n\r\n',
    'Content-Length: 4\r\n\r\n',
    'transfer-encoding: chunked\r\n\r\n'
  ]) { refused(t, last + trailers) }
  refused(t, last + 'X: 1\r\n'.repeat(6000), {}, 'http_response_header_section_size')
  refused(t, last + 'X: ' + 'x'.repeat(40_000), {}, 'http_response_header_section_size')
})

t.test('HEAD, 204, 304 and interim responses have no body, whatever they say', async (t) => {
  for (const fields of ['', 'Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n']) {
    for (const [line, method] of [
      [OK, 'HEAD'],
      ['HTTP/1.1 404 No\r\n', 'HEAD'],
      ['HTTP/1.1 204 No\r\n', 'GET'],
      ['HTTP/1.1 304 No\r\n', 'GET'],
      ['HTTP/1.1 204 No\r\n', 'POST']
    ] as const) {
      t.match(
        readEverywhichWay(t, `${line}${fields}\r\nrest`, { method }),
        { body: '', trailers: [], rest: 'rest', keepAlive: true },
        `${method} ${line} ${fields}`
      )
    }
    t.match(
      readEverywhichWay(t, `HTTP/1.1 103 Hints\r\n${fields}\r\n${OK}Content-Length: 2\r\n\r\nok`),
      { interim: [103], status: 200, body: 'ok' },
      fields
    )
  }
  t.match(
    readEverywhichWay(t, 'HTTP/1.1 205 Reset\r\nContent-Length: 1\r\n\r\nx'),
    { body: 'x', trailers: [] },
    '205 is framed like every other response'
  )
})

t.test('interim responses are told, a 100 is not, and there are at most 64', async (t) => {
  const interim = (count: number, line = '103 Hints'): string => `HTTP/1.1 ${line}\r\n\r\n`.repeat(count)
  const last = `${OK}Content-Length: 0\r\n\r\n`
  t.match(readEverywhichWay(t, interim(1, '100 Continue') + interim(2) + interim(1, '199 Odd') + last), {
    interim: [103, 103, 199],
    status: 200
  })
  t.match(read(interim(64) + last), { status: 200, failure: undefined })
  refused(t, interim(65) + last)
  refused(t, `HTTP/1.0 103 Hints\r\n\r\n${last}`)
  refused(t, `HTTP/1.1 103 Hints\r\nConnection: close\r\n\r\n${last}`)
  refused(t, interim(65, '100 Continue') + last)
})

t.test('101 is for those who asked, with Upgrade and a Connection that names it', async (t) => {
  const switching = 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: keep-alive, Upgrade\r\n\r\nframes'
  t.match(readEverywhichWay(t, switching, { upgrade: true }), { switched: true, status: 101, rest: 'frames', trailers: undefined })
  t.match(readEverywhichWay(t, `HTTP/1.1 100 Continue\r\n\r\n${switching}`, { upgrade: true }), { switched: true, rest: 'frames' })
  refused(t, switching)
  for (const fields of ['', 'Upgrade: x\r\n', 'Connection: Upgrade\r\n', 'Upgrade: x\r\nConnection: close\r\n']) {
    refused(t, `HTTP/1.1 101 Switching\r\n${fields}\r\n`, { upgrade: true })
  }
  t.match(readEverywhichWay(t, `${OK}Upgrade: x\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nok`, { upgrade: true }), {
    switched: false,
    body: 'ok'
  })
})

t.test('a connection is kept as version and Connection say', async (t) => {
  for (const [version, fields, keepAlive] of [
    ['1.1', '', true],
    ['1.1', 'Connection: close\r\n', false],
    ['1.1', 'connection: CLOSE\r\n', false],
    ['1.1', 'Connection: x, close\r\n', false],
    ['1.1', 'Connection: x\r\nConnection: close\r\n', false],
    ['1.1', 'Connection: keep-alive\r\n', true],
    ['1.1', 'Connection: closed\r\n', true],
    ['1.1', 'Proxy-Connection: close\r\n', true],
    ['1.0', '', false],
    ['1.0', 'Connection: keep-alive\r\n', true],
    ['1.0', 'Connection: Keep-Alive, x\r\n', true],
    ['1.0', 'Connection: keep-alive, close\r\n', false]
  ] as const) {
    t.equal(
      readEverywhichWay(t, `HTTP/${version} 200 OK\r\n${fields}Content-Length: 0\r\n\r\n`).keepAlive,
      keepAlive,
      `${version} ${fields}`
    )
  }
  t.equal(
    read('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n').keepAlive,
    false,
    'chunks from HTTP/1.0'
  )
})

t.test('a header section has so many bytes, and a status line', async (t) => {
  const head = (size: number): string => `X: ${'x'.repeat(size - 'X: \r\nContent-Length: 0\r\n\r\n'.length)}\r\nContent-Length: 0\r\n\r\n`
  for (const headerBytes of [100, 32_768]) {
    for (const step of [Infinity, 1, 1000]) {
      t.equal(read(OK + head(headerBytes), { headerBytes, step }).failure, undefined)
      t.equal(read(OK + head(headerBytes + 1), { headerBytes, step }).failure, 'http_response_header_section_size')
      t.equal(
        read(`${OK}X: ${'x'.repeat(headerBytes)}`, { headerBytes, step }).failure,
        'http_response_header_section_size',
        'before its end is here'
      )
      t.equal(
        read(`HTTP/1.1 103 H\r\n${head(headerBytes + 1)}`, { headerBytes, step }).failure,
        'http_response_header_section_size',
        'interim ones too'
      )
    }
  }
})

t.test('of a long reason the beginning is kept, and not read for ever', async (t) => {
  for (const length of [1000, 5000, 9000, 100_000]) {
    for (const step of [Infinity, 1, 1000]) {
      const text = `HTTP/1.1 200 ${'x'.repeat(length)}\r\nContent-Length: 2\r\n\r\nok`
      t.match(read(text, { step }), { reason: 'x'.repeat(Math.min(length, 1024)), body: 'ok', trailers: [] }, `${length} by ${step}`)
      for (const bad of ['\r', '\0', '\n']) {
        t.equal(read(text.replace('xxx\r\n', `x${bad}x\r\n`), { step }).failure, 'http_protocol_error', `${length} by ${step}`)
      }
    }
  }
  t.equal(read(`HTTP/1.1 200 ${'x'.repeat(5 * 2 ** 20)}`, { step: 10_000 }).failure, 'http_response_header_section_size')
})

t.test('the end of the connection ends a body that has no other end, and nothing else', async (t) => {
  t.match(readEverywhichWay(t, `${OK}\r\nto the end`, { end: 'whole' }), { body: 'to the end', trailers: [] })
  t.match(readEverywhichWay(t, `${OK}\r\n`, { end: 'whole' }), { body: '', trailers: [] })
  t.match(readEverywhichWay(t, `${OK}\r\nto the end`, { end: 'cut' }), {
    body: 'to the end',
    trailers: undefined,
    failure: 'http_response_incomplete'
  })
  t.match(read('', { end: 'whole' }), { failure: 'connection_terminated' })
  const whole = [
    `${OK}Content-Length: 5\r\n\r\nhello`,
    `HTTP/1.1 103 H\r\n\r\n${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: 1\r\n\r\n`
  ]
  for (const text of whole) {
    for (let at = 1; at < text.length; at++) {
      t.match(read(text.slice(0, at), { end: 'whole' }), { failure: 'http_response_incomplete', trailers: undefined }, text.slice(0, at))
    }
  }
})

t.test('nothing is told once it was stopped, wherever that was', async (t) => {
  for (const text of [
    `HTTP/1.1 103 H\r\n\r\n${OK}Content-Length: 5\r\n\r\nhello`,
    `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n`,
    `${OK}\r\nabc`
  ]) {
    for (let stopAt = 1; stopAt <= 3; stopAt++) {
      let told = 0
      const tell = (): void => {
        if (++told === stopAt) parser.stop()
      }
      const parser: ResponseParser = new ResponseParser(
        { onInterim: tell, onHead: tell, onBody: tell, onEnd: tell, onSwitch: tell },
        32_768
      )
      parser.begin('GET', false)
      parser.push(Buffer.from(text))
      t.ok(told <= stopAt, `${told} told, stopped at ${stopAt}`)
    }
  }
})

t.test('one parser reads one response after the other', async (t) => {
  const seen: string[] = []
  const parser = new ResponseParser(
    {
      onInterim: () => {},
      onHead: ({ statusCode }) => {
        seen.push(String(statusCode))
      },
      onBody: (chunk) => {
        seen.push(chunk.toString())
      },
      onEnd: () => {
        seen.push('.')
      },
      onSwitch: () => {}
    },
    32_768
  )
  for (const text of [
    `${OK}Content-Length: 2\r\n\r\nok`,
    'HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
    'HTTP/1.1 204 No\r\n\r\n'
  ]) {
    t.equal(parser.idle, true)
    parser.begin('GET', false)
    t.equal(parser.responded, false)
    t.equal(parser.push(Buffer.from(text + 'behind')), text.length)
    t.equal(parser.push(Buffer.from('behind')), 0, 'nothing is read that was not asked for')
  }
  t.same(seen, ['200', 'ok', '.', '404', 'x', '.', '204', '.'])
})

t.test('any bytes whatever come to the same, however they are cut, and throw nothing unexpected', async (t) => {
  const piece = fc.constantFrom(
    'HTTP/1.1 ',
    '200',
    ' OK',
    '\r\n',
    '\r',
    '\n',
    'Content-Length: ',
    '3',
    '0',
    'Transfer-Encoding: chunked',
    '\r\n\r\n',
    'abc',
    ':',
    ' ',
    ';',
    '103',
    '\0',
    '\xff',
    'X: 1\r\n',
    '5\r\nhello\r\n',
    '0\r\n\r\n',
    'Connection: close\r\n'
  )
  await fc.assert(fc.property(fc.array(piece, { maxLength: 20 }), fc.boolean(), (pieces, started) => {
    const text = (started ? OK : '') + pieces.join('')
    const whole = JSON.stringify(read(text, { end: 'whole' }))
    return [1, 2, 5, 11].every((step) => JSON.stringify(read(text, { step, end: 'whole' })) === whole)
  }), { numRuns: 3000 })
  t.pass('no counterexample')
})

t.test('work grows with the bytes, however they are cut', async (t) => {
  const byBytes = (step: number, make: (size: number) => string) =>
    [(size: number) => make(size), (text: string) => read(text, { step, headerBytes: 1e9 })] as const
  const many = (what: string, size: number): string => what.repeat(Math.ceil(size / what.length))
  isLinear(t, 'one long header, byte by byte', ...byBytes(1, (size) => `${OK}X: ${'x'.repeat(size)}\r\n\r\n`), 50_000)
  isLinear(t, 'many headers, byte by byte', ...byBytes(1, (size) => `${OK}${many('X: 1\r\n', size)}\r\n`), 50_000)
  isLinear(t, 'many headers at once', ...byBytes(Infinity, (size) => `${OK}${many('X: 1\r\n', size)}\r\n`), 200_000)
  isLinear(t, 'a name without an end', ...byBytes(Infinity, (size) => `${OK}${'x'.repeat(size)}\r\n\r\n`), 400_000)
  isLinear(t, 'blanks', ...byBytes(Infinity, (size) => `${OK}X: ${' '.repeat(size)}\r\n\r\n`), 400_000)
  isLinear(
    t,
    'small chunks at once',
    ...byBytes(Infinity, (size) => `${OK}Transfer-Encoding: chunked\r\n\r\n${many('1\r\na\r\n', size)}0\r\n\r\n`),
    100_000
  )
  isLinear(
    t,
    'small chunks, byte by byte',
    ...byBytes(1, (size) => `${OK}Transfer-Encoding: chunked\r\n\r\n${many('1\r\na\r\n', size)}0\r\n\r\n`),
    50_000
  )
  isLinear(t, 'trailers', ...byBytes(7, (size) => `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n${many('X: 1\r\n', size)}\r\n`), 50_000)
  isLinear(
    t,
    'a quoted extension',
    ...byBytes(Infinity, (size) => `${OK}Transfer-Encoding: chunked\r\n\r\n1;x="${'\\"'.repeat(Math.min(size, 400))}\r\n`),
    400
  )
  isLinear(t, 'Connection with many options', ...byBytes(Infinity, (size) => `${OK}Connection: ${many('a,', size)}\r\n\r\n`), 100_000)
  isLinear(t, 'Connection many times', ...byBytes(Infinity, (size) => `${OK}${many('Connection: a\r\n', size)}\r\n`), 100_000)
})
