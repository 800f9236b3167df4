import { randomBytes } from 'node:crypto'
import { checkSecretHash, findAccount, findClient, poolName, type Account, type Registration, type Registrations } from './cognito-pool.ts'
import { ServiceError, objectOf, textOf, wrongPassword, type Note, type Parameters } from './cognito-request.ts'
import type { Sessions } from './cognito-sessions.ts'
import type { TokenSigner } from './jwt.ts'
import { respondToClient, claimSignature, createVerifier, equalBytes, passwordMatches, type ShapeOfB } from './srp-server.ts'
import { timestampProblem } from './srp-timestamp.ts'

/** Everything that the operations work on. */
export interface Service {
  readonly registrations: Registrations
  readonly sessions: Sessions
  readonly signer: TokenSigner
  /** Logins between their two steps, by secret block. */
  readonly challenges: Map<string, PendingChallenge>
  /** The service's clock, in epoch milliseconds. */
  readonly now: () => number
}

/** The state of a login that its secret block refers to. */
interface PendingChallenge {
  readonly clientId: string
  readonly userId: string
  readonly key: Buffer
  /** Absent where the user does not exist: such a challenge cannot be passed. */
  readonly account: Account | undefined
  readonly expiresAt: number
}

/** Step 1 of a login, or a refresh, by the flow that the request names. */
export function initiateAuth (service: Service, parameters: Parameters, note: Note, shape?: ShapeOfB): object {
  const registration = findClient(service.registrations, parameters, note)
  const auth = objectOf(parameters, 'AuthParameters')
  switch (parameters['AuthFlow']) {
    case 'USER_SRP_AUTH': return startSrp(service, registration, auth, note, shape)
    case 'USER_PASSWORD_AUTH': return logInWithPassword(service, registration, auth, note)
    case 'REFRESH_TOKEN_AUTH':
    case 'REFRESH_TOKEN': return refreshWithFlow(service, registration, auth, note)
    default: throw new ServiceError('InvalidParameterException', 'Unsupported AuthFlow.')
  }
}

/**
 * Step 2 of an SRP login. The order of the checks is Cognito's where it shows: an unreadable TIMESTAMP has an error of its own, all
 * other failures share one.
 */
export function respondToAuthChallenge (service: Service, parameters: Parameters, note: Note): object {
  const registration = findClient(service.registrations, parameters, note)
  if (parameters['ChallengeName'] !== 'PASSWORD_VERIFIER') throw new ServiceError('InvalidParameterException', 'Unsupported ChallengeName.')
  const responses = objectOf(parameters, 'ChallengeResponses')
  const userId = textOf(responses, 'USERNAME')
  note.username = userId
  checkSecretHash(registration, responses, userId)
  const timestamp = textOf(responses, 'TIMESTAMP')
  const problem = timestampProblem(timestamp, service.now())
  if (problem === 'unreadable') {
    throw new ServiceError('InvalidParameterException', 'TIMESTAMP format should be EEE MMM d HH:mm:ss z yyyy in english.')
  }
  const block = textOf(responses, 'PASSWORD_CLAIM_SECRET_BLOCK')
  const challenge = takeChallenge(service, block)
  if (challenge === undefined || challenge.clientId !== registration.client.id || challenge.userId !== userId) throw wrongPassword()
  const signature = Buffer.from(textOf(responses, 'PASSWORD_CLAIM_SIGNATURE'), 'base64')
  const expected = claimSignature(challenge.key, poolName(registration.pool.id), userId, Buffer.from(block, 'base64'), timestamp)
  if (!equalBytes(signature, expected) || challenge.account === undefined || problem !== undefined) throw wrongPassword()
  return signIn(service, registration, challenge.account, note)
}

/** The refresh with rotation. */
export function getTokensFromRefreshToken (service: Service, parameters: Parameters, note: Note): object {
  const { registrations, sessions } = service
  const { client } = findClient(registrations, parameters, note)
  if (client.secret !== undefined && !equalBytes(Buffer.from(textOf(parameters, 'ClientSecret')), Buffer.from(client.secret))) {
    throw new ServiceError('NotAuthorizedException', `Unable to verify secret for client ${client.id}`)
  }
  const refreshToken = textOf(parameters, 'RefreshToken')
  const session = sessions.find(refreshToken, client, parameters['DeviceKey'])
  note.username = session.account.username
  const tokens = sessions.issue(session, note)
  if (client.rotation === undefined || client.rotation === false) return { AuthenticationResult: tokens }
  sessions.replace(refreshToken)
  return { AuthenticationResult: { ...tokens, RefreshToken: sessions.addRefreshToken(session) } }
}

/** Confirms the device of a session, whose refresh tokens work from then on. */
export function confirmDevice (service: Service, parameters: Parameters, note: Note): object {
  const claims = service.signer.verify(textOf(parameters, 'AccessToken'))
  const session = service.sessions.findDevice(textOf(parameters, 'DeviceKey'))
  if (claims?.['token_use'] !== 'access' || session?.device === undefined || session.account.sub !== claims['sub']) {
    throw new ServiceError('NotAuthorizedException', 'Invalid Access Token')
  }
  const config = objectOf(parameters, 'DeviceSecretVerifierConfig')
  textOf(config, 'PasswordVerifier')
  textOf(config, 'Salt')
  note.username = session.account.username
  note.clientId = session.registration.client.id
  session.device.confirmed = true
  return { UserConfirmationNecessary: false }
}

const CHALLENGE_LIFETIME_MS = 3 * 60_000

// No `Session` in the response: the state of step 1 travels in SECRET_BLOCK (ministackorg/ministack#1758).
function startSrp (service: Service, registration: Registration, auth: Parameters, note: Note, shape: ShapeOfB | undefined): object {
  const { pool, client } = registration
  const username = textOf(auth, 'USERNAME')
  note.username = username
  checkSecretHash(registration, auth, username)
  const account = findAccount(registration, username)
  if (account === undefined && client.hidesUnknownUsers === false) throw unknownUser()
  const userId = account?.username ?? username
  const verifier = account?.verifier ?? createVerifier(poolName(pool.id), userId, randomBytes(24).toString('hex'))
  const exchange = respondToClient(textOf(auth, 'SRP_A'), verifier, shape)
  if (exchange === undefined) throw new ServiceError('InvalidParameterException', 'Invalid SRP_A.')
  const block = randomBytes(1024).toString('base64')
  forgetOldChallenges(service)
  service.challenges.set(block, {
    clientId: client.id,
    userId,
    key: exchange.key,
    account,
    expiresAt: service.now() + CHALLENGE_LIFETIME_MS
  })
  return {
    ChallengeName: 'PASSWORD_VERIFIER',
    ChallengeParameters: { SALT: verifier.salt, SRP_B: exchange.B, SECRET_BLOCK: block, USERNAME: userId, USER_ID_FOR_SRP: userId }
  }
}

function logInWithPassword (service: Service, registration: Registration, auth: Parameters, note: Note): object {
  const username = textOf(auth, 'USERNAME')
  note.username = username
  checkSecretHash(registration, auth, username)
  const account = findAccount(registration, username)
  if (account === undefined) throw registration.client.hidesUnknownUsers === false ? unknownUser() : wrongPassword()
  if (!passwordMatches(poolName(registration.pool.id), account.username, textOf(auth, 'PASSWORD'), account.verifier)) throw wrongPassword()
  return signIn(service, registration, account, note)
}

// A client with rotation cannot have ALLOW_REFRESH_TOKEN_AUTH (aws-amplify/amplify-js#14427); Cognito words the refusal so.
function refreshWithFlow ({ sessions }: Service, registration: Registration, auth: Parameters, note: Note): object {
  const { client } = registration
  if (client.rotation !== undefined && client.rotation !== false) {
    throw new ServiceError('InvalidParameterException', 'REFRESH_TOKEN_AUTH flow not enabled for this client')
  }
  const session = sessions.find(textOf(auth, 'REFRESH_TOKEN'), client, auth['DEVICE_KEY'])
  note.username = session.account.username
  checkSecretHash(registration, auth, session.account.username)
  return { AuthenticationResult: sessions.issue(session, note), ChallengeParameters: {} }
}

function signIn ({ sessions }: Service, registration: Registration, account: Account, note: Note): object {
  const rejection = rejectionOf(account)
  if (rejection !== undefined) throw rejection
  const session = sessions.open(registration, account)
  const { device } = session
  const result = {
    ...sessions.issue(session, note),
    RefreshToken: sessions.addRefreshToken(session),
    ...(device !== undefined && { NewDeviceMetadata: { DeviceKey: device.key, DeviceGroupKey: device.groupKey } })
  }
  return { AuthenticationResult: result, ChallengeParameters: {} }
}

function rejectionOf ({ state }: Account): ServiceError | undefined {
  switch (state) {
    case 'confirmed': return undefined
    case 'disabled': return new ServiceError('NotAuthorizedException', 'User is disabled.')
    case 'unconfirmed': return new ServiceError('UserNotConfirmedException', 'User is not confirmed.')
    case 'reset-required': return new ServiceError('PasswordResetRequiredException', 'Password reset required for the user')
    default: return state satisfies never
  }
}

/** One use within three minutes: whatever the outcome, the block is spent. */
function takeChallenge ({ challenges, now }: Service, block: string): PendingChallenge | undefined {
  const challenge = challenges.get(block)
  challenges.delete(block)
  return challenge !== undefined && challenge.expiresAt > now() ? challenge : undefined
}

function forgetOldChallenges ({ challenges, now }: Service): void {
  for (const [block, challenge] of challenges) {
    if (challenge.expiresAt <= now()) challenges.delete(block)
  }
}

function unknownUser (): ServiceError {
  return new ServiceError('UserNotFoundException', 'User does not exist.')
}
