import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { parseJsonc } from '#src/config/read/jsonc.ts'

const places = (text: string): string[] =>
  parseJsonc(text).problems.map(({ position, message }) => `${position.line}:${position.column} ${message}`)

t.test('any JSON value is read as JSON.parse reads it', async () => {
  fc.assert(fc.property(fc.json({ maxDepth: 5 }), (text) => {
    assert.equal(JSON.stringify(parseJsonc(text).document?.value), JSON.stringify(JSON.parse(text)))
  }))
})

t.test('comments, trailing commas, CRLF and a byte order mark are fine', async (t) => {
  const { document, problems } = parseJsonc('\uFEFF{ // a comment\r\n  /* another */ "a": [1, 2,],\r\n}\r\n')
  t.same(problems, [])
  t.same({ ...document?.value as object }, { a: [1, 2] })
})

t.test('positions are 1-based, in UTF-16 units, for values and for keys', async (t) => {
  const { document } = parseJsonc('\uFEFF{\r\n  "a": { "😀": [true, null] },\r  "b": 1\n}')
  t.same(document?.locate(['a']), { line: 2, column: 8 })
  t.same(document?.locate(['a'], 'key'), { line: 2, column: 3 })
  t.same(document?.locate(['a', '😀', 1]), { line: 2, column: 23 })
  t.same(document?.locate(['b'], 'key'), { line: 3, column: 3 }, 'a lone CR ends a line too, as in editors')
  t.same(document?.locate([]), { line: 1, column: 1 })
})

t.test('what is not there has the position of what is around it', async (t) => {
  const { document } = parseJsonc('{\n  "a": [ {} ]\n}')
  t.same(document?.locate(['a', 0, 'missing', 'too'], 'key'), { line: 2, column: 10 })
})

t.test('a duplicate key is an error at its second place, at any depth', async (t) => {
  t.same(places('{ "a": 1,\n  "a": 2, "b": { "c": 1, "c": 2 } }'), [
    '2:3 duplicate key, the first is at 1:3; keep one of them',
    '2:26 duplicate key, the first is at 2:18; keep one of them'
  ])
  t.equal(places('{ "a": 1, "\\u0061": 2 }').length, 1, 'an escape spells the same key')
})

t.test('keys that are property names of JavaScript objects are keys like any other', async (t) => {
  const { document, problems } = parseJsonc('{ "__proto__": { "polluted": 1 }, "constructor": 2, "toString": 3 }')
  t.same(problems, [])
  t.same(Object.keys(document?.value as object), ['__proto__', 'constructor', 'toString'])
  t.equal(Object.getPrototypeOf(document?.value), null)
  t.notOk('polluted' in {})
  t.same(places('{ "__proto__": 1, "__proto__": 2 }').length, 1)
})

t.test('syntax errors have their places and say what to do', async (t) => {
  t.same(places('{\n  "a": 1\n  "b": 2\n}'), ['3:3 a comma is missing here; add it'])
  t.same(places('{ "a": tru }')[0], '1:8 unknown word; strings stand in double quotes, and true, false and null are the only words')
  t.same(places('{ "a": "\\${X}" }'), ['1:8 malformed escape; JSON wants a backslash doubled, so a literal ${ is written "\\\\${"'])
  t.same(places('{} {}'), ['1:4 the configuration has ended before this; remove what follows'])
  t.same(places('{ "a": 1'), ['1:9 a closing } is missing here; add it'])
  t.equal(places('{ "a": "abc\n"b": 1 }\n}').length > 0, true)
  t.same(parseJsonc('{ "a": ').document, undefined)
})

t.test('an empty file, or one with comments only, is an error', async (t) => {
  for (const text of ['', ' \n', '// nothing\n', '/*', '/**/ /*/']) t.equal(places(text).length, 1, JSON.stringify(text))
})

t.test('a file of any depth gets a response, not a stack overflow', async (t) => {
  t.match(places('['.repeat(200_000)), [/^1:65 nested deeper than 64 levels; flatten it$/])
  t.match(places('{"a":'.repeat(200_000)), [/nested deeper/])
  t.same(places('['.repeat(64) + ']'.repeat(64)), [])
})

t.test('any text gets a response', async () => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:/*\\ntrue1.-\n\r\t \0${}') }), (text) => {
    const { document, problems } = parseJsonc(text)
    return document !== undefined || problems.length > 0
  }), { numRuns: 2000 })
})
