/**
 * Runs the tests: compiles them, and runs each compiled file, which speaks TAP, in a process of its own; many share one,
 * where starting costs more than they do. No loader takes part.
 *
 *   npm test                                     all but the containers
 *   npm test -- test/token/schedule.test.ts      a file, or several; a folder; the beginning of some names (test/security/B)
 *   npm run test:quick                           the pure parts (and what is named behind `--`)
 *   npm test -- --watch test/http                again at every change (without names: the pure parts)
 *
 * `--again` runs failed tests once more, one at a time and with nothing beside them; a test that passes then is named as unstable:
 * it must be mended, but does not fail the whole run. `--jobs=N` says how many files run at once, `--timeout=SECONDS` how long one
 * may take (0: for ever), `--tap` prints what they say as it is. Variables of tap (TAP_GREP, TAP_ONLY, TAP_BAIL …) reach every file.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { bundle } from './bundle.js'
import { ROOT, TSC, compile, prune } from './compile.js'
import { runFiles } from './run-files.js'

const TIMES = join(ROOT, 'build/times.json')
/** The results that `scripts/matrix.js` reads, for this version of Node. */
const SUMMARY = join(ROOT, `build/summary-${process.version}.json`)
/** The tests of `test:quick`: rules on bytes and values, without a process, a login or a proxy. */
const QUICK = [
  'architecture',
  'errors',
  'secret',
  'auth',
  'http',
  'route',
  'config',
  'token/schedule',
  'token/clock',
  'token/rotation',
  'token/cognito/classify'
]
/** Files whose names begin alike share a process: to load tap and the program costs more than most of them do. */
const SHARING = ['auth', 'http', 'route', 'config', 'guard', 'proxy', 'listen', 'upstream', 'token', ...'BHPQRSUV'].map((name) =>
  name.length === 1 ? `security/${name}` : `${name}/`
)
/** Those of them that look at their whole process, or that run longest. */
const ALONE = [
  'token/cognito/source',
  'token/cognito/network',
  'token/oauth2',
  'token/refresher',
  'token/many-credentials',
  'http/linear',
  'upstream/exchange',
  'security/R1-open-files'
]
const SLOWEST_SHOWN = 20

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean' },
    watch: { type: 'boolean' },
    tap: { type: 'boolean' },
    again: { type: 'boolean' },
    // Most files wait more than they work.
    jobs: { type: 'string', default: String(availableParallelism() + 2) },
    timeout: { type: 'string', default: '900' }
  }
})

if (options.watch) watchTests()
else process.exitCode = compile() === 0 && await runTests() ? 0 : 1

/** Runs the chosen tests. Returns whether all passed. */
async function runTests () {
  await bundle()
  const runs = chosenRuns()
  const startedAt = performance.now()
  const settings = { jobs: Number(options.jobs), timeoutMs: Number(options.timeout) * 1000, tap: options.tap === true }
  const results = await runFiles(runs, settings)
  const unstable = options.again ? await runAgain(results, runs, settings) : []
  const known = timesOfLastRuns()
  writeFileSync(TIMES, JSON.stringify({ ...known, ...Object.fromEntries(results.map(({ name, ms }) => [name, Math.round(ms)])) }, null, 1))
  const sum = (count) => results.reduce((all, result) => all + result[count], 0)
  const summary = {
    pass: sum('pass'),
    fail: sum('fail'),
    skip: sum('skip'),
    todo: sum('todo'),
    seconds: Math.round((performance.now() - startedAt) / 1000)
  }
  writeFileSync(SUMMARY, JSON.stringify(summary))
  if (!options.tap) report(results, summary, unstable)
  return results.every(({ ok }) => ok)
}

/** Runs the failed tests once more and replaces their results. Returns the names of those that passed now. */
async function runAgain (results, runs, settings) {
  const failed = runs.filter(({ name }) => results.some((result) => result.name === name && !result.ok))
  if (failed.length === 0) return []
  console.log('\nOnce more, one at a time, what failed:')
  const second = await runFiles(failed, { ...settings, jobs: 1 })
  for (const result of second) results[results.findIndex(({ name }) => name === result.name)] = result
  return second.filter(({ ok }) => ok).map(({ name }) => name)
}

/**
 * What is asked for, as `{ name, files }` for each process, named as `npm test --` takes it. The slowest of the last run come
 * first, so that none is left over at the end.
 */
function chosenRuns () {
  const named = names.map((name) => relative(join(ROOT, 'test'), resolve(name)))
  const quick = options.quick || (options.watch && names.length === 0)
  const chosen = quick ? [...named, ...QUICK] : named.length > 0 ? named : ['']
  const all = readdirSync(join(ROOT, 'test'), { recursive: true }).filter((file) => file.endsWith('.test.ts')).sort()
  const strange = chosen.filter((name) => !all.some((file) => isBelow(file, name)))
  if (strange.length > 0) throw new Error(`no such test: ${strange.join(', ')}`)
  const runs = new Map()
  for (const file of all.filter((file) => chosen.some((name) => isBelow(file, name)))) {
    const alone = ALONE.some((start) => file.startsWith(start))
    const name = `test/${(alone ? undefined : SHARING.find((start) => file.startsWith(start))) ?? file}`
    runs.set(name, [...runs.get(name) ?? [], `build/${file.replace(/\.ts$/, '.js')}`])
  }
  const times = timesOfLastRuns()
  const expected = ({ name }) => times[name] ?? guessOf(name)
  return Array.from(runs, ([name, files]) => ({ name: files.length === 1 ? nameOf(files[0]) : name, files })).sort(
    (a, b) => expected(b) - expected(a)
  )
}

function isBelow (file, name) {
  return file.startsWith(name)
}

function timesOfLastRuns () {
  return existsSync(TIMES) ? JSON.parse(readFileSync(TIMES, 'utf8')) : {}
}

/** Estimates without an earlier run: tests that wait for tokens to age are slowest, then shared processes, then those that start some. */
function guessOf (name) {
  if (/^test\/(?:e2e\/(?:token|re|streaming)|upstream\/|config\/)/.test(name)) return 4000
  return /^test\/(?:e2e|security|token-life|cli|fuzz|demo)\//.test(name)
    ? 3000
    : /^test\/(?:token|upstream|proxy|listen|attack)\//.test(name)
      ? 2000
      : 0
}

/** Prints the slowest files, the sums, and last what failed. */
function report (results, { pass, fail, skip, todo, seconds }, unstable) {
  const slowest = results.length > 2 ? [...results].sort((a, b) => b.ms - a.ms).slice(0, SLOWEST_SHOWN) : []
  if (slowest.length > 0) console.log('\nThe slowest files, in seconds:')
  for (const { name, ms } of slowest) console.log(`${(ms / 1000).toFixed(1).padStart(7)}  ${name}`)
  console.log(
    `\n${results.reduce((all, { files }) => all + files, 0)} files, ${pass} assertions passed, ${fail} failed, ${skip} skipped, ${todo} expected to fail; ${seconds} s on Node ${process.version}`
  )
  for (const name of unstable) console.log(`UNSTABLE  ${name} failed at first, and passed by itself`)
  for (const { name } of results.filter(({ ok }) => !ok)) console.log(`FAILED  npm test -- ${name}`)
}

function nameOf (file) {
  return file.replace(/^build(.*)js$/, 'test$1ts')
}

/** Compiles at every change, and runs the chosen tests when that succeeds. */
function watchTests () {
  prune('dist', 'src')
  prune('build', 'test')
  const compiler = spawn(process.execPath, [TSC, '--build', '--watch', '--preserveWatchOutput', 'test'], {
    cwd: ROOT,
    stdio: ['inherit', 'pipe', 'inherit']
  })
  let running = Promise.resolve()
  compiler.stdout.setEncoding('utf8').on('data', (text) => {
    process.stdout.write(text)
    if (text.includes('Found 0 errors')) running = running.then(runTests)
  })
}
