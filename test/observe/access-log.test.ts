import fc from 'fast-check'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { createLogger, requestWriterOf, type Logger, type LoggerOptions, type RequestWriter } from '#src/logger.ts'
import { endedMembers, refusedMembers, routeMember } from '#src/observe/access-log.ts'
import { createStillReader } from '../helpers/still-reader.ts'

interface Scene {
  readonly log: Logger
  readonly write: RequestWriter
  /** What was written since the last call. */
  readonly taken: () => string
}

function start ({ level = 'info', readable = false }: Partial<Pick<LoggerOptions, 'level' | 'readable'>> = {}): Scene {
  let text = ''
  const destination = new Writable({
    decodeStrings: false,
    write (chunk: string, _encoding, done) {
      text += chunk
      done()
    }
  })
  const log = createLogger({ level, destination, readable, colour: false })
  return {
    log,
    write: requestWriterOf(log),
    taken: () => {
      const taken = text
      text = ''
      return taken
    }
  }
}

// Printable, special in JSON, controls, C1, directions, separators, surrogates alone and in pairs, and much of it.
const character = fc.oneof(
  fc.constantFrom(
    'a',
    '/',
    '%',
    '"',
    '\\',
    ' ',
    '~',
    '\u007f',
    '\u009b',
    '\u2028',
    '\u202e',
    '\u2066',
    '\ud800',
    '\udc00',
    '😀',
    '\u001b',
    '\r',
    '\n',
    '\0',
    '#',
    '[',
    '}'
  ),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 })
)
const hostile = fc.oneof(fc.string({ unit: character }), fc.string({ unit: character, minLength: 500, maxLength: 600 }), fc.webPath())
const milliseconds = fc.oneof(fc.double({ min: 0, max: 1e10, noNaN: true }), fc.constantFrom(0, 0.04, 0.05, 0.1, 1, 12.34, 1e9))

t.test('a line is the one that pino would have written, whatever a client sends', async (t) => {
  const { log, write, taken } = start()
  const record = fc.record({
    method: fc.option(hostile, { nil: undefined }),
    path: hostile,
    label: fc.option(hostile, { nil: undefined }),
    status: fc.oneof(fc.constant(0), fc.integer({ min: 100, max: 999 })),
    code: fc.constantFrom(undefined, 'CS_NO_ROUTE'),
    complete: fc.boolean(),
    ms: milliseconds
  })
  fc.assert(fc.property(record, ({ method, path, label, status, code, complete, ms }) => {
    log.info({
      route: label,
      method,
      path: path.slice(0, 512),
      status: status === 0 ? 'aborted' : status,
      ...(code !== undefined && { code }),
      ...(!complete && { aborted: true }),
      ms: Math.round(ms * 10) / 10
    }, 'request')
    const expected = taken()
    write(endedMembers({ message: { method }, path, code }, label === undefined ? '' : routeMember(label), status, complete, ms))
    same(t, taken(), expected)
  }), { numRuns: 500 })
})

t.test('so is the line of a request that the listener refused', async (t) => {
  const { log, write, taken } = start()
  const record = fc.record({
    method: fc.option(hostile, { nil: undefined }),
    client: fc.constantFrom('127.0.0.1', '::1', 'fe80::1%eth0', undefined),
    bytes: fc.nat(),
    ms: milliseconds
  })
  const rejection = { statusCode: 431, code: 'CS_HEADERS_TOO_LARGE' }
  fc.assert(fc.property(record, ({ method, client, bytes, ms }) => {
    log.info({ method, status: 431, code: 'CS_HEADERS_TOO_LARGE', client, bytes, ms: Math.round(ms * 10) / 10 }, 'request')
    const expected = taken()
    write(refusedMembers({ rejection, ...(method !== undefined && { method }), client, bytes, durationMs: ms }))
    same(t, taken(), expected)
  }))
})

t.test('on a terminal a line is readable, and the same as that of pino', async (t) => {
  const { log, write, taken } = start({ readable: true })
  const path = '/a"b\u001b[2J\u202e'
  log.info({ route: '/r', method: 'GET', path, status: 200, ms: 0 }, 'request')
  const expected = taken()
  write(endedMembers({ message: { method: 'GET' }, path, code: undefined }, routeMember('/r'), 200, true, 0))
  const line = taken()
  t.match(line, /^\d\d:\d\d:\d\d\.\d{3} INFO {2}request route=\/r method=GET path="\/a/)
  t.equal(line.slice(12), expected.slice(12))
})

t.test('a log of another making has the lines too, with what it adds and takes away', async (t) => {
  const { log, taken } = start()
  const members = endedMembers({ message: { method: 'GET' }, path: '/a"b', code: 'CS_NO_ROUTE' }, '', 404, true, 1.26)
  const expected = { method: 'GET', path: '/a"b', status: 404, code: 'CS_NO_ROUTE', ms: 1.3, msg: 'request' }
  requestWriterOf(log.child({ pid: 7 }))(members)
  t.match(JSON.parse(taken()), { level: 'info', pid: 7, ...expected })
  let text = ''
  requestWriterOf(pino({ redact: ['path'] }, { write: (line) => { text += line } }))(members)
  t.match(JSON.parse(text), { level: 30, ...expected, path: '[Redacted]' })
})

t.test('to a reader that stands still the lines are the first to be left out, and counted', async (t) => {
  const { writer, read } = createStillReader()
  const log = createLogger({ level: 'info', destination: writer, readable: false, colour: false })
  const members = endedMembers({ message: { method: 'GET' }, path: '/'.padEnd(200, 'x'), code: undefined }, '', 200, true, 1)
  const write = requestWriterOf(log)
  for (let count = 0; count < 20_000; count++) write(members)
  log.warn({}, 'token fetch failed')
  const lines = read()
  const left = lines.find(({ msg }) => msg === 'log lines were left out, since their reader stood still')?.requestLines ?? 0
  t.ok(left > 0)
  t.equal(lines.filter(({ msg }) => msg === 'request').length + left, 20_000)
  t.ok(lines.some(({ msg }) => msg === 'token fetch failed'))
})

// The same members with the same values in the same order, and an instant of the same form.
function same (t: Test, line: string, expected: string): void {
  const read = (text: string): unknown =>
    JSON.stringify(JSON.parse(text, (key, value: unknown) => (key === 'time' ? String(value).replaceAll(/\d/g, '0') : value)))
  t.equal(read(line), read(expected))
  // eslint-disable-next-line no-control-regex -- the very thing to find
  t.match(line, /^[^\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+\n$/)
}
