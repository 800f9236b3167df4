import { spawn } from 'node:child_process'
import { createHmac, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { loadConfig } from '#src/config/load.ts'
import { createTokenSigner, createVerifier, type Claims, type TokenSigner } from '#src/demo/jwt.ts'
import { Secret } from '#src/secret.ts'
import { createCognitoSource } from '#src/token/cognito/source.ts'
import { TokenError } from '#src/token/token.ts'
import { NEVER, startWorker } from '../helpers/cognito.ts'
import { call } from '../helpers/plain-client.ts'

const PART = fileURLToPath(new URL('../../bin/demo-part.js', import.meta.url))
const CONFIG = fileURLToPath(new URL('../../config/', import.meta.url))
const DEADLINE_MS = 20_000
const SECRETS = { RELAYER_API_KEY: 'canary-key-0123456789abcdef', RELAYER_API_SECRET: 'canary-secret-0123456789abcdef' }

interface Part {
  readonly stdout: () => string
  readonly stderr: () => string
  /** Resolves with the match once stdout has it. */
  readonly shows: (pattern: RegExp) => Promise<RegExpExecArray>
  /** The address by which a test reaches it: 127.0.0.1 and the port that it chose. */
  readonly address: () => Promise<string>
  readonly kill: (signal: NodeJS.Signals) => void
  /** The exit status, or the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals>
}

/** Starts a part as its container does, from what was built; it ends with the test. */
function startPart (t: Test, args: readonly string[], env: Readonly<Record<string, string>>): Part {
  const child = spawn(process.execPath, [PART, ...args], {
    env: { PATH: process.env['PATH'] ?? '', DEMO_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const text = { stdout: '', stderr: '' }
  let ended = false
  let look = (): void => {}
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk
      look()
    })
  }
  const exit = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => {
      ended = true
      look()
      resolve(code ?? signal ?? -1)
    })
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const shows = (pattern: RegExp): Promise<RegExpExecArray> => new Promise((resolve, reject) => {
    const fail = (): void => {
      reject(new Error(`stdout does not show ${String(pattern)}\n--- stdout\n${text.stdout}\n--- stderr\n${text.stderr}`))
    }
    const timer = setTimeout(fail, DEADLINE_MS)
    look = () => {
      const match = pattern.exec(text.stdout)
      if (match === null && !ended) return
      clearTimeout(timer)
      look = () => {}
      if (match === null) fail()
      else resolve(match)
    }
    look()
  })
  return {
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    shows,
    address: async () => `127.0.0.1:${(await shows(/listens at http:\/\/0\.0\.0\.0:(\d+)\n/))[1] ?? ''}`,
    kill: (signal) => { child.kill(signal) },
    exit
  }
}

/** The secrets as docker puts them into a container: files with a newline at the end. */
function secretFiles (t: Test): Record<string, string> {
  const folder = t.testdir({ key: `${SECRETS.RELAYER_API_KEY}\n`, secret: `${SECRETS.RELAYER_API_SECRET}\n` })
  return { RELAYER_API_KEY_FILE: join(folder, 'key'), RELAYER_API_SECRET_FILE: join(folder, 'secret') }
}

interface Keys {
  readonly url: string
  /** What it answers from now on. */
  readonly publish: (body: unknown, status?: number) => void
  readonly fetches: () => number
}

/** The one page of an identity provider that an upstream knows. */
async function startKeys (t: Test, first: unknown): Promise<Keys> {
  let answer = { body: JSON.stringify(first), status: 200 }
  let fetches = 0
  const server = createServer((_request, response) => {
    fetches += 1
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body)
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => new Promise<void>((resolve) => {
    server.close(() => { resolve() })
    server.closeAllConnections()
  }))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/.well-known/jwks.json`,
    publish: (body, status = 200) => { answer = { body: JSON.stringify(body), status } },
    fetches: () => fetches
  }
}

// Making a key takes a second or so.
const signers = { first: await createTokenSigner(), second: await createTokenSigner() }

function accessToken (signer: TokenSigner, claims: Claims = {}): string {
  return signer.sign('access', { username: 'alice', token_use: 'access', exp: Math.floor(Date.now() / 1000) + 60, ...claims })
}

/** What the upstream says to a token. */
async function statusFor (address: string, token: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  return (await call(address, '/txs?key=canary-in-query', { headers: { authorization: `Bearer ${token}`, ...headers } })).status
}

t.test('the published keys alone verify what a signer signed, and nothing else', async (t) => {
  const { first, second } = signers
  const verify = createVerifier(first.jwks)
  const token = accessToken(first)
  t.match(verify(token), { username: 'alice' })
  t.match(verify(first.sign('id', { username: 'alice' })), { username: 'alice' }, 'each of the two key ids')
  t.equal(verify(accessToken(second)), undefined, 'another key under the same id')
  t.equal(verify(''), undefined)
  t.equal(verify('a.b.c'), undefined)
  const [head = '', payload = '', signature = ''] = token.split('.')
  const forged = Buffer.from(JSON.stringify({ username: 'mallory' })).toString('base64url')
  t.equal(verify(`${head}.${forged}.${signature}`), undefined, 'other claims')
  t.equal(verify(`${head}.${payload}.`), undefined, 'no signature')
})

t.test('the algorithm and the key id that a token names are compared, never followed', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const verify = createVerifier({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] })
  const tokenOf = (header: object, signed: (input: Buffer) => Buffer): string => {
    const input = [header, { username: 'alice' }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    return `${input}.${signed(Buffer.from(input)).toString('base64url')}`
  }
  const genuine = (input: Buffer): Buffer => sign('sha256', input, privateKey)
  t.match(verify(tokenOf({ alg: 'RS256', kid: 'k' }, genuine)), { username: 'alice' })
  t.equal(verify(tokenOf({ alg: 'RS256', kid: 'other' }, genuine)), undefined)
  t.equal(verify(tokenOf({ alg: 'RS256' }, genuine)), undefined)
  t.equal(verify(tokenOf({ alg: 'RS512', kid: 'k' }, (input) => sign('sha512', input, privateKey))), undefined)
  t.equal(verify(tokenOf({ alg: 'none', kid: 'k' }, () => Buffer.alloc(0))), undefined)
  const pem = publicKey.export({ format: 'pem', type: 'spki' })
  t.equal(
    verify(tokenOf({ alg: 'HS256', kid: 'k' }, (input) => createHmac('sha256', pem).update(input).digest())),
    undefined,
    'RFC 8725 section 2.1'
  )
})

t.test('keys of other kinds, for other uses, too short or malformed are passed over', async (t) => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const long = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = long.publicKey.export({ format: 'jwk' })
  const verify = createVerifier({
    keys: [
      { ...ec, kid: 'ec' }, { ...short.publicKey.export({ format: 'jwk' }), kid: 'short' }, { kty: 'RSA', kid: 'broken' },
      { ...jwk, kid: 'encrypts', use: 'enc' }, { ...jwk, kid: 'other', alg: 'PS256' }, jwk, { ...jwk, kid: 'good' }
    ]
  })
  const tokenFor = (kid: string, key = long.privateKey): string => {
    const input = [{ alg: 'RS256', kid }, {}].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    return `${input}.${sign('sha256', Buffer.from(input), createPrivateKey(key.export({ format: 'pem', type: 'pkcs8' }))).toString('base64url')}`
  }
  t.same(verify(tokenFor('good')), {})
  for (const kid of ['ec', 'broken', 'encrypts', 'other']) t.equal(verify(tokenFor(kid)), undefined, kid)
  t.equal(verify(tokenFor('short', short.privateKey)), undefined, 'short')
})

t.test('the identity provider logs in the user of the secret files, as the compose example is configured', async (t) => {
  const env = secretFiles(t)
  const part = startPart(t, ['identity-provider'], { ...env, DEMO_TOKEN_LIFE_SECONDS: '7' })
  const loaded = loadConfig({ env: { ...env }, cwd: CONFIG, options: { config: 'compose.example.jsonc' } })
  const credential = loaded.ok ? loaded.config.credentials.get('relayer') : undefined
  if (credential?.type !== 'defender-relayer') throw new Error('the example has a relayer')
  const address = await part.address()
  const source = createCognitoSource({ ...credential, endpoint: `http://${address}` }, startWorker(t))
  const grant = await source.token(NEVER)
  t.equal(grant.lifetimeMs, 7000)
  const [, id] = await part.shows(/login \(SRP\): new token …(.{6}), good for 7 s\n/)
  const jwks = JSON.parse((await call(address, '/.well-known/jwks.json')).body) as TokenSigner['jwks']
  const claims = createVerifier(jwks)(grant.value.reveal())
  t.match(claims, { username: SECRETS.RELAYER_API_KEY, token_use: 'access' })
  t.ok(String(claims?.['jti']).endsWith(String(id)))
  if (grant.renewal === undefined) throw new Error('a login brings a refresh token')
  await source.token(NEVER, grant.renewal)
  await part.shows(/refresh: new token …/)

  const wrong = createCognitoSource({ ...credential, password: new Secret('wrong'), endpoint: `http://${address}` }, startWorker(t))
  await t.rejects(wrong.token(NEVER), TokenError)
  await part.shows(/login \(SRP\): NotAuthorizedException\n/)

  part.kill('SIGTERM')
  t.equal(await part.exit, 0)
  t.notMatch(part.stdout() + part.stderr(), /canary|eyJ/, 'neither a secret nor a token is printed')
})

t.test('the compose example is a good configuration where the compose file puts it', async (t) => {
  const result = loadConfig({
    env: { ...SECRETS, COUNTERSIGN_LISTEN: '0.0.0.0:8080', COUNTERSIGN_ALLOW_EXTERNAL: 'true', COUNTERSIGN_ALLOWED_HOSTS: 'countersign' },
    cwd: CONFIG,
    options: { config: 'compose.example.jsonc' }
  })
  if (!result.ok) throw new Error('it loads')
  t.match(result.config.routes, [{ prefix: '/relayer', upstream: 'http://upstream:9000' }])
  t.match(result.config, { allowedHosts: ['countersign'], listen: { host: '0.0.0.0', port: 8080 } })
})

t.test('the upstream lets in whom the identity provider\'s keys verify, and knows the API key', async (t) => {
  const keys = await startKeys(t, signers.first.jwks)
  const part = startPart(t, ['upstream'], { ...secretFiles(t), DEMO_JWKS_URL: keys.url })
  const address = await part.address()
  t.equal(keys.fetches(), 0, 'no token, no need of keys')
  t.equal((await call(address, '/txs')).status, 401)
  t.equal(keys.fetches(), 0)

  const token = accessToken(signers.first)
  t.equal(await statusFor(address, token), 200)
  t.equal(await statusFor(address, token, { 'x-api-key': SECRETS.RELAYER_API_KEY }), 200)
  t.equal(await statusFor(address, token, { 'x-api-key': 'some-other-key-of-someone' }), 401)
  t.equal(await statusFor(address, accessToken(signers.first, { exp: Math.floor(Date.now() / 1000) - 1 })), 401, 'an expired token')
  t.equal(await statusFor(address, signers.first.sign('access', { username: 'alice' })), 401, 'a token that says nothing of its end')
  t.equal(keys.fetches(), 1, 'the keys are fetched once')

  await part.shows(/GET \/txs: 401, with no token and no key\n/)
  await part.shows(new RegExp(`GET /txs: 200, with token …${token.slice(-6)} and key …abcdef\n`))
  part.kill('SIGTERM')
  t.equal(await part.exit, 0)
  t.notMatch(part.stdout() + part.stderr(), /canary|eyJ/, 'neither a secret nor a token nor a query is printed')
})

t.test('new keys are fetched when a token does not verify, at most once a second', async (t) => {
  const keys = await startKeys(t, signers.first.jwks)
  const part = startPart(t, ['upstream'], { ...secretFiles(t), DEMO_JWKS_URL: keys.url })
  const address = await part.address()
  t.equal(await statusFor(address, accessToken(signers.first)), 200)
  t.equal(keys.fetches(), 1)

  keys.publish(signers.second.jwks)
  const began = performance.now()
  let tries = 0
  let status = 0
  while (status !== 200 && performance.now() - began < DEADLINE_MS) {
    status = await statusFor(address, accessToken(signers.second))
    tries += 1
  }
  t.equal(status, 200)
  // Every one of them would have fetched keys, on a machine that is not very slow.
  t.comment(`${tries} tokens`)
  t.equal(keys.fetches(), 2)
  t.equal(await statusFor(address, accessToken(signers.first)), 401, 'a key that is gone verifies nothing')
})

t.test('tokens that arrive together wait for one fetch of the keys', async (t) => {
  const keys = await startKeys(t, signers.first.jwks)
  const part = startPart(t, ['upstream'], { ...secretFiles(t), DEMO_JWKS_URL: keys.url })
  const address = await part.address()
  const statuses = await Promise.all(Array.from({ length: 10 }, () => statusFor(address, accessToken(signers.first))))
  t.same(new Set(statuses), new Set([200]))
  t.equal(keys.fetches(), 1)
})

t.test('where there are no keys nobody is let in, and the upstream says why', async (t) => {
  const keys = await startKeys(t, null)
  const part = startPart(t, ['upstream'], { ...secretFiles(t), DEMO_JWKS_URL: keys.url })
  const address = await part.address()
  t.equal(await statusFor(address, accessToken(signers.first)), 401)
  await part.shows(/no keys from http:\/\/127\.0\.0\.1:\d+\/\.well-known\/jwks\.json: .+\n/)
})

t.test('both parts end at once on a signal, with connections open', async (t) => {
  const env = { ...secretFiles(t), DEMO_JWKS_URL: 'http://127.0.0.1:1/jwks.json' }
  for (const [name, signal] of [['identity-provider', 'SIGTERM'], ['upstream', 'SIGINT']] as const) {
    const part = startPart(t, [name], env)
    const response = await fetch(`http://${await part.address()}/`)
    part.kill(signal)
    t.equal(await part.exit, 0, name)
    await response.body?.cancel().catch(() => {})
  }
})

t.test('what is wrong with its start is said, without a value', async (t) => {
  const files = secretFiles(t)
  const taken = new URL((await startKeys(t, {})).url).port
  const upstream = { ...files, DEMO_JWKS_URL: 'http://127.0.0.1:1/jwks.json' }
  const cases: ReadonlyArray<readonly [args: readonly string[], env: Readonly<Record<string, string>>, status: number, message: RegExp]> = [
    [[], files, 64, /^usage: .*identity-provider\|upstream\n$/],
    [['proxy'], files, 64, /^usage: /],
    [['identity-provider'], {}, 78, /^secret RELAYER_API_KEY is not set; /],
    [['identity-provider'], { ...files, RELAYER_API_SECRET_FILE: '/canary/none' }, 78, /^the file that RELAYER_API_SECRET_FILE names /],
    [['identity-provider'], { ...files, DEMO_PORT: 'canary' }, 78, /^DEMO_PORT: is no whole number from 0 to 65535; /],
    [
      ['identity-provider'],
      { ...files, DEMO_TOKEN_LIFE_SECONDS: '0' },
      78,
      /^DEMO_TOKEN_LIFE_SECONDS: is no whole number from 1 to 86400; /
    ],
    [['upstream'], files, 78, /^DEMO_JWKS_URL: is no URL; /],
    [['upstream'], { ...upstream, DEMO_PORT: taken }, 69, /^cannot listen: .*EADDRINUSE/]
  ]
  for (const [args, env, status, message] of cases) {
    const part = startPart(t, args, env)
    t.equal(await part.exit, status, String(message))
    t.match(part.stderr(), message)
    t.notMatch(part.stdout() + part.stderr(), /canary/)
  }
})
