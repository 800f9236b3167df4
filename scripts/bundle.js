/**
 * Bundles into `bin` the programs that are run rather than imported: the executable, the thread that logs in, the parts of the
 * demo. A few files start in a fraction of the time that some seven hundred take, and an image of them needs no
 * node_modules. The library stays as it is in `dist`; the bundle is made of the same modules.
 *
 * `node scripts/bundle.js` bundles `dist`, unless `bin` is newer.
 */
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, stop } from 'esbuild'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const BIN = join(ROOT, 'bin')
const LICENSES = join(BIN, 'LICENSES.txt')
/** The entries of `bin` by name, with the module of each. The worker is found beside the file that starts it. */
const ENTRIES = { countersign: 'dist/cli.js', worker: 'dist/token/cognito/worker.js', 'demo-part': 'dist/demo/part.js' }
/**
 * Modules that packages import and never use here, each with the package that imports it. A use would be an error, not a second
 * HTTP client:
 * no route has a JSON schema, no request is made up, nothing speaks HTTP/2, upgrades are ours (docs/decisions/0006-upgrades.md),
 * the log has no thread, metrics have no exemplars, the library of the login finds the `fetch` that it is given, and reply-from
 * sends nothing (docs/decisions/0011-forwarding.md).
 */
const LEFT_OUT = [
  [/^@fastify\/(?:ajv-compiler|fast-json-stringify-compiler)$|^light-my-request$/, /node_modules\/fastify\//],
  [/^undici$/, /node_modules\/@fastify\/reply-from\//],
  [/^node:http2$/, /node_modules\/(?:fastify|@fastify\/reply-from)\//],
  [/^ws$/, /node_modules\/@fastify\/http-proxy\//],
  [/^thread-stream$/, /node_modules\/pino\//],
  [/^@opentelemetry\/api$/, /node_modules\/prom-client\//],
  [/^node-fetch$|^unfetch$/, /node_modules\/isomorphic-unfetch\//]
]
const NOTHING = "module.exports=new Proxy({},{get:()=>class{constructor(){throw new TypeError('left out')}}})"
const LICENSE = /^(?:licen[cs]e|copying|notice)(?:[.-].*)?$/i

/** Bundles, unless nothing has changed since the last time. */
export async function bundle () {
  if (isFresh()) return
  rmSync(BIN, { recursive: true, force: true })
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: ENTRIES,
    outdir: BIN,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    // Its CommonJS asks for its parts in a way that no bundler can follow.
    alias: { 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' },
    // Names stay: errors, classes and stack traces are read by people.
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: 'none',
    plugins: [leaveOut, getBuiltins],
    // Dependencies in CommonJS require Node's built-in modules.
    banner: { js: "const require=process.getBuiltinModule('node:module').createRequire(import.meta.url);" },
    metafile: true,
    logLevel: 'warning'
  })
  // Its helper process would stay as long as this one.
  await stop()
  writeFileSync(LICENSES, licenses(Object.keys(metafile.inputs)))
}

const leaveOut = {
  name: 'leave-out',
  setup ({ onResolve, onLoad }) {
    onResolve({ filter: /^[^./]/ }, ({ path, importer }) =>
      LEFT_OUT.some(([name, by]) => name.test(path) && by.test(importer)) ? { path, namespace: 'left-out' } : undefined
    )
    onLoad({ filter: /^/, namespace: 'left-out' }, () => ({ contents: NOTHING }))
  }
}

/**
 * Gets Node's built-in modules by name. An `import` would read every export of it, and one of those of `node:http` is a
 * `WebSocket` that comes with an HTTP client: 14 MiB and 50 ms that nobody here uses.
 */
const getBuiltins = {
  name: 'get-builtins',
  setup ({ onLoad }) {
    onLoad({ filter: /[/\\]dist[/\\].*\.js$/ }, ({ path }) => {
      if (path.includes('node_modules')) return undefined
      const contents = readFileSync(path, 'utf8').replace(BUILTIN_IMPORT, (_, whole, names, module) => {
        const wanted = [whole, names && `{${names.replaceAll(' as ', ':')}}`].filter(Boolean)
        return wanted.map((pattern) => `const ${pattern}=process.getBuiltinModule('${module}');`).join('')
      })
      return { contents }
    })
  }
}
// Imports as the compiler writes them.
const BUILTIN_IMPORT = /^import (?:(?:\* as )?([\w$]+))?(?:, )?(?:\{([^}]*)\})? from '(node:[\w/]+)';/gm

function isFresh () {
  if (!existsSync(LICENSES)) return false
  const made = statSync(LICENSES).mtimeMs
  const parts = [fileURLToPath(import.meta.url), join(ROOT, 'package-lock.json'), ...readdirSync(join(ROOT, 'dist'), { recursive: true })
    .filter((file) => file.endsWith('.js')).map((file) => join(ROOT, 'dist', file))]
  return parts.every((file) => statSync(file).mtimeMs < made)
}

/** The licences of the packages that these files are of, which their terms want to go along with every copy. */
function licenses (files) {
  const folders = new Set(files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []))
  return [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'))
    const texts = readdirSync(join(ROOT, folder))
      .filter((file) => LICENSE.test(file))
      .map((file) => readFileSync(join(ROOT, folder, file), 'utf8').trim())
    return [`${name} ${version} (${license})`, ...texts].join('\n\n')
  }).join(`\n\n${'-'.repeat(80)}\n\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle()
