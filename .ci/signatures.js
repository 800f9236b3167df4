/**
 * `npm audit signatures`, where the keys can be had: a signature that is wrong fails, keys that cannot be reached (a mirror
 * of the registry, no network) are said and passed over.
 */
import { spawnSync } from 'node:child_process'

const { status, stdout, stderr } = spawnSync('npm', ['audit', 'signatures', '--json'], { encoding: 'utf8', timeout: 300_000 })
const { invalid = [], missing = [], error } = read(stdout)
const bad = [...invalid, ...missing].map(({ name, version }) => `${name}@${version}`)
if (bad.length > 0) {
  console.error(`npm audit signatures: wrong or missing for ${bad.join(', ')}`)
  process.exitCode = 1
} else if (status === 0) {
  console.log('npm audit signatures: all are good')
} else {
  console.log(
    `npm audit signatures: not checked, the registry's keys are out of reach (${error?.code ?? /code (\w+)/.exec(stderr)?.[1] ?? `status ${status}`})`
  )
}

function read (text) {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}
