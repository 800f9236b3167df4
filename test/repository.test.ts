import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const read = (file: string): string => readFileSync(`${ROOT}/${file}`, 'utf8')
const WORKFLOWS = readdirSync(`${ROOT}/.github/workflows`).map((name) => `.github/workflows/${name}`)
const SCRIPTS = Object.keys((JSON.parse(read('package.json')) as { scripts: object }).scripts)

t.test('every action is pinned by its digest, with its version beside it', async (t) => {
  for (const file of WORKFLOWS) {
    const used = [...read(file).matchAll(/uses: (.*)/g)].map(([, text = '']) => text)
    t.ok(used.length > 0, file)
    for (const text of used) t.match(text, /^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  }
})

t.test('what workflows and .ci/run start exists', async (t) => {
  for (const file of [...WORKFLOWS, '.ci/run']) {
    for (const [, name = ''] of read(file).matchAll(/npm run ([\w:]+)/g)) t.ok(SCRIPTS.includes(name), `${name} of ${file}`)
    for (const [, script = ''] of read(file).matchAll(/node ((?:scripts|\.ci)\/[\w.-]+)/g)) {
      t.doesNotThrow(() => read(script), `${script} of ${file}`)
    }
  }
})

t.test('a workflow may read the repository, and no more', async (t) => {
  for (const file of WORKFLOWS) t.match(read(file), /^permissions: \{ contents: read \}$/m)
})

t.test('the suite runs on every Node that package.json promises, and on the image\'s', async (t) => {
  const versions = /matrix: \{ node: \[([\d, ]+)\] \}/.exec(read('.github/workflows/test.yml'))?.[1]?.split(', ') ?? []
  t.same(versions, ['20', '22', '24', '26'])
  t.match(read('package.json'), /"node": ">=20\.19"/)
  t.ok(versions.includes(/^FROM node:(\d+)/m.exec(read('Dockerfile'))?.[1] ?? ''))
})

t.test('a release with the placeholder of the organisation is refused, and says where it stands', async (t) => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/release-check.js'], { cwd: ROOT, encoding: 'utf8' })
  const left = read('package.json').includes('/ORGANISATION/')
  t.equal(status, left ? 1 : 0)
  if (left) t.match(stderr, /ORGANISATION in package\.json, /)
})

t.test('every decision has a status, a date and a row in the index', async (t) => {
  const index = read('docs/decisions/README.md')
  for (const file of readdirSync(`${ROOT}/docs/decisions`).filter((name) => name !== 'README.md')) {
    const [, title = '', status = '', date = ''] = /^# \d+\. (.+)\n\nStatus: (.+)\. (\d{4}-\d\d-\d\d)\.\n/.exec(read(`docs/decisions/${file}`)) ?? []
    t.match(status, /^accepted$|^(?:amended|superseded) by \[\d{4}\]/, file)
    t.ok(index.includes(`| [${file.slice(0, 4)}](./${file}) | ${title} | ${status} | ${date} |`), `${file} in the index`)
    for (const [, link = ''] of read(`docs/decisions/${file}`).matchAll(/\]\((\d{4}-[\w-]+\.md)\)/g)) {
      t.doesNotThrow(() => read(`docs/decisions/${link}`), `${link} of ${file}`)
    }
  }
})
