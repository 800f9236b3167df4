import fc from 'fast-check'
import t, { type Test } from 'tap'
import { rewriteLocation, type LocationRule } from '#src/http/location.ts'
import { compileRoute } from '#src/route/route.ts'
import { findRoute, sharedTable } from '#src/route/table.ts'
import { routeOf } from '../helpers/proxy.ts'

const RULE: LocationRule = { upstreamOrigin: 'https://api.example.com', basePath: '/v2', prefix: '/orders' }
const BARE: LocationRule = { upstreamOrigin: 'https://api.example.com', basePath: '', prefix: '' }
const UPSTREAM = 'https://api.example.com'

const table = (
  t: Test,
  cases: ReadonlyArray<readonly [value: string, expected: string]>,
  rule: LocationRule = RULE,
  requested = ''
): void => {
  for (const [value, expected] of cases) t.equal(rewriteLocation(value, rule, requested), expected, JSON.stringify(value))
}

t.test('a location inside the base becomes the local path', async (t) => {
  table(t, [
    ['https://api.example.com/v2/a?b=c#d', '/orders/a?b=c#d'],
    ['https://api.example.com:443/v2/a', '/orders/a'],
    ['HTTPS://API.example.com/v2/a', '/orders/a'],
    ['//api.example.com/v2/a', '/orders/a'],
    ['/v2/a', '/orders/a'],
    ['/v2', '/orders'],
    ['/v2/', '/orders/'],
    ['/v2?x', '/orders?x'],
    ['/v2#x', '/orders#x'],
    ['/v2/a%2Fb/%C3%A9', '/orders/a%2Fb/%C3%A9'],
    ['/v2/\xc3\xa9', '/orders/\xc3\xa9'],
    ['/v2/a/../b', '/orders/a/../b'],
    ['/admin/../v2/b', '/orders/b'],
    ['/v2/a b', '/orders/a%20b'],
    ['/v2\\a', '/orders/a'],
    ['https:/v2/a', '/orders/a'],
    ['https:\\\\api.example.com\\v2\\a', '/orders/a']
  ])
})

t.test('an absolute URL of anything else is returned untouched', async (t) => {
  for (const value of [
    'https://evil.example/v2/a',
    'http://api.example.com/v2/a',
    'https://api.example.com:8443/v2/a',
    'https://api.example.com.evil.example/v2/a',
    'https://api.example.com/v2x',
    'https://api.example.com/',
    'https://api.example.com',
    'https://api.example.com?x',
    'https://api.example.com/v2/../../admin',
    'https://user@api.example.com/v2/a',
    'https://user:pw@api.example.com/v2/a',
    'https://api.example.com@evil.example/v2/a',
    'mailto:a@b',
    'javascript:alert(1)',
    'https://[',
    '//',
    'https://'
  ]) { t.equal(rewriteLocation(value, RULE), value, value) }
})

t.test('a reference that is none becomes an absolute URL of the upstream', async (t) => {
  table(t, [
    ['/v2x', `${UPSTREAM}/v2x`],
    ['/v', `${UPSTREAM}/v`],
    ['/V2/a', `${UPSTREAM}/V2/a`],
    ['/', `${UPSTREAM}/`],
    ['/admin?x#y', `${UPSTREAM}/admin?x#y`],
    ['/pay/\xe9', `${UPSTREAM}/pay/\xe9`],
    ['//evil.example/v2/a', 'https://evil.example/v2/a'],
    ['/\\evil.example', 'https://evil.example/'],
    ['\\\\evil.example\\x', 'https://evil.example/x'],
    ['/\t/evil.example', 'https://evil.example/'],
    ['//user@api.example.com/v2', 'https://user@api.example.com/v2'],
    ['/v2/../admin', `${UPSTREAM}/v2/../admin`],
    ['/v2/%2e%2e/admin', `${UPSTREAM}/v2/%2e%2e/admin`],
    ['/v2/..\\admin', `${UPSTREAM}/admin`],
    ['a', `${UPSTREAM}/a`],
    ['../a', `${UPSTREAM}/a`],
    ['https:/admin', `${UPSTREAM}/admin`],
    ['https:admin', `${UPSTREAM}/admin`],
    ['http:/orders/x', 'http://orders/x'],
    ['http:', `${UPSTREAM}/`]
  ])
  table(
    t,
    [
      ['../../pay', `${UPSTREAM}/pay`],
      ['../pay', '../pay'],
      ['b', 'b'],
      ['?x', '?x'],
      ['#x', '#x'],
      ['', ''],
      ['./b', './b'],
      ['..\\b', '/orders/b']
    ],
    RULE,
    '/a/'
  )
})

t.test('a route without prefix or base keeps the path', async (t) => {
  table(
    t,
    [
      ['https://api.example.com/a', '/a'],
      ['https://api.example.com', '/'],
      ['https://api.example.com?x', '/?x'],
      ['/a', '/a'],
      ['//evil.example/', 'https://evil.example/']
    ],
    BARE
  )
  table(t, [['/v2', '/'], ['/v2/a', '/a'], ['/v2?x', '/?x'], ['/pay', `${UPSTREAM}/pay`]], { ...RULE, prefix: '' })
  table(
    t,
    [
      ['/a', '/orders/a'],
      ['https://api.example.com', '/orders/'],
      ['https://api.example.com?x', '/orders/?x'],
      ['a', '/orders/a'],
      ['?x', '/orders/?x']
    ],
    { ...RULE, basePath: '' }
  )
})

t.test('removing the base never makes a path that names another host', async (t) => {
  const prefixless = { ...RULE, prefix: '' }
  for (const value of [
    '/v2//evil.example/x',
    '/v2/\\evil.example/x',
    '/v2/\t/evil.example/x',
    '/v2\\/evil.example/x',
    '/v2/\n/evil.example/x',
    '/v2/.//evil.example/x',
    '/v2/a/..//evil.example/x'
  ]) {
    t.equal(new URL(rewriteLocation(value, prefixless), 'http://local:8080/').href, `${UPSTREAM}/v2//evil.example/x`, JSON.stringify(value))
  }
  t.equal(rewriteLocation('https://api.example.com//[', { ...RULE, basePath: '' }), '/orders//[')
})

t.test('a path that a longer prefix would take is the upstream\'s', async (t) => {
  const routes = sharedTable(
    ['/', '/pay', '/pay/admin'].map((prefix, index) => compileRoute(routeOf({ prefix, upstream: `https://${index}.example.com` }), index))
  )
  const [root, pay] = ['/x', '/pay/x'].map((path) => findRoute(routes, path)?.route)
  if (root === undefined || pay === undefined) throw new Error('there are routes')
  table(
    t,
    [
      ['/a', '/a'],
      ['/pay/x', 'https://0.example.com/pay/x'],
      ['/%70ay/x', 'https://0.example.com/%70ay/x'],
      ['pay/x', 'https://0.example.com/pay/x'],
      ['https://0.example.com/pay', 'https://0.example.com/pay'],
      ['/payment', '/payment']
    ],
    root
  )
  table(t, [['/a', '/pay/a'], ['/admin/a', 'https://1.example.com/admin/a'], ['/administrator', '/pay/administrator']], pay)
})

t.test('whatever an upstream sends leads, at whatever address of ours, where it says', async (t) => {
  const piece = fc.constantFrom(
    'https:',
    'http:',
    '//',
    '/',
    '\\',
    'api.example.com',
    'evil.example',
    ':443',
    '@',
    'v2',
    'orders',
    '..',
    '.',
    '%2e',
    '?',
    '#',
    'a',
    ' ',
    '\t',
    '\n',
    '[',
    ']',
    '%5c',
    '\xc3\xa9',
    'javascript:',
    ':'
  )
  const bytes = (text: string): string => text.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`)
  const resolve = (value: string, base: string): string | undefined =>
    URL.canParse(bytes(value), base) ? new URL(bytes(value), base).href : undefined
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join('')),
      fc.constantFrom('', '/orders'),
      fc.constantFrom('', '/v2'),
      fc.constantFrom('', '/', '/a', '/a/b'),
      fc.constantFrom('http://127.0.0.1:8080', 'https://localhost'),
      (value, prefix, basePath, requested, local) => {
        const result = resolve(rewriteLocation(value, { ...RULE, prefix, basePath }, requested), local + (prefix + requested || '/'))
        const says = resolve(value, UPSTREAM + (basePath + requested || '/'))
        if (says === undefined) return result === undefined || result === `${UPSTREAM}/`
        if (says === result) return true
        const { pathname, search, hash } = new URL(says)
        return (
          says.startsWith(`${UPSTREAM}${basePath}`) &&
          result === new URL(prefix + pathname.slice(basePath.length) + search + hash || '/', local).href
        )
      }
    ),
    { numRuns: 20_000 }
  )
  t.pass()
})
