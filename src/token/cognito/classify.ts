import { boundedWord, transient, unexpectedResponse, type Classification, type SettingNames } from '../provider/failures.ts'
import type { NegotiationKind } from '../token.ts'

/** What sentences tell people to check. */
export const COGNITO_SETTINGS: SettingNames = { address: 'endpoint', login: 'userPoolId and endpoint' }

type RejectedLogin = Omit<Classification, 'code'>

/** An error response of an identity provider, as far as it could be read. */
export interface ErrorResponse {
  readonly kind: NegotiationKind
  readonly status: number
  /** `__type` of Cognito, without namespace; undefined where the response named none. */
  readonly code: string | undefined
  /** The provider's own words: looked at, never passed on. */
  readonly text: string
}

/**
 * Classifies an error response. Cognito's client errors all have status 400, so the code decides; the status only tells
 * a failing service from a refusing one (5xx, 429).
 */
export function classifyResponse ({ kind, status, code, text }: ErrorResponse): Classification {
  const name = boundedWord(code)
  if (name === undefined) return unexpectedResponse(status, COGNITO_SETTINGS)
  if (status >= 500 || status === 429 || TRANSIENT_ERRORS.has(name)) {
    return transient(name, `The identity provider cannot serve the ${kind} now (${name}); it is asked again with growing pauses.`)
  }
  const known = PERMANENT_ERRORS.get(name)
  if (known !== undefined) return { class: 'permanent', code: name, message: `${known} (${name}).` }
  return kind === 'refresh' ? refusedRefresh(name, text) : refusedLogin(name, text)
}

/** Classifies a challenge. All of them need a person. @param challenge `ChallengeName` of the response, whatever it is */
export function classifyChallenge (challenge: unknown): Classification {
  const name = boundedWord(challenge) ?? 'UNKNOWN_CHALLENGE'
  const advice = CHALLENGES.get(name) ?? 'use a user and an app client that log in with a password alone'
  return {
    class: 'challenge',
    code: name,
    message: `The identity provider wants the challenge ${name} answered, which a program cannot do; ${advice}.`
  }
}

/** Names of the API model: "Common Errors" and the errors of InitiateAuth, RespondToAuthChallenge and GetTokensFromRefreshToken. */
export const TRANSIENT_ERRORS: ReadonlySet<string> = new Set([
  'TooManyRequestsException',
  'LimitExceededException',
  'InternalErrorException',
  'InternalFailure',
  'InternalServerError',
  'ServiceUnavailable',
  'ServiceUnavailableException',
  'ThrottlingException',
  'Throttling',
  'RequestLimitExceeded',
  'SlowDown',
  'UnexpectedLambdaException',
  'InvalidLambdaResponseException'
])

/** What a person must do about an error; the same for logins and refreshes. */
export const PERMANENT_ERRORS: ReadonlyMap<string, string> = new Map([
  ['UserNotFoundException', 'The identity provider does not know the user; check username and userPoolId'],
  [
    'ResourceNotFoundException',
    'The identity provider does not know the app client or the user pool; check clientId, userPoolId and endpoint'
  ],
  ['PasswordResetRequiredException', 'An administrator reset the password of the user; set a new one and put it into the configuration'],
  ['UserNotConfirmedException', 'The user is not confirmed yet; confirm it in the user pool'],
  ['UserLambdaValidationException', 'A trigger of the user pool refuses the user; look into its log'],
  ['ForbiddenException', 'A firewall in front of the identity provider refuses the request; allow this machine there']
])

/** What to do about each challenge. */
export const CHALLENGES: ReadonlyMap<string, string> = new Map([
  ['NEW_PASSWORD_REQUIRED', 'the user still has its temporary password: set a permanent one and put it into the configuration'],
  ['SMS_MFA', 'turn multi-factor authentication off for this user, or take one without'],
  ['EMAIL_OTP', 'turn multi-factor authentication off for this user, or take one without'],
  ['SOFTWARE_TOKEN_MFA', 'turn multi-factor authentication off for this user, or take one without'],
  ['SELECT_MFA_TYPE', 'turn multi-factor authentication off for this user, or take one without'],
  ['MFA_SETUP', 'make multi-factor authentication optional in the user pool, or take another pool'],
  ['SELECT_CHALLENGE', 'allow the app client ALLOW_USER_SRP_AUTH and sign-in with a password'],
  ['CUSTOM_CHALLENGE', 'use an app client without a custom authentication trigger']
])

/**
 * The codes of a refresh whose flow the app client does not allow, as with refresh-token rotation. Both responses are seen: an
 * InvalidParameterException, and a NotAuthorizedException that only its words ("Auth flow not enabled for this client") tell from a dead
 * token's.
 */
export const FLOW_OFF: ReadonlySet<string> = new Set(['InvalidParameterException', 'FlowNotEnabled'])

// A rejected refresh is never permanent, because the login that follows tells more.
function refusedRefresh (declared: string, text: string): Classification {
  const name = declared === 'NotAuthorizedException' && /flow not enabled/i.test(text) ? 'FlowNotEnabled' : declared
  return {
    class: 'refresh-dead',
    code: name,
    message: `The identity provider no longer takes the refresh token (${name}); a login follows.`
  }
}

function refusedLogin (name: string, text: string): Classification {
  if (name === 'TooManyFailedAttemptsException') return { code: name, ...LOCKED_OUT }
  const rejected = name === 'NotAuthorizedException' ? REJECTED_LOGINS.find(([words]) => words.test(text))?.[1] : undefined
  return {
    code: name,
    ...rejected ?? {
      class: 'permanent',
      message: `The identity provider refuses the login (${name}); check userPoolId, clientId, authFlow and the flows that the app client allows.`
    }
  }
}

const LOCKED_OUT: RejectedLogin = {
  class: 'lockout',
  message: 'The identity provider locked the user after too many wrong passwords; check the password, the next try is in 15 minutes.'
}

/** What NotAuthorizedException means for a login. Only its message tells; the first pattern that fits decides. */
const REJECTED_LOGINS: ReadonlyArray<readonly [words: RegExp, rejected: RejectedLogin]> = [
  [/attempts exceeded/i, LOCKED_OUT],
  [/disabled/i, { class: 'permanent', message: 'The user is disabled; enable it in the user pool.' }],
  [/expired/i, { class: 'permanent', message: 'The password or the account of the user has expired; an administrator must reset it.' }],
  [
    /secret/i,
    { class: 'permanent', message: 'The app client has a secret and the identity provider did not get the right one; check clientSecret.' }
  ],
  [
    /^/,
    { class: 'ambiguous', message: 'The identity provider refuses username and password; check both, and the clock of this machine.' }
  ]
]
