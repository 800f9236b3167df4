// The same source against an authorization server that others wrote: oidc-provider, certified for OpenID Connect.
import { generateKeyPairSync, verify } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import t, { type Test } from 'tap'
import { Secret } from '#src/secret.ts'
import { TokenRefresher } from '#src/token/refresher.ts'
import { FakeClock } from '../../helpers/clock.ts'
import { NEVER, createFetchEvents, failureOf, listen, sourceFor } from '../../helpers/oauth2.ts'
import { createTestLog } from '../../helpers/token-source.ts'
import type { OAuth2Credential } from '#src/token/oauth2/source.ts'

/** What these tests use of oidc-provider, which has no types of its own. */
interface Provider {
  readonly callback: () => RequestListener
  readonly ClientCredentials: {
    readonly find: (token: string) => Promise<{ readonly clientId: string, readonly scope?: string } | undefined>
  }
}
interface ProviderModule {
  readonly default: new (issuer: string, configuration: object) => Provider
  readonly errors: { readonly InvalidTarget: new () => Error }
}

// By its address, which the compiler does not follow, for the reason above.
const MODULE = import.meta.resolve('oidc-provider')

const LIFETIME_S = 600
const RESOURCE = 'https://invoices.example.com/v1'
const OPAQUE_RESOURCE = 'urn:example:archive'
// Everything that form encoding and Basic could confuse and that oidc-provider allows.
const ID = 'batch:client 1+%2B'
const SECRET = 's+ecr%t:/?&= "~*\'()-_.!'

const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })

async function startProvider (t: Test) {
  const { default: Provider, errors } = await import(MODULE) as ProviderModule
  const server = createServer()
  const issuer = `http://127.0.0.1:${await listen(t, server)}`
  // oidc-provider insists on a key for ID tokens, which this grant has none of.
  const common = { id_token_signed_response_alg: 'ES256', client_secret: SECRET }
  const client = {
    ...common,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    scope: 'invoices.read invoices.write'
  }
  const provider = new Provider(issuer, {
    clients: [
      { ...client, client_id: ID, token_endpoint_auth_method: 'client_secret_basic' },
      { ...client, client_id: 'poster', token_endpoint_auth_method: 'client_secret_post' },
      {
        ...common,
        client_id: 'browser',
        grant_types: ['authorization_code'],
        redirect_uris: ['https://app.example.com/'],
        token_endpoint_auth_method: 'client_secret_basic'
      }
    ],
    scopes: ['invoices.read', 'invoices.write', 'invoices.delete'],
    jwks: { keys: [{ ...keys.privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'k1' }] },
    cookies: { keys: ['not used by this grant'] },
    ttl: {
      ClientCredentials: (_context: unknown, token: { resourceServer?: { accessTokenTTL?: number } }) =>
        token.resourceServer?.accessTokenTTL ?? LIFETIME_S
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, resource: string) => {
          const shared = { scope: 'invoices.read invoices.write', audience: resource }
          if (resource === RESOURCE) return { ...shared, accessTokenTTL: 1200, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }
          if (resource === OPAQUE_RESOURCE) return { ...shared, accessTokenFormat: 'opaque' }
          throw new errors.InvalidTarget()
        }
      }
    }
  })
  server.on('request', provider.callback())
  return {
    provider,
    issuer,
    source: (fields: Partial<OAuth2Credential> = {}) =>
      sourceFor(`${issuer}/token`, { clientId: ID, clientSecret: new Secret(SECRET), ...fields })
  }
}

function readJwt (token: string): { readonly valid: boolean, readonly claims: Record<string, unknown> } {
  const [head = '', claims = '', signature = ''] = token.split('.')
  return {
    valid: verify(
      'sha256',
      Buffer.from(`${head}.${claims}`),
      { key: keys.publicKey, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url')
    ),
    claims: JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>
  }
}

t.test('a login with basic gives a token that the server knows', async (t) => {
  const { provider, source } = await startProvider(t)
  const grant = await source().token(NEVER)
  t.equal(grant.lifetimeMs, LIFETIME_S * 1000)
  t.ok(Math.abs(grant.clockSkewMs ?? NaN) < 5_000, 'the same clock')
  t.notOk(grant.value.reveal().includes('.'), 'an opaque one')
  t.match(await provider.ClientCredentials.find(grant.value.reveal()), { clientId: ID })
})

t.test('a login with post does too', async (t) => {
  const { provider, source } = await startProvider(t)
  const grant = await source({ clientId: 'poster', clientAuth: 'post' }).token(NEVER)
  t.match(await provider.ClientCredentials.find(grant.value.reveal()), { clientId: 'poster' })
})

t.test('a resource gives a JWT for that audience with the scope that was asked for', async (t) => {
  const { issuer, source } = await startProvider(t)
  const grant = await source({ resource: [RESOURCE], scope: 'invoices.read' }).token(NEVER)
  t.equal(grant.lifetimeMs, 1_200_000)
  const { valid, claims } = readJwt(grant.value.reveal())
  t.ok(valid)
  t.match(claims, { iss: issuer, aud: RESOURCE, client_id: ID, scope: 'invoices.read' })
  t.equal(Number(claims['exp']) - Number(claims['iat']), 1200)
})

t.test('a resource may as well give an opaque token, and come as an extra field', async (t) => {
  const { provider, source } = await startProvider(t)
  const grant = await source({ extra: new Map([['resource', new Secret(OPAQUE_RESOURCE)]]), scope: 'invoices.write' }).token(NEVER)
  t.match(await provider.ClientCredentials.find(grant.value.reveal()), { clientId: ID, scope: 'invoices.write' })
})

t.test('every refusal of the server is a rejection with its code', async (t) => {
  const { source } = await startProvider(t)
  const cases: ReadonlyArray<readonly [fields: Partial<OAuth2Credential>, failure: string, code: string]> = [
    [{ clientSecret: new Secret('wrong') }, 'ambiguous', 'invalid_client'],
    [{ clientId: 'nobody' }, 'ambiguous', 'invalid_client'],
    [{ clientId: 'poster', clientAuth: 'post', clientSecret: new Secret('wrong') }, 'ambiguous', 'invalid_client'],
    [{ clientId: 'browser' }, 'permanent', 'invalid_request'],
    [{ scope: 'invoices.delete', resource: [RESOURCE] }, 'permanent', 'invalid_scope'],
    [{ resource: ['https://other.example.com/'] }, 'permanent', 'invalid_target'],
    [{ resource: ['no URI'] }, 'permanent', 'invalid_target']
  ]
  for (const [fields, failure, code] of cases) {
    t.match(
      await failureOf(source(fields).token(NEVER)),
      { class: failure, code, retryAfterMs: undefined },
      `${code} of ${JSON.stringify(fields)}`
    )
  }
})

t.test('a wrong address of the right server is no verdict on the credential', async (t) => {
  const { issuer } = await startProvider(t)
  const fields = { clientId: ID, clientSecret: new Secret(SECRET) }
  for (const path of ['/', '/tokens', '/.well-known/openid-configuration']) {
    const error = await failureOf(sourceFor(`${issuer}${path}`, fields).token(NEVER))
    t.match([error.class, error.message], ['transient', /tokenUrl/], path)
  }
})

t.test('its tokens are kept fresh in the background', async (t) => {
  const { provider, source } = await startProvider(t)
  const clock = new FakeClock()
  const events = createFetchEvents()
  const refresher = new TokenRefresher({
    name: 'billing',
    source: source(),
    clock,
    random: () => 0,
    gate: { enter: async () => () => {} },
    log: createTestLog(),
    onFetch: events.onFetch
  })
  t.teardown(() => { refresher.stop() })
  refresher.start()
  const tokens: string[] = []
  for (let count = 1; count <= 4; count += 1) {
    await events.reached(count)
    tokens.push((await refresher.get()).value.reveal())
    // From login to login: 80 % of the lifetime.
    await clock.advance(LIFETIME_S * 800)
  }
  await events.reached(5)
  t.equal(new Set(tokens).size, 4)
  for (const token of tokens) t.match(await provider.ClientCredentials.find(token), { clientId: ID })
  t.match(refresher.status(), { state: 'fresh', logins: 5, refreshes: 0, failures: 0 })
})

t.test('a token that the upstream rejected is replaced, once for any number of 401s', async (t) => {
  const { source } = await startProvider(t)
  const clock = new FakeClock()
  const events = createFetchEvents()
  const refresher = new TokenRefresher({
    name: 'billing',
    source: source(),
    clock,
    random: () => 0,
    gate: { enter: async () => () => {} },
    log: createTestLog(),
    onFetch: events.onFetch
  })
  t.teardown(() => { refresher.stop() })
  refresher.start()
  const first = await refresher.get()
  for (let count = 0; count < 50; count += 1) refresher.reject(first, 0)
  const second = await refresher.another(first)
  t.ok(second)
  t.notOk(second?.value.equals(first.value))
  t.equal(events.seen.length, 2)
})
