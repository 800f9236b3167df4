import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  createFaultQueue,
  errorResponse,
  insteadOf,
  spoil,
  type EmulatorResponse,
  type FaultQueue,
  type Mischief,
  type Operation
} from './cognito-faults.ts'
import { confirmDevice, getTokensFromRefreshToken, initiateAuth, respondToAuthChallenge, type Service } from './cognito-operations.ts'
import { registerPools, setPassword, type EmulatorPool } from './cognito-pool.ts'
import { ServiceError, type Note, type Parameters } from './cognito-request.ts'
import { createSessions } from './cognito-sessions.ts'
import { createTokenSigner, type Claims, type TokenSigner } from './jwt.ts'

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

/** One call that was answered, or not. */
export interface EmulatorCall {
  readonly operation: Operation
  /** The `AuthFlow` or the `ChallengeName`. */
  readonly flow: string | undefined
  readonly username: string | undefined
  readonly clientId: string | undefined
  /** The device that the request named. */
  readonly deviceKey: string | undefined
  /** `ok`, `challenge`, the error's code, or the type of a fault that took the given's place. */
  readonly outcome: string
  /** Epoch milliseconds on the emulator's clock. */
  readonly at: number
  /** The `jti` of the access token that was issued. */
  readonly tokenId: string | undefined
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
    handle(emulation, request, response).catch(() => { response.destroy() })
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

interface Emulation {
  readonly service: Service
  readonly faults: FaultQueue
  readonly note: (call: EmulatorCall) => void
}

const TARGET = /^AWSCognitoIdentityProviderService\.(InitiateAuth|RespondToAuthChallenge|GetTokensFromRefreshToken|ConfirmDevice)$/
const BODY_LIMIT = 64 * 1024
// A demo may run for days.
const RECORD_LIMIT = 10_000

async function handle (emulation: Emulation, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { service, faults, note } = emulation
  if (request.method === 'GET' && request.url?.endsWith('/.well-known/jwks.json') === true) {
    send(emulation, response, { status: 200, body: JSON.stringify(service.signer.jwks), headers: { 'content-type': 'application/json' } })
    return
  }
  const operation = TARGET.exec(String(request.headers['x-amz-target']))?.[1] as Operation | undefined
  if (request.method !== 'POST' || operation === undefined) {
    request.resume()
    send(emulation, response, errorResponse('UnknownOperationException', ''))
    return
  }
  const body = await readBody(request)
  const parameters = body === undefined ? undefined : parse(body)
  if (parameters === undefined) {
    send(emulation, response, { ...errorResponse('SerializationException', ''), headers: { connection: 'close' } })
    return
  }
  const flow = flowOf(parameters)
  const mischief = faults.take(operation, flow)
  const details = namesIn(parameters)
  const { response: given, outcome } = respondToCall(service, operation, parameters, details, mischief)
  note({
    operation,
    flow,
    username: details.username,
    clientId: details.clientId,
    deviceKey: details.deviceKey,
    outcome,
    at: service.now(),
    tokenId: details.tokenId
  })
  await misbehave(emulation, response, given, mischief)
}

function respondToCall (
  service: Service,
  operation: Operation,
  parameters: Parameters,
  note: Note,
  mischief: Mischief | undefined
): { response: EmulatorResponse | undefined, outcome: string } {
  const instead = mischief && insteadOf(mischief)
  if (mischief !== undefined && instead !== undefined) {
    return { response: instead === 'nothing' ? undefined : instead, outcome: mischief.type }
  }
  try {
    const result = run(service, operation, parameters, note, mischief)
    return { response: { status: 200, body: JSON.stringify(result) }, outcome: 'ChallengeName' in result ? 'challenge' : 'ok' }
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    return { response: errorResponse(error.code, error.message), outcome: error.code }
  }
}

function run (service: Service, operation: Operation, parameters: Parameters, note: Note, mischief: Mischief | undefined): object {
  switch (operation) {
    case 'InitiateAuth':
      return spoil(initiateAuth(service, parameters, note, mischief?.type === 'shape-of-b' ? mischief.shape : undefined), mischief)
    case 'RespondToAuthChallenge':
      return spoil(respondToAuthChallenge(service, parameters, note), mischief)
    case 'GetTokensFromRefreshToken':
      return spoil(getTokensFromRefreshToken(service, parameters, note), mischief)
    case 'ConfirmDevice':
      return confirmDevice(service, parameters, note)
    default:
      return operation satisfies never
  }
}

async function misbehave (
  emulation: Emulation,
  response: ServerResponse,
  given: EmulatorResponse | undefined,
  mischief: Mischief | undefined
): Promise<void> {
  if (mischief?.type === 'drop') response.destroy()
  if (given === undefined) return
  if (mischief?.type === 'slow') await pause(mischief.ms, response)
  if (mischief?.type === 'truncated') {
    send(emulation, response, { ...given, body: given.body.slice(0, given.body.length / 2) })
    return
  }
  if (mischief?.type !== 'reset') {
    send(emulation, response, given)
    return
  }
  response.writeHead(given.status, headersOf(emulation, given))
  response.write(given.body.slice(0, given.body.length / 2), () => {
    response.socket?.resetAndDestroy()
  })
}

function send (emulation: Emulation, response: ServerResponse, given: EmulatorResponse): void {
  response.writeHead(given.status, headersOf(emulation, given)).end(given.body)
}

function headersOf ({ service }: Emulation, response: EmulatorResponse): Record<string, string | number> {
  return {
    'content-type': 'application/x-amz-json-1.1',
    'content-length': Buffer.byteLength(response.body),
    date: new Date(service.now()).toUTCString(),
    'x-amzn-requestid': randomUUID(),
    ...response.headers
  }
}

async function readBody (request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > BODY_LIMIT) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parse (body: Buffer): Parameters | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Parameters : undefined
  } catch {
    return undefined
  }
}

/** The names as the request gives them, for calls that a fault answers. */
function namesIn (parameters: Parameters): Note {
  const inner = (parameters['AuthParameters'] ?? parameters['ChallengeResponses']) as Parameters | undefined | null
  const username = inner?.['USERNAME']
  const clientId = parameters['ClientId']
  const deviceKey = parameters['DeviceKey'] ?? inner?.['DEVICE_KEY']
  return {
    ...(typeof username === 'string' && { username }),
    ...(typeof clientId === 'string' && { clientId }),
    ...(typeof deviceKey === 'string' && { deviceKey })
  }
}

function flowOf (parameters: Parameters): string | undefined {
  const flow = parameters['AuthFlow'] ?? parameters['ChallengeName']
  return typeof flow === 'string' ? flow : undefined
}

function pause (ms: number, response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    timer.unref()
    response.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

async function listen (server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function urlOf (server: Server): string {
  const { address, family, port } = server.address() as AddressInfo
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}

async function close (server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => { resolve() })
    server.closeAllConnections()
  })
}
