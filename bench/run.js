/**
 * Measures Countersign beside its peers, prints tables, and writes docs/performance.json (the raw figures), docs/performance.md
 * and docs/performance/*.svg, which are made of that JSON alone.
 *
 *   npm run bench                            everything, in about a quarter of an hour on two cores that are otherwise idle
 *   npm run bench -- --only get,start        some parts; the others keep the figures that they had, where nothing else differs
 *   npm run bench -- --render                nothing is measured, the documents are made again
 *   npm run bench -- --quick                 a minute, to see that all of it works; writes to node_modules/.cache/bench
 *
 * `--node PATH` is the Node of everything that runs on Node (default: Node 24, from npm), `--out FOLDER` where the files go,
 * `--contenders NAME,NAME` names some of the peers.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs, isDeepStrictEqual } from 'node:util'
import { bundle } from '../scripts/bundle.js'
import { ROOT, compile } from '../scripts/compile.js'
import { installNode } from '../scripts/nodes.js'
import { CONTENDERS } from './contenders/index.js'
import { nginx } from './contenders/nginx.js'
import { installPeers } from './contenders/peers.js'
import { describeCommit, describeMachine, readLoad, versionOfNode } from './machine.js'
import { createFailures } from './measures/failures.js'
import { measures, PARTS } from './measures/index.js'
import { render } from './report/index.js'
import { SETTINGS } from './settings.js'

const NODE = '24'
const TOKEN_LENGTH = 900

// One listener for each process that must not outlive this one.
process.setMaxListeners(0)
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => { process.exit(1) })

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    contenders: { type: 'string' },
    node: { type: 'string' },
    out: { type: 'string' },
    quick: { type: 'boolean' },
    tiny: { type: 'boolean' },
    render: { type: 'boolean' },
    'no-build': { type: 'boolean' }
  }
})
const size = options.tiny ? 'tiny' : options.quick ? 'quick' : 'full'
const out = resolve(options.out ?? join(ROOT, size === 'full' ? 'docs' : 'node_modules/.cache/bench'))
const file = join(out, 'performance.json')

const data = options.render ? JSON.parse(readFileSync(file, 'utf8')) : await measure(choose(options.only, PARTS))
const documents = render(data)
for (const [name, text] of Object.entries(documents)) {
  mkdirSync(dirname(join(out, name)), { recursive: true })
  writeFileSync(join(out, name), text)
}
console.log(documents['performance.md'].replaceAll(/^!\[.*\n\n/gm, ''))
console.error(`written to ${out}`)

/** Measures some parts. Returns them along with those of earlier runs that nothing separates from this one, as it wrote them. */
async function measure (chosen) {
  if (!options['no-build']) await build()
  const { contenders, absent } = gather()
  const node = options.node ?? (process.version.startsWith(`v${NODE}.`) ? process.execPath : installNode(NODE))
  const about = {
    size,
    settings: SETTINGS[size],
    machine: describeMachine(),
    node: versionOfNode(node),
    upstream: nginx.version() === undefined ? 'node:http' : `nginx ${nginx.version()}`,
    versions: Object.fromEntries(contenders.map(({ name, version }) => [name, version()])),
    absent
  }
  const data = { about, parts: earlierParts(about) }
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'))
  const beganAt = performance.now()
  const say = (text) => { console.error(`${String(Math.round((performance.now() - beganAt) / 1000)).padStart(4)} s  ${text}`) }
  const bench = { node, folder, contenders, say, token: 'e'.repeat(TOKEN_LENGTH), settings: SETTINGS[size] }
  process.once('exit', () => { rmSync(folder, { recursive: true, force: true }) })
  for (const measure of measures) await measurePart(bench, measure, chosen, data)
  say('done')
  return data
}

async function measurePart (bench, measure, chosen, data) {
  const parts = measure.parts.filter((part) => chosen.includes(part))
  if (parts.length === 0) return
  const startedAt = new Date()
  const loadBefore = readLoad()
  const failures = createFailures(bench.say)
  const figures = await measure.run({ ...bench, failures }, parts)
  const run = {
    measuredAt: startedAt.toISOString(),
    commit: describeCommit(),
    load: [loadBefore, readLoad()],
    seconds: Math.round((Date.now() - startedAt) / 1000),
    failed: failures.reasons
  }
  for (const [part, values] of Object.entries(figures)) data.parts[part] = { ...run, figures: values }
  mkdirSync(out, { recursive: true })
  writeFileSync(file, `${JSON.stringify(data, null, 1)}\n`)
}

function gather () {
  const named = choose(options.contenders, CONTENDERS.map(({ name }) => name))
  const wanted = CONTENDERS.filter(({ name }) => named.includes(name))
  if (options.contenders === undefined) installPeers()
  const contenders = wanted.filter(isReady)
  return { contenders, absent: CONTENDERS.filter((contender) => !contenders.includes(contender)).map(({ name }) => name) }
}

function isReady ({ name, version, prepare }) {
  if (version() === undefined) return false
  try {
    prepare?.()
    return true
  } catch (error) {
    console.error(`${name} is left out: ${error.message}`)
    return false
  }
}

async function build () {
  if (compile('.') !== 0) throw new Error('it does not compile')
  await bundle()
}

function earlierParts (about) {
  if (!existsSync(file)) return {}
  const earlier = JSON.parse(readFileSync(file, 'utf8'))
  // As JSON keeps it, where what is undefined is not.
  return isDeepStrictEqual(earlier.about, JSON.parse(JSON.stringify(about))) ? earlier.parts : {}
}

/** The names of a list with commas, of those that there are. */
function choose (list, names) {
  const chosen = list?.split(',') ?? names
  const strange = chosen.filter((name) => !names.includes(name))
  if (strange.length > 0) throw new Error(`no such name: ${strange.join(', ')}; there are ${names.join(', ')}`)
  return chosen
}
