import fc from 'fast-check'
import t from 'tap'
import { maskText, patternsOf } from '#src/http/mask.ts'
import { SHORTEST_MASKED, spellingsOf } from '#src/http/spellings.ts'

const VALUES = [
  'CANARY-KEY-4711',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln_-bmF0dXJl',
  'dXNlcjpw+/YXNzd29yZA==',
  'p&ss<w>"o\'r`d/+ ~!*()',
  'pässwörd-ß',
  'пароль-пароль',
  'emoji-\u{1f511}-key',
  'tab\tand\nline',
  'back\\slash%41',
  'line\u2028separator'
]

/** Each way in which common programs write a text. */
const DIALECTS: Readonly<Record<string, (text: string) => string>> = {
  'as it is': (text) => text,
  encodeURIComponent,
  'encodeURIComponent, small hex digits': (text) => encodeURIComponent(text).replace(/%../g, (escape) => escape.toLowerCase()),
  'RFC 3986': (text) => encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`),
  form: (text) => new URLSearchParams([['', text]]).toString().slice(1),
  'Python quote': (text) =>
    encodeURIComponent(text)
      .replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
      .replaceAll('%2F', '/'),
  JSON: (text) => JSON.stringify(text).slice(1, -1),
  'PHP JSON': (text) => ascii(JSON.stringify(text).slice(1, -1)).replaceAll('/', '\\/'),
  'Python JSON': (text) => ascii(JSON.stringify(text).slice(1, -1)),
  'Go JSON': (text) =>
    JSON.stringify(text)
      .slice(1, -1)
      .replaceAll('<', '\\u003c')
      .replaceAll('>', '\\u003e')
      .replaceAll('&', '\\u0026')
      .replaceAll('\u2028', '\\u2028'),
  '.NET JSON': (text) =>
    [...text].map((one) => (/[<>&'"+`]|[^\0-\x7f]/u.test(one) ? ascii(one, true) : JSON.stringify(one).slice(1, -1))).join(''),
  'PHP HTML': (text) => html(text, '&quot;', '&#039;'),
  'Go HTML': (text) => html(text, '&#34;', '&#39;'),
  'Python HTML': (text) => html(text, '&quot;', '&#x27;')
}

function ascii (text: string, all = false): string {
  return text.replace(all ? /[^]/g : /[^\0-\x7f]/g, (unit) => {
    const hex = unit.charCodeAt(0).toString(16).padStart(4, '0')
    return `\\u${all ? hex.toUpperCase() : hex}`
  })
}

function html (text: string, double: string, single: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', double).replaceAll('\'', single)
}

t.test('a secret is found in the spellings of common programs', async (t) => {
  for (const value of VALUES) {
    const patterns = patternsOf(spellingsOf(value))
    for (const [name, spell] of Object.entries(DIALECTS)) {
      const spelled = Buffer.from(spell(value)).toString('latin1')
      t.equal(maskText(`<<${spelled}>>`, patterns).text, `<<${'*'.repeat(spelled.length)}>>`, `${ascii(value)} as ${name}`)
    }
  }
  t.equal(maskText('p\xe4ssw\xf6rd-\xdf', patternsOf(spellingsOf('pässwörd-ß'))).text, '*'.repeat(10), 'as a header carries it')
})

t.test('a secret is found inside base64 of something larger, but for characters that also hold a neighbour', async () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 9 }),
      fc.uint8Array({ maxLength: 9 }),
      fc.constantFrom('base64' as const, 'base64url' as const),
      (before, after, encoding) => {
        const secret = 'CANARY-KEY-4711~~??'
        const whole = Buffer.concat([before, Buffer.from(secret), after])
        const { text, count } = maskText(whole.toString(encoding), patternsOf(spellingsOf(secret)))
        const left = Buffer.from(text.replaceAll('*', 'A'), encoding).toString('latin1')
        const others = whole.toString('latin1').replace(secret, '')
        const parts = Array.from({ length: secret.length - 2 }, (_, at) => secret.slice(at, at + 3))
        return count === 1 && !parts.some((part) => left.includes(part) && !others.includes(part))
      }
    )
  )
})

t.test('a secret that is too short is not masked at all', async (t) => {
  t.same(spellingsOf('x'.repeat(SHORTEST_MASKED - 1)), [])
  t.ok(spellingsOf('x'.repeat(SHORTEST_MASKED)).length > 0)
})
