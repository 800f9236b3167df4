import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig, type LoadResult } from '#src/config/load.ts'
import { createAuthority, createSelfSigned } from '../../helpers/certificates.ts'
import { configOf, linesOf } from '../load-fixture.ts'

const DAY_MS = 86_400_000
const authority = createAuthority()
const client = authority.issue({ names: ['client'] })
const expired = createSelfSigned({
  names: ['client'],
  notBefore: new Date(Date.now() - 2 * DAY_MS),
  notAfter: new Date(Date.now() - DAY_MS)
})
const early = createSelfSigned({ names: ['client'], notBefore: new Date(Date.now() + DAY_MS), notAfter: new Date(Date.now() + 2 * DAY_MS) })
const files = {
  'ca.pem': authority.cert,
  'client.pem': `${client.cert}${authority.cert}`,
  'client.key': client.key,
  'other.key': authority.issue({ names: ['other'] }).key,
  'encrypted.key': generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'CANARY' },
    publicKeyEncoding: { type: 'spki', format: 'pem' }
  }).privateKey,
  'expired.pem': expired.cert,
  'expired.key': expired.key,
  'early.pem': early.cert,
  'early.key': early.key,
  'text.pem': 'CANARY\n',
  'broken.pem': authority.cert.replace(/[A-Za-z]{8}/, '////////').replace(/\n[^\n-]+\n-----END/, '\n-----END'),
  'half.pem': `${authority.cert}-----BEGIN CERTIFICATE-----\nCANARY\n-----END CERTIFICATE-----\n`
}

/** Loads a configuration in a folder of its own beside the certificates, started from another one. */
function load (t: Test, tls: unknown, route: object = {}): LoadResult & { readonly folder: string } {
  const folder = t.testdir({ config: {}, elsewhere: {} })
  mkdirSync(join(folder, 'config/tls'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'config/tls', name), text)
  writeFileSync(join(folder, 'config/c.jsonc'), JSON.stringify({ routes: [{ prefix: '/', upstream: 'https://x.example', tls, ...route }] }))
  return { ...loadConfig({ env: {}, cwd: join(folder, 'elsewhere'), options: { config: '../config/c.jsonc' } }), folder }
}
const problemsOf = (t: Test, tls: unknown, route?: object): string[] =>
  linesOf(load(t, tls, route)).map((line) => line.replace(/^.*?c\.jsonc:\d+:\d+ {2}/, ''))

t.test('files are read from the configuration\'s folder on, and are among what is watched', async (t) => {
  const result = load(t, { ca: 'tls/ca.pem', cert: 'tls/client.pem', key: 'tls/client.key', serverName: 'api.internal' })
  t.same(linesOf(result), [])
  const tls = configOf(result).routes[0]?.tls
  t.equal(tls?.ca, authority.cert)
  t.equal(tls?.client?.cert, files['client.pem'])
  t.equal(tls?.client?.key.reveal(), client.key)
  t.equal(tls?.serverName, 'api.internal')
  t.notMatch(JSON.stringify(configOf(result).routes), /PRIVATE KEY/)
  t.same(['ca.pem', 'client.pem', 'client.key'].filter((name) => !result.files.includes(join(result.folder, 'config/tls', name))), [])
  const { folder } = result
  t.same(linesOf(load(t, { ca: join(folder, 'config/tls/ca.pem') })), [], 'an absolute path is taken as it is')
})

t.test('what is wrong with a file is said with its place, and nothing of the file is shown', async (t) => {
  const cases: ReadonlyArray<readonly [tls: object, fault: RegExp]> = [
    [{ ca: 'tls/none.pem' }, /^routes\[0\]\.tls\.ca {2}the file that it names does not exist; correct/],
    [{ ca: 'tls' }, /^routes\[0\]\.tls\.ca {2}the file that it names is a directory/],
    [{ ca: ' ' }, /^routes\[0\]\.tls\.ca {2}is empty/],
    [{ ca: 'tls/text.pem' }, /^routes\[0\]\.tls\.ca {2}the file that it names holds no certificate in PEM/],
    [{ ca: 'tls/client.key' }, /^routes\[0\]\.tls\.ca {2}the file that it names holds no certificate in PEM/],
    [{ ca: 'tls/broken.pem' }, /^routes\[0\]\.tls\.ca {2}the file that it names holds no certificate in PEM/],
    [{ ca: 'tls/half.pem' }, /^routes\[0\]\.tls\.ca {2}the file that it names holds a certificate that cannot be read/],
    [{ cert: 'tls/client.pem' }, /^routes\[0\]\.tls\.cert {2}has no key beside it/],
    [{ key: 'tls/client.key' }, /^routes\[0\]\.tls\.key {2}has no cert beside it/],
    [{ cert: 'tls/client.pem', key: 'tls/other.key' }, /^routes\[0\]\.tls\.key {2}is not the key of the certificate in cert/],
    [{ cert: 'tls/client.pem', key: 'tls/encrypted.key' }, /^routes\[0\]\.tls\.key {2}the file that it names holds an encrypted key/],
    [{ cert: 'tls/client.pem', key: 'tls/text.pem' }, /^routes\[0\]\.tls\.key {2}the file that it names holds no private key in PEM/],
    [{ cert: 'tls/client.pem', key: 'tls/client.pem' }, /^routes\[0\]\.tls\.key {2}the file that it names holds no private key in PEM/]
  ]
  for (const [tls, problem] of cases) {
    const lines = problemsOf(t, tls)
    t.match(lines, [problem])
    t.equal(lines.length, 1)
    t.notMatch(lines.join(), /CANARY|tls\/|MII/)
  }
})

t.test('a server name is a host name', async (t) => {
  for (const serverName of ['', '10.0.0.1', '::1', '[::1]', 'a:443', 'a b', '*.example.com', 'https://x']) {
    t.match(problemsOf(t, { serverName }), [/^routes\[0\]\.tls\.serverName {2}is no host name/], serverName)
  }
})

t.test('tls is for https: alone, and has no key that turns verification off', async (t) => {
  for (const upstream of ['http://127.0.0.1:1', 'unix:/x.sock']) {
    t.match(problemsOf(t, { serverName: 'x.example' }, { upstream }), [/^routes\[0\]\.tls {2}has a meaning only for an https: upstream/])
  }
  for (const key of ['rejectUnauthorized', 'insecure', 'verify']) {
    t.match(problemsOf(t, { [key]: false }), [
      /^routes\[0\]\.tls\.\w+ {2}unknown key; remove it, or write one of "ca", "cert", "key", "serverName"$/
    ])
  }
})

t.test('a client certificate that has expired, or is not valid yet, is a warning', async (t) => {
  t.match(problemsOf(t, { cert: 'tls/expired.pem', key: 'tls/expired.key' }), [
    /^routes\[0\]\.tls\.cert {2}the client certificate has expired, so/
  ])
  t.match(problemsOf(t, { cert: 'tls/early.pem', key: 'tls/early.key' }), [
    /^routes\[0\]\.tls\.cert {2}the client certificate is not valid yet, so/
  ])
  t.ok(load(t, { cert: 'tls/expired.pem', key: 'tls/expired.key' }).ok)
})
