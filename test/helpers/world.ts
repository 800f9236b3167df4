import { randomBytes } from 'node:crypto'
import { startCognitoEmulator, type CognitoEmulator } from '#src/demo/cognito-emulator.ts'
import { createTokenSigner, type Claims, type TokenSigner } from '#src/demo/jwt.ts'
import { startApi, type RecordingApi, type SeenRequest } from './api.ts'

/** Two relayer keys on one app client, as all keys of Defender are, and a user of another pool. */
export interface World {
  readonly emulator: CognitoEmulator
  readonly api: RecordingApi
  readonly secrets: Readonly<Record<'KEY_A' | 'SECRET_A' | 'KEY_B' | 'SECRET_B' | 'PASSWORD', string>>
  /** The text of a configuration file with the routes /a, /b and /orders. */
  readonly config: string
  /** The claims of the token that a request carried. */
  readonly claimsOf: (request: SeenRequest) => Claims | undefined
  readonly close: () => Promise<void>
}

export interface WorldOptions {
  /** Of tokens; default 3600. */
  readonly lifetimeSeconds?: number
  /** Further members of the configuration's top level, as JSON text without braces. */
  readonly extra?: string
  /** What the API answers; default 200 `{}`. */
  readonly respond?: Parameters<typeof startApi>[0]
}

// Searching primes for an RSA key costs as much as a whole test, and no test depends on which it is.
let signer: Promise<TokenSigner> | undefined

/** Starts an identity provider and an upstream, and writes a configuration for a proxy between them. */
export async function startWorld ({ lifetimeSeconds = 3600, extra = '', respond }: WorldOptions = {}): Promise<World> {
  const secrets = {
    KEY_A: `CANARYKEYA${randomBytes(11).toString('hex')}`,
    SECRET_A: `CANARYPWA${randomBytes(28).toString('hex')}`,
    KEY_B: `CANARYKEYB${randomBytes(11).toString('hex')}`,
    SECRET_B: `CANARYPWB${randomBytes(28).toString('hex')}`,
    PASSWORD: `CANARY-PW-${randomBytes(12).toString('base64url')}`
  }
  signer ??= createTokenSigner()
  const emulator = await startCognitoEmulator({
    signer: await signer,
    pools: [
      {
        id: 'us-west-2_Relayers1',
        clients: [{ id: 'relayers', lifetimeSeconds }],
        users: [
          { username: secrets.KEY_A, password: secrets.SECRET_A },
          { username: secrets.KEY_B, password: secrets.SECRET_B }
        ]
      },
      {
        id: 'eu-west-1_Orders1',
        clients: [{ id: 'orders', lifetimeSeconds }],
        users: [{ username: 'orders-batch', password: secrets.PASSWORD }]
      }
    ]
  })
  const api = await startApi(respond)
  const relayer = (letter: string): string =>
    `{ "type": "defender-relayer", "apiKey": "\${KEY_${letter}}", "apiSecret": "\${SECRET_${letter}}", "userPoolId": "us-west-2_Relayers1", "clientId": "relayers", "endpoint": "${emulator.url}" }`
  const config = `{
  "listen": "127.0.0.1:0", "admin": "127.0.0.1:0",${extra === '' ? '' : ` ${extra},`}
  "credentials": {
    "a": ${relayer('A')},
    "b": ${relayer('B')},
    "orders": { "type": "cognito", "userPoolId": "eu-west-1_Orders1", "clientId": "orders", "username": "orders-batch", "password": "\${PASSWORD}", "endpoint": "${emulator.url}" }
  },
  "routes": [
    { "prefix": "/a", "upstream": "${api.url}", "credential": "a" },
    { "prefix": "/b", "upstream": "${api.url}", "credential": "b" },
    { "prefix": "/orders", "upstream": "${api.url}/v2", "credential": "orders" }
  ]
}
`
  return {
    emulator,
    api,
    secrets,
    config,
    claimsOf: (request) => decode(/^Bearer \S+\.(\S+)\.\S+$/.exec(request.headers.authorization ?? '')?.[1]),
    close: async () => { await Promise.all([emulator.close(), api.close()]) }
  }
}

// Not verified here: a token may have expired since it was seen. The emulator's record tells which are genuine.
function decode (payload: string | undefined): Claims | undefined {
  return payload === undefined ? undefined : JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Claims
}

/** Every spelling of the secrets that must not be in any output. */
export function canariesIn (text: string, secrets: Readonly<Record<string, string>>): string[] {
  return Object.entries(secrets)
    .filter(([, value]) =>
      [value, encodeURIComponent(value), Buffer.from(value).toString('base64').replace(/=+$/, ''), Buffer.from(value).toString('hex')].some(
        (form) => text.includes(form)
      )
    )
    .map(([name]) => name)
}
