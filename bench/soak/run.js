/**
 * A soak test of the built executable: `npm run soak [-- MINUTES [SEED]]`.
 *
 * Tokens live 60 seconds. Three identity providers and the upstream misbehave at random, each by itself, while traffic goes on;
 * every response is judged by what the providers and the upstream know. Exits with 1 where one was wrong.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startCognitoEmulator } from '../../dist/demo/cognito-emulator.js'
import { createJudge } from './judge.js'
import { createLedger } from './ledger.js'
import { createCognito, createOAuth2, LIFETIME_S, startProvider } from './provider.js'
import { createRandom } from './random.js'
import { startRudeClients } from './rude-clients.js'
import { startTraffic } from './traffic.js'
import { startUpstream } from './upstream.js'
import { readVitals } from './vitals.js'
import { pause, troubleProvider, troubleUpstream } from './weather.js'

const MINUTES = Number(process.argv[2] ?? 2)
const SEED = Number(process.argv[3] ?? randomBytes(4).readUInt32LE())
const SAMPLE_MS = 60_000
/** Fair weather at the end, long enough for every recovery: so that the last sample can be compared with the first. */
const CALM_MS = Math.min(90_000, MINUTES * 60_000 / 4)
/** A back-off of 1 s and more each gives about eight attempts in the first minute of an outage, and two of three calls each. */
const ATTEMPTS_A_MINUTE = 30
const CLI = fileURLToPath(new URL('../../bin/countersign.js', import.meta.url))
const STATIC = `CANARY-KEY-${randomBytes(12).toString('hex')}`
const PASSWORD = `CANARY-PW-${randomBytes(12).toString('hex')}`
/**
 * Credentials, and the provider of each; `relayer-a` and `relayer-b` are keys on one app client, `orders` has refresh tokens that rotate.
 */
const CREDENTIALS = {
  'relayer-a': 'relayers',
  'relayer-b': 'relayers',
  orders: 'orders',
  billing: 'oauth2',
  reports: 'oauth2',
  maps: undefined
}

const startedAt = Date.now()
const say = (text) => { console.log(`${new Date(Date.now() - startedAt).toISOString().slice(11, 19)}  ${text}`) }
if (!(MINUTES > 0 && Number.isInteger(SEED))) throw new TypeError('usage: npm run soak -- MINUTES [SEED]')
say(`soak of ${MINUTES} min, seed ${SEED}, Node ${process.version}`)

const ledger = createLedger()
ledger.issueFixed(STATIC, 'maps')
const visits = new Map()
const emulators = await Promise.all([
  startPool('us-west-2_Relayers1', { id: 'relayers' }, ['relayer-a', 'relayer-b']),
  startPool('eu-west-1_Orders1', { id: 'orders', rotation: { graceMs: 0 } }, ['orders'])
])
const names = new Map(Object.keys(CREDENTIALS).map((name) => [name, name]))
const providers = {
  relayers: await startProvider({ inner: createCognito(emulators[0], names), ledger }),
  orders: await startProvider({ inner: createCognito(emulators[1], names), ledger }),
  oauth2: await startProvider({ inner: createOAuth2(new Map([['billing', PASSWORD], ['reports', PASSWORD]])), ledger })
}
const judge = createJudge({
  ledger,
  visits,
  say,
  fairSince: (credential) => (CREDENTIALS[credential] === undefined ? 0 : providers[CREDENTIALS[credential]].fairSince())
})
const upstream = await startUpstream({ ledger, visits, random: createRandom(SEED), condemn: judge.condemn })
const daemon = await startDaemon()

const weather = new AbortController()
const spells = [
  ...Object.entries(providers).map(([name, provider], index) =>
    troubleProvider(name, provider, { random: createRandom(SEED + 1 + index), signal: weather.signal, say })
  ),
  troubleUpstream(upstream, ledger, { random: createRandom(SEED + 11), signal: weather.signal, say })
]
const traffic = startTraffic({
  port: daemon.port,
  credentials: Object.keys(CREDENTIALS),
  watched: ['relayer-a', 'orders', 'billing'],
  judge,
  random: createRandom(SEED + 12)
})
const rude = startRudeClients({
  port: daemon.port,
  credentials: Object.keys(CREDENTIALS),
  random: createRandom(SEED + 13),
  signal: weather.signal
})
const reloads = reloadNowAndThen(createRandom(SEED + 14))
const vitals = [await readVitals(daemon.pid, daemon.admin)]
const endAt = Date.now() + MINUTES * 60_000
const calm = setTimeout(() => {
  say('everywhere: fair until the end')
  weather.abort()
}, MINUTES * 60_000 - CALM_MS)
while (Date.now() < endAt && daemon.exit === undefined) {
  await pause(Math.min(SAMPLE_MS, endAt - Date.now()), daemon.ended)
  if (daemon.exit === undefined) await sample()
}
await finish()

async function sample () {
  const before = vitals.at(-1)
  const now = await readVitals(daemon.pid, daemon.admin)
  vitals.push(now)
  for (const credential of Object.keys(CREDENTIALS)) {
    const attempts = now.fetches(credential) - before.fetches(credential)
    if (attempts > ATTEMPTS_A_MINUTE) judge.condemn(credential, `${attempts} attempts in a minute`)
  }
  say(
    `${traffic.sent()} requests, ${judge.wrong()} wrong, RSS ${now.rssMiB.toFixed(0)} MiB, ${now.fds} fds, ${now.threads} threads, ${now.handles} handles, ${now.timers} timers`
  )
}

async function finish () {
  clearTimeout(calm)
  weather.abort()
  await Promise.all([...spells, rude.ended, reloads, traffic.stop()])
  daemon.child.kill('SIGTERM')
  const [status] = daemon.exit ?? await once(daemon.child, 'exit')
  if (status !== 0) judge.condemn('the daemon', `ended with ${status}`)
  if (visits.size > 0) judge.condemn('the daemon', `${visits.size} requests that no client sent`)
  await Promise.all([...Object.values(providers), ...emulators, upstream].map((part) => part.close()))
  report()
  process.exitCode = judge.wrong() === 0 ? 0 : 1
}

/** The same configuration again, while everything goes on. */
async function reloadNowAndThen (random) {
  while (await pause(random.between(5_000, 30_000), weather.signal)) daemon.child.kill('SIGHUP')
}

function report () {
  // The first sample is taken before the traffic; what is flat, is flat from the second on.
  const [, first = vitals[0]] = vitals
  const last = vitals.at(-1)
  const cpu = process.cpuUsage()
  const seconds = (Date.now() - startedAt) / 1000
  const range = (name) =>
    `${first[name].toFixed(0)} first, ${last[name].toFixed(0)} last, ${Math.max(...vitals.map((sample) => sample[name])).toFixed(0)} peak`
  const rows = [
    ['minutes, seed', `${MINUTES}, ${SEED}`],
    ['requests', traffic.sent()],
    ...[...judge.counts].sort(([, a], [, b]) => b - a).map(([what, count]) => [`– ${what}`, count]),
    ['refreshes', last.refreshes],
    ['logins', last.logins],
    ['least life of a token at the upstream', `${(upstream.leastLifeMs / 1000).toFixed(1)} s`],
    ['last 503 after a provider\'s return, at the most', `${(judge.longestRecoveryMs() / 1000).toFixed(1)} s`],
    ['slowest 200 of the static credential, which no provider can hold up', `${traffic.slowestMs('maps')} ms`],
    ['reloads', last.reloads],
    ...rude.counts,
    ['wrong responses', judge.wrong()],
    ['RSS, MiB', range('rssMiB')],
    ['file descriptors', range('fds')],
    ['threads', range('threads')],
    ['handles', range('handles')],
    ['timers that keep the process alive', range('timers')],
    ['CPU of the daemon', `${(last.cpuSeconds / seconds * 100).toFixed(1)} % of a core`],
    ['CPU of everything around it', `${((cpu.user + cpu.system) / 1e4 / seconds).toFixed(1)} % of a core`]
  ]
  console.log(`\n| | |\n| --- | --- |\n${rows.map(([name, value]) => `| ${name} | ${value} |`).join('\n')}`)
}

function startPool (id, client, users) {
  return startCognitoEmulator({
    pools: [
      { id, clients: [{ ...client, lifetimeSeconds: LIFETIME_S }], users: users.map((username) => ({ username, password: PASSWORD })) }
    ]
  })
}

async function startDaemon () {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-soak-'))
  const file = join(folder, 'countersign.json')
  writeFileSync(file, JSON.stringify(describeConfig()))
  const child = spawn(process.execPath, [CLI, 'serve', '-c', file], {
    env: { PATH: process.env.PATH, PASSWORD, STATIC },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = new AbortController()
  const daemon = { child, pid: child.pid, ended: ended.signal, exit: undefined }
  child.once('exit', (...how) => {
    daemon.exit = how
    ended.abort()
    rmSync(folder, { recursive: true })
  })
  const lines = createInterface({ input: child.stdout })
  await new Promise((resolve, reject) => {
    child.once('exit', () => { reject(new Error('the daemon ended before it was ready')) })
    lines.on('line', (line) => {
      if (line.includes(STATIC) || line.includes(PASSWORD) || line.includes('eyJ')) judge.condemn('the daemon', 'a secret in its log')
      const { msg, address, admin } = JSON.parse(line)
      if (msg === 'listening') Object.assign(daemon, { port: Number(address.split(':').at(-1)), admin })
      if (msg === 'ready') resolve()
    })
  })
  return daemon
}

function describeConfig () {
  const cognito = (provider, userPoolId, username) => ({
    type: 'cognito',
    userPoolId,
    clientId: provider,
    username,
    password: '${PASSWORD}',
    endpoint: providers[provider].url
  })
  const oauth2 = (clientId) => ({ type: 'oauth2', tokenUrl: `${providers.oauth2.url}/token`, clientId, clientSecret: '${PASSWORD}' })
  return {
    listen: '127.0.0.1:0',
    admin: '127.0.0.1:0',
    accessLog: false,
    credentials: {
      'relayer-a': cognito('relayers', 'us-west-2_Relayers1', 'relayer-a'),
      'relayer-b': cognito('relayers', 'us-west-2_Relayers1', 'relayer-b'),
      orders: cognito('orders', 'eu-west-1_Orders1', 'orders'),
      billing: oauth2('billing'),
      reports: oauth2('reports'),
      maps: { type: 'static', value: '${STATIC}' }
    },
    routes: Object.keys(CREDENTIALS).map((credential) => ({
      prefix: `/${credential}`,
      upstream: `${upstream.url}/${credential}`,
      credential
    }))
  }
}
