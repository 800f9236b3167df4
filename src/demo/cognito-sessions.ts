import { randomBytes, randomUUID } from 'node:crypto'
import { poolName, regionOf, type Account, type EmulatorClient, type Registration } from './cognito-pool.ts'
import { ServiceError, type Note } from './cognito-request.ts'
import type { TokenSigner } from './jwt.ts'

/** A sign-in, which its refresh tokens belong to. */
interface Session {
  readonly registration: Registration
  readonly account: Account
  /** `auth_time` and `origin_jti` stay those of the sign-in through every refresh. */
  readonly signedInAt: number
  readonly originId: string
  readonly device: Device | undefined
}

interface Device {
  readonly key: string
  readonly groupKey: string
  confirmed: boolean
}

/** The refresh tokens of all pools. */
export interface Sessions {
  readonly open: (registration: Registration, account: Account) => Session
  /** A new refresh token of a session. */
  readonly addRefreshToken: (session: Session) => string
  /** The session of a refresh token that is good, from this client and this device. */
  readonly find: (refreshToken: string, client: EmulatorClient, deviceKey: unknown) => Session
  /** Marks a refresh token as used up by rotation. */
  readonly replace: (refreshToken: string) => void
  readonly findDevice: (key: string) => Session | undefined
  readonly revokeAll: () => void
  /** Access and id token of a session, as they stand in `AuthenticationResult`. */
  readonly issue: (session: Session, note: Note) => IssuedTokens
}

interface IssuedTokens {
  readonly AccessToken: string
  readonly IdToken: string
  readonly ExpiresIn: number
  readonly TokenType: 'Bearer'
}

export function createSessions (signer: TokenSigner, now: () => number): Sessions {
  const refreshTokens = new Map<string, RefreshToken>()
  return {
    open: (registration, account) => ({
      registration,
      account,
      signedInAt: now(),
      originId: randomUUID(),
      device: createDevice(registration)
    }),
    addRefreshToken: (session) => {
      const token = randomBytes(96).toString('base64url')
      refreshTokens.set(token, { session, revoked: false })
      return token
    },
    find: (text, client, deviceKey) => checkRefreshToken(refreshTokens.get(text), client, deviceKey, now()),
    replace: (text) => {
      const token = refreshTokens.get(text)
      if (token !== undefined) token.replacedAt ??= now()
    },
    findDevice: (key) => [...refreshTokens.values()].find(({ session }) => session.device?.key === key)?.session,
    revokeAll: () => {
      for (const token of refreshTokens.values()) token.revoked = true
    },
    issue: (session, note) => issueTokens(signer, session, note, now())
  }
}

interface RefreshToken {
  readonly session: Session
  revoked: boolean
  replacedAt?: number
}

const DEFAULT_REFRESH_LIFETIME_S = 30 * 86_400

function createDevice ({ pool }: Registration): Device | undefined {
  if (pool.deviceTracking !== true) return undefined
  return { key: `${regionOf(pool.id)}_${randomUUID()}`, groupKey: `-${poolName(pool.id)}`, confirmed: false }
}

function checkRefreshToken (token: RefreshToken | undefined, client: EmulatorClient, deviceKey: unknown, now: number): Session {
  if (token === undefined) throw refused('Invalid Refresh Token.')
  const { session } = token
  if (session.registration.client.id !== client.id) throw refused('Refresh Token has different Client.')
  if (token.revoked) throw refused('Refresh Token has been revoked')
  if (session.signedInAt + (client.refreshLifetimeSeconds ?? DEFAULT_REFRESH_LIFETIME_S) * 1000 <= now) {
    throw refused('Refresh Token has expired')
  }
  // Cognito's words for an unconfirmed device, or none in the request (repost.aws/knowledge-center/cognito-invalid-refresh-token-error).
  if (session.device !== undefined && (!session.device.confirmed || session.device.key !== deviceKey)) {
    throw refused('Invalid Refresh Token.')
  }
  const graceMs = client.rotation === undefined || client.rotation === false ? 0 : client.rotation.graceMs
  if (token.replacedAt !== undefined && token.replacedAt + graceMs <= now) {
    throw new ServiceError('RefreshTokenReuseException', 'The refresh token has already been used.')
  }
  return session
}

function issueTokens (signer: TokenSigner, session: Session, note: Note, now: number): IssuedTokens {
  const { account, registration: { pool, client }, device } = session
  const lifetime = client.lifetimeSeconds ?? 3600
  const iat = Math.floor(now / 1000)
  const jti = randomUUID()
  note.tokenId = jti
  const common = {
    sub: account.sub,
    iss: `https://cognito-idp.${regionOf(pool.id)}.amazonaws.com/${pool.id}`,
    origin_jti: session.originId,
    event_id: randomUUID(),
    auth_time: Math.floor(session.signedInAt / 1000),
    iat,
    exp: iat + lifetime
  }
  // No `aud`: only id tokens of Cognito have one.
  const access = {
    ...common,
    jti,
    token_use: 'access',
    scope: 'aws.cognito.signin.user.admin',
    client_id: client.id,
    username: account.username,
    ...(device !== undefined && { device_key: device.key })
  }
  const id = { ...common, jti: randomUUID(), token_use: 'id', aud: client.id, 'cognito:username': account.username }
  return { AccessToken: signer.sign('access', access), IdToken: signer.sign('id', id), ExpiresIn: lifetime, TokenType: 'Bearer' }
}

function refused (message: string): ServiceError {
  return new ServiceError('NotAuthorizedException', message)
}
