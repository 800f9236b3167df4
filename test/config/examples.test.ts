import { chmodSync, copyFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { Config } from '#src/config/config.ts'
import { parseJsonc } from '#src/config/read/jsonc.ts'
import { loadConfig, type LoadResult } from '#src/config/load.ts'
import { ApiCredentialSchema, RelaySchema } from '#src/config/ois/schema.ts'
import { CREDENTIAL_SHAPES } from '#src/config/credential/schema.ts'
import { RouteSchema } from '#src/config/route/schema.ts'
import { FileSchema } from '#src/config/schema.ts'
import { isSection } from '#src/config/sections.ts'
import { valueAt } from '#src/config/shape.ts'
import { configOf, linesOf } from './load-fixture.ts'

const folder = fileURLToPath(new URL('../../config/', import.meta.url))

const loadExample = (t: Test, config: string): LoadResult => {
  const secrets = join(t.testdir(), 'secrets.env')
  copyFileSync(join(folder, 'secrets.example.env'), secrets)
  chmodSync(secrets, 0o600)
  return loadConfig({ env: {}, cwd: folder, options: { config, secrets } })
}
/** The configuration of an example that loads without a warning. */
const goodExample = (t: Test, config: string): Config => {
  const result = loadExample(t, config)
  t.same(linesOf(result), [])
  return configOf(result)
}
const schemesOf = ({ routes }: Config): unknown[] =>
  routes.map(({ prefix, upstream, bindings }) => [prefix, upstream, bindings.map(({ scheme }) => Object.values(scheme).join(' '))])

t.test('the annotated example loads with the example secrets, without a warning', async (t) => {
  const { credentials, routes } = goodExample(t, 'countersign.example.jsonc')
  t.same([...credentials.keys()], ['orders', 'relayer', 'team', 'maps', 'reports'])
  t.same(
    routes.map(({ prefix }) => prefix),
    ['/orders', '/relayer', '/team', '/maps', '/gateway', '/reports', undefined, '/engine', '/local']
  )
})

t.test(
  'the examples show every key of the top level, of a route, of relay, of apiCredentials and of a credential of type oauth2',
  async (t) => {
    const texts = readdirSync(folder)
      .filter((name) => name.endsWith('.example.jsonc'))
      .map((name) => readFileSync(join(folder, name), 'utf8'))
    const values = texts.map((text) => parseJsonc(text).document?.value)
    t.same(
      Object.keys(FileSchema.shape).filter((key) => !isSection(key) && values.every((value) => valueAt(value, [key]) === undefined)),
      []
    )
    const keys = [RouteSchema, RelaySchema, ApiCredentialSchema, CREDENTIAL_SHAPES.oauth2]
      .flatMap(({ shape }) => Object.keys(shape))
      .filter((key) => key !== 'allowInsecureEndpoint')
    t.same(
      keys.filter((key) => texts.every((text) => !text.includes(`"${key}"`))),
      []
    )
  }
)

t.test('the OIS example: two headers, two parameters, a token beside a cookie, and a public API by itself', async (t) => {
  const config = goodExample(t, 'ois.example.jsonc')
  t.same(schemesOf(config), [
    ['/prices', 'https://api.prices.example.com/v1', ['apiKey header Authorization', 'apiKey header User-agent']],
    ['/boards', 'https://api.boards.example.com/1', ['apiKey query key url', 'apiKey query token url']],
    ['/orders', 'https://orders.example.com/v2', ['http bearer', 'apiKey cookie tenant']],
    ['/open-data', 'https://open-data.example.com', []]
  ])
  t.same(config.routes[0]?.allow, ['GET /tickers', 'GET /tickers/*'])
  t.match(config.routes[2]?.bindings[0]?.value, { type: 'token', credential: 'orders' })
})

t.test('the relay example: a source for each kind', async (t) => {
  const { routes: [route] } = goodExample(t, 'relay.example.jsonc')
  t.same(
    route?.bindings.flatMap(({ value }) => (value.type === 'relay' ? [`${value.kind} ${value.source.type}`] : [])),
    [
      'relayRequesterAddress header',
      'relaySponsorAddress header',
      'relaySponsorWalletAddress fixed',
      'relayChainId fixed',
      'relayChainType fixed',
      'relayRequestId generate'
    ]
  )
})

t.test('the OAuth 2.0 example', async (t) => {
  const config = goodExample(t, 'oauth2.example.jsonc')
  t.match(config.credentials.get('search'), {
    type: 'oauth2',
    tokenUrl: 'https://login.example.org/token?tenant=42',
    clientAuth: 'post',
    resource: ['https://search.example.org/']
  })
  t.same(schemesOf(config), [
    ['/billing', 'https://billing.example.com/v3', ['http bearer']],
    ['/search', 'https://search.example.org', ['apiKey header X-Access-Token']]
  ])
})

t.test('the OpenZeppelin Relayer example loads with its one secret', async (t) => {
  const result = loadConfig({
    env: { OPENZEPPELIN_RELAYER_API_KEY: 'a-key' },
    cwd: folder,
    options: { config: 'openzeppelin-relayer.example.jsonc' }
  })
  t.same(linesOf(result), [])
  const [route] = configOf(result).routes
  t.match(route, {
    prefix: '/relayer',
    upstream: 'http://relayer.internal:8080',
    bindings: [{ scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token' } }]
  })
})

t.test('an unmodified Airnode config.json: one warning, one route, and none of the Airnode\'s own secrets', async (t) => {
  const result = loadExample(t, 'airnode-config.example.json')
  t.same(linesOf(result), [
    'airnode-config.example.json:2:3  chains  "chains", "nodeSettings", "triggers", "templates" belong to an Airnode and are ignored; only ois, apiCredentials and Countersign\'s own keys are read'
  ])
  t.same(schemesOf(configOf(result)), [['/currency-converter-api', 'https://converter.example.com/v1', ['apiKey query access_key']]])
})
