import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const SRC = fileURLToPath(new URL('../src/', import.meta.url))

/** Layers from the ground up; the first pattern that fits a file decides. Imports point down or sideways. */
const LAYERS: ReadonlyArray<readonly [layer: number, pattern: RegExp]> = [
  [0, /^(?:errors|secret)\.ts$/],
  [1, /^(?:http|auth|route|guard)\/|^no-schemas\.ts$/],
  [1, /^token\/(?:token|schedule|state|failure-policy|provider\/failures|cognito\/(?:classify|mod-pow|mod-pow-openssl))\.ts$/],
  [4, /^observe\/observer\.ts$/],
  [2, /^(?:token|config|upstream|observe|listen)\//],
  [3, /^proxy\//],
  [4, /^(?:addresses|app|admin|generation|line-writer|logger|retired|version)\.ts$/],
  [5, /^(?:daemon|server)\.ts$/],
  [5, /^(?:demo|attack)\//],
  [6, /^api\//],
  [7, /^(?:index|cli)\.ts$/],
  [7, /^cli\//]
]

/** Who may import what: a package, and the files that may. */
const KEEPERS: ReadonlyArray<readonly [pattern: RegExp, files: RegExp]> = [
  [/^(?:fastify|@fastify\/)/, /^(?:admin|no-schemas)\.ts$|^proxy\/receive\.ts$/],
  [/^amazon-cognito-identity-js/, /^token\/cognito\/worker\.ts$/],
  // Nobody: it is a second client, and loads a third one, which is Node's own (docs/decisions/0018-start.md).
  [/^undici$/, /^$/],
  [/^oauth4webapi$/, /^token\/oauth2\/[^/]*\.ts$/],
  [/^(?:zod|jsonc-parser|envalid|dotenv)$/, /^config\//],
  [/^prom-client$/, /^observe\/process-metrics\.ts$/],
  [/^pino$/, /^logger\.ts$/],
  [/^node:(?:fs|fs\/promises)$/, /^(?:config|demo|cli)\/|^version\.ts$|^listen\/(?:bind|open-files)\.ts$|^token\/cache\/(?:disk|files)\.ts$/],
  [/^node:worker_threads$/, /^token\/cognito\/(?:thread|worker)\.ts$/]
]

/**
 * The only files that may open a secret: where bytes leave for the upstream, for the identity provider, or encrypted for the
 * disk; and where a program's own come in, to be judged as text of a file is.
 */
const REVEALERS = [
  'config/fetch-schemes.ts',
  'config/object.ts',
  'route/body.ts',
  'route/outgoing.ts',
  'secret.ts',
  'token/cache/seal.ts',
  'token/cognito/source.ts',
  'token/oauth2/source.ts',
  'upstream/connector.ts',
  'upstream/scrub.ts',
  'upstream/tunnel.ts'
]

interface Source {
  readonly file: string
  readonly text: string
  readonly imports: readonly string[]
}

const sources: readonly Source[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .sort()
  .map((file) => {
    const text = readFileSync(join(SRC, file), 'utf8')
    return {
      file,
      text,
      imports: [
        ...text.matchAll(
          /(?:^|\n)(?:import|export)\s[^'\n]*?(?:\{[^}]*\}[^'\n]*?)?from '([^']+)'|import\('([^']+)'\)|(?:^|\n)import '([^']+)'/g
        )
      ].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
    }
  })

function withoutComments (text: string): string {
  return text.replace(/^\s*(?:\/\/|\*).*$/gm, '')
}

function layerOf (file: string): number | undefined {
  return LAYERS.find(([, pattern]) => pattern.test(file))?.[0]
}

function inside ({ file, imports }: Source): string[] {
  return imports.filter((name) => name.startsWith('.')).map((name) => relative(SRC, resolve(SRC, dirname(file), name)))
}

t.test('every file has a layer', async (t) => {
  t.same(sources.filter(({ file }) => layerOf(file) === undefined).map(({ file }) => file), [])
  t.ok(sources.some(({ imports }) => imports.length > 3), 'imports are found')
})

t.test('imports point down or sideways, never up', async (t) => {
  const upward = sources.flatMap((source) =>
    inside(source)
      .filter((target) => (layerOf(target) ?? 9) > (layerOf(source.file) ?? 0))
      .map((target) => `${source.file} → ${target}`)
  )
  t.same(upward, [])
})

t.test('no file imports itself, over however many others', async (t) => {
  const graph = new Map(sources.map((source) => [source.file, inside(source)]))
  const cycles: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      cycles.push([...path.slice(path.indexOf(file)), file].join(' → '))
      return
    }
    for (const target of graph.get(file) ?? []) if (cycles.length === 0) visit(target, [...path, file])
  }
  for (const file of graph.keys()) visit(file, [])
  t.same(cycles, [])
})

t.test('each package stays with its keeper', async (t) => {
  const strays = sources.flatMap(({ file, imports }) => imports
    .filter((name) => KEEPERS.some(([pattern, files]) => pattern.test(name) && !files.test(file)))
    .map((name) => `${file} → ${name}`))
  t.same(strays, [])
})

t.test('the token half and the configuration do not know each other, and the request path knows no configuration', async (t) => {
  const strays = sources.flatMap((source) =>
    inside(source)
      .filter(
        (target) =>
          (source.file.startsWith('token/') && target.startsWith('config/')) ||
          (source.file.startsWith('config/') && target.startsWith('token/')) ||
          (/^(?:proxy|guard)\//.test(source.file) && target.startsWith('config/'))
      )
      .map((target) => `${source.file} → ${target}`)
  )
  t.same(strays, [])
})

t.test('listeners know nothing of what they hand requests to', async (t) => {
  const strays = sources.flatMap((source) => inside(source)
    .filter((target) => source.file.startsWith('listen/') && !/^(?:listen|http)\/|^errors\.ts$/.test(target))
    .map((target) => `${source.file} → ${target}`))
  t.same(strays, [])
})

t.test('a secret is opened in few, listed places', async (t) => {
  t.same(sources.filter(({ text }) => /\.reveal\b|\breveal \(/.test(withoutComments(text))).map(({ file }) => file), REVEALERS)
})

t.test('only the edge reads the process: arguments, environment, exit', async (t) => {
  const readers = sources
    .filter(({ text }) => /\bprocess\.(?:env|argv|exit|stdout|stderr)\b/.test(withoutComments(text)))
    .map(({ file }) => file)
  t.same(readers.filter((file) => !/^(?:cli\.ts$|cli\/|api\/)|^demo\/parts?\.ts$|^token\/cognito\/worker\.ts$/.test(file)), [])
})
