import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EmulatorCall } from './cognito-calls.ts'
import { startCognitoEmulator, type CognitoEmulator } from './cognito-emulator.ts'
import { startEchoUpstream, type EchoUpstream } from './echo-upstream.ts'

/** Seconds; short enough to watch refreshes, where Cognito's default is an hour. */
export const DEMO_TOKEN_LIFE = 20

const RELAYER = { pool: 'us-west-2_DemoPool1', client: 'demo-relayer-client' }
const ORDERS = { pool: 'eu-west-1_DemoPool2', client: 'demo-orders-client' }

/** What surrounds the proxy in the demo, and the files that configure the proxy for it. */
export interface DemoSystem {
  readonly emulator: CognitoEmulator
  readonly upstream: EchoUpstream
  readonly configFile: string
  readonly secretsFile: string
  /** Removes the folder of the two files, at once. */
  readonly removeFiles: () => void
  readonly close: () => Promise<void>
}

/**
 * Starts an identity provider and an upstream, and writes a configuration with throw-away secrets into a folder that
 * only this user can read. `close` removes it again.
 */
export async function startDemoSystem (onCall: (call: EmulatorCall) => void): Promise<DemoSystem> {
  const secrets = {
    RELAYER_API_KEY: randomBytes(16).toString('hex'),
    RELAYER_API_SECRET: randomBytes(32).toString('hex'),
    ORDERS_PASSWORD: randomBytes(16).toString('base64url'),
    MAPS_KEY: randomBytes(16).toString('hex')
  }
  const emulator = await startCognitoEmulator({
    pools: [
      {
        id: RELAYER.pool,
        clients: [{ id: RELAYER.client, lifetimeSeconds: DEMO_TOKEN_LIFE }],
        users: [{ username: secrets.RELAYER_API_KEY, password: secrets.RELAYER_API_SECRET }]
      },
      {
        id: ORDERS.pool,
        clients: [{ id: ORDERS.client, lifetimeSeconds: DEMO_TOKEN_LIFE }],
        users: [{ username: 'orders-batch', password: secrets.ORDERS_PASSWORD }]
      }
    ],
    onEvent: onCall
  })
  const upstream = await startEchoUpstream({ verify: emulator.verify, apiKeys: new Set([secrets.RELAYER_API_KEY, secrets.MAPS_KEY]) })
  const folder = mkdtempSync(join(tmpdir(), 'countersign-demo-'))
  const configFile = join(folder, 'countersign.jsonc')
  const secretsFile = join(folder, 'secrets.env')
  writeFileSync(configFile, configText(emulator.url, upstream.url), { mode: 0o600 })
  writeFileSync(secretsFile, Object.entries(secrets).map(([name, value]) => `${name}='${value}'\n`).join(''), { mode: 0o600 })
  const removeFiles = (): void => { rmSync(folder, { recursive: true, force: true }) }
  return {
    emulator,
    upstream,
    configFile,
    secretsFile,
    removeFiles,
    close: async () => {
      removeFiles()
      await Promise.all([emulator.close(), upstream.close()])
    }
  }
}

/** The label of an emulator call's credential, by its app client. */
export function credentialOf (call: EmulatorCall): string {
  return call.clientId === RELAYER.client ? 'relayer' : 'orders'
}

function configText (identityProvider: string, upstream: string): string {
  return `// Made by \`countersign demo\`; removed when it ends.
{
  "credentials": {
    // An OpenZeppelin Defender relayer key, here with the demo's own user pool.
    "relayer": {
      "type": "defender-relayer", "apiKey": "\${RELAYER_API_KEY}", "apiSecret": "\${RELAYER_API_SECRET}",
      "userPoolId": "${RELAYER.pool}", "clientId": "${RELAYER.client}", "endpoint": "${identityProvider}"
    },
    // Any other Cognito user pool.
    "orders": {
      "type": "cognito", "userPoolId": "${ORDERS.pool}", "clientId": "${ORDERS.client}",
      "username": "orders-batch", "password": "\${ORDERS_PASSWORD}", "endpoint": "${identityProvider}"
    },
    "maps": { "type": "static", "value": "\${MAPS_KEY}" }
  },
  "routes": [
    { "prefix": "/relayer", "upstream": "${upstream}", "credential": "relayer", "allow": ["GET /**", "POST /txs"] },
    { "prefix": "/orders", "upstream": "${upstream}/v2", "credential": "orders" },
    { "prefix": "/maps", "upstream": "${upstream}", "credential": "maps", "inject": [{ "type": "apiKey", "in": "query", "name": "key" }] }
  ]
}
`
}
