import t, { type Test } from 'tap'
import { createProxyRule, readNoProxy, readProxyEnvironment, type ProxyEnvironment } from '#src/http/proxies.ts'

type Case = readonly [noProxy: string, hostname: string, excepted: boolean, port?: number]

function judge (t: Test, cases: readonly Case[]): void {
  for (const [noProxy, hostname, excepted, port = 443] of cases) {
    t.equal(readNoProxy(noProxy).excepts(hostname, port), excepted, `${noProxy} ${hostname}:${port}`)
  }
}

t.test('NO_PROXY: a star, alone or among others, with a port', async (t) => {
  judge(t, [
    ['', 'example.com', false],
    ['*', 'example.com', true],
    ['*', '192.0.2.1', true],
    ['a, *', 'example.com', true],
    ['localhost,*', 'example.com', true],
    ['*:8443', 'example.com', true, 8443],
    ['*:8443', 'example.com', false],
    [' , ,', 'example.com', false]
  ])
})

t.test('NO_PROXY: names with those below them', async (t) => {
  judge(t, [
    ['example.com', 'example.com', true],
    ['EXAMPLE.com', 'Example.COM', true],
    ['example.com', 'api.example.com', true],
    ['.example.com', 'api.example.com', true],
    ['*.example.com', 'api.example.com', true],
    ['.example.com', 'example.com', true],
    ['example.com.', 'example.com', true],
    ['example.com', 'api.example.com.', true],
    ['example.com', 'notexample.com', false],
    ['example.com', 'example.com.evil', false],
    ['api.example.com', 'example.com', false],
    ['a_b.example', 'x.a_b.example', true],
    ['bücher.example', 'xn--bcher-kva.example', true],
    ['intranet', 'intranet', true],
    ['com', 'example.com', true],
    ['example.com:8443', 'example.com', false],
    ['example.com:8443', 'example.com', true, 8443],
    ['.example.com:443', 'api.example.com', true],
    ['*.example.com:443', 'api.example.com', true],
    ['other.example other2.example,example.com', 'example.com', true],
    ['a.example\tb.example\nexample.com', 'example.com', true]
  ])
})

t.test('NO_PROXY: addresses, IPv4 and IPv6, however they are written', async (t) => {
  judge(t, [
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.10', false],
    ['192.0.2.1', 'x.192.0.2.1', false],
    ['2.1', '192.0.2.1', false],
    ['192.0.2.1:80', '192.0.2.1', false],
    ['192.0.2.1:80', '192.0.2.1', true, 80],
    ['2001:db8::1', '[2001:db8::1]', true],
    ['2001:db8:0:0::1', '[2001:db8::1]', true],
    ['2001:DB8::1', '[2001:db8::1]', true],
    ['[2001:db8::1]', '[2001:db8::1]', true],
    ['[2001:db8::1]:443', '[2001:db8::1]', true],
    ['[2001:db8::1]:80', '[2001:db8::1]', false],
    ['2001:db8::2', '[2001:db8::1]', false],
    ['192.0.2.1', '[::ffff:c000:201]', true],
    ['::ffff:192.0.2.1', '192.0.2.1', true],
    ['[::ffff:c000:201]:443', '192.0.2.1', true]
  ])
})

t.test('NO_PROXY: CIDR blocks, IPv4 and IPv6', async (t) => {
  judge(t, [
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3/8', '10.9.9.9', true],
    ['172.16.0.0/12', '172.31.255.255', true],
    ['172.16.0.0/12', '172.32.0.0', false],
    ['192.0.2.1/32', '192.0.2.1', true],
    ['192.0.2.1/32', '192.0.2.2', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '[2001:db8::1]', false],
    ['0.0.0.0/0', 'example.com', false],
    ['10.0.0.0/8', 'example.com', false],
    ['10.0.0.0/8:8080', '10.0.0.1', false],
    ['10.0.0.0/8:8080', '10.0.0.1', true, 8080],
    ['10.0.0.0/8', '[::ffff:a00:1]', true],
    ['::ffff:10.0.0.0/104', '10.0.0.1', true],
    ['::ffff:10.0.0.0/104', '11.0.0.1', false],
    ['2001:db8::/32', '[2001:db8:9::1]', true],
    ['2001:db8::/32', '[2001:db9::1]', false],
    ['::/0', '[2001:db9::1]', true],
    ['::/0', '192.0.2.1', false],
    ['fd00::/8', '[fdab::1]', true],
    ['2001:db8::/127', '[2001:db8::1]', true],
    ['2001:db8::/127', '[2001:db8::2]', false],
    ['[2001:db8::]/32:8443', '[2001:db8::1]', true, 8443],
    ['[2001:db8::/32]:8443', '[2001:db8::1]', true, 8443],
    ['2001:db8::/32:8443', '[2001:db8::1]', false],
    ['2001:db8::/32:8443', '[2001:db8::1]', true, 8443]
  ])
})

t.test('NO_PROXY: what is none of these excepts nothing, and is told', async (t) => {
  const strange = [
    'http://example.com',
    'example.com/path',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/255.0.0.0',
    '10.0.0.*',
    '192.168.',
    '10.1',
    '010.0.0.1',
    '256.0.0.1',
    '7',
    '2001:db8::/129',
    '[::1',
    '::1]',
    '[10.0.0.1]',
    '[example.com]',
    'fe80::1%eth0',
    '1:2:3',
    '::ffff:10.0.0.0/95',
    'example.com:',
    'example.com:0',
    'example.com:65536',
    'example.com:http',
    '*example.com',
    'ex*ample.com',
    '*.*',
    '<local>',
    '"localhost"',
    'a;b',
    '-a.example',
    'a..b',
    '..a',
    '.',
    '*.',
    ':80',
    '10.0.0.0-10.0.0.9',
    '10.0.0.0/8/8'
  ]
  for (const entry of strange) {
    const { unknown, excepts } = readNoProxy(`good.example,${entry}`)
    t.same(unknown, [entry])
    for (const host of ['example.com', '10.0.0.1', '[2001:db8::1]', 'local', 'a']) t.notOk(excepts(host, 443), `${entry} ${host}`)
    t.ok(excepts('good.example', 443))
  }
  t.same(readNoProxy('*,example.com,.example.com,*.example.com:1,10.0.0.0/8,::1,[::1]:2, 192.0.2.1:65535').unknown, [])
})

t.test('each scheme has its own variable, its own port, and loopback has none', async (t) => {
  const both: ProxyEnvironment = { httpProxy: 'http://for-http', httpsProxy: 'http://for-https' }
  const hostOf = (environment: ProxyEnvironment, url: string): string | undefined => createProxyRule(environment)(new URL(url))?.host
  t.equal(hostOf(both, 'https://x.example'), 'for-https')
  t.equal(hostOf(both, 'http://x.example'), 'for-http')
  t.equal(hostOf({ httpProxy: 'http://for-http' }, 'https://x.example'), undefined, 'HTTP_PROXY serves no https')
  t.equal(hostOf({ httpsProxy: 'http://for-https' }, 'http://x.example'), undefined)
  for (const [noProxy, url, proxied] of [
    ['x.example:443', 'https://x.example', false],
    ['x.example:80', 'https://x.example', true],
    ['x.example:80', 'http://x.example', false],
    ['x.example:8443', 'https://x.example:8443', false]
  ] as const) {
    t.equal(hostOf({ ...both, noProxy }, url) !== undefined, proxied, `${noProxy} ${url}`)
  }
  for (const host of [
    'localhost',
    'LOCALHOST',
    'localhost.',
    '127.0.0.1',
    '127.9.9.9',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0177.0.0.1',
    '2130706433'
  ]) { t.equal(hostOf(both, `https://${host}`), undefined, host) }
  t.throws(() => hostOf({ httpsProxy: 'socks5://CANARY' }, 'https://x.example'), { message: /^(?!.*CANARY)/ })
})

t.test('of the two spellings of a variable the lower-case one wins, and an empty one is none', async (t) => {
  t.same(readProxyEnvironment({}), {})
  t.same(readProxyEnvironment({ HTTP_PROXY: 'a', HTTPS_PROXY: 'b', NO_PROXY: 'c' }), { httpProxy: 'a', httpsProxy: 'b', noProxy: 'c' })
  t.same(readProxyEnvironment({ HTTP_PROXY: 'a', http_proxy: 'A', https_proxy: 'B', NO_PROXY: 'c', no_proxy: 'C' }), {
    httpProxy: 'A',
    httpsProxy: 'B',
    noProxy: 'C'
  })
  t.same(readProxyEnvironment({ HTTPS_PROXY: 'b', https_proxy: '', NO_PROXY: '', http_proxy: '' }), { httpsProxy: 'b' })
})
