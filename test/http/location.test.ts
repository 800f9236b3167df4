import fc from 'fast-check'
import t, { type Test } from 'tap'
import { rewriteLocation, type LocationRule } from '#src/http/location.ts'

const RULE: LocationRule = { upstreamOrigin: 'https://api.example.com', basePath: '/v2', prefix: '/orders' }
const BARE: LocationRule = { upstreamOrigin: 'https://api.example.com', basePath: '', prefix: '' }

const table = (t: Test, cases: ReadonlyArray<readonly [value: string, expected: string]>, rule: LocationRule = RULE): void => {
  for (const [value, expected] of cases) t.equal(rewriteLocation(value, rule), expected, value)
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
    ['/v2/a%2Fb/%C3%A9', '/orders/a%2Fb/%C3%A9']
  ])
})

t.test('anything else is returned untouched', async (t) => {
  for (const value of [
    'https://evil.example/v2/a', 'http://api.example.com/v2/a', 'https://api.example.com:8443/v2/a', '//evil.example/v2/a', 'https://api.example.com.evil.example/v2/a',
    'https://api.example.com/v2x', '/v2x', '/v', '/V2/a', '/', '', 'a', '../a', '?x', '#x', 'https://api.example.com/', 'https://api.example.com', 'https://api.example.com?x',
    'https://user@api.example.com/v2/a', 'https://user:pw@api.example.com/v2/a', 'https://api.example.com@evil.example/v2/a', 'mailto:a@b', 'javascript:alert(1)', 'https://[', '//', 'https://',
    '/v2/../admin', '/v2/%2e%2e/admin', 'https://api.example.com/v2/../../admin', '/v2/a/../../admin'
  ]) t.equal(rewriteLocation(value, RULE), value, value)
})

t.test('a route without prefix or base keeps the path', async (t) => {
  table(t, [['https://api.example.com/a', '/a'], ['https://api.example.com', '/'], ['https://api.example.com?x', '/?x'], ['/a', '/a'], ['//evil.example/', '//evil.example/']], BARE)
  table(t, [['/v2', '/'], ['/v2/a', '/a'], ['/v2?x', '/?x']], { ...RULE, prefix: '' })
  table(t, [['/a', '/orders/a'], ['https://api.example.com', '/orders/'], ['https://api.example.com?x', '/orders/?x']], { ...RULE, basePath: '' })
})

t.test('removing the base never makes a path that names another host', async (t) => {
  for (const value of ['/v2//evil.example/x', 'https://api.example.com/v2//evil.example/x']) t.equal(rewriteLocation(value, { ...RULE, prefix: '' }), value, value)
  t.equal(rewriteLocation('https://api.example.com//[', { ...RULE, basePath: '' }), '/orders//[')
})

t.test('whatever an upstream sends, the result is its own value or a path below the prefix', async (t) => {
  const piece = fc.constantFrom('https:', 'http:', '//', '/', '\\', 'api.example.com', 'evil.example', ':443', '@', 'v2', '..', '%2e', '?', '#', 'a', ' ', '[', ']')
  fc.assert(fc.property(fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join('')), fc.constantFrom('', '/orders'), fc.constantFrom('', '/v2'), (value, prefix, basePath) => {
    const result = rewriteLocation(value, { ...RULE, prefix, basePath })
    if (result === value) return true
    return result.startsWith(prefix) && /^\/(?!\/)/.test(result)
  }), { numRuns: 20_000 })
  t.pass()
})
