import fc from 'fast-check'
import t, { type Test } from 'tap'
import { rewriteSetCookie, type CookieRule } from '#src/http/set-cookie.ts'

const RULE: CookieRule = { upstreamHost: 'api.example.com', basePath: '/v2', prefix: '/orders' }
const BARE: CookieRule = { upstreamHost: 'api.example.com', basePath: '', prefix: '' }

const table = (t: Test, cases: ReadonlyArray<readonly [value: string, expected: string | undefined]>, rule: CookieRule = RULE): void => {
  for (const [value, expected] of cases) t.equal(rewriteSetCookie(value, rule), expected, value)
}

t.test('a cookie that says nothing of places keeps its bytes', async (t) => {
  for (const value of [
    'a=1',
    'a=1; HttpOnly',
    'a="x, y";Max-Age=5 ;  SameSite=Lax; Expires=Wed, 21 Oct 2026 07:28:00 GMT',
    'a=;;',
    '',
    '=',
    'a=secure',
    'domain=x',
    'path=/x',
    'a=\xe9; Priority=High; SameSite=Strict'
  ]) {
    t.equal(rewriteSetCookie(value, RULE), value, value)
  }
})

t.test('a Domain that covers the upstream is removed, and any other drops the cookie as a browser would', async (t) => {
  table(t, [
    ['a=1; Domain=api.example.com; HttpOnly', 'a=1; HttpOnly'],
    ['a=1; Domain=.example.com', 'a=1'],
    ['a=1;DOMAIN = Example.COM', 'a=1'],
    ['a=1; Domain=', 'a=1'],
    ['a=1; Domain', 'a=1'],
    ['a=1; Domain=evil.example; Domain=example.com', 'a=1'],
    ['a=1; Domain=example.com; Domain=evil.example', undefined],
    ['a=1; Domain=evil.example', undefined],
    ['a=1; Domain=com', undefined],
    ['a=1; Domain=x.api.example.com', undefined],
    ['a=1; Domain=i.example.com', undefined],
    ['a=1; Domain=localhost', undefined]
  ])
  table(
    t,
    [
      ['a=1; Domain=127.0.0.1', 'a=1'],
      ['a=1; Domain=0.0.1', undefined],
      ['a=1; Domain=.1', undefined]
    ],
    { ...RULE, upstreamHost: '127.0.0.1' }
  )
  table(t, [['a=1; Domain=localhost', 'a=1']], { ...RULE, upstreamHost: 'localhost' })
})

t.test('a Path moves from the base to the prefix', async (t) => {
  table(t, [
    ['a=1; Path=/v2', 'a=1; Path=/orders'],
    ['a=1; Path=/v2/', 'a=1; Path=/orders/'],
    ['a=1; path=/v2/x/%20; Secure; HttpOnly', 'a=1; HttpOnly; Path=/orders/x/%20'],
    ['a=1; Path=/', 'a=1; Path=/orders'],
    ['a=1; Path=/x; Path=/v2/y', 'a=1; Path=/orders/y'],
    ['a=1; Path=/v2x', undefined],
    ['a=1; Path=/other', undefined],
    ['a=1; Path=/V2', undefined],
    ['a=1; Path=v2', 'a=1'],
    ['a=1; Path', 'a=1']
  ])
  table(
    t,
    [
      ['a=1; Path=/v2/x', 'a=1; Path=/x'],
      ['a=1; Path=/v2', 'a=1; Path=/'],
      ['a=1; Path=/', 'a=1; Path=/'],
      ['a=1; Path=/a/b/..', undefined]
    ],
    { ...RULE, prefix: '' }
  )
  table(t, [['a=1; Path=/x', 'a=1; Path=/x'], ['a=1; Path=/', 'a=1; Path=/']], BARE)
  table(
    t,
    [
      ['a=1; Path=/a', 'a=1; Path=/orders'],
      ['a=1; Path=/a/', 'a=1; Path=/orders'],
      ['a=1; Path=/a/b', 'a=1; Path=/orders']
    ],
    { ...RULE, basePath: '/a/b' }
  )
})

t.test('the response to a request for the prefix itself gets the path that a client would miss', async (t) => {
  t.equal(rewriteSetCookie('a=1; HttpOnly', RULE, true), 'a=1; HttpOnly; Path=/orders')
  t.equal(rewriteSetCookie('a=1; Path=x', RULE, true), 'a=1; Path=/orders')
  t.equal(rewriteSetCookie('a=1; Path=/v2/x', RULE, true), 'a=1; Path=/orders/x')
  t.equal(rewriteSetCookie('a=1', BARE, true), 'a=1')
})

t.test('Secure goes, with what may not stand without it, but not from names that want it', async (t) => {
  table(t, [
    ['a=1; Secure', 'a=1'],
    ['a=1;secure;HttpOnly', 'a=1;HttpOnly'],
    ['a=1; SameSite=None; Secure; Partitioned', 'a=1'],
    ['a=1; SameSite=Lax; Secure', 'a=1; SameSite=Lax'],
    ['__Secure-a=1; Secure; SameSite=None; Path=/', '__Secure-a=1; Secure; SameSite=None; Path=/orders'],
    ['__Host-a=1; Secure; Path=/', '__Host-a=1; Path=/orders']
  ])
  table(
    t,
    [
      ['__Host-a=1; Secure; Path=/', '__Host-a=1; Secure; Path=/'],
      ['__host-a=1; secure; path=/; Partitioned', '__host-a=1; secure; path=/; Partitioned']
    ],
    BARE
  )
})

t.test('whatever an upstream sends, no cookie gets beyond its route', async (t) => {
  const piece = fc.constantFrom(
    ';',
    '; ',
    '=',
    'Path',
    'path=',
    'Domain',
    'domain=',
    '/',
    '/v2',
    '/v2/',
    '/other',
    '..',
    'example.com',
    'evil.example',
    '.',
    'api.',
    'Secure',
    'a=1',
    ' ',
    '__Host-',
    'SameSite=None'
  )
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join('')),
      fc.constantFrom('', '/v2'),
      fc.boolean(),
      (value, basePath, atRoot) => {
        const result = rewriteSetCookie(value, { ...RULE, basePath }, atRoot)
        if (result === undefined) return true
        const [pair = '', ...attributes] = result.split(';')
        if (pair !== value.split(';')[0]) return false
        if (attributes.some((attribute) => /^\s*domain\s*(?:=|$)/i.test(attribute))) return false
        const paths = attributes
          .filter((attribute) => /^\s*path\s*(?:=|$)/i.test(attribute))
          .map((attribute) => attribute.slice(attribute.indexOf('=') + 1).trim())
        if (atRoot && paths.length === 0) return false
        return paths.every((path) => path === '/orders' || path.startsWith('/orders/'))
      }
    ),
    { numRuns: 20_000 }
  )
  t.pass()
})

t.test('a rewritten cookie is not rewritten again by a second proxy with the same place', async (t) => {
  const piece = fc.constantFrom(';', '; ', 'Path=', 'Domain=example.com', '/', '/v2', 'x', 'Secure', 'a=1', 'SameSite=None')
  fc.assert(fc.property(fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join('')), (value) => {
    const once = rewriteSetCookie(value, BARE)
    return once === undefined || rewriteSetCookie(once, BARE) === once
  }), { numRuns: 5000 })
  t.pass()
})
