/** Every kind of credential, from a configuration file to what the API saw. */
import t, { type Test } from 'tap'
import { startCognitoEmulator, type CognitoEmulator } from '#src/demo/cognito-emulator.ts'
import { startApi, valuesOf, type RecordingApi, type SeenRequest } from '../helpers/api.ts'
import { interpretDaemon } from '../helpers/command.ts'
import { startDaemon, type Daemon } from '../helpers/daemon.ts'
import { issued, startScriptedServer } from '../helpers/oauth2.ts'
import { call } from '../helpers/plain-client.ts'

const POOL = 'eu-west-1_Test1'
const SECRETS = {
  PASSWORD: 'CANARY pass#word "quoted"\\',
  CLIENT_SECRET: 'CANARY-client-secret',
  OAUTH_SECRET: 'CANARY:oauth+secret%',
  MAPS_KEY: 'CANARY&maps key',
  BASIC_PASSWORD: 'CANARY:basic',
  PRICE_KEY: 'CANARY-price',
  AGENT: 'CANARY-agent/1.0'
}

interface Scene { readonly api: RecordingApi, readonly emulator: CognitoEmulator, readonly daemon: Daemon, readonly address: unknown }

async function start (
  t: Test,
  credentials: string,
  routes: (api: string) => string,
  more = '',
  begin: typeof startDaemon | typeof interpretDaemon = interpretDaemon
): Promise<Scene> {
  const api = await startApi()
  const emulator = await startCognitoEmulator({
    pools: [
      {
        id: POOL,
        clients: [{ id: 'plain-client' }, { id: 'secret-client', secret: SECRETS.CLIENT_SECRET }],
        users: [{ username: 'batch', password: SECRETS.PASSWORD, sub: 'a1b2c3d4-0000-4000-8000-000000000001' }]
      }
    ]
  })
  const dir = t.testdir({
    'countersign.jsonc': `{ "listen": "127.0.0.1:0", "admin": "off", "credentials": { ${credentials.replaceAll('ENDPOINT', emulator.url)} }, "routes": [ ${routes(api.url)} ]${more.replaceAll('UPSTREAM', api.url)} }`
  })
  const daemon = begin(['-c', `${dir}/countersign.jsonc`], { env: { ...SECRETS, COUNTERSIGN_LOG_LEVEL: 'trace' } })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
    await Promise.all([api.close(), emulator.close()])
  })
  const { address } = await daemon.line('listening')
  return { api, emulator, daemon, address }
}

async function end (t: Test, { daemon }: Scene): Promise<void> {
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
  t.notMatch(daemon.stdout() + daemon.stderr(), /CANARY|eyJ[\w-]{20,}/, 'no secret and no token was printed')
}

async function seen ({ api, address }: Scene, path: string, request: Parameters<typeof call>[2] = {}): Promise<SeenRequest> {
  const before = api.seen.length
  const { status, body } = await call(address, path, request)
  if (status !== 200) throw new Error(`${status} ${body}`)
  const [one, ...others] = api.seen.slice(before)
  if (one === undefined || others.length > 0) throw new Error(`${others.length + 1} requests arrived`)
  return one
}

t.test('Cognito beyond the presets: client secrets, the password flow, ID tokens', async (t) => {
  const cognito = (client: string, more: string): string =>
    `{ "type": "cognito", "userPoolId": "${POOL}", "clientId": "${client}", "username": "batch", "password": "\${PASSWORD}", "endpoint": "ENDPOINT"${more} }`
  const names = ['secret', 'password', 'both', 'id']
  const scene = await start(
    t,
    [
      `"secret": ${cognito('secret-client', ', "clientSecret": "${CLIENT_SECRET}"')}`,
      `"password": ${cognito('plain-client', ', "authFlow": "password"')}`,
      `"both": ${cognito('secret-client', ', "authFlow": "password", "clientSecret": "${CLIENT_SECRET}"')}`,
      `"id": ${cognito('plain-client', ', "tokenUse": "id"')}`
    ].join(', '),
    (api) => names.map((name) => `{ "prefix": "/${name}", "upstream": "${api}", "credential": "${name}" }`).join(', '),
    '',
    startDaemon
  )
  for (const name of names) {
    const { headers } = await seen(scene, `/${name}/x`)
    const claims = scene.emulator.verify(headers.authorization?.replace('Bearer ', '') ?? '')
    t.match(claims, name === 'id' ? { token_use: 'id', aud: 'plain-client' } : { token_use: 'access', username: 'batch' }, name)
  }
  const flows = scene.emulator.record.filter(({ tokenId }) => tokenId !== undefined).map(({ flow }) => flow).sort()
  t.same(flows, ['PASSWORD_VERIFIER', 'PASSWORD_VERIFIER', 'USER_PASSWORD_AUTH', 'USER_PASSWORD_AUTH'])
  await end(t, scene)
})

t.test('OAuth 2.0 client credentials', async (t) => {
  const server = await startScriptedServer(t, issued({ access_token: 'CANARY-access-token', expires_in: '3600' }))
  const scene = await start(
    t,
    `"billing": { "type": "oauth2", "tokenUrl": "${server.url}/oauth/token", "clientId": "batch", "clientSecret": "\${OAUTH_SECRET}", "scope": "invoices.read", "audience": "urn:api", "resource": "https://api.example.com/", "extra": { "tenant": "eu" } }`,
    (api) => `{ "prefix": "/billing", "upstream": "${api}", "credential": "billing" }`
  )
  const responses = await Promise.all(Array.from({ length: 20 }, () => call(scene.address, '/billing/invoices')))
  t.ok(responses.every(({ status }) => status === 200))
  t.ok(scene.api.seen.every(({ headers }) => headers.authorization === 'Bearer CANARY-access-token'))
  t.equal(server.calls.length, 1, 'one token for all')
  t.same(Object.fromEntries(server.calls[0]?.form ?? []), {
    grant_type: 'client_credentials',
    scope: 'invoices.read',
    audience: 'urn:api',
    resource: 'https://api.example.com/',
    tenant: 'eu'
  })
  t.equal(
    server.calls[0]?.headers.get('authorization'),
    `Basic ${Buffer.from(`batch:${encodeURIComponent(SECRETS.OAUTH_SECRET)}`).toString('base64')}`
  )
  await end(t, scene)
})

t.test('static secrets: bearer, basic, a key anywhere', async (t) => {
  const scene = await start(
    t,
    '"maps": { "type": "static", "value": "${MAPS_KEY}" }, "reports": { "type": "static", "username": "reader", "password": "${BASIC_PASSWORD}" }',
    (api) =>
      ['header', 'query', 'cookie']
        .map(
          (place) =>
            `{ "prefix": "/${place}", "upstream": "${api}", "credential": "maps", "inject": [{ "type": "apiKey", "in": "${place}", "name": "maps_key" }] }`
        )
        .concat(
          `{ "prefix": "/bearer", "upstream": "${api}", "credential": "maps" }`,
          `{ "prefix": "/basic", "upstream": "${api}", "credential": "reports" }`
        )
        .join(', ')
  )
  t.same(valuesOf((await seen(scene, '/header/x', { headers: { 'Maps-Key': 'evil', MAPS_KEY: 'evil' } })).rawHeaders, 'maps-key'), [
    SECRETS.MAPS_KEY
  ])
  t.equal((await seen(scene, '/query/x?a=%20+&maps%5Fkey=evil&b')).url, `/x?a=%20+&b&maps_key=${encodeURIComponent(SECRETS.MAPS_KEY)}`)
  t.equal(
    (await seen(scene, '/query/x', { method: 'POST', body: '{"n":1.0}', headers: { 'content-type': 'application/json' } })).body,
    `{"n":1.0,"maps_key":"${SECRETS.MAPS_KEY}"}`
  )
  t.equal(
    (await seen(scene, '/cookie/x', { headers: { cookie: 'a=1; maps_key=evil; b=2' } })).headers.cookie,
    `a=1; b=2; maps_key=${encodeURIComponent(SECRETS.MAPS_KEY)}`
  )
  t.equal((await seen(scene, '/bearer/x')).headers.authorization, `Bearer ${SECRETS.MAPS_KEY}`)
  t.equal(
    (await seen(scene, '/basic/x')).headers.authorization,
    `Basic ${Buffer.from(`reader:${SECRETS.BASIC_PASSWORD}`).toString('base64')}`
  )
  await end(t, scene)
})

t.test('an OIS: several schemes, a value kept fresh, relayed metadata, its own paths as the allow list', async (t) => {
  const scene = await start(
    t,

    `"orders": { "type": "cognito", "userPoolId": "${POOL}", "clientId": "plain-client", "username": "batch", "password": "\${PASSWORD}", "endpoint": "ENDPOINT" }`,
    () =>
      '{ "prefix": "/prices", "ois": "Price API", "allow": "ois", "relay": { "relayChainId": "1", "relayRequesterAddress": { "header": "X-Requester-Address" }, "relayRequestId": { "generate": true } } }',
    `, "ois": [
      { "title": "Price API", "oisFormat": "2.3.0", "version": "1.0.0", "apiSpecifications": { "servers": [{ "url": "UPSTREAM/v1/" }],
        "components": { "securitySchemes": {
          "key": { "type": "apiKey", "in": "query", "name": "access_key" }, "agent": { "type": "apiKey", "in": "header", "name": "User-agent" }, "token": { "type": "http", "scheme": "bearer" },
          "chain": { "type": "relayChainId", "in": "query", "name": "chain" }, "requester": { "type": "relayRequesterAddress", "in": "header", "name": "X-Requester" }, "request": { "type": "relayRequestId", "in": "cookie", "name": "rid" }, "off": { "type": "apiKey", "in": "header", "name": "X-Off" } } },
        "security": { "key": [], "agent": [], "token": [], "chain": [], "requester": [], "request": [] }, "paths": { "/tickers/{id}": { "get": { "parameters": [] } }, "/convert": { "post": { "parameters": [] } } } } },
      { "title": "Open Data", "apiSpecifications": { "servers": [{ "url": "UPSTREAM" }], "components": { "securitySchemes": {} }, "security": {} } }
    ], "apiCredentials": [
      { "oisTitle": "Price API", "securitySchemeName": "key", "securitySchemeValue": "\${PRICE_KEY}" },
      { "oisTitle": "Price API", "securitySchemeName": "agent", "securitySchemeValue": "\${AGENT}" },
      { "oisTitle": "Price API", "securitySchemeName": "token", "credential": "orders" }
    ]`
  )
  const requester = '0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512'
  const got = await seen(scene, '/prices/tickers/btc?access%5Fkey=evil&q=1', {
    headers: { 'X-Requester-Address': requester, 'X-Requester': 'evil', 'User-Agent': 'evil', authorization: 'evil' }
  })
  t.equal(got.url, `/v1/tickers/btc?q=1&access_key=${SECRETS.PRICE_KEY}&chain=1`)
  t.match(got.headers, { 'user-agent': SECRETS.AGENT, 'x-requester': requester, cookie: /^rid=0x[0-9a-f]{64}$/ })
  t.match(scene.emulator.verify(got.headers.authorization?.replace('Bearer ', '') ?? ''), { username: 'batch' })
  t.notOk(got.rawHeaders.some((text) => text === 'X-Requester-Address' || text.includes('evil')))
  const posted = await seen(scene, '/prices/convert', {
    method: 'POST',
    body: '{ "access_key": "evil", "amount": 12345678901234567890 }',
    headers: { 'content-type': 'application/json', 'x-requester-address': requester }
  })
  t.equal(posted.body, `{ "amount": 12345678901234567890,"access_key":"${SECRETS.PRICE_KEY}","chain":"1" }`)
  t.equal(posted.url, '/v1/convert')
  const before = scene.api.seen.length
  const rejections: ReadonlyArray<readonly [status: number, path: string, request: Parameters<typeof call>[2]]> = [
    [400, '/prices/tickers/btc', {}],
    [400, '/prices/tickers/btc', { headers: { 'x-requester-address': '0x1' } }],
    [403, '/prices/tickers/btc/more', { headers: { 'x-requester-address': requester } }],
    [403, '/prices/tickers/btc', { method: 'POST', headers: { 'x-requester-address': requester } }],
    [
      422,
      '/prices/convert',
      { method: 'POST', body: '[1]', headers: { 'content-type': 'application/json', 'x-requester-address': requester } }
    ],
    [415, '/prices/convert', { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain', 'x-requester-address': requester } }]
  ]
  for (const [status, path, request] of rejections) t.equal((await call(scene.address, path, request)).status, status, `${status} ${path}`)
  t.equal(scene.api.seen.length, before, 'nothing was sent')
  t.equal((await seen(scene, '/open-data/x')).url, '/x', 'an OIS that no route names has one by its title')
  await end(t, scene)
})

t.test('environment alone: any user pool', async (t) => {
  const api = await startApi()
  const emulator = await startCognitoEmulator({
    pools: [{ id: POOL, clients: [{ id: 'c', secret: SECRETS.CLIENT_SECRET }], users: [{ username: 'batch', password: SECRETS.PASSWORD }] }]
  })
  const cwd = t.testdir({ password: `${SECRETS.PASSWORD}\n`, secret: SECRETS.CLIENT_SECRET })
  const daemon = startDaemon([], {
    cwd,
    env: {
      COUNTERSIGN_UPSTREAM: `${api.url}/v2`,
      COGNITO_USER_POOL_ID: POOL,
      COGNITO_CLIENT_ID: 'c',
      COGNITO_USERNAME: 'batch',
      COGNITO_PASSWORD_FILE: `${cwd}/password`,
      COGNITO_CLIENT_SECRET_FILE: `${cwd}/secret`,
      COGNITO_ENDPOINT: emulator.url,
      COUNTERSIGN_LISTEN: '127.0.0.1:0',
      COUNTERSIGN_ADMIN: 'off'
    }
  })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
    await Promise.all([api.close(), emulator.close()])
  })
  const { address, admin } = await daemon.line('listening')
  t.equal(admin, 'off')
  t.equal((await call(address, '/orders/1?x')).status, 200)
  t.equal(api.seen[0]?.url, '/v2/orders/1?x')
  t.match(emulator.verify(api.seen[0]?.headers.authorization?.replace('Bearer ', '') ?? ''), { username: 'batch' })
})
