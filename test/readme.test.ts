import { readFileSync } from 'node:fs'
import t from 'tap'
import { formatProblem, loadConfig } from '#src/config/load.ts'
import { runCommand } from './helpers/daemon.ts'
import { runProgram, startExampleSystem } from './helpers/example-system.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const PACKAGE = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  scripts: Record<string, string>
  bin: Record<string, string>
}

function blocks (language: string): string[] {
  return [...README.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'gm'))].map((match) => match[1] ?? '')
}

t.test('every configuration in the README loads without a problem', async (t) => {
  t.ok(blocks('jsonc').length > 0)
  for (const [index, text] of blocks('jsonc').entries()) {
    const dir = t.testdir({ 'countersign.jsonc': text })
    const names = [...text.matchAll(/\$\{(\w+)\}/g)].map((match) => match[1] ?? '')
    const loaded = loadConfig({
      env: Object.fromEntries(names.map((name) => [name, 'EXAMPLE'])),
      cwd: dir,
      options: { config: `${dir}/countersign.jsonc` }
    })
    t.same(loaded.ok ? loaded.warnings.map(formatProblem) : loaded.problems.map(formatProblem), [], `block ${index}`)
  }
})

t.test('the commands that the README names exist', async (t) => {
  const help = (await runCommand(['--help'])).stdout
  const named = new Set([...README.matchAll(/`countersign (?:\[?(\w+)\]?)[^`]*`/g)].map((match) => match[1] ?? ''))
  t.ok(named.size > 5)
  for (const command of named) t.match(help, new RegExp(`^ {2}${command} `, 'm'))
  for (const script of README.matchAll(/npm run (\w[\w:]*)/g)) t.ok(PACKAGE.scripts[script[1] ?? ''], script[0])
  t.match(README, /npm ci && npm run demo/)
  t.match(README, /npm ci && npm test/)
})

t.test('the files that the README links to exist', async (t) => {
  for (const [, target = ''] of README.matchAll(/\]\(([^)#]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue
    t.doesNotThrow(() => { readFileSync(new URL(`../${target.replace(/\/$/, '/0001-layers.md')}`, import.meta.url)) }, target)
  }
})

t.test('the environment-only starts of the README are good configurations', async (t) => {
  const cwd = t.testdir({ key: 'EXAMPLE\n' })
  const relayer = await runCommand(['check'], { cwd, env: { RELAYER_API_KEY: 'EXAMPLE', RELAYER_API_SECRET_FILE: `${cwd}/key` } })
  t.match(relayer, { status: 0, stdout: 'configuration is good: 1 credential, 1 route\n' })
  const cognito = await runCommand(['check'], {
    cwd,
    env: {
      COUNTERSIGN_UPSTREAM: 'https://orders.example.com/v2',
      COGNITO_USER_POOL_ID: 'eu-west-1_AbCdEf123',
      COGNITO_CLIENT_ID: 'EXAMPLE',
      COGNITO_USERNAME: 'orders-batch',
      COGNITO_PASSWORD_FILE: `${cwd}/key`
    }
  })
  t.match(cognito, { status: 0, stdout: 'configuration is good: 1 credential, 1 route\n' })
})

t.test('the program of the README does what it says, against a user pool and an API of this machine', async (t) => {
  const [program = '', ...more] = blocks('js')
  t.same(more, [])
  const { env } = await startExampleSystem(t)
  const { ORDERS_URL = '', ENDPOINT = '', USER_POOL_ID = '', CLIENT_ID = '' } = env
  const here = program
    .replace('https://orders.example.com/v2', ORDERS_URL)
    .replace("'eu-west-1_AbCdEf123'", `'${USER_POOL_ID}', endpoint: '${ENDPOINT}'`)
    .replace('1h57kf5cpq17m0eml12EXAMPLE', CLIENT_ID)
  t.equal(here.match(/https:|EXAMPLE/g), null, 'nothing of it goes elsewhere')
  const credential = {
    type: 'cognito', userPoolId: USER_POOL_ID, clientId: CLIENT_ID, endpoint: ENDPOINT, username: 'orders-batch', password: '${ORDERS_PASSWORD}'
  }
  const config = {
    listen: '127.0.0.1:0',
    admin: 'off',
    credentials: { orders: credential },
    routes: [{ prefix: '/orders', upstream: ORDERS_URL, credential: 'orders' }]
  }
  const cwd = t.testdir({ 'program.js': here, 'countersign.jsonc': JSON.stringify(config) })
  t.equal(await runProgram(`${cwd}/program.js`, env, cwd), '200\n200\n')
})
