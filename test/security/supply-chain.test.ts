/**
 * A dependency with a known hole, an install script, or a tarball from somewhere else. Exact versions are in the lockfile;
 * here is below which of them none may fall, and why.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

interface Package {
  readonly version?: string
  readonly dev?: boolean
  readonly license?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly hasInstallScript?: boolean
}

/** Everything below has a hole that concerns a proxy. */
const FLOORS: ReadonlyArray<readonly [name: string, floor: string, why: string]> = [
  [
    'fastify',
    '5.12.8',
    'CVE-2026-107832 and CVE-2026-84428 (case of header schemas), CVE-2026-3635 (X-Forwarded spoofing), bypasses by content type'
  ],
  [
    '@fastify/http-proxy',
    '11.6.3',
    'CVE-2026-85124 (backslash dot segments), CVE-2026-16117 (encoded prefix), CVE-2026-15631 (traversal by WebSocket)'
  ],
  [
    '@fastify/reply-from',
    '12.6.5',
    'CVE-2026-16158 (URL cache across upstreams, before 12.6.4), fastify/fastify-http-proxy#474 (unread body, before 12.6.3), CVE-2026-33805 (stripping by Connection, up to 12.6.1)'
  ],
  ['undici', '7.29.0', 'CVE-2026-1527 (CR LF in an upgrade) and what was fixed since'],
  ['amazon-cognito-identity-js', '6.3.21', 'pinned: what test/vectors has of its SRP was recorded with this version']
]

/** Fixed versions that cannot be had yet: what is done instead, and the test that proves it. */
const MITIGATED: ReadonlyArray<readonly [name: string, wanted: string, why: string, instead: string, test: string, title: string]> = [
  [
    '@fastify/reply-from',
    '12.7.0',
    'CVE-2026-107318: TLS verification is off by default',
    'it never makes a connection: our own dispatcher does',
    'test/upstream/connect.test.ts',
    'U1: a certificate that is '
  ],
  [
    '@fastify/http-proxy',
    '11.6.6',
    'CVE-2026-120213: an encoded slash in a parametric prefix',
    'no request path meets its router: it is given one name of our own making',
    'test/proxy/route.test.ts',
    'an allow list is matched on the bytes that are sent'
  ]
]

const LICENCES = new Set(['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT'])

const lock = JSON.parse(readFileSync(`${ROOT}package-lock.json`, 'utf8')) as { readonly packages: Readonly<Record<string, Package>> } // the format of npm's lockfile, version 3
const packages = Object.entries(lock.packages)
  .filter(([path]) => path !== '')
  .map(([path, facts]) => ({ name: path.replace(/^.*node_modules\//, ''), ...facts }))
const shipped = packages.filter(({ dev }) => dev !== true)

t.test('no shipped package is older than its floor', async (t) => {
  for (const [name, floor, why] of FLOORS) {
    const versions = shipped.filter((one) => one.name === name).map(({ version = '' }) => version)
    t.ok(versions.length > 0, `${name} is shipped`)
    for (const version of versions) t.ok(isAtLeast(version, floor), `${name} ${version}, at least ${floor}: ${why}`)
  }
})

t.test('a hole whose fix cannot be had is closed here, and a test proves it', async (t) => {
  for (const [name, wanted, why, instead, file, title] of MITIGATED) {
    const version = shipped.find((one) => one.name === name)?.version ?? ''
    t.notOk(isAtLeast(version, wanted), `${name} ${version} has the fix of ${wanted}: make it the floor`)
    t.ok(readFileSync(ROOT + file, 'utf8').includes(title), `${why}; ${instead}: ${file}, "${title}"`)
  }
})

t.test('versions are compared by number', async (t) => {
  t.same(
    [
      ['7.29.0', '7.29.0'],
      ['7.30.2', '7.29.0'],
      ['10.0.0', '9.9.9'],
      ['7.9.0', '7.29.0'],
      ['7.29.0-rc.1', '7.29.0']
    ].map(([one = '', other = '']) => isAtLeast(one, other)),
    [true, true, true, false, false]
  )
})

t.test('nothing that is installed runs a script, but for the bundler, which is not shipped and does without', async (t) => {
  // It would put its binary in place of its launcher. The image and CI install with --ignore-scripts.
  t.same(packages.filter(({ hasInstallScript }) => hasInstallScript === true).map(({ name }) => name), ['esbuild'])
  t.same(shipped.filter(({ name }) => name === 'esbuild'), [])
})

t.test('every package has its hash, and no place of its own to come from', async (t) => {
  t.same(packages.filter(({ integrity }) => integrity?.startsWith('sha512-') !== true).map(({ name }) => name), [])
  t.same(packages.filter(({ resolved }) => resolved !== undefined).map(({ name }) => name), [])
})

t.test('every licence of what is shipped is a known, permissive one', async (t) => {
  t.same(shipped.filter(({ license = '' }) => !LICENCES.has(license)).map(({ name, license }) => `${name}: ${license ?? 'none'}`), [])
})

t.test('the bill of materials is made of the lockfile alone', async (t) => {
  const text = execFileSync('npm', ['run', '--silent', 'sbom'], { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const { bomFormat, components } = JSON.parse(text) as {
    readonly bomFormat: string
    readonly components: ReadonlyArray<{ readonly name: string, readonly version: string }>
  }
  t.equal(bomFormat, 'CycloneDX')
  const listed = new Set(components.map(({ name, version }) => `${name}@${version}`))
  t.same(shipped.filter(({ name, version = '' }) => !listed.has(`${name}@${version}`)).map(({ name }) => name), [])
})

function isAtLeast (version: string, floor: string): boolean {
  const [numbers = [], least = []] = [version, floor].map((text) => text.split(/[.+-]/).slice(0, 3).map(Number))
  const different = least.findIndex((number, index) => numbers[index] !== number)
  if (different === -1) return !version.includes('-')
  return (numbers[different] ?? 0) > (least[different] ?? 0)
}
