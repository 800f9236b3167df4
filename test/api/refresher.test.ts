import { inspect } from 'node:util'
import t from 'tap'
import { ConfigError, createRefresher, createTokenSource, Secret, TokenError, type CredentialInput } from '#src/index.ts'
import { CLIENT_ID, NEVER, POOL_ID, startEmulator, USER } from '../helpers/cognito.ts'
import { issued, startScriptedServer } from '../helpers/oauth2.ts'

t.test('every type of credential has a source', async (t) => {
  const emulator = await startEmulator(t, { users: [USER] })
  const provider = await startScriptedServer(t)
  const pool = { userPoolId: POOL_ID, clientId: CLIENT_ID, endpoint: emulator.url }
  const { username, password } = USER
  const credentials: CredentialInput[] = [
    { type: 'cognito', ...pool, username, password },
    { type: 'cognito', ...pool, username, password: new Secret(password), clientSecret: undefined },
    { type: 'defender-relayer', ...pool, apiKey: username, apiSecret: new Secret(password) },
    { type: 'defender-admin', ...pool, apiKey: username, apiSecret: password }
  ]
  for (const credential of credentials) {
    const source = createTokenSource(credential)
    const login = await source.token(NEVER)
    t.ok(emulator.verify(login.value.reveal()), credential.type)
    t.ok(emulator.verify((await source.token(NEVER, login.renewal)).value.reveal()), `${credential.type}: refresh`)
  }
  const oauth2 = createTokenSource({ type: 'oauth2', tokenUrl: provider.url, clientId: 'a', clientSecret: new Secret('${b}'), scope: ['x'] })
  t.equal((await oauth2.token(NEVER)).value.reveal(), 'token-1')
  t.equal(provider.calls[0]?.headers.get('authorization'), `Basic ${Buffer.from('a:%24%7Bb%7D').toString('base64')}`, 'taken as it is')
  const value = async (credential: CredentialInput): Promise<string> => (await createTokenSource(credential).token(NEVER)).value.reveal()
  t.equal(await value({ type: 'static', value: '${A}' }), '${A}')
  t.equal(await value({ type: 'static', username: 'a', password: 'b' }), 'YTpi')
  t.equal(await value({ type: 'custom', source: { token: async () => ({ value: 'own' }) } }), 'own')
})

t.test('what is wrong with a credential is told at once, with its path', async (t) => {
  const problemsOf = (credential: unknown): string[] => {
    try {
      createTokenSource(credential as CredentialInput)
      return []
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      t.notMatch(inspect(error), /CANARY/)
      return error.problems.filter(({ severity }) => severity === 'error').map(({ path = '', message }) => `${path}: ${message}`)
    }
  }
  t.match(problemsOf({ type: 'cognito', userPoolId: 'x', clientID: 'y', password: new Secret('CANARY\n') }), [
    /^userPoolId|^clientId: is missing/, /./, /./
  ])
  t.match(problemsOf({ type: 'oauth2', tokenUrl: 'http://id.example.com/token', clientId: 'a', clientSecret: 'b' }), [/^tokenUrl: is http:/])
  t.match(problemsOf({ type: 'oauth1' }), [/^type: must be one of "cognito"/])
  t.match(problemsOf({ type: 'custom' }), [/^source: is missing/])
  t.match(problemsOf({ type: 'custom', source: {}, name: 'x' }), [/^name: unknown key/, /^source: must be an object with a function token/])
  for (const nothing of [undefined, null, 'x', []]) t.equal(problemsOf(nothing).length, 1)
})

t.test('a refresher keeps a token usable, and tells how', async (t) => {
  const lines: object[] = []
  const log = { info: (fields: object) => { lines.push(fields) }, warn () {}, error () {} }
  const emulator = await startEmulator(t)
  const { username, password } = USER
  const source = createTokenSource({ type: 'cognito', userPoolId: POOL_ID, clientId: CLIENT_ID, endpoint: emulator.url, username, password })
  const events: string[] = []
  const refresher = createRefresher(source, { name: 'orders', log, onFetch: ({ credential, kind }) => { events.push(`${credential} ${kind}`) } })
  t.equal(refresher.current(), undefined)
  const first = await refresher.get()
  t.equal(refresher.current(), first)
  refresher.reject(first)
  const second = await refresher.another(first)
  t.ok(second !== undefined && second !== first)
  t.ok(emulator.verify(second?.value.reveal() ?? ''))
  t.same(events, ['orders login', 'orders refresh'])
  t.match(refresher.status(), { name: 'orders', state: 'fresh', logins: 1, refreshes: 1 })
  t.match(lines, [{ credential: 'orders', kind: 'login' }, { kind: 'refresh' }])
  refresher.stop()
  t.equal(refresher.current(), second, 'a token that is held is still good')
  t.equal(refresher.status().refreshAt, null)
})

t.test('an own source: its renewal comes back, its failures keep their class, and no secret is told', async (t) => {
  const renewals: unknown[] = []
  let count = 0
  const own = createRefresher({
    token: async (_signal, renewal) => {
      renewals.push(renewal?.refreshToken.reveal())
      return { value: `token-${++count}`, renewal: { refreshToken: `refresh-${count}` } }
    }
  })
  t.teardown(() => { own.stop() })
  const first = await own.get()
  own.reject(first)
  t.equal((await own.another(first))?.value.reveal(), 'token-2')
  t.same(renewals, [undefined, 'refresh-1'])
  t.notMatch(inspect(first, { depth: 9, showHidden: true }), /token-1/)

  const thrown: Array<[unknown, string, string]> = [
    [new TokenError('permanent', 'Forbidden', 'No.'), 'CS_CREDENTIAL_REJECTED', 'Forbidden'],
    [new TokenError('transient', 'Busy', 'Later.'), 'CS_TOKEN_UNAVAILABLE', 'Busy'],
    [new Error('CANARY'), 'CS_TOKEN_UNAVAILABLE', 'Unexpected']
  ]
  for (const [error, code, lastCode] of thrown) {
    const refresher = createRefresher({ token: async () => { throw error } })
    await t.rejects(refresher.get(), { code })
    t.equal(refresher.status().lastError?.code, lastCode)
    t.notMatch(JSON.stringify(refresher.status()), /CANARY/)
    refresher.stop()
  }
  for (const grant of [undefined, null, {}, { value: 1 }, { value: '' }, { value: 'two words' }]) {
    const refresher = createRefresher({ token: async () => grant as { value: string } })
    await t.rejects(refresher.get(), { code: 'CS_TOKEN_UNAVAILABLE' })
    refresher.stop()
  }
})

t.test('what is no source is told at once', async (t) => {
  for (const source of [undefined, null, {}, { token: 'x' }]) t.throws(() => createRefresher(source as never), TypeError)
})

t.test('a method that needs its object keeps it', async (t) => {
  const provider = await startScriptedServer(t, issued({ access_token: 'mine' }))
  class Own {
    readonly #url = provider.url
    async token (signal: AbortSignal): Promise<{ value: string }> {
      const response = await fetch(this.#url, { method: 'POST', signal })
      return { value: (await response.json() as { access_token: string }).access_token }
    }
  }
  const refresher = createRefresher(new Own())
  t.equal((await refresher.get()).value.reveal(), 'mine')
  refresher.stop()
  t.equal((await createTokenSource({ type: 'custom', source: new Own() }).token(NEVER)).value.reveal(), 'mine')
})
