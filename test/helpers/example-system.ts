import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { startEchoUpstream } from '#src/demo/echo-upstream.ts'
import { Secret } from '#src/secret.ts'
import { CLIENT_ID, NEVER, POOL_ID, sourceFor, startEmulator, startWorker } from './cognito.ts'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

const KEY = 'EXAMPLE-KEY-1'
const PASSWORD = 'correct horse'

/** A user pool, an API that wants its tokens, and a vault that gives some, for programs that are run in a process of their own. */
export interface ExampleSystem {
  readonly env: Readonly<Record<string, string>>
}

/** Starts them; they end with the test. */
export async function startExampleSystem (t: Test): Promise<ExampleSystem> {
  const users = [{ username: 'orders-batch', password: PASSWORD }, { username: KEY, password: PASSWORD }]
  const emulator = await startEmulator(t, { users })
  const upstream = await startEchoUpstream({ verify: emulator.verify, apiKeys: new Set([KEY]) })
  t.teardown(() => upstream.close())
  const { value } = await sourceFor(emulator.url, startWorker(t), {
    username: new Secret('orders-batch'),
    password: new Secret(PASSWORD)
  }).token(NEVER)
  const vault = createServer((_request, response) => { response.end(JSON.stringify({ token: value.reveal(), ttlSeconds: 600 })) })
  await new Promise<void>((resolve) => { vault.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => vault.close())
  return {
    env: {
      ORDERS_URL: upstream.url,
      PRICES_URL: upstream.url,
      VAULT_URL: `http://127.0.0.1:${(vault.address() as AddressInfo).port}`,
      ENDPOINT: emulator.url,
      USER_POOL_ID: POOL_ID,
      CLIENT_ID,
      PASSWORD,
      ORDERS_PASSWORD: PASSWORD,
      API_KEY: KEY,
      API_SECRET: PASSWORD
    }
  }
}

/** Runs a program of a file, which must end by itself and well. @returns what it printed */
export async function runProgram (file: string, env: Readonly<Record<string, string>>, cwd = ROOT): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], { env: { PATH: process.env['PATH'], ...env }, cwd })
  return stdout + stderr
}
