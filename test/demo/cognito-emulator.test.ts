import { createHmac } from 'node:crypto'
import { connect } from 'node:net'
import t from 'tap'
import type { EmulatorCall } from '#src/demo/cognito-calls.ts'
import { startCognitoEmulator } from '#src/demo/cognito-emulator.ts'
import { createTokenSigner } from '#src/demo/jwt.ts'
import { formatTimestamp } from '#src/token/cognito/timestamp.ts'
import { groupModulus } from '#src/token/cognito/mod-pow.ts'
import { CLIENT_ID, POOL_ID, USER, startEmulator } from '../helpers/cognito.ts'
import { computeFast, createSrpClient, type ChallengeParameters, type SrpClient } from '../helpers/srp-client.ts'

const POOL_NAME = POOL_ID.split('_')[1] ?? ''
const WRONG = { __type: 'NotAuthorizedException', message: 'Incorrect username or password.' }

interface EmulatorResponse {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

interface Tokens {
  readonly AccessToken: string
  readonly IdToken: string
  readonly RefreshToken?: string
  readonly ExpiresIn?: number
  readonly TokenType: string
  readonly NewDeviceMetadata?: { readonly DeviceKey: string, readonly DeviceGroupKey: string }
}

async function call (url: string, operation: string, body: object): Promise<EmulatorResponse> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `AWSCognitoIdentityProviderService.${operation}` },
    body: JSON.stringify(body)
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : { text }
  }
}

/** Step 1 of a login. */
async function start (url: string, client: SrpClient, fields: Record<string, string> = {}): Promise<EmulatorResponse> {
  return await call(url, 'InitiateAuth', {
    AuthFlow: 'USER_SRP_AUTH',
    ClientId: CLIENT_ID,
    AuthParameters: { USERNAME: USER.username, SRP_A: client.A, ...fields }
  })
}

/** Step 2 of a login. */
async function respond (url: string, responses: Record<string, string>, clientId = CLIENT_ID): Promise<EmulatorResponse> {
  return await call(url, 'RespondToAuthChallenge', {
    ChallengeName: 'PASSWORD_VERIFIER',
    ClientId: clientId,
    ChallengeResponses: responses
  })
}

const challengeOf = (response: EmulatorResponse): ChallengeParameters => response.body['ChallengeParameters'] as ChallengeParameters
const tokensOf = (response: EmulatorResponse): Tokens => response.body['AuthenticationResult'] as Tokens

async function logIn (url: string, password = USER.password): Promise<EmulatorResponse> {
  const client = createSrpClient(POOL_NAME)
  return await respond(url, client.respond(challengeOf(await start(url, client)), password))
}

const refresh = (url: string, token: string | undefined, fields: object = {}): Promise<EmulatorResponse> =>
  call(url, 'InitiateAuth', { AuthFlow: 'REFRESH_TOKEN_AUTH', ClientId: CLIENT_ID, AuthParameters: { REFRESH_TOKEN: token, ...fields } })

const refreshWithRotation = (url: string, token: string | undefined, fields: object = {}): Promise<EmulatorResponse> =>
  call(url, 'GetTokensFromRefreshToken', { ClientId: CLIENT_ID, RefreshToken: token, ...fields })

t.test('a login by the library as shipped verifies, and its responses look like the service', async (t) => {
  const emulator = await startEmulator(t)
  const client = createSrpClient(POOL_NAME)
  const first = await start(emulator.url, client)
  t.equal(first.status, 200)
  t.equal(first.body['ChallengeName'], 'PASSWORD_VERIFIER')
  t.notHas(first.body, { Session: String }, 'the state travels in the secret block')
  t.same(Object.keys(challengeOf(first)).sort(), ['SALT', 'SECRET_BLOCK', 'SRP_B', 'USERNAME', 'USER_ID_FOR_SRP'])
  t.equal(first.headers.get('content-type'), 'application/x-amz-json-1.1')
  t.ok(first.headers.get('x-amzn-requestid'))
  t.ok(Math.abs(Date.parse(first.headers.get('date') ?? '') - Date.now()) < 5000)
  const second = await respond(emulator.url, client.respond(challengeOf(first), USER.password))
  t.equal(second.status, 200)
  const tokens = tokensOf(second)
  t.match(tokens, { ExpiresIn: 3600, TokenType: 'Bearer', RefreshToken: /.{20,}/ })
  t.same(second.body['ChallengeParameters'], {})
})

t.test('the logins below compute with OpenSSL', async (t) => {
  t.ok(computeFast())
})

t.test('the tokens carry the claims of Cognito, and only the emulator\'s own verify', async (t) => {
  const emulator = await startEmulator(t)
  const tokens = tokensOf(await logIn(emulator.url))
  const access = emulator.verify(tokens.AccessToken) ?? {}
  t.match(access, {
    token_use: 'access',
    scope: 'aws.cognito.signin.user.admin',
    client_id: CLIENT_ID,
    username: USER.username,
    iss: `https://cognito-idp.eu-west-1.amazonaws.com/${POOL_ID}`,
    sub: /^[0-9a-f-]{36}$/,
    jti: String,
    origin_jti: String,
    event_id: String,
    auth_time: Number,
    iat: Number,
    exp: Number
  })
  t.notHas(access, { aud: String }, 'access tokens have no aud')
  t.match(emulator.verify(tokens.IdToken), { token_use: 'id', aud: CLIENT_ID, 'cognito:username': USER.username, sub: access['sub'] })
  const header = JSON.parse(Buffer.from(tokens.AccessToken.split('.')[0] ?? '', 'base64url').toString()) as Record<string, string>
  t.equal(header['alg'], 'RS256')
  const keys = (await (await fetch(`${emulator.url}/${POOL_ID}/.well-known/jwks.json`)).json() as { keys: { kid: string }[] }).keys
  t.ok(keys.some(({ kid }) => kid === header['kid']))
  const [head = '', payload = '', signature = ''] = tokens.AccessToken.split('.')
  const forged = Buffer.from(JSON.stringify({ ...access, username: 'mallory' })).toString('base64url')
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  const hmac = Buffer.from('{"alg":"HS256"}').toString('base64url')
  const bad = [
    `${head}.${forged}.${signature}`,
    `${none}.${payload}.`,
    `${none}.${payload}.${signature}`,
    'nonsense',
    '',
    `${head}.${payload}`,
    `${hmac}.${payload}.${createHmac('sha256', 'x').update(`${hmac}.${payload}`).digest('base64url')}`,
    (await createTokenSigner()).sign('access', access)
  ]
  for (const token of bad) t.equal(emulator.verify(token), undefined)
})

t.test('a token that has expired no longer verifies', async (t) => {
  const emulator = await startEmulator(t, { client: { lifetimeSeconds: 300 } })
  const tokens = tokensOf(await logIn(emulator.url))
  t.equal(tokens.ExpiresIn, 300)
  t.ok(emulator.verify(tokens.AccessToken))
  emulator.faults.clockOffsetMs = 301_000
  t.equal(emulator.verify(tokens.AccessToken), undefined)
})

t.test('a wrong password is refused with 400, the type in the body and the header with its colon', async (t) => {
  const emulator = await startEmulator(t)
  const response = await logIn(emulator.url, 'wrong')
  t.equal(response.status, 400)
  t.same(response.body, WRONG)
  t.equal(response.headers.get('x-amzn-errortype'), 'NotAuthorizedException:')
  t.ok(response.headers.get('date'))
})

t.test('a secret block serves once, for its user and its client, for three minutes', async (t) => {
  let now = Date.now()
  const users = [USER, { username: 'bob', password: USER.password }]
  const signer = await createTokenSigner()
  const emulator = await startCognitoEmulator({
    signer,
    now: () => now,
    pools: [{ id: POOL_ID, clients: [{ id: CLIENT_ID }, { id: 'other' }], users }]
  })
  t.teardown(() => emulator.close())
  const client = createSrpClient(POOL_NAME)
  const { url } = emulator

  const used = client.respond(challengeOf(await start(url, client)), USER.password)
  t.equal((await respond(url, used)).status, 200)
  t.same((await respond(url, used)).body, WRONG, 'a replay')

  const failed = challengeOf(await start(url, client))
  t.same((await respond(url, client.respond(failed, 'wrong'))).body, WRONG)
  t.same((await respond(url, client.respond(failed, USER.password))).body, WRONG, 'a second guess at one challenge')

  const foreign = client.respond(challengeOf(await start(url, client)), USER.password)
  t.same((await respond(url, foreign, 'other')).body, WRONG, 'another client')

  const other = challengeOf(await start(url, client))
  t.same((await respond(url, client.respond({ ...other, USER_ID_FOR_SRP: 'bob' }, USER.password))).body, WRONG, 'another user')

  const late = challengeOf(await start(url, client))
  now += 3 * 60_000
  t.same((await respond(url, client.respond(late, USER.password, formatTimestamp(now, undefined)))).body, WRONG, 'too late')

  const made = { ...challengeOf(await start(url, client)), SECRET_BLOCK: 'bm90IHlvdXJz' }
  t.same((await respond(url, client.respond(made, USER.password, formatTimestamp(now, undefined)))).body, WRONG, 'made up')
})

t.test('TIMESTAMP must be in the one form, and within five minutes', async (t) => {
  const emulator = await startEmulator(t, { now: () => Date.UTC(2026, 0, 3, 7, 8, 9) })
  const client = createSrpClient(POOL_NAME)
  const attempt = async (timestamp: string): Promise<EmulatorResponse> =>
    await respond(emulator.url, client.respond(challengeOf(await start(emulator.url, client)), USER.password, timestamp))
  for (const good of ['Sat Jan 3 07:08:09 UTC 2026', 'Sat Jan 3 07:13:09 UTC 2026', 'Sat Jan 3 07:03:09 UTC 2026']) {
    t.equal((await attempt(good)).status, 200, good)
  }
  for (const bad of [
    'Sat Jan 03 07:08:09 UTC 2026',
    'Sun Jan 3 07:08:09 UTC 2026',
    'Sat Jan 3 07:13:10 UTC 2026',
    'Sat Jan 3 07:03:08 UTC 2026'
  ]) { t.same((await attempt(bad)).body, WRONG, bad) }
  for (const unreadable of [
    '2026-01-03T07:08:09Z',
    'Sa Jan 3 07:08:09 UTC 2026',
    'Sat Jan 3 07:08:09 GMT 2026',
    'Xyz Jan 3 07:08:09 UTC 2026'
  ]) {
    t.same(
      (await attempt(unreadable)).body,
      { __type: 'InvalidParameterException', message: 'TIMESTAMP format should be EEE MMM d HH:mm:ss z yyyy in english.' },
      unreadable
    )
  }
})

t.test('an A that is 0 modulo N, too long, or no number is refused', async (t) => {
  const emulator = await startEmulator(t)
  for (const A of ['0', '0'.repeat(768), groupModulus(), 'f'.repeat(769), 'a'.repeat(30_000), 'xyz', '-1']) {
    t.match((await start(emulator.url, { ...createSrpClient(POOL_NAME), A })).body, { __type: 'InvalidParameterException' })
  }
})

t.test('an unknown user gets a made-up challenge, or is told apart where the client says so', async (t) => {
  const hidden = await startEmulator(t)
  const client = createSrpClient(POOL_NAME)
  const first = await start(hidden.url, client, { USERNAME: 'nobody' })
  t.equal(first.body['ChallengeName'], 'PASSWORD_VERIFIER')
  t.same((await respond(hidden.url, client.respond(challengeOf(first), 'anything'))).body, WRONG)
  const legacy = await startEmulator(t, { client: { hidesUnknownUsers: false } })
  t.match((await start(legacy.url, client, { USERNAME: 'nobody' })).body, { __type: 'UserNotFoundException' })
})

t.test('users that may not log in are told why, once their password is right', async (t) => {
  const states = [
    ['disabled', 'NotAuthorizedException'],
    ['unconfirmed', 'UserNotConfirmedException'],
    ['reset-required', 'PasswordResetRequiredException']
  ] as const
  for (const [state, code] of states) {
    const emulator = await startEmulator(t, { users: [{ ...USER, state }] })
    t.match((await logIn(emulator.url)).body, { __type: code })
    t.same((await logIn(emulator.url, 'wrong')).body, WRONG)
  }
})

t.test('the plain password flow works, and knows a wrong password', async (t) => {
  const emulator = await startEmulator(t)
  const attempt = (parameters: object): Promise<EmulatorResponse> =>
    call(emulator.url, 'InitiateAuth', { AuthFlow: 'USER_PASSWORD_AUTH', ClientId: CLIENT_ID, AuthParameters: parameters })
  t.ok(tokensOf(await attempt({ USERNAME: USER.username, PASSWORD: USER.password })).AccessToken)
  t.same((await attempt({ USERNAME: USER.username, PASSWORD: 'wrong' })).body, WRONG)
  t.same((await attempt({ USERNAME: 'nobody', PASSWORD: USER.password })).body, WRONG)
  emulator.setPassword(POOL_ID, USER.username, 'new')
  t.same((await attempt({ USERNAME: USER.username, PASSWORD: USER.password })).body, WRONG)
  t.ok(tokensOf(await attempt({ USERNAME: USER.username, PASSWORD: 'new' })).AccessToken)
  t.throws(() => { emulator.setPassword(POOL_ID, 'nobody', 'new') }, TypeError)
})

t.test('a refresh keeps auth_time and origin_jti, and gives no new refresh token', async (t) => {
  let now = Date.now()
  const emulator = await startEmulator(t, { now: () => now })
  const first = tokensOf(await logIn(emulator.url))
  now += 60_000
  for (const response of [await refresh(emulator.url, first.RefreshToken), await refreshWithRotation(emulator.url, first.RefreshToken)]) {
    const second = tokensOf(response)
    t.equal(second.RefreshToken, undefined)
    const [before, after] = [emulator.verify(first.AccessToken), emulator.verify(second.AccessToken)]
    t.equal(after?.['auth_time'], before?.['auth_time'])
    t.equal(after?.['origin_jti'], before?.['origin_jti'])
    t.not(after?.['jti'], before?.['jti'])
    t.equal(after?.['iat'], Number(before?.['iat']) + 60)
  }
})

t.test('a refresh token that is unknown, of another client, revoked or expired is refused in the service\'s words', async (t) => {
  let now = Date.now()
  const signer = await createTokenSigner()
  const emulator = await startCognitoEmulator({
    signer,
    now: () => now,
    pools: [{ id: POOL_ID, clients: [{ id: CLIENT_ID, refreshLifetimeSeconds: 3600 }, { id: 'other' }], users: [USER] }]
  })
  t.teardown(() => emulator.close())
  const token = tokensOf(await logIn(emulator.url)).RefreshToken
  t.match((await refresh(emulator.url, 'made up')).body, { __type: 'NotAuthorizedException', message: 'Invalid Refresh Token.' })
  t.match((await refreshWithRotation(emulator.url, token, { ClientId: 'other' })).body, { message: 'Refresh Token has different Client.' })
  now += 3600_000
  t.match((await refresh(emulator.url, token)).body, { message: 'Refresh Token has expired' })
  const again = tokensOf(await logInAt(emulator.url, now)).RefreshToken
  emulator.revokeRefreshTokens()
  t.match((await refresh(emulator.url, again)).body, { message: 'Refresh Token has been revoked' })
})

async function logInAt (url: string, now: number): Promise<EmulatorResponse> {
  const client = createSrpClient(POOL_NAME)
  return await respond(url, client.respond(challengeOf(await start(url, client)), USER.password, formatTimestamp(now, undefined)))
}

t.test('with rotation every refresh gives a new token, and the old one works for the grace period only', async (t) => {
  for (const graceMs of [0, 10_000]) {
    let now = Date.now()
    const emulator = await startEmulator(t, { client: { rotation: { graceMs } }, now: () => now })
    const first = tokensOf(await logIn(emulator.url)).RefreshToken
    t.match((await refresh(emulator.url, first)).body, { __type: 'InvalidParameterException' }, 'the flow is off')
    const second = tokensOf(await refreshWithRotation(emulator.url, first)).RefreshToken
    t.ok(second)
    t.not(second, first)
    if (graceMs > 0) t.equal((await refreshWithRotation(emulator.url, first)).status, 200, 'within the grace period')
    now += graceMs
    t.match((await refreshWithRotation(emulator.url, first)).body, { __type: 'RefreshTokenReuseException' })
    t.equal((await refreshWithRotation(emulator.url, second)).status, 200)
  }
})

t.test('a client with a secret wants its hash in both steps and the secret in the refresh', async (t) => {
  const secret = 'client secret'
  const emulator = await startEmulator(t, { client: { secret }, users: [{ ...USER, aliases: ['alice@example.com'] }] })
  const hash = (name: string): string => createHmac('sha256', secret).update(name + CLIENT_ID).digest('base64')
  const client = createSrpClient(POOL_NAME)
  t.match((await start(emulator.url, client)).body, { __type: 'NotAuthorizedException', message: /SECRET_HASH was not received/ })
  t.match((await start(emulator.url, client, { SECRET_HASH: hash('bob') })).body, { message: /Unable to verify secret hash/ })
  const challenge = challengeOf(
    await start(emulator.url, client, { USERNAME: 'alice@example.com', SECRET_HASH: hash('alice@example.com') })
  )
  t.equal(challenge.USER_ID_FOR_SRP, 'alice')
  const proof = client.respond(challenge, USER.password)
  t.match((await respond(emulator.url, { ...proof, SECRET_HASH: hash('alice@example.com') })).body, {
    message: /Unable to verify secret hash/
  })
  const tokens = tokensOf(await respond(emulator.url, { ...proof, SECRET_HASH: hash('alice') }))
  t.match((await refreshWithRotation(emulator.url, tokens.RefreshToken)).body, { __type: 'InvalidParameterException' })
  t.match((await refreshWithRotation(emulator.url, tokens.RefreshToken, { ClientSecret: 'wrong' })).body, {
    __type: 'NotAuthorizedException'
  })
  t.equal((await refreshWithRotation(emulator.url, tokens.RefreshToken, { ClientSecret: secret })).status, 200)
  t.equal((await refresh(emulator.url, tokens.RefreshToken, { SECRET_HASH: hash('alice') })).status, 200)
})

t.test('a pool that tracks devices gives one, and refreshes only for it once it is confirmed', async (t) => {
  const emulator = await startEmulator(t, { deviceTracking: true })
  const tokens = tokensOf(await logIn(emulator.url))
  const { DeviceKey: key } = tokens.NewDeviceMetadata ?? { DeviceKey: '' }
  t.equal(emulator.verify(tokens.AccessToken)?.['device_key'], key)
  t.match(
    (await refresh(emulator.url, tokens.RefreshToken, { DEVICE_KEY: key })).body,
    { message: 'Invalid Refresh Token.' },
    'not confirmed'
  )
  const confirmation = {
    AccessToken: tokens.AccessToken,
    DeviceKey: key,
    DeviceSecretVerifierConfig: { Salt: 'YQ==', PasswordVerifier: 'YQ==' },
    DeviceName: 'test'
  }
  t.match((await call(emulator.url, 'ConfirmDevice', { ...confirmation, AccessToken: tokens.IdToken })).body, {
    __type: 'NotAuthorizedException'
  })
  t.same((await call(emulator.url, 'ConfirmDevice', confirmation)).body, { UserConfirmationNecessary: false })
  t.match((await refresh(emulator.url, tokens.RefreshToken)).body, { message: 'Invalid Refresh Token.' }, 'no device')
  t.equal((await refresh(emulator.url, tokens.RefreshToken, { DEVICE_KEY: key })).status, 200)
  t.match(emulator.record.at(-1), { deviceKey: key, outcome: 'ok' })
})

t.test('the record tells what happened, and never a password or a token', async (t) => {
  const events: EmulatorCall[] = []
  const emulator = await startEmulator(t, { onEvent: (event) => { events.push(event) } })
  const tokens = tokensOf(await logIn(emulator.url))
  await refresh(emulator.url, tokens.RefreshToken)
  await logIn(emulator.url, 'wrong')
  t.match(emulator.record, [
    {
      operation: 'InitiateAuth',
      flow: 'USER_SRP_AUTH',
      username: USER.username,
      clientId: CLIENT_ID,
      outcome: 'challenge',
      tokenId: undefined
    },
    {
      operation: 'RespondToAuthChallenge',
      flow: 'PASSWORD_VERIFIER',
      outcome: 'ok',
      tokenId: emulator.verify(tokens.AccessToken)?.['jti']
    },
    { operation: 'InitiateAuth', flow: 'REFRESH_TOKEN_AUTH', username: USER.username, outcome: 'ok', tokenId: String },
    { operation: 'InitiateAuth', outcome: 'challenge' },
    { operation: 'RespondToAuthChallenge', outcome: 'NotAuthorizedException', tokenId: undefined }
  ])
  t.same(events, emulator.record)
  const text = JSON.stringify(emulator.record)
  for (const secret of [USER.password, tokens.AccessToken, tokens.RefreshToken ?? '']) t.notOk(text.includes(secret))
})

t.test('faults hit the calls they are for, as often as they say, and can be cleared', async (t) => {
  const emulator = await startEmulator(t)
  emulator.faults.add({ type: 'throttled', times: 2 })
  emulator.faults.add({ type: 'lockout', operation: 'RespondToAuthChallenge' })
  const client = createSrpClient(POOL_NAME)
  for (let i = 0; i < 2; i++) t.match((await start(emulator.url, client)).body, { __type: 'TooManyRequestsException' })
  t.match((await logIn(emulator.url)).body, { __type: 'NotAuthorizedException', message: 'Password attempts exceeded' })
  t.equal((await logIn(emulator.url)).status, 200)
  emulator.faults.add({ type: 'bad-gateway', times: Infinity })
  t.equal((await start(emulator.url, client)).status, 502)
  t.equal((await start(emulator.url, client)).status, 502)
  emulator.faults.clear()
  t.equal((await logIn(emulator.url)).status, 200)
})

t.test('faults that spoil a response spoil it as they say', async (t) => {
  const emulator = await startEmulator(t)
  const { url, faults } = emulator
  faults.add({ type: 'challenge', name: 'SMS_MFA' })
  t.match((await logIn(url)).body, { ChallengeName: 'SMS_MFA', Session: String })
  faults.add({ type: 'expires-in', seconds: 7 })
  t.equal(tokensOf(await logIn(url)).ExpiresIn, 7)
  faults.add({ type: 'no-expires-in' })
  t.notHas(tokensOf(await logIn(url)), { ExpiresIn: Number })
  faults.add({ type: 'no-id-token' })
  t.notHas(tokensOf(await logIn(url)), { IdToken: String })
  faults.add({ type: 'slow', ms: 1, operation: 'RespondToAuthChallenge' })
  t.equal((await logIn(url)).status, 200)
  const client = createSrpClient(POOL_NAME)
  const before = await fetch(url)
  t.equal(before.status, 400, 'no operation')
  for (const [type, expected] of [['captive-portal', /<html>/], ['empty', /^$/], ['truncated', undefined]] as const) {
    faults.add({ type })
    const attempt = start(url, client)
    if (expected === undefined) await t.rejects(attempt, SyntaxError)
    else t.match((await attempt).body['text'], expected)
  }
  faults.add({ type: 'reset' })
  await t.rejects(start(url, client))
  for (const shape of ['odd', 'top-bit'] as const) {
    faults.add({ type: 'shape-of-b', shape })
    const { SRP_B: B } = challengeOf(await start(url, client))
    t.equal(B.length % 2 === 1, shape === 'odd')
    if (shape === 'top-bit') t.match(B, /^[89a-f]/)
  }
})

t.test('a connection that is dropped ends without a response, once', async (t) => {
  const emulator = await startEmulator(t)
  emulator.faults.add({ type: 'drop' })
  await t.rejects(start(emulator.url, createSrpClient(POOL_NAME)))
  t.match(emulator.record, [{ outcome: 'drop' }])
  t.ok(await start(emulator.url, createSrpClient(POOL_NAME)))
})

t.test('a caller that waits for ever is let go when the emulator closes', async (t) => {
  const emulator = await startEmulator(t)
  emulator.faults.add({ type: 'hang' })
  emulator.faults.add({ type: 'slow', ms: 3_600_000 })
  const waiting = [start(emulator.url, createSrpClient(POOL_NAME)), start(emulator.url, createSrpClient(POOL_NAME))]
  const ended = Promise.allSettled(waiting)
  while (emulator.record.length < 2) await new Promise((resolve) => { setImmediate(resolve) })
  await emulator.close()
  t.same((await ended).map(({ status }) => status), ['rejected', 'rejected'])
})

t.test('requests that are no calls are refused, and large ones are not read to their end', async (t) => {
  const emulator = await startEmulator(t)
  t.match((await call(emulator.url, 'DeleteUser', {})).body, { __type: 'UnknownOperationException' })
  t.match((await call(emulator.url, 'InitiateAuth', [] as unknown as object)).body, { __type: 'SerializationException' })
  t.match((await call(emulator.url, 'InitiateAuth', {})).body, { __type: 'InvalidParameterException' })
  t.match((await call(emulator.url, 'InitiateAuth', { ClientId: 'nobody' })).body, { __type: 'ResourceNotFoundException' })
  t.match((await call(emulator.url, 'InitiateAuth', { ClientId: CLIENT_ID, AuthFlow: 'CUSTOM_AUTH', AuthParameters: {} })).body, {
    __type: 'InvalidParameterException'
  })
  t.match((await call(emulator.url, 'InitiateAuth', { ClientId: CLIENT_ID, AuthFlow: 'USER_SRP_AUTH', AuthParameters: null })).body, {
    __type: 'InvalidParameterException'
  })
  t.match((await call(emulator.url, 'RespondToAuthChallenge', { ClientId: CLIENT_ID, ChallengeName: 'SMS_MFA' })).body, {
    __type: 'InvalidParameterException'
  })
  t.equal(emulator.record.length, 5, 'what is no call is not recorded')

  const socket = connect(Number(new URL(emulator.url).port), '127.0.0.1')
  t.teardown(() => { socket.destroy() })
  socket.write(
    'POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AWSCognitoIdentityProviderService.InitiateAuth\r\ncontent-length: 999999999\r\n\r\n'
  )
  socket.write('x'.repeat(200_000))
  let response = ''
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    response += chunk.toString('latin1')
    if (response.includes('SerializationException')) break
  }
  t.match(response, /^HTTP\/1\.1 400 /)
  t.match(response, /connection: close/i)
})
