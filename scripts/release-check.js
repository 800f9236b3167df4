/** Refuses a release that still names the placeholder of the organisation: `npm publish` runs it first (`prepublishOnly`). */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './compile.js'

const PLACEHOLDER = 'ORGANISATION'

const files = [
  'package.json',
  ...readdirSync(join(ROOT, '.github'), { recursive: true })
    .filter((name) => name.endsWith('.yml'))
    .map((name) => join('.github', name))
]
const left = files.filter((file) => readFileSync(join(ROOT, file), 'utf8').includes(`/${PLACEHOLDER}/`))
if (left.length > 0) {
  console.error(`release-check: put the organisation's name in place of ${PLACEHOLDER} in ${left.join(', ')}`)
  process.exitCode = 1
}
