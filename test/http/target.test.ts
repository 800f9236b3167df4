import fc from 'fast-check'
import t from 'tap'
import { ProxyError } from '#src/errors.ts'
import { parseTarget } from '#src/http/target.ts'

const accepts = (raw: string): boolean => {
  try {
    parseTarget(raw)
    return true
  } catch (error) {
    if (error instanceof ProxyError && error.code === 'CS_BAD_REQUEST') return false
    throw error
  }
}

// A server of the worst kind: decodes what it can, over and over, takes every slash for one and cuts parameters off.
const segmentsOf = (text: string): string[] => text.split(/[/\\]/).map((segment) => segment.split(';')[0] ?? '')
const decodeOnce = (text: string): string => text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
const decodings = (text: string): string[] => {
  const all = [text]
  for (let next = decodeOnce(text); next !== all.at(-1); next = decodeOnce(next)) all.push(next)
  return all
}
const resolve = (path: string): string => {
  const out: string[] = []
  for (const segment of segmentsOf(path)) {
    if (segment === '..') out.pop()
    else if (segment !== '.') out.push(segment)
  }
  return out.join('/')
}

// Pieces of which traversals are made, each in several encodings.
const piece = fc.constantFrom(
  '/',
  '%2f',
  '%2F',
  '%252f',
  '.',
  '..',
  '%2e',
  '%2E',
  '%252e',
  '%25252e',
  '.%2e',
  '%25%32%65',
  '\\',
  '%5c',
  '%255c',
  ';',
  '%3b',
  ';a=1',
  '%00',
  '%2500',
  '%',
  '%zz',
  '%25zz',
  '%c0%ae',
  '%25c0%25ae',
  '%e9',
  '%c3%a9',
  'a',
  'api',
  'priv',
  '#',
  '%23',
  '?',
  '%3f',
  '%0a',
  ' ',
  ':',
  '@',
  '*',
  '{',
  '}',
  '|',
  '"',
  '^',
  '`',
  '<',
  '>'
)
const attack = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`)

t.test('ordinary targets keep their very bytes', async (t) => {
  for (const raw of [
    '/',
    '/a',
    '/a/',
    '/a/b.c',
    '/a//b',
    '/.well-known/x',
    '/...',
    '/a..b/..c/d..',
    '/%C3%A9',
    '/a%2Fb',
    '/%20',
    '/a;v=1/b',
    '/{id}|"<>^`',
    '/a%252eb',
    '/%EF%BC%8Ea',
    '/a%E2%80%A5b',
    '/%E2%80%A6',
    '/%20',
    '/a%20.%20b',
    '/a%E2%81%84b',
    '/100%25',
    '/a%2525b',
    "/a:b@c,d$e!f'(g)*h+i~j&k=l"
  ]) {
    t.same(parseTarget(raw), { path: raw, query: '' }, raw)
  }
})

t.test('the query is split off at the first question mark and never judged', async (t) => {
  t.same(parseTarget('/a?a=1&a=2&b=%20+%2B&c=%C3%A9&=x&d'), { path: '/a', query: '?a=1&a=2&b=%20+%2B&c=%C3%A9&=x&d' })
  for (const query of ['?', '??', '?/../x', '?%zz', '?\\', '?%00', '?//evil', '?a=http://evil/', '?%23']) {
    t.same(parseTarget(`/a${query}`), { path: '/a', query }, query)
  }
  for (const query of ['?#', '?a#b', '?a=%23#']) {
    t.throws(() => parseTarget(`/a${query}`), { code: 'CS_BAD_REQUEST', message: /`#`/ }, 'a `#` is the end of the query to some readers')
  }
})

t.test('targets that two readers could read differently are refused', async (t) => {
  const refused = [
    '',
    '*',
    'a',
    'http://evil.example/api',
    'https://localhost/',
    'evil.example:443',
    '//',
    '//evil.example/x',
    '/\\evil',
    '/a\\b',
    '/a%5cb',
    '/a%5Cb',
    '/..',
    '/.',
    '/a/..',
    '/a/.',
    '/./a',
    '/../a',
    '/%2e%2e/x',
    '/.%2e/x',
    '/%2e/x',
    '/%252e%252e/x',
    '/%25252e%25252e/x',
    '/%25%32%65%25%32%65/x',
    '/..%2fx',
    '/..%2Fx',
    '/a%2f..%2fb',
    '/%2f..%2f',
    '/..;/x',
    '/..;a=b/x',
    '/..%3b/x',
    '/.;/x',
    '/%252e%252e%252fx',
    '/%',
    '/%z',
    '/%zz',
    '/%2',
    '/%ff',
    '/%c0%ae',
    '/%c3',
    '/%00',
    '/%0d%0a',
    '/%1f',
    '/%7f',
    '/a#b',
    '/x%255c..%255cy',
    // Windows drops blanks at the ends of names; Unicode normalisation and best fit make plain dots and slashes of others.
    '/..%20/x',
    '/%20../x',
    '/a/.%20',
    '/%EF%BC%8E%EF%BC%8E/x',
    '/%E2%80%A5/x',
    '/..%EF%BC%8Fx',
    '/..%E2%88%95x',
    '/..%E2%81%84x',
    '/..%E2%88%96x',
    '/..%EF%BC%BCx',
    '/..%3fx',
    '/a/..%23x',
    '/.%253f',
    // Lenient readers skip what they cannot decode, so a malformed escape must not end the search.
    '/%252e%252e/%25zz',
    '/%252e%252e/%25ff'
  ]
  for (const raw of refused) t.notOk(accepts(raw), raw)
})

t.test('what no request line holds is refused, in the query too', async (t) => {
  for (const raw of ['/a?x#y', '/a?#', '/#', '/a?\xc3\xa9', '/\xe9', '/a?é', '/a b', '/a?b c', '/a?\t', '/a?\x7f', '/a\n', '/a?\0']) {
    t.notOk(accepts(raw), JSON.stringify(raw))
  }
  t.throws(() => parseTarget('/a?é'), { code: 'CS_BAD_REQUEST', message: /not ASCII/ })
  t.throws(() => parseTarget('/a?x#y'), { code: 'CS_BAD_REQUEST', message: /`#`/ })
})

t.test('an absolute target is told that this is no forward proxy', async (t) => {
  t.throws(() => parseTarget('http://evil.example/x'), { code: 'CS_BAD_REQUEST', message: /no forward proxy/ })
})

t.test('a path that is encoded over and over is refused rather than followed for ever', async (t) => {
  t.notOk(accepts(`/%${'25'.repeat(9)}2e%${'25'.repeat(9)}2e/x`))
  t.notOk(accepts(`/%${'25'.repeat(8000)}`))
})

t.test('nothing that is accepted holds a dot segment or control character after any number of decodings', async (t) => {
  fc.assert(fc.property(attack, (raw) => {
    if (!accepts(raw)) return
    const { path } = parseTarget(raw)
    for (const text of decodings(path)) {
      if (segmentsOf(text).some((segment) => segment === '.' || segment === '..')) throw new Error(`${raw} becomes ${text}`)
    }
    if (/[\0-\x1f\x7f\\]/.test(decodeOnce(path))) throw new Error(`${raw} holds a control character or a backslash`) // eslint-disable-line no-control-regex -- what is looked for
  }), { numRuns: 20_000 })
  t.pass()
})

t.test('nothing that is accepted leaves the base path when a server decodes it twice and resolves it', async (t) => {
  fc.assert(fc.property(attack, (raw) => {
    if (!accepts(raw)) return
    const sent = `/pub${parseTarget(raw).path}`
    for (const text of decodings(sent)) if (!/^\/pub(?:\/|$)/.test(resolve(text))) throw new Error(`${sent} resolves to ${resolve(text)}`)
  }), { numRuns: 20_000 })
  t.pass()
})

t.test('whatever bytes come, the response is a target or a 400', async (t) => {
  fc.assert(fc.property(fc.string({ unit: 'binary-ascii', maxLength: 40 }), (text) => {
    for (const raw of [text, `/${text}`]) {
      if (!accepts(raw)) continue
      const { path, query } = parseTarget(raw)
      if (path + query !== raw || !path.startsWith('/') || path.startsWith('//')) throw new Error(raw)
    }
  }), { numRuns: 5000 })
  t.pass()
})
