import t from 'tap'
import { isExcepted, readProxyUrl } from '#src/http/proxy-url.ts'

t.test('a proxy is a URL with http: or https:, or a host alone', async (t) => {
  t.same(readProxyUrl('http://proxy.example'), { secure: false, host: 'proxy.example', port: 80 })
  t.same(readProxyUrl('https://proxy.example/'), { secure: true, host: 'proxy.example', port: 443 })
  t.same(readProxyUrl('proxy.example:3128'), { secure: false, host: 'proxy.example', port: 3128 })
  t.same(readProxyUrl('http://[::1]:3128'), { secure: false, host: '::1', port: 3128 })
  for (const text of ['socks5://proxy.example', 'http://', '://x', 'http://a b', 'http://x:99999', 'ftp://x', 'http://%zz@x', 'http://%ff@x']) t.equal(readProxyUrl(text), undefined, text)
})

t.test('credentials of a proxy are decoded, and have no text form', async (t) => {
  const proxy = readProxyUrl('http://us%40er:CANARY%3Apw@proxy.example')
  t.equal(proxy?.authorization?.reveal(), `Basic ${Buffer.from('us@er:CANARY:pw').toString('base64')}`)
  t.notMatch(JSON.stringify(proxy), /CANARY|Q0FOQVJZ/)
  t.equal(readProxyUrl('http://user@x')?.authorization?.reveal(), `Basic ${Buffer.from('user:').toString('base64')}`)
})

t.test('NO_PROXY: names with those below them, ports, addresses, a star', async (t) => {
  const cases: ReadonlyArray<readonly [noProxy: string, hostname: string, excepted: boolean, port?: number]> = [
    ['', 'example.com', false],
    ['*', 'example.com', true],
    ['a, *', 'example.com', true],
    ['example.com', 'example.com', true],
    ['EXAMPLE.com', 'Example.COM', true],
    ['example.com', 'api.example.com', true],
    ['.example.com', 'api.example.com', true],
    ['*.example.com', 'api.example.com', true],
    ['.example.com', 'example.com', true],
    ['example.com', 'notexample.com', false],
    ['example.com', 'example.com.evil', false],
    ['api.example.com', 'example.com', false],
    ['example.com:8443', 'example.com', false],
    ['example.com:8443', 'example.com', true, 8443],
    ['.example.com:443', 'api.example.com', true],
    ['other.example other2.example,example.com', 'example.com', true],
    ['192.0.2.1', '192.0.2.1', true],
    ['2.1', '192.0.2.1', false],
    ['2001:db8::1', '[2001:db8::1]', true],
    ['[2001:db8::1]:443', '[2001:db8::1]', true],
    ['[2001:db8::1]:80', '[2001:db8::1]', false],
    [' , ,', 'example.com', false]
  ]
  for (const [noProxy, hostname, excepted, port = 443] of cases) t.equal(isExcepted(noProxy, hostname, port), excepted, `${noProxy} ${hostname}:${port}`)
})
