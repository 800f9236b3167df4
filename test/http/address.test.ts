import fc from 'fast-check'
import t from 'tap'
import { formatAddress, isLocal, isLoopbackHost, parseAddress } from '#src/http/address.ts'

t.test('every form of ADDR is read', async (t) => {
  t.same(parseAddress('127.0.0.1:8080'), { type: 'tcp', host: '127.0.0.1', port: 8080 })
  t.same(parseAddress('[::1]:8080'), { type: 'tcp', host: '::1', port: 8080 })
  t.same(parseAddress('LOCALHOST:0'), { type: 'tcp', host: 'localhost', port: 0 })
  t.same(parseAddress('0.0.0.0:65535'), { type: 'tcp', host: '0.0.0.0', port: 65535 })
  t.same(parseAddress('my-host.internal:1'), { type: 'tcp', host: 'my-host.internal', port: 1 })
  t.same(parseAddress('unix:/run/countersign.sock'), { type: 'unix', path: '/run/countersign.sock' })
  t.same(parseAddress('unix:/with:colon and space'), { type: 'unix', path: '/with:colon and space' })
})

t.test('anything else is no address', async (t) => {
  for (const text of [
    '',
    '8080',
    ':8080',
    'localhost',
    'localhost:',
    'localhost:x',
    'localhost:65536',
    'localhost:-1',
    'localhost:123456',
    '127.1:80',
    '2130706433:80',
    '999.1.1.1:80',
    '::1:8080',
    '[::1]',
    '[127.0.0.1]:80',
    '[::1',
    '[]:80',
    'a b:80',
    'a/b:80',
    'user@host:80',
    'http://localhost:80',
    'unix:',
    'unix:relative',
    'unix:/a\0b',
    '-a:80',
    '127.0.0.1:8080 ',
    '127.0.0.1:8080\n'
  ]) {
    t.equal(parseAddress(text), undefined, JSON.stringify(text))
  }
})

t.test('only loopback and unix sockets are local', async (t) => {
  for (const text of ['127.0.0.1:1', '127.255.0.9:1', '[::1]:1', '[0:0:0:0:0:0:0:1]:1', '[::ffff:127.0.0.1]:1', 'localhost:1', 'unix:/a']) {
    t.ok(isLocal(parseAddress(text) ?? never(text)), text)
  }
  for (const text of [
    '0.0.0.0:1',
    '[::]:1',
    '10.0.0.1:1',
    '128.0.0.1:1',
    '[::2]:1',
    '[::ffff:10.0.0.1]:1',
    'localhost.evil.example:1',
    'my-localhost:1'
  ]) { t.notOk(isLocal(parseAddress(text) ?? never(text)), text) }
})

t.test('loopback is told with and without brackets', async (t) => {
  for (const host of ['[::1]', '::1', 'Localhost', '127.0.0.1']) t.ok(isLoopbackHost(host), host)
  for (const host of ['', '[', '127.1', '127.0.0.1.nip.io', '[::1', '::']) t.notOk(isLoopbackHost(host), host)
})

t.test('the text form of an address is read back as the same address', async (t) => {
  const host = fc.oneof(fc.ipV4(), fc.constantFrom('::1', '::', 'fe80::1', 'localhost', 'a-b.example'))
  fc.assert(fc.property(host, fc.integer({ min: 0, max: 65535 }), (host, port) => {
    const address = { type: 'tcp', host, port } as const
    return JSON.stringify(parseAddress(formatAddress(address))) === JSON.stringify(address)
  }))
  t.equal(formatAddress({ type: 'unix', path: '/a/b' }), 'unix:/a/b')
})

function never (text: string): never {
  throw new Error(`${text} is no address`)
}
