import { existsSync, mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import type { EmulatorCall } from '#src/demo/cognito-calls.ts'
import { call } from '../helpers/plain-client.ts'
import { ANY_PORT, startReloadable } from '../helpers/reloadable.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'
import { canariesIn, startWorld, type World } from '../helpers/world.ts'

const ORDERS_POOL = 'eu-west-1_Orders1'

/** A configuration with the route and the credential `orders` alone. */
function ordersOnly (world: World): object {
  return {
    ...ANY_PORT,
    credentials: {
      orders: {
        type: 'cognito',
        userPoolId: ORDERS_POOL,
        clientId: 'orders',
        username: 'orders-batch',
        password: '${PASSWORD}',
        endpoint: world.emulator.url
      }
    },
    routes: [{ prefix: '/orders', upstream: world.api.url, credential: 'orders' }]
  }
}

function logins (world: World): EmulatorCall[] {
  return world.emulator.record.filter(({ flow }) => flow === 'PASSWORD_VERIFIER')
}

/** Every way in which a secret's file is replaced: threat T15. */
const WAYS: Readonly<Record<string, (dir: string, secret: string) => void>> = {
  'a rename': (dir, secret) => {
    writeFileSync(`${dir}/.secret.tmp`, secret)
    renameSync(`${dir}/.secret.tmp`, `${dir}/secret`)
  },
  'truncate and write': (dir, secret) => {
    writeFileSync(`${dir}/secret`, '')
    writeFileSync(`${dir}/secret`, secret)
  },
  // The mount of a secret: the file is a link through ..data, which is a link to a folder that is never written again.
  'Kubernetes\' swap of a symbolic link': (dir, secret) => {
    const version = `..2026_${secret.length}`
    mkdirSync(`${dir}/${version}`)
    writeFileSync(`${dir}/${version}/secret`, secret)
    symlinkSync(version, `${dir}/..data_tmp`)
    renameSync(`${dir}/..data_tmp`, `${dir}/..data`)
    if (existsSync(`${dir}/secret`)) return
    symlinkSync('..data/secret', `${dir}/secret`)
  }
}

for (const [way, write] of Object.entries(WAYS)) {
  t.test(`a secret that is replaced by ${way} serves once a login has proven it`, async (t) => {
    const world = await startWorld()
    t.teardown(() => world.close())
    const { PASSWORD } = world.secrets
    const next = `${PASSWORD}-next`
    const folder = temporaryFolder(t)
    write(folder, PASSWORD)
    const { address, daemon, reloaded, status } = await startReloadable(t, ordersOnly(world), {
      here: way !== 'a rename',
      env: { PASSWORD_FILE: `${folder}/secret` }
    })
    await daemon.line('ready')
    await call(address, '/orders')
    const [before] = world.api.seen
    world.emulator.setPassword(ORDERS_POOL, 'orders-batch', next)
    // The provider takes its time: the old token serves.
    world.emulator.faults.add({ type: 'slow', ms: 1000, operation: 'RespondToAuthChallenge' })
    await reloaded(() => { write(folder, next) })
    await until('the login to begin', () => logins(world).length === 2)
    t.equal((await call(address, '/orders')).status, 200)
    t.equal(world.api.seen.at(-1)?.headers.authorization, before?.headers.authorization)
    await daemon.line('the new secret is proven and has taken over')
    t.equal((await call(address, '/orders')).status, 200)
    t.not(world.api.seen.at(-1)?.headers.authorization, before?.headers.authorization)
    t.match((await status()).credentials, [{ state: 'fresh', logins: 2, failures: 0, lastError: null }])
    t.same(logins(world).map(({ outcome }) => outcome), ['ok', 'ok'])
    t.same(canariesIn(daemon.stdout() + daemon.stderr(), { ...world.secrets, next }), [])
  })
}

t.test('a new secret that is refused is seen everywhere, tried twice, and the old one keeps serving and refreshing', async (t) => {
  const world = await startWorld({ lifetimeSeconds: 6 })
  t.teardown(() => world.close())
  const { PASSWORD } = world.secrets
  const { address, daemon, dir, reloaded, status, metric } = await startReloadable(t, ordersOnly(world), {
    here: true,
    env: { PASSWORD_FILE: 'secret' },
    files: { secret: PASSWORD }
  })
  await daemon.line('ready')
  await reloaded(() => { writeFileSync(`${dir}/secret`, 'a mistake') })
  await daemon.line('the new secret is refused, the old one serves as long as it can')
  t.match((await status()).credentials, [{ state: 'stale', lastError: { code: 'NotAuthorizedException' } }])
  t.ok((await status()).ready)
  await until('refreshes of the old secret, and the second try of the new one', () => {
    return (
      world.emulator.record.filter(({ flow, outcome }) => flow === 'REFRESH_TOKEN_AUTH' && outcome === 'ok').length >= 2 &&
      logins(world).length === 3
    )
  })
  t.equal((await call(address, '/orders')).status, 200)
  t.equal(await metric('countersign_token_fetches_total{credential="orders",kind="login",outcome="rejected"}'), 2)
  t.match((await status()).credentials, [{ state: 'stale', lastError: { code: 'NotAuthorizedException' } }])

  await reloaded(() => { writeFileSync(`${dir}/secret`, `${PASSWORD}\n`) })
  await daemon.line('the new secret is proven and has taken over')
  t.match((await status()).credentials, [{ state: 'fresh', lastError: null }])
  t.same(logins(world).map(({ outcome }) => outcome), ['ok', 'NotAuthorizedException', 'NotAuthorizedException', 'ok'])
})

t.test('where the old secret has no usable token the new one takes over at once', async (t) => {
  const world = await startWorld()
  t.teardown(() => world.close())
  const { address, dir, daemon, reloaded } = await startReloadable(t, ordersOnly(world), {
    here: true,
    env: { PASSWORD_FILE: 'secret' },
    files: { secret: 'a mistake' }
  })
  t.equal((await call(address, '/orders')).status, 502)
  await reloaded(() => { writeFileSync(`${dir}/secret`, world.secrets.PASSWORD) })
  t.equal((await call(address, '/orders')).status, 200, 'the first request waits for the login')
  await daemon.line('ready')
})

t.test('a blank or missing secret is a bad configuration: nothing is tried with it', async (t) => {
  const world = await startWorld()
  t.teardown(() => world.close())
  const { address, dir, daemon } = await startReloadable(t, ordersOnly(world), {
    here: true,
    env: { PASSWORD_FILE: 'secret' },
    files: { secret: world.secrets.PASSWORD }
  })
  await daemon.line('ready')
  const asked = world.emulator.record.length
  writeFileSync(`${dir}/secret`, '\n')
  await daemon.line('reload failed, the old configuration keeps serving')
  unlinkSync(`${dir}/secret`)
  await daemon.line('reload failed, the old configuration keeps serving', 2)
  t.match(
    daemon.lines().filter(({ msg }) => msg === 'configuration problem'),
    [{ problem: /PASSWORD_FILE names is empty/ }, { problem: /PASSWORD_FILE names does not exist/ }]
  )
  t.equal((await call(address, '/orders')).status, 200)
  t.equal(world.emulator.record.length, asked)
})

t.test('another user under the same name is another credential: no token of the old one is sent for it', async (t) => {
  const world = await startWorld()
  t.teardown(() => world.close())
  const { KEY_A, KEY_B, SECRET_A, SECRET_B } = world.secrets
  const secretsFile = (key: string, secret: string): string => `KEY=${key}\nSECRET=${secret}\n`
  const config = {
    ...ANY_PORT,
    credentials: {
      relayer: {
        type: 'defender-relayer',
        apiKey: '${KEY}',
        apiSecret: '${SECRET}',
        userPoolId: 'us-west-2_Relayers1',
        clientId: 'relayers',
        endpoint: world.emulator.url
      }
    },
    routes: [{ prefix: '/', upstream: world.api.url, credential: 'relayer' }]
  }
  const { address, dir, daemon, reloaded } = await startReloadable(t, config, {
    here: true,
    env: { COUNTERSIGN_SECRETS: 'secrets.env' },
    files: { 'secrets.env': secretsFile(KEY_A, SECRET_A) }
  })
  await daemon.line('ready')
  await call(address, '/')
  await reloaded(() => { writeFileSync(`${dir}/secrets.env`, secretsFile(KEY_B, SECRET_B)) })
  t.equal((await call(address, '/')).status, 200)
  const users = world.api.seen.map((request) => [request.headers['x-api-key'], world.claimsOf(request)?.['username']])
  t.same(users, [[KEY_A, KEY_A], [KEY_B, KEY_B]], 'key and token always belong together')
})
