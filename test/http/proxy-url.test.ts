import t from 'tap'
import { readProxyUrl } from '#src/http/proxy-url.ts'

t.test('a proxy is a URL with http: or https:, or a host alone', async (t) => {
  t.same(readProxyUrl('http://proxy.example'), { secure: false, host: 'proxy.example', port: 80 })
  t.same(readProxyUrl('https://proxy.example/'), { secure: true, host: 'proxy.example', port: 443 })
  t.same(readProxyUrl('proxy.example:3128'), { secure: false, host: 'proxy.example', port: 3128 })
  t.same(readProxyUrl('http://[::1]:3128'), { secure: false, host: '::1', port: 3128 })
  t.same(readProxyUrl('HTTP://proxy.example:3128/'), { secure: false, host: 'proxy.example', port: 3128 })
  t.match(readProxyUrl('user:pw@proxy.example:3128'), { host: 'proxy.example', port: 3128, authorization: {} })
  for (const text of [
    '',
    ' ',
    'http://proxy.example ',
    'http://proxy.example\r',
    'http://pro\nxy',
    'http://u:p\tw@x',
    'http://x:0',
    'http://x:y',
    ':3128',
    'http://u:p@',
    'socks5://proxy.example',
    'http://',
    '://x',
    'http://a b',
    'http://x:99999',
    'ftp://x',
    'http://%zz@x',
    'http://%ff@x'
  ]) { t.equal(readProxyUrl(text), undefined, text) }
})

t.test('credentials of a proxy are decoded, and have no text form', async (t) => {
  const proxy = readProxyUrl('http://us%40er:CANARY%3Apw@proxy.example')
  t.equal(proxy?.authorization?.reveal(), `Basic ${Buffer.from('us@er:CANARY:pw').toString('base64')}`)
  t.notMatch(JSON.stringify(proxy), /CANARY|Q0FOQVJZ/)
  t.equal(readProxyUrl('http://user@x')?.authorization?.reveal(), `Basic ${Buffer.from('user:').toString('base64')}`)
})
