import fc from 'fast-check'
import t from 'tap'
import { isAllowed, parseAllow, type AllowRule } from '#src/auth/allow.ts'

const list = (...texts: string[]): AllowRule[] => texts.map((text) => parseAllow(text) ?? never(text))

t.test('a pattern is a method and a path', async (t) => {
  t.same(parseAllow('POST /txs'), { method: 'POST', segments: ['txs'] })
  t.same(parseAllow('ANY /'), { method: 'ANY', segments: [''] })
  t.same(parseAllow('GET /a/*/**'), { method: 'GET', segments: ['a', '*', '**'] })
  t.same(parseAllow('M-SEARCH /a%2Fb/'), { method: 'M-SEARCH', segments: ['a%2Fb', ''] })
})

t.test('anything else is no pattern', async (t) => {
  for (const text of [
    '',
    'GET',
    '/txs',
    'GET txs',
    'GET  /txs',
    ' GET /txs',
    'GET /txs ',
    'GET /a b',
    'GET /txs?x=1',
    'GET /txs#x',
    'GET /a/**/b',
    'GET /a*',
    'GET /***',
    'GET /**a',
    'G(T /txs',
    'GET\t/txs',
    'GET /a\n'
  ]) { t.equal(parseAllow(text), undefined, JSON.stringify(text)) }
})

t.test('a plain pattern holds exactly its own bytes', async (t) => {
  const rules = list('POST /txs', 'GET /txs/*', 'GET /relayer')
  t.ok(isAllowed(rules, 'POST', '/txs'))
  t.ok(isAllowed(rules, 'GET', '/txs/123'))
  t.ok(isAllowed(rules, 'GET', '/relayer'))
  for (const [method, path] of [
    ['GET', '/txs'],
    ['post', '/txs'],
    ['POST', '/txs/'],
    ['POST', '/TXS'],
    ['POST', '//txs'],
    ['POST', '/%74xs'],
    ['POST', '/txs;a'],
    ['POST', '/'],
    ['TRACE', '/txs'],
    ['GET', '/txs/'],
    ['GET', '/txs/a/b'],
    ['GET', '/relayer/x']
  ] as const) {
    t.notOk(isAllowed(rules, method, path), `${method} ${path}`)
  }
})

/** A slash, or what some reader takes for one, in every encoding that a segment may have. */
const HIDDEN = [
  '%2F',
  '%2f',
  '%252f',
  '%25%32%66',
  '%252%66',
  '%25%32f',
  '%2%35%32f',
  '%25%32%35%32%66',
  '%%32%66',
  '%2%66',
  '%25%35%63',
  '%5c',
  '%5C',
  '%255c',
  '\\',
  '\uff0f',
  '%EF%BC%8F',
  '%ef%bc%8f',
  '%25EF%25BC%258F',
  '%E2%88%95',
  '%E2%81%84',
  '%EF%BC%BC',
  '%C0%AF',
  '%25c0%25af',
  '%e0%80%af',
  '%f0%80%80%af',
  '%c1%9c',
  '%u002f',
  '%25u2215',
  '%uff0f',
  `%${'25'.repeat(12)}2f`
]

t.test('a star is one segment for every reader', async (t) => {
  const rules = list('GET /txs/*')
  for (const path of [
    '/txs/a%2Fadmin',
    '/txs/a%2fadmin',
    '/txs/%2F',
    '/txs/a%252Fb',
    '/txs/a%25252fb',
    '/txs/',
    '/txs',
    ...HIDDEN.map((slash) => `/txs/a${slash}b`)
  ]) { t.notOk(isAllowed(rules, 'GET', path), path) }
  for (const path of [
    '/txs/a',
    '/txs/a.b',
    '/txs/%20',
    '/txs/100%25',
    '/txs/*',
    '/txs/**',
    '/txs/%C3%A9',
    '/txs/%25',
    '/txs/50%2525',
    '/txs/a%3Db',
    '/txs/%E2%82%AC'
  ]) { t.ok(isAllowed(rules, 'GET', path), path) }
})

t.test('two stars are any rest, the empty one too', async (t) => {
  const rules = list('ANY /pub/**')
  for (const path of ['/pub', '/pub/', '/pub/a/b', '/pub/a%2Fb']) t.ok(isAllowed(rules, 'DELETE', path), path)
  for (const path of ['/', '/pubx', '/priv/pub', '/PUB/a']) t.notOk(isAllowed(rules, 'GET', path), path)
  t.ok(isAllowed(list('GET /**'), 'GET', '/'))
})

t.test('an empty list lets nothing through', async (t) => {
  t.notOk(isAllowed([], 'GET', '/'))
})

t.test('whatever is let through equals its pattern segment by segment on raw bytes', async (t) => {
  const segment = fc.constantFrom('a', 'b', 'txs', 'TXS', '', 'a%2Fb', '%61', 'a;b', '*', '**', '%2f', '__proto__')
  const pattern = fc.array(fc.constantFrom('a', 'b', 'txs', '*', 'a%2Fb', '%61', ''), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('GET', 'POST', 'ANY'), pattern, fc.boolean()), { maxLength: 4 }),
      fc.constantFrom('GET', 'POST', 'get'),
      fc.array(segment, { minLength: 1, maxLength: 5 }),
      (rules, method, segments) => {
        const compiled = list(...rules.map(([verb, parts, open]) => `${verb} /${[...parts, ...(open ? ['**'] : [])].join('/')}`))
        const expected = rules.some(
          ([verb, parts, open]) =>
            (verb === 'ANY' || verb === method) &&
            (open ? segments.length >= parts.length : segments.length === parts.length) &&
            parts.every((part, index) =>
              part === '*' ? segments[index] !== '' && segments[index]?.toLowerCase().includes('%2f') === false : part === segments[index]
            )
        )
        return isAllowed(compiled, method, `/${segments.join('/')}`) === expected
      }
    ),
    { numRuns: 5000 }
  )
  t.pass()
})

function never (text: string): never {
  throw new Error(`${text} is no pattern`)
}
