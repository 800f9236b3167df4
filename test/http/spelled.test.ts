import fc from 'fast-check'
import t from 'tap'
import { Mask, maskText, patternsOf } from '#src/http/mask.ts'
import { spellingsOf, textsOf } from '#src/http/spellings.ts'
import { isLinear } from '../helpers/linear.ts'

const hex = (value: number, digits = 1): string => value.toString(16).padStart(digits, '0')
const bytesAs = (text: string, write: (byte: number) => string): string => [...Buffer.from(text)].map(write).join('')
const unitsAs = (text: string, write: (unit: number) => string): string => text.split('').map((unit) => write(unit.charCodeAt(0))).join('')

/** How programs write one character. */
const SPELLINGS: Readonly<Record<string, (character: string, code: number) => string>> = {
  plain: (character) => character,
  percent: (character) => bytesAs(character, (byte) => `%${hex(byte, 2)}`),
  'percent, capitals': (character) => bytesAs(character, (byte) => `%${hex(byte, 2).toUpperCase()}`),
  'percent twice': (character) => bytesAs(character, (byte) => `%25${hex(byte, 2)}`),
  'IIS percent': (character) => unitsAs(character, (unit) => `%u${hex(unit, 4)}`),
  JSON: (character) => unitsAs(character, (unit) => `\\u${hex(unit, 4)}`),
  'JSON in JSON': (character) => unitsAs(character, (unit) => `\\\\u${hex(unit, 4).toUpperCase()}`),
  'JavaScript code point': (_, code) => `\\u{${hex(code)}}`,
  'JavaScript byte': (character) => bytesAs(character, (byte) => `\\x${hex(byte, 2)}`),
  Python: (_, code) => `\\U${hex(code, 8)}`,
  octal: (character) => bytesAs(character, (byte) => `\\${byte.toString(8).padStart(3, '0')}`),
  CSS: (_, code) => `\\${hex(code, 6)}`,
  shell: (character) => `\\${character}`,
  'HTML decimal': (_, code) => `&#${code};`,
  'HTML hex': (_, code) => `&#x${hex(code).toUpperCase()};`,
  'HTML hex, capital X and zeros': (_, code) => `&#X00${hex(code)};`,
  'HTML twice': (_, code) => `&amp;#x${hex(code)};`,
  'HTML in JSON': (_, code) => `\\u0026#${code};`,
  'HTML in a URL': (_, code) => `%26#${code};`,
  'quoted-printable': (character) => bytesAs(character, (byte) => `=${hex(byte, 2).toUpperCase()}`),
  'soft line break': (character) => `${character}=\r\n`
}
const NAMED: Readonly<Record<string, string>> = {
  '/': '&sol;',
  '+': '&plus;',
  '=': '&equals;',
  '&': '&amp;',
  '<': '&lt',
  '"': '&quot;',
  "'": '&apos;',
  _: '&lowbar;',
  ':': '&colon;',
  '.': '&period;',
  ' ': '+'
}

const SECRETS = ['abc/DEF+ghi==', 'p&ss<w>"o\'r`d/+ ~!*()', 'pässwörd_\u{1f511}:x', 'back\\slash%41&amp;', 'eyJhbGciOi.eyJzdWIi.c2ln_-5']
const masked = (text: string, secret: string): string =>
  maskText(Buffer.from(text).toString('latin1'), patternsOf(spellingsOf(secret)), textsOf(secret)).text

t.test('a secret is found in every spelling of its characters', async (t) => {
  for (const secret of SECRETS) {
    for (const [name, spell] of Object.entries(SPELLINGS)) {
      const text = [...secret].map((character) => spell(character, character.codePointAt(0) ?? 0)).join('')
      t.equal(
        masked(`<${text}>`, secret),
        `<${'*'.repeat(Buffer.byteLength(name === 'soft line break' ? text.slice(0, -3) : text))}${name === 'soft line break' ? '=\r\n' : ''}>`,
        `${JSON.stringify(secret)}: ${name}`
      )
    }
  }
})

t.test('a single escape in it is enough, and any mixture', async () => {
  const spellings = Object.values(SPELLINGS)
  fc.assert(
    fc.property(
      fc.constantFrom(...SECRETS),
      fc.infiniteStream(fc.nat()),
      fc.array(fc.nat(), { maxLength: 6 }),
      fc.boolean(),
      (secret, choices, cuts, often) => {
        const pick = choices[Symbol.iterator]()
        const text = [...secret]
          .map((character) => {
            const choice = pick.next().value
            if (!often && choice % 4 !== 0) return character
            return choice % 7 === 0
              ? (NAMED[character] ?? character)
              : (spellings[choice % spellings.length]?.(character, character.codePointAt(0) ?? 0) ?? character)
          })
          .join('')
          .replace(/=\r\n$/, '')
        const bytes = Buffer.from(`<<${text}>>`)
        const mask = new Mask(patternsOf(spellingsOf(secret)), textsOf(secret))
        const places = [0, ...cuts.map((place) => place % bytes.length).sort((one, other) => one - other), bytes.length]
        const out = Buffer.concat([...places.slice(1).map((end, index) => mask.push(bytes.subarray(places[index], end))), mask.end()])
        const expected = `<<${'*'.repeat(bytes.length - 4)}>>`
        if (out.toString('latin1') !== expected) throw new Error(`${JSON.stringify(text)} became ${JSON.stringify(out.toString('latin1'))}`)
      }
    ),
    { numRuns: 3000 }
  )
})

t.test('base64 is found with its own signs escaped, and in lines', async (t) => {
  const secret = '~~~???>>>secret'
  const base64 = Buffer.from(secret).toString('base64')
  const held = base64.replace(/=*$/, '')
  for (const text of [
    held.replaceAll('/', '\\/'),
    held.replaceAll('+', '%2B').replaceAll('/', '%2f'),
    held.replaceAll('+', '&#43;').replaceAll('/', '&#x2F;'),
    `${held.slice(0, 8)}=\r\n${held.slice(8)}`
  ]) { t.match(masked(text, secret), /^\*+$/, text) }
})

t.test('what only begins like a secret goes on at once, and other escapes stay', async (t) => {
  const secret = SECRETS[0] ?? ''
  const mask = new Mask(patternsOf(spellingsOf(secret)), textsOf(secret))
  for (const [pushed, out] of [
    ['data: {"a":"b\\"c"}\n\n', 'data: {"a":"b\\"c"}\n\n'],
    ['a&amp;b %41%42 =3D \\n\n', 'a&amp;b %41%42 =3D \\n\n'],
    ['abc&#', ''],
    ['48;', 'abc&#48;'],
    ['abc\\u00', ''],
    ['2fDEF&plus;ghi%3D&#61', ''],
    ['x', `${'*'.repeat(28)}x`]
  ] as const) {
    t.equal(mask.push(Buffer.from(pushed)).toString(), out, pushed)
  }
  t.equal(mask.push(Buffer.from('abc/DEF+ghi=&#61')).toString(), '')
  t.equal(mask.end().toString(), '*'.repeat(16), 'the end ends a reference')
})

t.test('masking takes time in proportion to the response, whole or in single bytes', async (t) => {
  const secret = 'CANARY/KEY+4711=='
  const [patterns, texts] = [patternsOf(spellingsOf(secret)), textsOf(secret)]
  for (const unit of [
    '\\',
    '&',
    '&amp;',
    '%',
    '%25',
    '=',
    '=\n',
    'C',
    'C=\n',
    'CANARY/KEY',
    'CANARY&amp;',
    '&#',
    '&#0',
    '\\u{0',
    '{"a":"b"},'
  ]) {
    const make = (size: number): Buffer => Buffer.from(unit.repeat(size / unit.length))
    isLinear(
      t,
      `whole: ${JSON.stringify(unit)}`,
      make,
      (bytes) => {
        const mask = new Mask(patterns, texts)
        mask.push(bytes)
        mask.end()
      },
      100_000
    )
    isLinear(
      t,
      `single bytes: ${JSON.stringify(unit)}`,
      make,
      (bytes) => {
        const mask = new Mask(patterns, texts)
        for (let at = 0; at < bytes.length; at++) mask.push(bytes.subarray(at, at + 1))
        mask.end()
      },
      5_000
    )
  }
})
