import t from 'tap'
import { printable } from '#src/http/printable.ts'

t.test('what could act on a terminal or a reader is escaped, everything else stays', async (t) => {
  for (const text of ['', 'plain', 'Grüße, мир, 世界, \u{1f511}', '\u00a0', 'back\\slash "quote"']) t.equal(printable(text), text)
  t.equal(printable('a\u001b[31mb\r\n\tc\0'), 'a\\u001b[31mb\\u000d\\u000a\\u0009c\\u0000')
  t.equal(printable('\u007f\u0080\u009b\u009f\u2028\u202e\u2066'), '\\u007f\\u0080\\u009b\\u009f\\u2028\\u202e\\u2066')
})
