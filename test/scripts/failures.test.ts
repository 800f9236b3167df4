import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const TEXT = execFileSync(process.execPath, [fileURLToPath(new URL('../../scripts/failures.js', import.meta.url))], { encoding: 'utf8' })

t.test('docs/failures.md is what the code says now (npm run docs writes it)', async (t) => {
  t.equal(readFileSync(new URL('../../docs/failures.md', import.meta.url), 'utf8'), TEXT)
})

t.test('every code that the token half can give is in it', async (t) => {
  const folder = new URL('../../src/token/', import.meta.url)
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))) {
    const given = readFileSync(new URL(file, folder), 'utf8').matchAll(/(?:code: |TokenError\('transient', |transient\(\s*|#end\()'([A-Z]\w+)'/g)
    // A stop is told to nobody.
    for (const [, code = ''] of given) {
      if (!['Aborted', 'Closed', 'Stopped'].includes(code)) t.ok(TEXT.includes(`\`${code}\``), `${code} of ${file}`)
    }
  }
})

t.test('the bounds that keep an account from being locked are in it', async (t) => {
  const row = (name: string): string => TEXT.split('\n').find((line) => line.startsWith(`| \`${name}\``)) ?? ''
  t.match(row('ambiguous'), /after 5 s once, then every 15 min \| 5, 4 \|/)
  t.match(row('lockout'), /every 15 min \| 4, 4 \|/)
  t.match(row('transient'), /503 `CS_TOKEN_UNAVAILABLE` with `Retry-After` \| `pending`, `expired`/)
})
