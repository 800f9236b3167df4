import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'
import * as api from '#src/index.ts'
import { ROOT } from '../helpers/example-system.ts'

const CONSUMER = readFileSync(`${ROOT}test/api/consumer.ts`, 'utf8')
/** What a strict program in TypeScript has, whatever this repository's own options are. */
const OPTIONS = ['--ignoreConfig', '--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2022', '--module', 'nodenext', '--types', 'node']
const TSC = `${ROOT}node_modules/typescript/bin/tsc`

// Other resolvers are attw's business (npm run lint:package).
t.test('the declarations that ship are whole and say what the documents say', async (t) => {
  const { status, stdout } = spawnSync(process.execPath, [TSC, ...OPTIONS, 'test/api/consumer.ts'], { cwd: ROOT, encoding: 'utf8' })
  t.equal(stdout, '')
  t.equal(status, 0)
})

t.test('the program of the type test uses every value that is exported', async (t) => {
  const [, imported = ''] = /^import \{([^}]*)\} from 'countersign'/m.exec(CONSUMER) ?? []
  const names = imported.split(',').map((name) => name.trim())
  t.same(Object.keys(api).filter((name) => !names.includes(name)), [])
})
