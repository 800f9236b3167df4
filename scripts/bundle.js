/**
 * Bundles what is run rather than imported into `bin`: the executable, the thread that logs in, the parts of the demo. A few files
 * start in a fraction of the time that some seven hundred take, and an image of them needs no node_modules. The library stays
 * as it is in `dist`, which is also what is bundled here: both are made of the same modules.
 *
 * `node scripts/bundle.js` bundles what is in `dist`, unless `bin` is newer than that.
 */
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, stop } from 'esbuild'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const BIN = join(ROOT, 'bin')
const LICENSES = join(BIN, 'LICENSES.txt')
/** The files of `bin` that have a name of their own, and what each begins with. The worker is found beside whoever starts it. */
const ENTRIES = { countersign: 'dist/cli.js', 'cognito-worker': 'dist/token/cognito-worker.js', 'demo-part': 'dist/demo/part.js' }
const LICENSE = /^(?:licen[cs]e|copying|notice)(?:[.-].*)?$/i

/** Bundles, where anything that goes into it has changed since. */
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
    // Dependencies in CommonJS ask for what is built into Node.
    banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
    metafile: true,
    logLevel: 'warning'
  })
  // Its helper process would stay as long as this one.
  await stop()
  writeFileSync(LICENSES, licenses(Object.keys(metafile.inputs)))
}

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
    const texts = readdirSync(join(ROOT, folder)).filter((file) => LICENSE.test(file)).map((file) => readFileSync(join(ROOT, folder, file), 'utf8').trim())
    return [`${name} ${version} (${license})`, ...texts].join('\n\n')
  }).join(`\n\n${'-'.repeat(80)}\n\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle()
