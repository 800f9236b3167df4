/**
 * Tokens that no header can carry, from every kind of provider: they must never count as a token. Counted as one, they made the
 * state "fresh" and every request a 502.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startApi } from '../helpers/api.ts'
import { startDaemon } from '../helpers/daemon.ts'
import { respond, issued, startScriptedServer } from '../helpers/oauth2.ts'
import { call } from '../helpers/plain-client.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const UNSENDABLE = ['a\r\nX-Evil: 1', 'a\nb', 'a\0b', ' ', ' a', 'a b', 'caf\u00e9', '\u20ac', 'x'.repeat(100_000)]

/** What a provider says of a user pool's user, as the flow without SRP has it: all in one answer. */
const authenticated = (token: string): string =>
  respond(200, {
    AuthenticationResult: { AccessToken: token, IdToken: token, RefreshToken: 'refresh', ExpiresIn: 3600, TokenType: 'Bearer' }
  })

const KINDS = {
  oauth2: {
    give: (token: string) => issued({ access_token: token }),
    credential: (url: string) => ({ type: 'oauth2', tokenUrl: `${url}/token`, clientId: 'batch', clientSecret: 'hush' })
  },
  access: { give: authenticated, credential: (url: string) => cognito(url, 'access') },
  id: { give: authenticated, credential: (url: string) => cognito(url, 'id') }
}

function cognito (endpoint: string, tokenUse: string): object {
  return {
    type: 'cognito',
    userPoolId: 'eu-west-1_Pool',
    clientId: 'client',
    username: 'user',
    password: 'secret',
    authFlow: 'password',
    tokenUse,
    endpoint
  }
}

t.test('a token that no header can carry is a failure like any other, whoever gave it', async (t) => {
  const api = await startApi()
  t.teardown(() => api.close())
  const cases = Object.entries(KINDS).flatMap(([kind, { give, credential }]) =>
    UNSENDABLE.map((token, index) => ({ name: `${kind}-${index}`, give, credential, token }))
  )
  const providers = new Map(
    await Promise.all(cases.map(async (one) => [one.name, await startScriptedServer(t, one.give(one.token))] as const))
  )
  const urlOf = (name: string): string => providers.get(name)?.url ?? ''
  const file = join(temporaryFolder(t), 'countersign.jsonc')
  writeFileSync(file, JSON.stringify({
    listen: '127.0.0.1:0',
    admin: '127.0.0.1:0',
    logins: { concurrency: 50, perSecond: 100 },
    credentials: Object.fromEntries(cases.map(({ name, credential }) => [name, credential(urlOf(name))])),
    routes: cases.map(({ name }) => ({ prefix: `/${name}`, upstream: api.url, credential: name }))
  }))
  const daemon = startDaemon(['-c', file])
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const { address, admin } = await daemon.line('listening')
  await daemon.line('token fetch failed', cases.length)
  for (const { name } of cases) {
    const { status, body } = await call(address, `/${name}`)
    t.match([status, JSON.parse(body)], [503, { code: 'CS_TOKEN_UNAVAILABLE' }], name)
  }
  const { credentials } = JSON.parse((await call(admin, '/status')).body) as { credentials: object[] }
  t.equal(credentials.length, cases.length)
  for (const credential of credentials) {
    t.match(credential, { state: 'pending', lastError: { code: 'UnusableToken', message: /no header can carry/ } })
  }
  t.equal(api.seen.length, 0, 'nothing was sent')

  for (const { name, give } of cases) Object.assign(providers.get(name) ?? {}, { reply: give('good') })
  await daemon.line('ready')
  for (const { name } of cases) t.equal((await call(address, `/${name}`)).status, 200)
  t.ok(api.seen.every(({ headers }) => headers.authorization === 'Bearer good'))
  t.notMatch(daemon.stdout(), /X-Evil|caf\u00e9|xxxxx/)
})
