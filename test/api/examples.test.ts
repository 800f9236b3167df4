import { readdirSync } from 'node:fs'
import t from 'tap'
import { ROOT, runProgram, startExampleSystem } from '../helpers/example-system.ts'

/** What each example prints. */
const PRINTED: Readonly<Record<string, RegExp>> = {
  'fetch.js': /^200 let in: a genuine access token of EXAMPLE-KEY-1, .*, and a known API key\nthis fetch is bound to http:\S+, and .*\n$/,
  'own-source.js': /^200 let in: a genuine access token of orders-batch, .*\n$/,
  'proxy.js': /^200 let in: a genuine access token of orders-batch, .*\norders: fresh\n$/,
  'refresher.js': /^login: ok\n200 fresh\n$/
}

t.test('every example does what it says, by itself, and ends', async (t) => {
  const { env } = await startExampleSystem(t)
  t.same(readdirSync(`${ROOT}examples`).filter((name) => name.endsWith('.js')), Object.keys(PRINTED))
  for (const [name, printed] of Object.entries(PRINTED)) t.match(await runProgram(`${ROOT}examples/${name}`, env), printed, name)
})
