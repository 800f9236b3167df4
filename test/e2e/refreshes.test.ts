import { setInterval } from 'node:timers/promises'
import t from 'tap'
import { startDaemon } from '../helpers/daemon.ts'
import { call } from '../helpers/plain-client.ts'
import { startWorld, type World } from '../helpers/world.ts'

/** Long enough that a refresh on a busy machine is over before the token's life is: there is no other token then. */
const LIFETIME_SECONDS = 8
const BETWEEN_ROUNDS_MS = 300

/** Tokens that the emulator gave to a user after the first one. */
function refreshesOf (world: World, username: string): number {
  return world.emulator.record.filter(
    (entry) => entry.username === username && entry.tokenId !== undefined && entry.operation === 'InitiateAuth'
  ).length
}

t.test('two keys on one client id stay apart through ten refreshes', async (t) => {
  const world = await startWorld({ lifetimeSeconds: LIFETIME_SECONDS })
  const dir = t.testdir({ 'countersign.jsonc': world.config })
  const daemon = startDaemon(['-c', `${dir}/countersign.jsonc`], { env: world.secrets })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
    await world.close()
  })
  const { address } = await daemon.line('listening')
  const { KEY_A, KEY_B } = world.secrets
  let requests = 0
  const pace = setInterval(BETWEEN_ROUNDS_MS)[Symbol.asyncIterator]()
  while (refreshesOf(world, KEY_A) < 10 || refreshesOf(world, KEY_B) < 10) {
    await pace.next()
    const responses = await Promise.all(['/a', '/b', '/b', '/a'].map((path) => call(address, path)))
    requests += responses.length
    if (responses.some(({ status }) => status !== 200)) t.fail('a request was not answered by the API', { responses })
  }
  await pace.return?.()
  t.equal(world.api.seen.length, requests)
  const crossed = world.api.seen.filter((request) => world.claimsOf(request)?.['username'] !== request.headers['x-api-key'])
  t.same(crossed, [], 'each key travels with its own token')
  const logins = world.emulator.record.filter(({ operation, outcome }) => operation === 'RespondToAuthChallenge' && outcome === 'ok')
  t.equal(logins.length, 3, 'one login each, all else are refreshes')
})
