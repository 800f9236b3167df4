// What is shipped as executable: which files, of which packages, and what they ask Node for.
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'

const BIN = new URL('../../bin/', import.meta.url)
const files = readdirSync(BIN)
const texts = new Map(files.filter((file) => file.endsWith('.js')).map((file) => [file, readFileSync(new URL(file, BIN), 'utf8')]))
const licences = readFileSync(new URL('LICENSES.txt', BIN), 'utf8')

function hasLicenceOf (name: string): boolean {
  return licences.startsWith(`${name} `) || licences.includes(`\n${name} `)
}

t.test('the executable, the thread that logs in and the parts of the demo have names of their own', async (t) => {
  for (const file of ['countersign.js', 'worker.js', 'demo-part.js']) t.ok(texts.has(file), file)
})

t.test('nothing that is built into Node is imported: an import of node:http alone loads another HTTP client', async (t) => {
  t.same([...texts].filter(([, text]) => /(?:from|import)\s*["']node:|import\(["']node:/.test(text)).map(([file]) => file), [])
  t.ok([...texts.values()].some((text) => text.includes('process.getBuiltinModule("node:http")')), 'it is asked for by name')
})

t.test('no second HTTP client is in it, and no compiler of schemas; what is in it has its licence there', async (t) => {
  t.same(
    [
      'undici',
      'node-fetch',
      'unfetch',
      '@fastify/ajv-compiler',
      'ajv',
      'light-my-request',
      'ws',
      'thread-stream',
      '@opentelemetry/api'
    ].filter(hasLicenceOf),
    []
  )
  t.same(
    [
      'fastify',
      '@fastify/http-proxy',
      '@fastify/reply-from',
      'amazon-cognito-identity-js',
      'zod',
      'pino',
      'prom-client',
      'oauth4webapi'
    ].filter((name) => !hasLicenceOf(name)),
    []
  )
})

t.test('every file has a map that leads to the sources', async (t) => {
  const sources = new Set(
    files
      .filter((file) => file.endsWith('.js.map'))
      .flatMap((file) => (JSON.parse(readFileSync(new URL(file, BIN), 'utf8')) as { readonly sources: readonly string[] }).sources)
  )
  t.same([...texts.keys()].filter((file) => !files.includes(`${file}.map`)), [])
  for (const source of [
    '../src/cli.ts',
    '../src/server.ts',
    '../src/upstream/connection.ts',
    '../src/token/cognito/worker.ts',
    '../src/config/load.ts'
  ]) { t.ok(sources.has(source), source) }
})

t.test(
  'what a run has no use for is loaded by none: oauth4webapi without a login by it, a configuration by a probe that has an address',
  async (t) => {
    const holders = (mark: string): string[] => [...texts].filter(([, text]) => text.includes(mark)).map(([file]) => file)
    const [oauth, zod] = [holders('WWWAuthenticateChallengeError'), holders('$ZodType')]
    t.ok(oauth.length > 0 && zod.length > 0)
    const serve = loadedWith('serve')
    t.same(
      oauth.filter((file) => serve.has(file)),
      []
    )
    t.ok(
      zod.some((file) => serve.has(file)),
      'what is looked for is found'
    )
    for (const command of ['healthcheck', 'wait', 'status']) {
      const loaded = loadedWith(command)
      t.same(
        zod.filter((file) => loaded.has(file)),
        [],
        command
      )
    }
  }
)

/** The files that are loaded along with a command's. */
function loadedWith (command: string): ReadonlySet<string> {
  const loaded = new Set(files.filter((file) => file.endsWith('.js') && file.startsWith(`${command}-`)))
  t.equal(loaded.size, 1, command)
  for (const file of loaded) for (const [, name = ''] of (texts.get(file) ?? '').matchAll(/(?:from|import)"\.\/([^"]+)"/g)) loaded.add(name)
  return loaded
}
