import type { Test } from 'tap'
import { startCognitoEmulator, type CognitoEmulator, type EmulatorOptions } from '#src/demo/cognito-emulator.ts'
import type { EmulatorClient, EmulatorUser } from '#src/demo/cognito-pool.ts'
import { createTokenSigner, type TokenSigner } from '#src/demo/jwt.ts'
import { Secret } from '#src/secret.ts'
import { CognitoWorker, createCognitoSource, type CognitoCredential, type CognitoWorkerOptions } from '#src/token/cognito/source.ts'
import { TokenError, type TokenSource } from '#src/token/token.ts'

export const POOL_ID = 'eu-west-1_TestPool1'
export const CLIENT_ID = 'test-client'
export const USER: EmulatorUser = { username: 'alice', password: 'correct horse battery staple' }

/** A signal that never aborts. */
export const NEVER: AbortSignal = new AbortController().signal

// Making a key takes a second or so, and no test depends on which it is.
let signer: Promise<TokenSigner> | undefined

export interface EmulatorSetup extends Partial<Omit<EmulatorOptions, 'pools'>> {
  readonly client?: Partial<EmulatorClient>
  readonly users?: readonly EmulatorUser[]
  readonly deviceTracking?: boolean
}

/** An emulator with one pool, one client and one user; it ends with the test. */
export async function startEmulator (t: Test, { client, users, deviceTracking, ...options }: EmulatorSetup = {}): Promise<CognitoEmulator> {
  signer ??= createTokenSigner()
  const emulator = await startCognitoEmulator({
    signer: await signer,
    ...options,
    pools: [
      {
        id: POOL_ID,
        clients: [{ id: CLIENT_ID, ...client }],
        users: users ?? [USER],
        ...(deviceTracking !== undefined && { deviceTracking })
      }
    ]
  })
  t.teardown(() => emulator.close())
  return emulator
}

/** A worker that ends with the test. */
export function startWorker (t: Test, options: CognitoWorkerOptions = {}): CognitoWorker {
  const worker = new CognitoWorker(options)
  t.teardown(() => worker.close())
  return worker
}

/** A source for the emulator's user, unless the fields say otherwise. */
export function sourceFor (endpoint: string, worker: CognitoWorker, fields: Partial<CognitoCredential> = {}): TokenSource {
  return createCognitoSource({
    userPoolId: POOL_ID,
    clientId: CLIENT_ID,
    username: new Secret(USER.username),
    password: new Secret(USER.password),
    tokenUse: 'access',
    endpoint,
    ...fields
  }, worker)
}

/** The error of a call that should fail with a TokenError. */
export async function failureOf (call: Promise<unknown>): Promise<TokenError> {
  try {
    await call
  } catch (error) {
    if (error instanceof TokenError) return error
    throw error
  }
  throw new Error('this should have failed')
}
