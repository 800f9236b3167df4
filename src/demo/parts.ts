import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createSecretLookup, type Environment } from '../config/read/secrets.ts'
import type { EmulatorCall } from './cognito-calls.ts'
import { startCognitoEmulator } from './cognito-emulator.ts'
import { startEchoUpstream } from './echo-upstream.ts'
import { createVerifier, type Claims, type TokenSigner } from './jwt.ts'

// The names in config/compose.example.jsonc.
const POOL_ID = 'us-west-2_DemoPool1'
const CLIENT_ID = 'demo-relayer-client'
// Only a container's neighbours can reach it, and they must.
const HOST = '0.0.0.0'

const KEYS_DEADLINE_MS = 5_000
// Forged tokens must not turn into calls to the identity provider.
const KEYS_INTERVAL_MS = 1_000

// Statuses of BSD's sysexits.h, as the executable has them.
const EXIT = { usage: 64, unavailable: 69, config: 78 } as const

/** Runs one part of the demo. */
export async function startPart (part: string | undefined): Promise<void> {
  switch (part) {
    case 'identity-provider': return await startIdentityProvider(process.env)
    case 'upstream': return await startUpstream(process.env)
    default: die(EXIT.usage, 'usage: node bin/demo-part.js identity-provider|upstream')
  }
}

/** A user pool with one user: the relayer key and its secret. */
async function startIdentityProvider (env: Environment): Promise<void> {
  const lifetimeSeconds = readNumber(env, 'DEMO_TOKEN_LIFE_SECONDS', 20, { min: 1, max: 86_400 })
  const users = [{ username: readSecret(env, 'RELAYER_API_KEY'), password: readSecret(env, 'RELAYER_API_SECRET') }]
  const emulator = await startCognitoEmulator({
    pools: [{ id: POOL_ID, clients: [{ id: CLIENT_ID, lifetimeSeconds }], users }],
    host: HOST,
    port: readPort(env),
    onEvent: (call) => { describeCall(call, lifetimeSeconds) }
  }).catch(cannotListen)
  say(`identity provider listens at ${emulator.url}`)
}

/** An API that knows nothing of the identity provider but the address of its keys. */
async function startUpstream (env: Environment): Promise<void> {
  const keysUrl = env['DEMO_JWKS_URL'] ?? ''
  if (!URL.canParse(keysUrl)) {
    die(EXIT.config, 'DEMO_JWKS_URL: is no URL; set it to http://identity-provider:9000/.well-known/jwks.json, say')
  }
  const apiKeys = new Set([readSecret(env, 'RELAYER_API_KEY')])
  subscribe('http.server.response.finish', (message) => {
    // The shape of the message is documented in Node's diagnostics_channel.
    describeRequest(message as { request: IncomingMessage, response: ServerResponse })
  })
  const upstream = await startEchoUpstream({ verify: createRemoteVerifier(keysUrl), apiKeys, host: HOST, port: readPort(env) }).catch(
    cannotListen
  )
  say(`upstream listens at ${upstream.url}`)
}

/** Verifies tokens with keys that are fetched when a token needs them: at first, and when none of those at hand fits. */
function createRemoteVerifier (url: string): (token: string) => Promise<Claims | undefined> {
  let verify: TokenSigner['verify'] = () => undefined
  let fetchedAt = -Infinity
  let fetching: Promise<void> | undefined
  return async (token) => {
    if (token === '') return undefined
    return alive(verify(token) ?? await verifyAnew(token))
  }

  async function verifyAnew (token: string): Promise<Claims | undefined> {
    if (fetching === undefined && performance.now() - fetchedAt < KEYS_INTERVAL_MS) return undefined
    fetching ??= fetchKeys().finally(() => { fetching = undefined })
    await fetching
    return verify(token)
  }

  async function fetchKeys (): Promise<void> {
    fetchedAt = performance.now()
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(KEYS_DEADLINE_MS) })
      const keys = await response.json() as TokenSigner['jwks'] // anything else throws here, and no key changes
      verify = createVerifier(keys)
      say(`keys fetched: ${keys.keys.map(({ kid }) => String(kid)).join(', ')}`)
    } catch (error) {
      say(`no keys from ${url}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

function alive (claims: Claims | undefined): Claims | undefined {
  const expiry = claims?.['exp']
  return typeof expiry === 'number' && expiry * 1000 > Date.now() ? claims : undefined
}

/** Writes a line for each token request; the first half of an SRP login gets none. */
function describeCall (call: EmulatorCall, lifetimeSeconds: number): void {
  if (call.outcome === 'challenge') return
  const kind = call.flow === 'PASSWORD_VERIFIER' ? 'login (SRP)' : 'refresh'
  say(
    call.tokenId === undefined ? `${kind}: ${call.outcome}` : `${kind}: new token …${call.tokenId.slice(-6)}, good for ${lifetimeSeconds} s`
  )
}

function describeRequest ({ request, response }: { readonly request: IncomingMessage, readonly response: ServerResponse }): void {
  // A query may hold a key.
  const [path = ''] = (request.url ?? '').split('?')
  const { authorization, 'x-api-key': apiKey } = request.headers
  say(
    `${request.method ?? ''} ${path}: ${response.statusCode}, with ${authorization === undefined ? 'no token' : `token ${shorten(authorization)}`} and ${apiKey === undefined ? 'no key' : `key ${shorten(String(apiKey))}`}`
  )
}

/** Shortens a secret: two can be told apart, none can be used. */
function shorten (secret: string): string {
  return secret.length > 16 ? `…${secret.slice(-6)}` : '…'
}

function readPort (env: Environment): number {
  return readNumber(env, 'DEMO_PORT', 9000, { min: 0, max: 65_535 })
}

function readNumber (
  env: Environment,
  name: string,
  otherwise: number,
  { min, max }: { readonly min: number, readonly max: number }
): number {
  const text = env[name]
  if (text === undefined) return otherwise
  const number = Number(text)
  return /^\d+$/.test(text) && number >= min && number <= max
    ? number
    : die(EXIT.config, `${name}: is no whole number from ${min} to ${max}; correct it, or remove the variable`)
}

function readSecret (env: Environment, name: string): string {
  const secret = createSecretLookup(env, process.cwd()).find(name)
  return secret.ok ? secret.value : die(EXIT.config, secret.reason)
}

function cannotListen (error: unknown): never {
  die(EXIT.unavailable, `cannot listen: ${error instanceof Error ? error.message : String(error)}`)
}

function say (text: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)}  ${text}\n`)
}

function die (status: number, message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(status)
}
