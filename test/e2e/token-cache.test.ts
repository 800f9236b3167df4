import { randomBytes } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { interpretDaemon } from '../helpers/command.ts'
import { startDaemon, type Daemon } from '../helpers/daemon.ts'
import { call } from '../helpers/plain-client.ts'
import { until } from '../helpers/until.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { canariesIn, startWorld, type World } from '../helpers/world.ts'

/** An hour's tokens: nothing is refreshed by itself while a test runs. */
const HOUR_S = 3600

/** A world with a token cache, and the daemons that live in it one after the other. */
async function startHouse (
  t: Test,
  {
    lifetimeSeconds = HOUR_S,
    begin = interpretDaemon
  }: { readonly lifetimeSeconds?: number, readonly begin?: typeof startDaemon | typeof interpretDaemon } = {}
) {
  const refused = new Set<string | undefined>()

  const world = await startWorld({
    lifetimeSeconds,
    respond: ({ headers }) => ({ status: refused.has(headers.authorization) ? 401 : 200, body: '{}' }),
    extra: '"tokenCache": { "directory": "state/tokens", "key": "${CACHE_KEY}" }'
  })
  const folder = temporaryFolder(t)
  const config = join(folder, 'countersign.jsonc')
  writeFileSync(config, world.config)
  const key = randomBytes(32).toString('hex')
  const daemons: Daemon[] = []
  t.teardown(async () => {
    for (const daemon of daemons) daemon.kill('SIGKILL')
    await Promise.all(daemons.map(({ exit }) => exit))
    await world.close()
  })
  return {
    world,
    /** Bearers that the upstream refuses. */
    refused,
    directory: join(folder, 'state/tokens'),
    key,
    start (secrets: Readonly<Record<string, string>> = {}): Daemon {
      const daemon = begin(['-c', config], { env: { ...world.secrets, CACHE_KEY: key, ...secrets } })
      daemons.push(daemon)
      return daemon
    },
    /** Everything that any of the daemons wrote. */
    output: () => daemons.map((daemon) => daemon.stdout() + daemon.stderr()).join('\n')
  }
}

async function stop (t: Test, daemon: Daemon): Promise<void> {
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
}

/** From now on the identity provider responses 503 to everything. */
function fail ({ emulator }: World): void {
  emulator.faults.add({ type: 'error', code: 'ServiceUnavailableException', message: 'away', status: 503, times: Infinity })
}

function logins ({ emulator }: World): number {
  return emulator.record.filter(({ operation, outcome }) => operation === 'RespondToAuthChallenge' && outcome === 'ok').length
}

function bearers ({ api }: World): string[] {
  return api.seen.map(({ headers }) => headers.authorization ?? '')
}

async function readyStatus (daemon: Daemon): Promise<number> {
  const { admin } = await daemon.line('listening')
  return (await call(admin, '/ready')).status
}

t.test('a daemon that starts while the identity provider is down serves with the token of the one before', async (t) => {
  const { world, start, directory, key, output } = await startHouse(t, { begin: startDaemon })
  const first = start()
  await first.line('ready')
  const { address } = await first.line('listening')
  t.equal((await call(address, '/a')).status, 200)
  t.equal((await call(address, '/orders')).status, 200)
  await stop(t, first)
  t.equal(logins(world), 3)
  t.equal(readdirSync(directory).length, 3)

  fail(world)
  const asked = world.emulator.record.length
  const second = start()
  await second.line('ready')
  t.equal(await readyStatus(second), 200)
  const { address: again } = await second.line('listening')
  t.equal((await call(again, '/a')).status, 200)
  t.equal((await call(again, '/orders')).status, 200)
  t.equal((await call(again, '/b')).status, 200)
  t.equal(world.emulator.record.length, asked, 'nobody asked the identity provider')
  const [a, orders, laterA, laterOrders, b] = bearers(world)
  t.equal(laterA, a)
  t.equal(laterOrders, orders)
  t.equal(new Set([a, orders, b]).size, 3, 'each credential has its own')
  await stop(t, second)

  const bytes = readdirSync(directory).map((name) => name + readFileSync(join(directory, name), 'latin1')).join('\n')
  const tokens = Object.fromEntries(bearers(world).map((bearer, index) => [`token ${index}`, bearer.replace('Bearer ', '')]))
  t.same(canariesIn(bytes, { ...world.secrets, key, ...tokens, user: 'orders-batch' }), [])
  t.same(canariesIn(output(), { ...world.secrets, key, ...tokens }), [])
})

t.test('a cached token that is due for refresh serves while the provider is down, and is refreshed when it is back', async (t) => {
  // From when it is due, after four fifths, until it is too old, a machine of any mood has at least six seconds.
  const { world, start } = await startHouse(t, { lifetimeSeconds: 60 })
  const first = start()
  await first.line('ready')
  await stop(t, first)
  fail(world)
  const second = start()
  await second.line('ready')
  const failed = await second.line('token fetch failed')
  t.equal(failed['kind'], 'refresh', 'the cached refresh token is used')
  const { address } = await second.line('listening')
  t.equal((await call(address, '/a')).status, 200)
  t.equal(await readyStatus(second), 200)
  world.emulator.faults.clear()
  const fetched = await second.line('token fetched')
  t.equal(fetched['kind'], 'refresh')
  t.equal(logins(world), 3, 'nobody logged in again')
  await stop(t, second)
})

t.test('with a changed password the old token is not used', async (t) => {
  const { world, start } = await startHouse(t)
  const first = start()
  await first.line('ready')
  await stop(t, first)
  fail(world)
  const second = start({ PASSWORD: 'CANARY-another' })
  await second.line('token fetch failed')
  const { address, admin } = await second.line('listening')
  t.equal((await call(address, '/a')).status, 200, 'other credentials are as they were')
  t.match(JSON.parse((await call(admin, '/ready')).body), { ready: false, missing: ['orders'] })
  t.match(await second.line('token cache not used to read'), { level: 'warn', credential: 'orders' })
  await stop(t, second)
})

t.test('with another key the daemon starts, says so and logs in', async (t) => {
  const { world, start } = await startHouse(t)
  const first = start()
  await first.line('ready')
  await stop(t, first)
  const second = start({ CACHE_KEY: randomBytes(32).toString('base64') })
  await second.line('ready')
  t.equal(logins(world), 6)
  const warnings = second.stdout().split('\n').filter((line) => line.includes('token cache'))
  t.equal(warnings.length, 1)
  t.match(JSON.parse(warnings[0] ?? ''), { level: 'warn', entries: 3 })
  await stop(t, second)
})

t.test('a token that one upstream refused, with no other to be had, serves the others in the next daemon too', async (t) => {
  const { world, start, refused } = await startHouse(t)
  const first = start()
  await first.line('ready')
  const { address } = await first.line('listening')
  t.equal((await call(address, '/a')).status, 200)
  fail(world)
  refused.add(bearers(world)[0])
  t.equal((await call(address, '/a')).status, 401, 'there is no other')
  await stop(t, first)
  const second = start()
  await second.line('ready')
  const { address: again } = await second.line('listening')
  t.equal((await call(again, '/a')).status, 401)
  await second.line('token fetch failed')
  t.equal(await readyStatus(second), 200)
  // It was that upstream's fault.
  const [rejection] = refused
  refused.clear()
  t.equal((await call(again, '/a')).status, 200)
  await stop(t, second)

  refused.add(rejection)
  const third = start()
  await third.line('ready')
  world.emulator.faults.clear()
  const { address: last } = await third.line('listening')
  t.equal((await call(last, '/a')).status, 200, 'replaced, and sent once more')
  await third.line('token fetched')
  await stop(t, third)
  fail(world)
  const fourth = start()
  await fourth.line('ready')
  const { address: end } = await fourth.line('listening')
  t.equal((await call(end, '/a')).status, 200)
  t.equal(bearers(world).at(-1), bearers(world).at(-2), 'the newer one was kept')
  t.not(bearers(world).at(-1), rejection)
  await stop(t, fourth)
})

t.test('a credential that is refused for good leaves nothing behind once its token is spent', async (t) => {
  const { world, start, directory } = await startHouse(t, { lifetimeSeconds: 2 })
  const first = start()
  await first.line('ready')
  await until('three entries', () => readdirSync(directory).length === 3)
  world.emulator.faults.add({
    type: 'error',
    code: 'NotAuthorizedException',
    message: 'Incorrect username or password.',
    status: 400,
    times: Infinity
  })
  await until('the entries to be removed', () => readdirSync(directory).length === 0)
  await stop(t, first)
})

t.test('a directory that cannot be used costs the cache, not the service', async (t) => {
  const { world, start, directory } = await startHouse(t)
  const first = start()
  await first.line('ready')
  await stop(t, first)
  chmodSync(directory, 0o755)
  const second = start()
  await second.line('ready')
  t.match(await second.line('token cache not used to read'), { level: 'warn', reason: /chmod 700/ })
  t.match(await second.line('configuration warning'), { problem: /tokenCache\.directory/ })
  t.equal(logins(world), 6)
  await stop(t, second)
})
