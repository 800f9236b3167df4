import type { IncomingMessage, ServerResponse } from 'node:http'
import { errorResponse, insteadOf, spoil, type EmulatorResponse, type FaultQueue, type Mischief, type Operation } from './cognito-faults.ts'
import { confirmDevice, getTokensFromRefreshToken, initiateAuth, respondToAuthChallenge, type Service } from './cognito-operations.ts'
import { ServiceError, type Note, type Parameters } from './cognito-request.ts'
import { misbehave, send } from './cognito-send.ts'

/** One call, with a response or without. */
export interface EmulatorCall {
  readonly operation: Operation
  /** The `AuthFlow` or the `ChallengeName`. */
  readonly flow: string | undefined
  readonly username: string | undefined
  readonly clientId: string | undefined
  /** The device that the request named. */
  readonly deviceKey: string | undefined
  /** `ok`, `challenge`, the error's code, or the type of a fault that took the response's place. */
  readonly outcome: string
  /** Epoch milliseconds on the emulator's clock. */
  readonly at: number
  /** The `jti` of the access token that was issued. */
  readonly tokenId: string | undefined
}

/** A running emulator as its calls see it. */
export interface Emulation {
  readonly service: Service
  readonly faults: FaultQueue
  /** Writes a call down. */
  readonly note: (call: EmulatorCall) => void
}

const TARGET = /^AWSCognitoIdentityProviderService\.(InitiateAuth|RespondToAuthChallenge|GetTokensFromRefreshToken|ConfirmDevice)$/
const BODY_LIMIT = 64 * 1024
/** Handles one HTTP request: a call of an operation, or a look at the keys. */
export async function handleCall (emulation: Emulation, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { service, faults, note } = emulation
  if (request.method === 'GET' && request.url?.endsWith('/.well-known/jwks.json') === true) {
    send(service, response, { status: 200, body: JSON.stringify(service.signer.jwks), headers: { 'content-type': 'application/json' } })
    return
  }
  const operation = TARGET.exec(String(request.headers['x-amz-target']))?.[1] as Operation | undefined
  if (request.method !== 'POST' || operation === undefined) {
    request.resume()
    send(service, response, errorResponse('UnknownOperationException', ''))
    return
  }
  const body = await readBody(request)
  const parameters = body === undefined ? undefined : parse(body)
  if (parameters === undefined) {
    send(service, response, { ...errorResponse('SerializationException', ''), headers: { connection: 'close' } })
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
  await misbehave(service, response, given, mischief)
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

/** The names in the request, for calls whose operation a fault replaces. */
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
