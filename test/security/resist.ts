import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { Test } from 'tap'
import type { Attack, Target } from '#src/attack/attack.ts'
import { CORPUS } from '#src/attack/corpus.ts'
import { startRecorder } from '#src/attack/recorder.ts'
import { createReport } from '#src/attack/report.ts'
import { runAttacks } from '#src/attack/runner.ts'
import { setUp, targetsOf } from '#src/attack/test-bed.ts'
import { loadConfig } from '#src/config/load.ts'
import type { Config } from '#src/config/config.ts'
import { parseAddress } from '#src/http/address.ts'
import { createLogger } from '#src/logger.ts'
import { startServer } from '#src/server.ts'
import { startDaemon } from '../helpers/daemon.ts'

/** Secrets of the configuration below; what of them is on the wire is searched for everywhere. */
const SECRETS = {
  TOKEN: 'CANARYJWT4711aaaa',
  KEY: 'CANARYKEY4711bbbb',
  PASSWORD: 'CANARYPW4711cccc',
  CALLER: 'CANARYCALLER4711dddd'
} as const
const BASIC = Buffer.from(`user:${SECRETS.PASSWORD}`).toString('base64')
const CREDENTIALS = new Map([['token', SECRETS.TOKEN], ['key', SECRETS.KEY], ['basic', BASIC]])
/** How many routes the configuration has. */
const ROUTES = 8

export interface ResistOptions {
  /** Attack the built executable in a process of its own, rather than the same parts in this one. */
  readonly spawned?: true
}

/**
 * Tries an attack of the corpus (`src/attack`), in all its spellings, on a proxy with a route of every kind. Pass means:
 * the status that the attack wants, zero bytes at every upstream (or exactly one request with exactly one of each
 * injected field, where it may pass), a plain request served behind each try, and no secret in any response or log.
 */
export async function resist (t: Test, id: string, { spawned }: ResistOptions = {}): Promise<void> {
  const attacks = Object.values(CORPUS).flat().filter((attack) => attack.id === id)
  t.equal(attacks.length, 1, `${id} is in the corpus, once`)
  const { targets, output, stop } = spawned === true ? await spawnProxy(t) : await startStaged(t)
  await attempt(t, targets, attacks)
  const text = await stop()
  t.same(
    new Set(
      [...Object.values(SECRETS), BASIC, ...targets.flatMap(({ canaries }) => canaries)].filter((secret) => output().includes(secret))
    ),
    new Set(),
    'no secret in the log'
  )
  t.notMatch(text, 'internal failure')
}

async function attempt (t: Test, targets: readonly Target[], attacks: readonly Attack[]): Promise<void> {
  const results = await runAttacks({ targets, attacks, deadlineMs: 10_000 })
  const { counts, failures } = createReport(results, targets, { all: attacks })
  t.ok(results.length > 0, 'there is something to try')
  for (const { route, refused, passed } of counts) {
    t.same(
      failures.filter((failure) => failure.route === route),
      [],
      `${route}: ${refused} refused, ${passed} passed harmlessly`
    )
  }
}

interface Subject {
  readonly targets: readonly Target[]
  /** Everything that was logged. */
  readonly output: () => string
  /** Ends the proxy in an orderly way, which it can only while it is alive. */
  readonly stop: () => Promise<string>
}

async function startStaged (t: Test): Promise<Subject> {
  const staged = await setUp(load(t, configText()))
  t.teardown(() => staged.close())
  let logged = ''
  const stream = new Writable({
    decodeStrings: false,
    write (chunk: string, _encoding, done) {
      logged += chunk
      done()
    }
  })
  const server = await startServer({
    config: staged.config,
    log: createLogger({ level: 'trace', destination: stream, readable: false, colour: false }),
    proxies: {}
  })
  t.teardown(() => server.stop())
  return {
    targets: staged.targets(server),
    output: () => logged,
    stop: async () => {
      await server.stop()
      return logged
    }
  }
}

async function spawnProxy (t: Test): Promise<Subject> {
  const recorders = await Promise.all(Array.from({ length: ROUTES }, () => startRecorder()))
  t.teardown(async () => {
    await Promise.all(recorders.map((recorder) => recorder.close()))
  })
  const text = configText(recorders.map(({ port }) => port))
  const folder = temporary(t)
  writeFileSync(join(folder, 'countersign.jsonc'), text)
  const daemon = startDaemon(['serve', '-c', 'countersign.jsonc'], { cwd: folder, env: { ...SECRETS, COUNTERSIGN_LOG_LEVEL: 'trace' } })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  const line = (await daemon.line('listening')) as { address: string, admin: string, routes: Array<{ address: string }> } // contract section 1
  const config = load(t, text)
  // What is not in the list of credentials is the key of the OIS.
  const credentials = new Map([
    ...config.routes.flatMap(({ bindings }) =>
      bindings.flatMap(({ value }) => (value.type === 'relay' ? [] : [[value.credential, SECRETS.KEY] as const]))
    ),
    ...CREDENTIALS
  ])
  const addresses = {
    address: place(line.address),
    admin: place(line.admin),
    routes: line.routes.map(({ address }) => ({ address: place(address) }))
  }
  return {
    targets: targetsOf(config, addresses, recorders, credentials, SECRETS.CALLER),
    output: () => daemon.stdout() + daemon.stderr(),
    stop: async () => {
      daemon.kill('SIGTERM')
      t.equal(await daemon.exit, 0, 'the process was alive, and ends in an orderly way')
      return daemon.stderr()
    }
  }
}

function place (text: string): NonNullable<ReturnType<typeof parseAddress>> {
  const address = parseAddress(text)
  if (address === undefined) throw new Error(`not an ADDR: ${text}`)
  return address
}

function load (t: Test, text: string): Config {
  const folder = temporary(t)
  writeFileSync(join(folder, 'countersign.jsonc'), text)
  const loaded = loadConfig({ env: SECRETS, cwd: folder, options: { config: 'countersign.jsonc' } })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  if (loaded.config.routes.length !== ROUTES) throw new Error('the number of routes has changed')
  return loaded.config
}

function temporary (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'cs-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  return folder
}

/** A configuration with a route of every kind: each place of a credential, with and without base path, list, upgrades, prefix. */
function configText (ports: readonly number[] = []): string {
  const upstream = (index: number, path = ''): string => `"http://127.0.0.1:${ports[index] ?? 9}${path}"`
  return `{
  "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "callerToken": "\${CALLER}", "allowedHosts": ["countersign", "proxy.internal:8080"], "allowedOrigins": ["https://app.example"],
  "credentials": {
    "token": { "type": "static", "value": "\${TOKEN}" }, "key": { "type": "static", "value": "\${KEY}" }, "basic": { "type": "static", "username": "user", "password": "\${PASSWORD}" }
  },
  "routes": [
    { "prefix": "/relayer", "upstream": ${upstream(0)}, "credential": "token", "allow": ["POST /txs", "GET /txs/*", "GET /relayer"],
      "inject": [{ "type": "http", "scheme": "bearer" }, { "type": "apiKey", "in": "header", "name": "X-Api-Key", "credential": "key" }] },
    { "prefix": "/maps", "upstream": ${upstream(1, '/v1/maps')}, "credential": "key", "inject": [{ "type": "apiKey", "in": "query", "name": "key" }] },
    { "prefix": "/rpc", "upstream": ${upstream(2, '/v2')}, "credential": "key", "allow": ["POST /**"], "inject": [{ "type": "apiKey", "in": "query", "name": "api_key" }] },
    { "prefix": "/shop", "upstream": ${upstream(3)}, "credential": "key", "websocket": false, "inject": [{ "type": "apiKey", "in": "cookie", "name": "session" }] },
    { "prefix": "/public", "upstream": ${upstream(4, '/pub')} },
    { "prefix": "/a/b", "listen": "127.0.0.1:0", "upstream": ${upstream(5)}, "credential": "basic" },
    { "prefix": "/relayed", "ois": "Relay API", "relay": { "relayRequesterAddress": { "header": "X-Requester" }, "relayChainId": { "header": "X-Chain" }, "relayRequestId": { "generate": true } } },
    { "prefix": "/", "upstream": ${upstream(7, '/rest')}, "credential": "token" }
  ],
  "ois": [{ "title": "Relay API", "oisFormat": "1.0.0", "apiSpecifications": {
    "servers": [{ "url": ${upstream(6, '/api')} }],
    "components": { "securitySchemes": {
      "key": { "type": "apiKey", "in": "header", "name": "X-Key" }, "requester": { "type": "relayRequesterAddress", "in": "header", "name": "requesterAddress" },
      "chain": { "type": "relayChainId", "in": "query", "name": "chainId" }, "request": { "type": "relayRequestId", "in": "cookie", "name": "requestId" }
    } },
    "security": { "key": [], "requester": [], "chain": [], "request": [] }
  } }],
  "apiCredentials": [{ "oisTitle": "Relay API", "securitySchemeName": "key", "securitySchemeValue": "\${KEY}" }]
}
`
}
