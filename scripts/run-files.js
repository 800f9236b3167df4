/** Runs compiled test files side by side, in processes of their own, and reads the TAP that they print. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Parser } from 'tap-parser'
import { ROOT } from './compile.js'

/** How long a file may take to say what it was waiting for. */
const GRACE_MS = 5000
const TAIL_LINES = 40
/** Folders of tests are made in here, apart for each version of Node, since two of them may run at once. */
const FIXTURES = join(ROOT, '.tap', process.version)
const COMPILE_CACHE = join(ROOT, 'node_modules/.cache/compiled')
/** Imports the files that it is given. */
const TOGETHER = fileURLToPath(new URL('together.js', import.meta.url))

/**
 * Runs `{ name, files }`, a process for each, as many at once as `jobs` says. A line tells of each that ended, and what failed
 * there; with `tap`, all it said. Returns for each `{ name, files, ok, pass, fail, skip, todo, ms }`, with the count of its files.
 */
export async function runFiles (runs, { jobs, timeoutMs, tap }) {
  const queue = [...runs]
  const results = []
  const worker = async () => {
    for (let run = queue.shift(); run !== undefined; run = queue.shift()) {
      const { output, ...result } = await runOne(run, timeoutMs)
      results.push(result)
      if (tap) process.stdout.write(output)
      else {
        console.log(
          `${result.ok ? 'ok' : 'not ok'}  ${(result.ms / 1000).toFixed(1).padStart(6)} s  ${run.name}${result.ok ? '' : `\n${failuresIn(output)}`}`
        )
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(jobs, runs.length) }, worker))
  return results
}

async function runOne ({ name, files }, timeoutMs) {
  const startedAt = performance.now()
  // tap gives up a whole file after 30 s by default; only the deadline of this script counts here.
  // Node 22 and later compile each module once for all files.
  const env = { ...process.env, TAP: '1', TAP_TIMEOUT: '0', TAP_CWD: FIXTURES, NODE_COMPILE_CACHE: COMPILE_CACHE }
  const child = spawn(process.execPath, ['--enable-source-maps', ...(files.length === 1 ? files : [TOGETHER, ...files])], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let output = ''
  const say = (text) => { output += text }
  child.stdout.setEncoding('utf8').on('data', say)
  child.stderr.setEncoding('utf8').on('data', say)
  const parser = new Parser()
  const counts = countLeaves(parser)
  const parsed = new Promise((resolve) => { parser.once('complete', resolve) })
  child.stdout.pipe(parser)
  const callOff = startDeadline(child, timeoutMs, say)
  const [status, signal] = await new Promise((resolve) => { child.once('close', (...end) => { resolve(end) }) })
  callOff()
  if (signal !== null) say(`\n# ended by ${signal}\n`)
  const { ok } = await parsed
  return { name, files: files.length, ok: ok && status === 0, ...counts, ms: performance.now() - startedAt, output }
}

/** Counts assertions at every depth, without the lines that sum a subtest up. */
function countLeaves (parser, counts = { pass: 0, fail: 0, skip: 0, todo: 0 }) {
  let subtest = false
  parser.on('child', (child) => {
    countLeaves(child, counts)
    subtest = true
  })
  parser.on('assert', ({ ok, skip, todo }) => {
    if (!subtest) counts[skip ? 'skip' : todo && !ok ? 'todo' : ok ? 'pass' : 'fail']++
    subtest = false
  })
  return counts
}

/** Ends a process that takes too long: SIGALRM makes tap say what it was waiting for. Returns a function that cancels this. */
function startDeadline (child, timeoutMs, say) {
  if (timeoutMs === 0) return () => {}
  const timers = [setTimeout(() => {
    say(`\n# no end after ${timeoutMs / 1000} s\n`)
    child.kill('SIGALRM')
    timers.push(setTimeout(() => { child.kill('SIGKILL') }, GRACE_MS))
  }, timeoutMs)]
  return () => { timers.forEach(clearTimeout) }
}

/** The failed assertions with what tap tells of them, and the lines that are no TAP; the end of the text where there are none. */
function failuresIn (output) {
  const lines = output.split('\n')
  let telling = false
  const found = lines.filter((line) => {
    if (/^\s*\.\.\.$/.test(line) && telling) telling = false
    else if (/^\s*(?:not ok\b(?!.*# TODO)|Bail out)/.test(line)) telling = true
    else if (/^\s*(?:ok\b|not ok\b|# Subtest|\d+\.\.\d+|TAP version)/.test(line)) telling = false
    return telling || /^(?![\s#]|ok\b|\d+\.\.|TAP version|$)/.test(line) || /^# (?:no end|ended by)/.test(line)
  })
  return (found.length > 0 ? found : lines.slice(-TAIL_LINES)).join('\n')
}
