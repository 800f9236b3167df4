import t from 'tap'
import { problemOfHeaderValue, LONGEST_HEADER_VALUE, SENDABLE_TOKEN } from '#src/http/header-value.ts'

t.test('what no header carries is told, each in its words; the rest is carried', async (t) => {
  for (const [text, problem] of [
    ['a\r\nb', /line break or NUL/],
    ['a\nb', /line break or NUL/],
    ['a\0b', /line break or NUL/],
    ['a\x01b', /control character/],
    ['a\x7f', /control character/],
    ['\u20ac', /beyond ISO 8859-1/],
    [' a', /begins or ends with a blank/],
    ['a\t', /begins or ends with a blank/],
    ['x'.repeat(LONGEST_HEADER_VALUE + 1), /longer than 32768 characters/]
  ] as const) { t.match(problemOfHeaderValue(text), problem) }
  for (const text of ['', 'a', 'a b', 'a\tb', 'caf\u00e9', 'x'.repeat(LONGEST_HEADER_VALUE)]) t.equal(problemOfHeaderValue(text), undefined)
})

t.test('a token that may be sent is one that every header carries', async (t) => {
  for (let code = 0; code < 0x3000; code++) {
    const text = `a${String.fromCharCode(code)}b`
    t.equal(SENDABLE_TOKEN.test(text), code > 0x20 && code < 0x7f, code.toString(16))
    if (SENDABLE_TOKEN.test(text) && problemOfHeaderValue(text) !== undefined) t.fail('the rule of tokens is the stricter one')
  }
})
