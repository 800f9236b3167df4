import { createServer } from 'node:http'
import { handleCall, type Emulation, type EmulatorCall } from './cognito-calls.ts'
import { createFaultQueue, type FaultQueue } from './cognito-faults.ts'
import { registerPools, setPassword, type EmulatorPool } from './cognito-pool.ts'
import { createSessions } from './cognito-sessions.ts'
import { createTokenSigner, type Claims, type TokenSigner } from './jwt.ts'
import { close, listen, urlOf } from './server.ts'

export interface EmulatorOptions {
  readonly pools: readonly EmulatorPool[]
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Default 0: a free one. */
  readonly port?: number
  /** Default `Date.now`; the faults' `clockOffsetMs` comes on top. */
  readonly now?: () => number
  /** Called with each entry of the record. */
  readonly onEvent?: (call: EmulatorCall) => void
  /** Default: a new key. Several emulators may share one. */
  readonly signer?: TokenSigner
}

/** A running emulator of Amazon Cognito user pools: logins, refreshes and their ways to fail. */
export interface CognitoEmulator {
  readonly url: string
  readonly close: () => Promise<void>
  /** The calls so far, oldest first; the last ten thousand. */
  readonly record: readonly EmulatorCall[]
  readonly faults: FaultQueue
  readonly setPassword: (poolId: string, username: string, password: string) => void
  readonly revokeRefreshTokens: () => void
  readonly jwks: TokenSigner['jwks']
  /** The claims of one of the emulator's tokens (access or id) that has not expired. */
  readonly verify: (token: string) => Claims | undefined
}

/**
 * Starts an emulator on a loopback port. It verifies SRP for real, with maths of its own, so a client that logs in here
 * computes what Cognito computes.
 */
export async function startCognitoEmulator (options: EmulatorOptions): Promise<CognitoEmulator> {
  const signer = options.signer ?? await createTokenSigner()
  const faults = createFaultQueue()
  const now = (): number => (options.now ?? Date.now)() + faults.clockOffsetMs
  const registrations = registerPools(options.pools)
  const sessions = createSessions(signer, now)
  const record: EmulatorCall[] = []
  const emulation: Emulation = {
    service: { registrations, sessions, signer, challenges: new Map(), now },
    faults,
    note: (call) => {
      record.push(call)
      if (record.length > RECORD_LIMIT) record.shift()
      options.onEvent?.(call)
    }
  }
  const server = createServer((request, response) => {
    handleCall(emulation, request, response).catch(() => { response.destroy() })
  })
  await listen(server, options.port ?? 0, options.host ?? '127.0.0.1')
  return {
    url: urlOf(server),
    close: () => close(server),
    record,
    faults,
    setPassword: (poolId, username, password) => { setPassword(registrations, poolId, username, password) },
    revokeRefreshTokens: sessions.revokeAll,
    jwks: signer.jwks,
    verify: (token) => {
      const claims = signer.verify(token)
      const expiry = claims?.['exp']
      return typeof expiry === 'number' && expiry * 1000 > now() ? claims : undefined
    }
  }
}

// A demo may run for days.
const RECORD_LIMIT = 10_000
