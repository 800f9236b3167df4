import fc from 'fast-check'
import t, { type Test } from 'tap'
import { checkBrowser, checkHost, guardedHeaders, localEnd, type CallerPolicy, type LocalEnd } from '#src/http/host.ts'

const POLICY: CallerPolicy = {
  allowedHosts: new Set(['proxy.internal', 'with-port.internal:9000']),
  allowedOrigins: new Set(['https://app.example'])
}
const LOCAL: LocalEnd = { unix: false, address: '127.0.0.1', port: 8080 }

const host = (values: readonly string[], local = LOCAL): string =>
  checkHost({ host: values, origin: [], fetchSite: [], fetchMode: [] }, local, POLICY)
const browser = (
  origin: readonly string[],
  fetchSite: readonly string[] = [],
  on = 'localhost:8080',
  fetchMode: readonly string[] = []
): unknown => checkBrowser({ host: [on], origin, fetchSite, fetchMode }, on, POLICY)

t.test('names that nobody can rebind are accepted, in any case', async (t) => {
  for (const name of [
    'localhost:8080',
    'LOCALHOST:8080',
    '127.0.0.1:8080',
    '[::1]:8080',
    'proxy.internal',
    'Proxy.Internal:1234',
    'with-port.internal:9000'
  ]) { t.equal(host([name]), name.toLowerCase()) }
})

t.test('the address that the connection came in on is accepted', async (t) => {
  t.equal(host(['10.1.2.3:8080'], { ...LOCAL, address: '10.1.2.3' }), '10.1.2.3:8080')
  t.equal(host(['[fd00::1]:8080'], { ...LOCAL, address: 'fd00::1' }), '[fd00::1]:8080')
  refuses(t, 421, ['10.1.2.4:8080'], { ...LOCAL, address: '10.1.2.3' })
})

t.test('the default port may be left out', async (t) => {
  t.equal(host(['localhost'], { ...LOCAL, port: 80 }), 'localhost')
  t.equal(host(['localhost:80'], { ...LOCAL, port: 80 }), 'localhost:80')
  t.equal(host(['[::1]'], { ...LOCAL, port: 80 }), '[::1]')
  refuses(t, 421, ['localhost'])
})

t.test('look-alikes are refused', async (t) => {
  for (const name of [
    'evil.example:8080',
    'localhost.evil.example:8080',
    '127.0.0.1.nip.io:8080',
    'evil.example#localhost',
    'localhost@evil.example',
    'evil.example@localhost:8080',
    '127.1:8080',
    '2130706433:8080',
    '0x7f000001:8080',
    '0.0.0.0:8080',
    'localhost:8081',
    'localhost:08080',
    'localhost',
    'localhost.:8080',
    'xlocalhost:8080',
    'proxy.internal.evil.example',
    'with-port.internal',
    'with-port.internal:9001',
    '[::]:8080',
    '[::ffff:127.0.0.1]:8080',
    '__proto__',
    'constructor'
  ]) { refuses(t, 421, [name]) }
})

t.test('a missing, doubled or malformed Host is a bad request', async (t) => {
  refuses(t, 400, [])
  refuses(t, 400, ['localhost:8080', 'localhost:8080'])
  for (const name of [
    '',
    ':8080',
    ':',
    'localhost:8080, evil',
    'local host:8080',
    'localhost:8080/',
    'localhost\\:8080',
    'localhost:8080?x',
    'localhost:port',
    'localhost:8080:1',
    '[::1',
    '::1',
    'localhost:123456'
  ]) { refuses(t, 400, [name]) }
})

t.test('a unix socket takes any one Host', async (t) => {
  const local = { unix: true, address: '', port: 0 }
  t.equal(host(['Anything'], local), 'anything')
  refuses(t, 400, [], local)
  refuses(t, 400, ['a', 'b'], local)
})

t.test('only listed names pass the Host guard, whatever is sent', async (t) => {
  fc.assert(fc.property(fc.string({ unit: 'binary-ascii', maxLength: 30 }), (name) => {
    try {
      return ['localhost:8080', '127.0.0.1:8080', '[::1]:8080'].includes(host([name]))
    } catch (error) {
      return error instanceof Error && 'statusCode' in error && (error.statusCode === 400 || error.statusCode === 421)
    }
  }))
  t.pass()
})

t.test('programs send neither Origin nor Sec-Fetch-Site and pass', async (t) => {
  t.same(browser([]), {})
  t.same(browser([], ['none']), {})
  t.same(browser([], ['same-origin']), {})
})

t.test('the listener\'s own origin passes without CORS headers', async (t) => {
  t.same(browser(['http://localhost:8080']), {})
  t.same(browser(['http://localhost:8080'], ['same-origin']), {})
})

t.test('a listed origin gets CORS headers', async (t) => {
  t.same(browser(['https://app.example'], ['cross-site']), { corsOrigin: 'https://app.example' })
})

t.test('every other origin and site is refused', async (t) => {
  for (const origin of [
    'https://evil.example',
    'null',
    '',
    'https://localhost:8080',
    'http://localhost:8081',
    'http://localhost',
    'http://127.0.0.1:8080',
    'http://localhost:8080/',
    'https://app.example.evil.example',
    'https://APP.example',
    'http://app.example',
    'file://',
    '__proto__'
  ]) {
    t.throws(() => browser([origin]), { code: 'CS_ORIGIN_NOT_ALLOWED', statusCode: 403 }, origin)
  }
  for (const site of ['cross-site', 'same-site', '', 'None', 'x', 'none, none']) {
    t.throws(() => browser([], [site]), { code: 'CS_ORIGIN_NOT_ALLOWED' }, site)
  }
  t.throws(() => browser(['http://localhost:8080'], ['cross-site']), { code: 'CS_ORIGIN_NOT_ALLOWED' })
  t.throws(() => browser(['https://app.example', 'https://app.example']), { code: 'CS_ORIGIN_NOT_ALLOWED' })
  t.throws(() => browser([], ['none', 'none']), { code: 'CS_ORIGIN_NOT_ALLOWED' })
})

t.test('guarded headers are taken from the raw list, each as often as it was sent', async (t) => {
  t.same(guardedHeaders(['HOST', 'a', 'host', 'b', 'Origin', 'c', 'SEC-fetch-SITE', 'd', 'sec-fetch-mode', 'n', 'X', 'e', 'origi', 'f']), {
    host: ['a', 'b'],
    origin: ['c'],
    fetchSite: ['d'],
    fetchMode: ['n']
  })
})

t.test('a mapped IPv4 address is known by its IPv4 form', async (t) => {
  t.same(localEnd({ localAddress: '::ffff:10.0.0.1', localPort: 1 }), { unix: false, address: '10.0.0.1', port: 1 })
  t.same(localEnd({ localAddress: '::1', localPort: 1 }), { unix: false, address: '::1', port: 1 })
  t.same(localEnd({}), { unix: true, address: '', port: 0 })
})

function refuses (t: Test, statusCode: number, values: readonly string[], local = LOCAL): void {
  t.throws(
    () => host(values, local),
    { statusCode, code: statusCode === 400 ? 'CS_BAD_REQUEST' : 'CS_HOST_NOT_ALLOWED' },
    JSON.stringify(values)
  )
}

t.test('a person who follows a link is told to type the address', async (t) => {
  for (const site of ['cross-site', 'same-site']) {
    t.throws(() => browser([], [site], 'localhost:8080', ['navigate']), { code: 'CS_ORIGIN_NOT_ALLOWED', message: /type this address/ })
    t.throws(() => browser([], [site], 'localhost:8080', ['no-cors']), { code: 'CS_ORIGIN_NOT_ALLOWED', message: /allowedOrigins/ })
    t.throws(() => browser(['https://evil.example'], [site], 'localhost:8080', ['navigate']), {
      code: 'CS_ORIGIN_NOT_ALLOWED',
      message: /allowedOrigins/
    })
  }
  t.same(browser([], ['none'], 'localhost:8080', ['navigate']), {})
})
