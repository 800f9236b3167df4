/** The executable and token endpoints as they are found in the wild: what reaches the endpoint, what the upstream, what `/status`. */
import { randomBytes } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startApi } from '../helpers/api.ts'
import { startDaemon, type Daemon } from '../helpers/daemon.ts'
import { respond, issued, startScriptedServer, type Reply } from '../helpers/oauth2.ts'
import { call, type PlainResponse } from '../helpers/plain-client.ts'
import { temporaryFolder } from '../helpers/temp.ts'

/** A token endpoint, an upstream, and a folder for the configurations of the daemons between them. */
async function startHouse (t: Test, reply?: Reply) {
  const provider = await startScriptedServer(t, reply)
  const api = await startApi()
  t.teardown(() => api.close())
  const folder = temporaryFolder(t)
  return {
    provider,
    api,
    folder,
    /** Starts a daemon with a route to the upstream for each credential, `/` and its name. */
    start (credentials: Readonly<Record<string, object>>, more: object = {}): Daemon {
      const file = join(folder, 'countersign.jsonc')
      writeFileSync(
        file,
        JSON.stringify({
          listen: '127.0.0.1:0',
          admin: '127.0.0.1:0',
          credentials: Object.fromEntries(
            Object.entries(credentials).map(([name, fields]) => [
              name,
              { type: 'oauth2', tokenUrl: `${provider.url}/token`, clientId: 'batch', clientSecret: 'hush', ...fields }
            ])
          ),
          routes: Object.keys(credentials).map((credential) => ({ prefix: `/${credential}`, upstream: api.url, credential })),
          ...more
        })
      )
      const daemon = startDaemon(['-c', file])
      t.teardown(async () => {
        daemon.kill('SIGKILL')
        await daemon.exit
      })
      return daemon
    }
  }
}

async function get (daemon: Daemon, path: string): Promise<PlainResponse> {
  return await call((await daemon.line('listening'))['address'] as string, path)
}

t.test('two credentials that differ in one further field keep two tokens, on the disk too', async (t) => {
  const { provider, api, folder, start } = await startHouse(t)
  provider.reply = (socket) => { socket.write(issued({ access_token: `token-of-${provider.calls.at(-1)?.form.get('organization')}` })) }
  const credentials = { one: { extra: { organization: 'one' } }, two: { extra: { organization: 'two' } } }
  const cache = { tokenCache: { directory: 'tokens', key: randomBytes(32).toString('hex') } }
  const first = start(credentials, cache)
  await first.line('ready')
  first.kill('SIGTERM')
  t.equal(await first.exit, 0)
  t.equal(readdirSync(join(folder, 'tokens')).filter((name) => name.endsWith('.token')).length, 2)

  provider.reply = respond(503, '')
  const second = start(credentials, cache)
  for (const name of ['one', 'two']) {
    t.equal((await get(second, `/${name}`)).status, 200)
    t.equal(api.seen.at(-1)?.headers.authorization, `Bearer token-of-${name}`)
  }
  t.equal(provider.calls.length, 2, 'nobody logged in again')
})

t.test('answers as Shopify and Apigee give them, and one of another type', async (t) => {
  const { provider, api, start } = await startHouse(t)
  const replies = {
    shopify: respond(200, { access_token: 'shpat_1', scope: 'write_orders', expires_in: 86399 }),
    apigee: respond(200, { access_token: 'apigee_1', token_type: 'BearerToken', expires_in: '1799', issued_at: '1700000000000' }),
    mac: issued({ access_token: 'mac_1', token_type: 'mac' })
  }
  provider.reply = (socket) => { socket.write(replies[(provider.calls.at(-1)?.form.get('who') ?? 'mac') as keyof typeof replies]) }
  const daemon = start({
    shopify: { extra: { who: 'shopify' } },
    apigee: { extra: { who: 'apigee' } },
    mac: { extra: { who: 'mac' } },
    any: {
      extra: { who: 'mac' },
      tokenType: 'any',
      lifetimeSeconds: 60,
      scope: ['a', 'b'],
      audience: ['x', 'y'],
      resource: ['urn:x', 'urn:y']
    }
  })
  await daemon.line('token fetch failed')
  await daemon.line('token fetched', 3)
  for (const [name, token] of [['shopify', 'shpat_1'], ['apigee', 'apigee_1'], ['any', 'mac_1']] as const) {
    t.equal((await get(daemon, `/${name}`)).status, 200)
    t.equal(api.seen.at(-1)?.headers.authorization, `Bearer ${token}`)
  }
  t.equal((await get(daemon, '/mac')).status, 503)
  const form = provider.calls.map((call) => call.form).find((form) => form.has('resource'))
  t.same([form?.getAll('scope'), form?.getAll('audience'), form?.getAll('resource')], [['a b'], ['x', 'y'], ['urn:x', 'urn:y']])
})
