import fc from 'fast-check'
import t from 'tap'
import { readBaseUrl } from '#src/config/route/base-url.ts'

const read = (text: string, allow = false): string | undefined => {
  const result = readBaseUrl(text, allow, 'allowInsecureUpstream')
  return result.ok ? result.url : undefined
}
const problemOf = (text: string): string => {
  const result = readBaseUrl(text, false, 'allowInsecureUpstream')
  return result.ok ? 'none' : result.problem
}

t.test('a base URL keeps its path, loses its trailing slash and its default port', async (t) => {
  for (const [text, url] of [
    ['https://x.example', 'https://x.example'],
    ['https://x.example/', 'https://x.example'],
    ['https://x.example/v2/', 'https://x.example/v2'],
    ['https://x.example/v2', 'https://x.example/v2'],
    ['HTTPS://X.example:443/V2', 'https://x.example/V2'],
    ['https://x.example:8443/a;b=c/%2F~', 'https://x.example:8443/a;b=c/%2F~'],
    ['https://[2001:db8::1]:1/', 'https://[2001:db8::1]:1'],
    ['https://xn--bcher-kva.example', 'https://xn--bcher-kva.example']
  ] as const) t.equal(read(text), url, text)
})

t.test('http: needs loopback, or a permission', async (t) => {
  for (const text of ['http://127.0.0.1:9000', 'http://localhost', 'http://[::1]:1/x', 'http://127.8.8.8']) t.equal(read(text), text)
  for (const text of [
    'http://x.example',
    'http://10.0.0.1',
    'http://localhost.example',
    'http://0.0.0.0',
    'http://127.0.0.1.nip.io',
    'http://[::]'
  ]) {
    t.match(problemOf(text), /^is http: to another machine, .*; use https:, or set allowInsecureUpstream to true/, text)
    t.equal(read(text, true), text)
  }
})

t.test('what is no plain base URL is refused with what to do', async (t) => {
  for (const [text, problem] of [
    ['', /is empty/],
    ['x.example', /is no base URL/],
    ['ftp://x.example', /is no base URL/],
    ['https:x.example', /is no base URL/],
    ['https:///x', /is no base URL/],
    ['https://x.example?a=1', /holds a query/],
    ['https://x.example/?', /holds a query/],
    ['https://x.example#f', /holds a fragment/],
    ['https://user:pass@x.example', /holds user info/],
    ['https://@x.example', /holds user info/],
    ['https://{host}/v1', /holds a brace/],
    ['https://x.example/a b', /holds white space/],
    ['https://x.example/\r\nX: 1', /holds white space/],
    ['https://bücher.example', /beyond ASCII/],
    ['https://x.example\\a', /holds a backslash/],
    ['https://127.1', /readers take differently/],
    ['https://2130706433', /readers take differently/],
    ['https://x.example:', /readers take differently/],
    ['https://x.example:99999', /readers take differently/],
    ['https://%78.example', /readers take differently/],
    ['https://x..example:0443/', /readers take differently/],
    ['https://x.example/a/../b', /dot segment/],
    ['https://x.example/%2e%2e/b', /dot segment/],
    ['https://x.example/..;/b', /dot segment/],
    ['https://x.example/%252e%252e/b', /dot segment/],
    ['https://x.example/a%5Cb', /encoded backslash/],
    ['https://x.example/%00', /control character/],
    ['https://x.example/%ff', /readers take differently/],
    ['https://x.example/%zz', /percent-encode/],
    ['https://x.example/a^b', /percent-encode/],
    ['https://x.example//a', /empty segment/],
    ['https://x.example/a//', /empty segment/]
  ] as const) t.match(problemOf(text), problem, JSON.stringify(text))
})

t.test('what is accepted is sent in these very bytes', async () => {
  const piece = fc.constantFrom(
    'https://',
    'http://localhost',
    'x',
    '.',
    '/',
    '%',
    '2e',
    '%41',
    ':',
    '1',
    '@',
    '?',
    '#',
    ';',
    '^',
    '~',
    ' ',
    '\\',
    'é',
    '[::1]',
    '|',
    '"'
  )
  fc.assert(fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
    const url = read(`https://x.example${pieces.join('')}`) ?? read(pieces.join(''))
    if (url === undefined) return true
    const { href, origin, pathname } = new URL(url)
    return (href === url || href === `${url}/`) && url === origin + (pathname === '/' ? '' : pathname)
  }), { numRuns: 3000 })
})
