/**
 * Runs the tests: compiles them, and gives the compiled files to tap, which needs no loader then.
 *
 *   npm test                                     all but the containers
 *   npm test -- test/token/schedule.test.ts      a file, or several; a folder
 *   npm run test:quick                           the pure parts
 *   npm test -- --watch test/http                again at every change (without names: the pure parts)
 *
 * Whatever else is given goes to tap (`--bail`, `--reporter=tap`, `--jobs=1` …). `JOBS` says how many files run at once.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { ROOT, TSC, compile, prune } from './compile.js'

const TAP = join(ROOT, 'node_modules/tap/dist/esm/run.mjs')
const RESULTS = join(ROOT, 'build/results.tap')
const TIMES = join(ROOT, 'build/times.json')
/** What `test:quick` runs: rules on bytes and values, without a process, a login or a proxy. */
const QUICK = ['architecture', 'errors', 'secret', 'readme', 'auth', 'http', 'route', 'config', 'scripts', 'token/schedule', 'token/classify', 'token/clock', 'token/rotation']
const SLOWEST_SHOWN = 15

const { names, options, quick, watch } = parse(process.argv.slice(2))
prepareTap()
if (watch) watchTests()
else process.exitCode = compile() === 0 ? runTests(filesOf()) : 1

/** Splits the command line into tests, options of tap, and options of this script. */
function parse (args) {
  const own = ['--quick', '--watch']
  const options = args.filter((arg) => arg.startsWith('-') && !own.includes(arg))
  const names = args.filter((arg) => !arg.startsWith('-'))
  return { names, options, quick: args.includes('--quick'), watch: args.includes('--watch') }
}

/** The test files that are asked for, the slowest of the last run first, so that none is left over at the end. */
function filesOf () {
  const chosen = names.length > 0 ? names.map((name) => relative(join(ROOT, 'test'), resolve(name))) : quick || watch ? QUICK : ['']
  const all = readdirSync(join(ROOT, 'test'), { recursive: true }).filter((file) => file.endsWith('.test.ts')).sort()
  const strange = chosen.filter((name) => !all.some((file) => isBelow(file, name)))
  if (strange.length > 0) throw new Error(`no such test: ${strange.join(', ')}`)
  const times = existsSync(TIMES) ? JSON.parse(readFileSync(TIMES, 'utf8')) : {}
  return all
    .filter((file) => chosen.some((name) => isBelow(file, name)))
    .map((file) => `build/${file.replace(/\.ts$/, '.js')}`)
    .sort((a, b) => (times[b] ?? guessOf(b)) - (times[a] ?? guessOf(a)))
}

function isBelow (file, name) {
  return name === '' || file === name || file === `${name}.test.ts` || file.startsWith(`${name.replace(/\/$/, '')}/`)
}

/** Without a run to go by: whatever starts processes is slow. */
function guessOf (file) {
  return /^build\/(?:e2e|security|token-life|cli|fuzz|demo)\//.test(file) ? 3000 : /^build\/(?:token|upstream|plugins|listen|attack)\//.test(file) ? 2000 : 0
}

/** Runs compiled test files. Returns tap's exit status. */
function runTests (files) {
  const jobs = process.env.JOBS ?? String(availableParallelism() + 1)
  // On a terminal tap shows what runs; in a log only failures and counts are of use.
  const reporter = process.stdout.isTTY || options.some((option) => option.startsWith('--reporter')) ? [] : ['--reporter=terse']
  const { status } = spawnSync(process.execPath, [TAP, ...reporter, ...options, `--jobs=${jobs}`, `--output-file=${RESULTS}`, ...files], { cwd: ROOT, stdio: 'inherit' })
  if (existsSync(RESULTS)) report(readFileSync(RESULTS, 'utf8'))
  return status ?? 1
}

/** Prints the slowest files, and keeps all times for the order of the next run. */
function report (results) {
  const times = [...results.matchAll(/^(?:not )?ok \d+ - (build\/\S+) # time=([\d.]+)ms/gm)].map(([, file, ms]) => [file, Number(ms)])
  const known = existsSync(TIMES) ? JSON.parse(readFileSync(TIMES, 'utf8')) : {}
  writeFileSync(TIMES, JSON.stringify({ ...known, ...Object.fromEntries(times) }, null, 1))
  if (times.length <= SLOWEST_SHOWN) return
  console.log(`\nThe slowest of ${times.length} files, in seconds:`)
  for (const [file, ms] of times.sort(([, a], [, b]) => b - a).slice(0, SLOWEST_SHOWN)) console.log(`${(ms / 1000).toFixed(1).padStart(7)}  ${file.replace(/^build(.*)js$/, 'test$1ts')}`)
}

/** Compiles at every change, and runs what is asked for whenever that went well. */
function watchTests () {
  prune('dist', 'src')
  prune('build', 'test')
  const compiler = spawn(process.execPath, [TSC, '--build', '--watch', '--preserveWatchOutput', 'test'], { cwd: ROOT, stdio: ['inherit', 'pipe', 'inherit'] })
  compiler.stdout.setEncoding('utf8').on('data', (text) => {
    process.stdout.write(text)
    if (/Found 0 errors/.test(text)) runTests(filesOf())
  })
}

/** Builds tap without the plugins that .taprc turns off, once per installation: `npm ci` brings it with all of them. */
function prepareTap () {
  const built = join(ROOT, 'node_modules/@tapjs/test/test-built/dist/esm/index.js')
  if (statSync(built, { throwIfNoEntry: false }) !== undefined && !readFileSync(built, 'utf8').includes('from "@tapjs/typescript"')) return
  mkdirSync(join(ROOT, 'build'), { recursive: true })
  const { status } = spawnSync(process.execPath, [TAP, 'build'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) throw new Error('tap could not be built without its TypeScript plugin')
}
