import t from 'tap'
import { setCookies } from '#src/http/cookie.ts'
import { connectionListed, foldName } from '#src/http/headers.ts'
import { checkBrowser, checkHost } from '#src/http/host.ts'
import { rewriteLocation } from '#src/http/location.ts'
import { parseMediaType } from '#src/http/media-type.ts'
import { printable } from '#src/http/printable.ts'
import { setQuery } from '#src/http/query.ts'
import { rewriteSetCookie } from '#src/http/set-cookie.ts'
import { spliceForm, spliceJson } from '#src/http/splice.ts'
import { parseTarget } from '#src/http/target.ts'
import { isAllowed, parseAllow, type AllowRule } from '#src/auth/allow.ts'
import { isLinear } from '../helpers/linear.ts'

/** Of what texts are made that cost more than their length somewhere. */
const UNITS = [
  ' ',
  '\t',
  '&',
  ';',
  '=',
  '%',
  '%25',
  '%2',
  '"',
  ',',
  '\\',
  '/',
  '//',
  '.',
  '..',
  './',
  '../',
  '[',
  ']',
  '{',
  '(',
  '+',
  '-',
  '_',
  ':',
  '@',
  '#',
  '?',
  'a',
  'a=1&',
  'key&',
  'key=1&',
  'key;',
  'a=1;',
  'key=1;x&',
  '0',
  '\0',
  '\xe9',
  '%ef%bc%8f',
  '"\\"',
  'charset=',
  ';charset='
]
const FIELDS = [['key', 'v']] as const

/** A text of one unit, and the same with something else behind it, so that what runs to the end does not match there. */
const texts = (unit: string) => [(size: number) => unit.repeat(size / unit.length), (size: number) => `${unit.repeat(size / unit.length)}x`]

const quietly = (work: () => unknown): unknown => {
  try {
    return work()
  } catch {
    return undefined
  }
}

t.test('rules on what clients and upstreams send take time in proportion to it', async (t) => {
  const rule = { upstreamOrigin: 'https://api.example.com', basePath: '/v2', prefix: '/orders' }
  const local = { unix: false, address: '127.0.0.1', port: 8080 }
  const policy = { allowedHosts: new Set(['a']), allowedOrigins: new Set(['https://a']) }
  const allow = [parseAllow('GET /a/*/**'), parseAllow('GET /*')].flatMap((one) => one ?? [])
  const works: Readonly<Record<string, (text: string) => unknown>> = {
    query: (text) => setQuery(`?${text}`, FIELDS),
    form: (text) => spliceForm(text, FIELDS),
    cookies: (text) => setCookies(text, FIELDS),
    'a cookie': (text) => rewriteSetCookie(`a=1; Path=${text}`, { upstreamHost: 'api.example.com', basePath: '/v2', prefix: '/orders' }),
    'JSON blanks': (text) => spliceJson(`{${text}}`, FIELDS),
    'a JSON string': (text) => spliceJson(`{"a":"${text}","key":1}`, FIELDS),
    'a header name': foldName,
    connection: (text) => connectionListed(['Connection', text]),
    host: (text) => checkHost({ host: [text], origin: [], fetchSite: [], fetchMode: [] }, local, policy),
    origin: (text) => checkBrowser({ host: [], origin: [text], fetchSite: [text], fetchMode: [text] }, 'localhost:8080', policy),
    location: (text) => rewriteLocation(text, rule),
    'a location in the base': (text) => rewriteLocation(`/v2/${text}`, rule),
    'a media type': parseMediaType,
    'parameters of one': (text) => parseMediaType(`application/json;${text}`),
    printable,
    target: (text) => parseTarget(`/${text}`),
    'allow lists': (text) => isAllowed(allow, 'GET', `/a/${text}`)
  }
  for (const [name, work] of Object.entries(works)) {
    for (const unit of UNITS) {
      for (const make of texts(unit)) isLinear(t, `${name}: ${JSON.stringify(unit)}`, make, (text) => quietly(() => work(text)), 30_000)
    }
  }
})

t.test('JSON of many members, of deep nesting and of names that collide takes time in proportion to it', async (t) => {
  const object =
    (member: (index: number) => string) =>
      (size: number): string =>
      `{${Array.from({ length: size / 10 }, (_, index) => member(index)).join(',')}}`
  const bodies: Readonly<Record<string, (size: number) => string>> = {
    'members of our name': object(() => '"key":1'),
    'other members': object((index) => `"k${index}":1`),
    'every second one ours': object((index) => index % 2 === 0 ? '"k\\u0065y":[]' : '"":{}'),
    'names that are numbers': object((index) => `"${index * 1024}":0`),
    nested: (size) => `{"a":${'['.repeat(size / 2)}${']'.repeat(size / 2)}}`,
    'nested objects': (size) => `{"a":${'{"":'.repeat(size / 5)}1${'}'.repeat(size / 5)}}`,
    'never closed': (size) => `{"a":${'[{"":'.repeat(size / 5)}`,
    'blanks at the end': (size) => `{"a":1${' '.repeat(size)}}`,
    'blanks behind it': (size) => `{"a":1}${' '.repeat(size)}x`,
    digits: (size) => `{"a":1${'0'.repeat(size)}x}`
  }
  for (const [name, make] of Object.entries(bodies)) isLinear(t, name, make, (text) => spliceJson(text, FIELDS), 250_000)
})

t.test('an allow list of many rules costs a long path no more than a few', async (t) => {
  const make = (size: number): readonly [AllowRule[], string] => [
    Array.from({ length: size / 100 }, (_, index) => parseAllow(`GET /*/x${index}`)).flatMap((rule) => rule ?? []),
    `/${'%25'.repeat(size / 3)}/y`
  ]
  isLinear(t, 'stars', make, ([rules, path]) => isAllowed(rules, 'GET', path), 8000)
})
