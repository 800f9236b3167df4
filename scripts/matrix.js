/**
 * Runs tests on other versions of Node: `npm run test:matrix` (20, 22, 24 and 26, everything), or
 * `node scripts/matrix.js 24 -- --quick`, or with names of tests behind the `--`.
 *
 * The tests are compiled once, by the Node that runs this.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { ROOT, compile } from './compile.js'
import { installNode } from './nodes.js'

const SUPPORTED = ['20', '22', '24', '26']

const args = process.argv.slice(2)
const end = args.indexOf('--')
const versions = end === -1 ? args : args.slice(0, end)
const testArgs = end === -1 ? [] : args.slice(end + 1)

if (compile() !== 0) process.exit(1)
const rows = (versions.length > 0 ? versions : SUPPORTED).map(runOn)
console.log('\nNode       passed  failed  skipped  expected to fail  seconds')
for (const row of rows) console.log(row)

/** Runs the tests on one version. Returns its line of the table; a failure is this process's failure too. */
function runOn (version) {
  const node = installNode(version)
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' })
  console.log(`\n# Node ${stdout.trim()}`)
  const summary = join(ROOT, `build/summary-${stdout.trim()}.json`)
  rmSync(summary, { force: true })
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` }
  const { status } = spawnSync(node, ['scripts/test.js', ...testArgs], { cwd: ROOT, env, stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
  if (!existsSync(summary)) return `${stdout.trim().padEnd(10)} did not run`
  const { pass, fail, skip, todo, seconds } = JSON.parse(readFileSync(summary, 'utf8'))
  return [
    stdout.trim().padEnd(9),
    String(pass).padStart(7),
    String(fail).padStart(7),
    String(skip).padStart(8),
    String(todo).padStart(17),
    String(seconds).padStart(8)
  ].join(' ')
}
