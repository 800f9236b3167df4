import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import * as api from '#src/index.ts'

const TEXT = execFileSync(process.execPath, [fileURLToPath(new URL('../../scripts/api.js', import.meta.url))], { encoding: 'utf8' })

/** The sections of the document, by what they describe. */
const SECTIONS = new Map(TEXT.split(/^### /m).slice(1).map((section) => [section.slice(0, section.indexOf('\n')), section]))

t.test('docs/api.md is what the comments say now (npm run docs writes it)', async (t) => {
  t.equal(readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8'), TEXT)
})

t.test('everything that is exported is described, and each function and class has an example', async (t) => {
  for (const [name, section] of SECTIONS) t.notMatch(section, /^\w+\n\n```/, `${name} has a description`)
  for (const [name, value] of Object.entries(api)) {
    t.ok(SECTIONS.has(name), name)
    if (typeof value === 'function') t.match(SECTIONS.get(name), /^```js\n/m, `${name} has an example`)
  }
})
