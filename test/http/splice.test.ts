import fc from 'fast-check'
import t from 'tap'
import { spliceForm, spliceJson } from '#src/http/splice.ts'

const KEY = [['key', 'v"\\1']] as const
const OURS = '"key":"v\\"\\\\1"'

t.test('a member is added and every other byte stays', async (t) => {
  const cases: ReadonlyArray<readonly [given: string, expected: string]> = [
    ['{}', `{${OURS}}`],
    [' { } ', ` {${OURS} } `],
    ['{"a":1}', `{"a":1,${OURS}}`],
    ['{ "a" : 12345678901234567890 , "b":1.0,"c":1e2, "a":2\n}', `{ "a" : 12345678901234567890 , "b":1.0,"c":1e2, "a":2,${OURS}\n}`],
    [
      '{"u":"\\u005f\\/","n":{"key":"stays","m":[{"key":1}]},"s":"a,b}{\\"],"}',
      `{"u":"\\u005f\\/","n":{"key":"stays","m":[{"key":1}]},"s":"a,b}{\\"],",${OURS}}`
    ],
    ['\uFEFF{"a":1}', `\uFEFF{"a":1,${OURS}}`],
    ['{"__proto__":1,"constructor":2}', `{"__proto__":1,"constructor":2,${OURS}}`]
  ]
  for (const [given, expected] of cases) t.equal(spliceJson(given, KEY), expected, given)
})

t.test('a member of the same parsed name is taken out, however it is spelled', async (t) => {
  const cases: ReadonlyArray<readonly [given: string, expected: string]> = [
    ['{"key":1}', `{${OURS}}`],
    ['{"k\\u0065y":1,"a":2}', `{"a":2,${OURS}}`],
    ['{"a":2, "\\u006bey" : {"x":[1,2]} }', `{"a":2,${OURS} }`],
    ['{"key":1,"a":2,"key":3}', `{"a":2,${OURS}}`],
    ['{"Key":1}', `{"Key":1,${OURS}}`]
  ]
  for (const [given, expected] of cases) t.equal(spliceJson(given, KEY), expected, given)
})

t.test('what stays keeps its commas and blanks', async (t) => {
  t.equal(spliceJson('{"a":1, "key":2 , "b" : 3 , "key":4 , "key":5}', KEY), `{"a":1, "b" : 3,${OURS}}`)
  t.equal(spliceJson('{ "key":1 , "a":2 }', KEY), `{ "a":2,${OURS} }`)
  t.equal(spliceJson('{"key":1,"key":2 }\n', KEY), `{${OURS} }\n`)
})

t.test('exactly what JSON.parse takes for an object is taken', async () => {
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '"a"',
    '"key":',
    '1',
    '-',
    '.5',
    'e+1',
    '0',
    '01',
    'true',
    'null',
    'nul',
    ' ',
    '\n',
    '\f',
    '\\',
    '\\u',
    '00e9',
    '\0',
    '{}',
    '[]',
    '"a":1',
    '\u00a0'
  )
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), fc.boolean(), (pieces, wrap) => {
    const text = wrap ? `{"a":${pieces.join('')}}` : pieces.join('')
    let isObject = false
    try {
      const value: unknown = JSON.parse(text)
      isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    } catch {}
    return (spliceJson(text, []) !== undefined) === isObject
  }), { numRuns: 20_000 })
})

t.test('what is no JSON object is refused', async (t) => {
  for (const text of [
    '',
    ' ',
    '[]',
    '1',
    '"x"',
    'null',
    'true',
    '{',
    '{"a":1,}',
    "{'a':1}",
    '{"a":1}x',
    '{"a":01}',
    '{"a":/**/1}',
    '\uFEFF\uFEFF{}',
    '{}{}'
  ]) { t.equal(spliceJson(text, KEY), undefined, text) }
})

t.test('the result is the client\'s object with our fields, and exactly one of each', async (t) => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.string(),
      fc.string(),
      fc.constantFrom(undefined, 1, '\t'),
      (object, name, value, indent) => {
        const text = JSON.stringify(object, null, indent)
        const spliced = spliceJson(text, [[name, value]]) ?? ''
        const expected = new Map(Object.entries(JSON.parse(text) as object))
        expected.delete(name)
        expected.set(name, value)
        t.same(new Map(Object.entries(JSON.parse(spliced) as object)), expected)
        // A parser that keeps the first of two equal members must find ours as well.
        const again = spliceJson(spliced, []) ?? ''
        t.equal(again.split(JSON.stringify(name) + ':' + JSON.stringify(value)).length >= 2, true)
      }
    ),
    { numRuns: 300 }
  )
})

t.test('form fields are added behind the client\'s bytes, and colliding ones are taken out', async (t) => {
  t.equal(spliceForm('', [['key', 'a b&c']]), 'key=a%20b%26c')
  t.equal(spliceForm('a=1&a=2&b=%20+%2B&=x&d', [['key', 'v']]), 'a=1&a=2&b=%20+%2B&=x&d&key=v')
  t.equal(spliceForm('k%65y=1&key&KEY=2&key=3', [['key', 'v']]), 'KEY=2&key=v')
  t.equal(spliceForm('ke.y=1&ke+y=2&ke_y[]=3&a=1', [['ke_y', 'v']]), 'a=1&ke_y=v')
  t.equal(spliceForm('my+key=1&x=2', [['my key', 'v']]), 'x=2&my%20key=v')
})
