import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import type { Config, OAuth2Credential } from '#src/config/config.ts'
import { buildGeneration, type Generation, type DaemonResources } from '#src/generation.ts'
import { createLogger } from '#src/logger.ts'
import { createMetrics } from '#src/observe/metrics.ts'
import { Secret } from '#src/secret.ts'
import { systemClock } from '#src/token/clock.ts'
import { CognitoWorker } from '#src/token/cognito/source.ts'
import { createDiskCaches } from '#src/token/cache/disk.ts'
import { readBasic, startScriptedServer } from './helpers/oauth2.ts'
import { configOf } from './helpers/proxy.ts'
import { temporaryFolder } from './helpers/temp.ts'
import { until } from './helpers/until.ts'

function createResources (t: Test): DaemonResources {
  const worker = new CognitoWorker()
  t.teardown(() => worker.close())
  const log = createLogger({ level: 'silent', destination: new Writable(), readable: false, colour: false })
  return {
    metrics: createMetrics({ version: '0.0.0', ready: () => true, credentials: () => [] }),
    log,
    clock: systemClock(),
    random: Math.random,
    proxies: {},
    inFlight: { requests: 0 },
    worker,
    caches: createDiskCaches(log),
    facts: { version: '0.0.0', startedAt: '', address: () => undefined, draining: () => false }
  }
}

function configWith (tokenUrl: string, fields: Partial<OAuth2Credential> = {}): Config {
  const credential: OAuth2Credential = {
    type: 'oauth2',
    tokenUrl,
    clientId: 'batch',
    clientSecret: new Secret('hush'),
    clientAuth: 'basic',
    extra: new Map(),
    tokenType: 'bearer',
    ...fields
  }
  const config = configOf({
    routes: [{ upstream: 'http://127.0.0.1:1' }, { listen: { type: 'tcp', host: '127.0.0.1', port: 0 }, upstream: 'http://127.0.0.1:1' }]
  })
  return { ...config, admin: { type: 'tcp', host: '127.0.0.1', port: 0 }, credentials: new Map([['orders', credential]]) }
}

t.test('a generation begins nothing by itself, and names its listener bindings in order', async (t) => {
  const provider = await startScriptedServer(t)
  const generation = await buildGeneration(configWith(provider.url), createResources(t))
  t.same(generation.listenerBindings.map(({ role }) => role), ['proxy', 'route', 'admin'])
  t.same(provider.calls, [])
  await generation.close()
})

t.test('the secret decides whether a credential is handed over as it is', async (t) => {
  const provider = await startScriptedServer(t)
  const resources = createResources(t)
  let generation = await buildGeneration(configWith(provider.url), resources)
  const next = async (fields: Partial<OAuth2Credential>, logins: number): Promise<void> => {
    const successor = await buildGeneration(configWith(provider.url, fields), resources, generation)
    await generation.close()
    generation = successor
    generation.store.start()
    await generation.store.get('orders')
    await until('the login', () => generation.store.statuses()[0]?.logins === logins)
  }
  generation.store.start()
  await generation.store.get('orders')
  await next({ clientSecret: new Secret('hush') }, 1)
  await next({ clientSecret: new Secret('new') }, 2)
  await next({ clientSecret: new Secret('new'), scope: 'other' }, 1)
  await next({ clientSecret: new Secret('new'), scope: 'other' }, 1)
  t.equal(provider.calls.length, 3)
  t.same(
    provider.calls.map(({ headers, form }) => [readBasic(headers.get('authorization'))[1], form.get('scope')]),
    [
      ['hush', null],
      ['new', null],
      ['new', 'other']
    ]
  )
  await generation.store.stop()
  await generation.close()
})

t.test('another token cache takes a login, after which tokens are there; the same one takes none', async (t) => {
  const provider = await startScriptedServer(t)
  const resources = createResources(t)
  const directory = temporaryFolder(t)
  const key = new Secret('00'.repeat(32))
  const withCache = (name: string): Config => ({ ...configWith(provider.url), tokenCache: { directory: join(directory, name), key } })
  const first = await buildGeneration(withCache('a'), resources)
  first.store.start()
  await first.store.get('orders')
  const same = await buildGeneration(withCache('a'), resources, first)
  same.store.start()
  await same.store.get('orders')
  t.equal(provider.calls.length, 1)
  const other = await buildGeneration(withCache('b'), resources, same)
  other.store.start()
  await until('the login', () => other.store.statuses()[0]?.logins === 2)
  await until(
    'the entry',
    () => existsSync(join(directory, 'b')) && readdirSync(join(directory, 'b')).some((name) => name.endsWith('.token'))
  )
  t.equal(provider.calls.length, 2)
  await other.store.stop()
  await Promise.all([first, same, other].map((generation) => generation.close()))
  await resources.caches.close()
})

t.test('no generation is kept in memory by those after it', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void // V8's own
  const provider = await startScriptedServer(t)
  const resources = createResources(t)
  const gone: Array<WeakRef<Generation | Generation['store'] | Generation['app']>> = []
  const last = await replace(await buildGeneration(configWith(provider.url), resources), 10)
  await until('the old generations to be collected', async () => {
    collect()
    return gone.every((reference) => reference.deref() === undefined)
  })
  t.equal(gone.length, 30)
  t.ok(await last.store.get('orders'), 'the token has come through all of them')
  t.equal(provider.calls.length, 1)
  await last.store.stop()
  await last.close()

  async function replace (current: Generation, times: number): Promise<Generation> {
    current.store.start()
    await current.store.get('orders')
    if (times === 0) return current
    const next = await buildGeneration(configWith(provider.url), resources, current)
    await current.close()
    gone.push(new WeakRef(current), new WeakRef(current.store), new WeakRef(current.app))
    return await replace(next, times - 1)
  }
})
