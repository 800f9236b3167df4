import { LONGEST_HEADER_VALUE } from '../../http/header-value.ts'
import { ForwardProxyError } from '../../http/proxy-url.ts'
import type { FailureClass, NegotiationKind } from '../token.ts'

/** Why an exchange failed: what the refresher decides by, and a sentence for people that holds nothing of the response. */
export interface Classification {
  readonly class: FailureClass
  readonly code: string
  readonly message: string
}

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
 * The class of an error response. Cognito's client errors all have status 400, so the code decides; the status only tells
 * a failing service from a refusing one (5xx, 429).
 */
export function classifyResponse ({ kind, status, code, text }: ErrorResponse): Classification {
  const name = boundedWord(code)
  if (name === undefined) return unexpectedResponse(status)
  if (status >= 500 || status === 429 || TRANSIENT_ERRORS.has(name)) {
    return {
      class: 'transient',
      code: name,
      message: `The identity provider cannot serve the ${kind} now (${name}); it is asked again with growing pauses.`
    }
  }
  const known = PERMANENT_ERRORS.get(name)
  if (known !== undefined) return { class: 'permanent', code: name, message: `${known} (${name}).` }
  return kind === 'refresh' ? refusedRefresh(name, text) : refusedLogin(name, text)
}

/** A challenge that needs a person: there is no response to it from here. */
export function classifyChallenge (challenge: unknown): Classification {
  const name = boundedWord(challenge) ?? 'UNKNOWN_CHALLENGE'
  const advice = CHALLENGES.get(name) ?? 'use a user and an app client that log in with a password alone'
  return {
    class: 'challenge',
    code: name,
    message: `The identity provider wants the challenge ${name} answered, which a program cannot do; ${advice}.`
  }
}

/** A response that is not the identity provider's: a gateway's page, a captive portal, half a response. */
export function unexpectedResponse (status: number): Classification {
  return {
    class: 'transient',
    code: status >= 500 ? 'ServerError' : 'UnexpectedAnswer',
    message: `The identity provider's address answered with status ${status} and nothing that can be used; if this stays, check endpoint and the proxies on the way.`
  }
}

/** A request that got no response. */
export function classifyNetworkError (error: unknown): Classification {
  const cause = codeOf(error)
  const proxy = error instanceof ForwardProxyError ? error : undefined
  if (proxy?.status !== undefined) {
    return {
      class: 'transient',
      code: 'ProxyError',
      message: `The proxy on the way to the identity provider refuses to connect (status ${proxy.status}); check HTTPS_PROXY and NO_PROXY.`
    }
  }
  if (cause !== undefined && TLS_ERROR.test(cause)) {
    const whose = proxy === undefined ? 'the identity provider' : 'the proxy on the way to the identity provider'
    return {
      class: 'transient',
      code: 'TlsError',
      message: `The certificate of ${whose} does not verify (${cause}), so nothing was sent; set NODE_EXTRA_CA_CERTS if a private authority signed it.`
    }
  }
  if (cause === 'ENOTFOUND' || cause === 'EAI_AGAIN') {
    return {
      class: 'transient',
      code: 'DnsError',
      message: `The name of the identity provider, or of the proxy on the way, does not resolve (${cause}); check endpoint, HTTPS_PROXY and the resolver.`
    }
  }
  return {
    class: 'transient',
    code: 'NetworkError',
    message: `The identity provider could not be reached (${cause ?? 'no response'}); check the network, HTTPS_PROXY and NO_PROXY.`
  }
}

/** A token that no header can carry, or none that servers take (RFC 9110 section 5.5). */
export function unusableToken (): Classification {
  return {
    class: 'transient',
    code: 'UnusableToken',
    message: `The identity provider gave a token that no header can carry: it is no line of visible ASCII of at most ${LONGEST_HEADER_VALUE} characters. It is asked again with growing pauses; if this stays, look into its log.`
  }
}

/** The whole exchange took longer than it may. */
export function deadlineExceeded (deadlineMs: number): Classification {
  return {
    class: 'transient',
    code: 'Timeout',
    message: `The identity provider did not answer within ${deadlineMs} ms; it is asked again with growing pauses.`
  }
}

/** The exchange ended in a way that no rule here foresees. */
export function unknownFailure (): Classification {
  return {
    class: 'transient',
    code: 'UnknownFailure',
    message: 'The login failed in a way that is not known; check userPoolId and endpoint, and report this if it stays.'
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

const TLS_ERROR =
  /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH_EXCEEDED|INVALID_PURPOSE)/

/**
 * The codes of a refresh whose flow the app client does not allow, as with refresh-token rotation. Both responses are seen: an
 * InvalidParameterException, and a NotAuthorizedException that only its words ("Auth flow not enabled for this client") tell from a dead
 * token's.
 */
export const FLOW_OFF: ReadonlySet<string> = new Set(['InvalidParameterException', 'FlowNotEnabled'])

// Whatever a refresh is refused for, a login tells more: so nothing here is permanent.
function refusedRefresh (declared: string, text: string): Classification {
  const name = declared === 'NotAuthorizedException' && /flow not enabled/i.test(text) ? 'FlowNotEnabled' : declared
  return {
    class: 'refresh-dead',
    code: name,
    message: `The identity provider no longer takes the refresh token (${name}); a login follows.`
  }
}

function refusedLogin (name: string, text: string): Classification {
  if (name === 'TooManyFailedAttemptsException' || (name === 'NotAuthorizedException' && /attempts exceeded/i.test(text))) {
    return {
      class: 'lockout',
      code: name,
      message: 'The identity provider locked the user after too many wrong passwords; check the password, the next try is in 15 minutes.'
    }
  }
  if (name !== 'NotAuthorizedException') {
    return {
      class: 'permanent',
      code: name,
      message: `The identity provider refuses the login (${name}); check userPoolId, clientId, authFlow and the flows that the app client allows.`
    }
  }
  if (/disabled/i.test(text)) {
    return { class: 'permanent', code: name, message: 'The user is disabled; enable it in the user pool.' }
  }
  if (/expired/i.test(text)) {
    return {
      class: 'permanent',
      code: name,
      message: 'The password or the account of the user has expired; an administrator must reset it.'
    }
  }
  if (/secret/i.test(text)) {
    return {
      class: 'permanent',
      code: name,
      message: 'The app client has a secret and the identity provider did not get the right one; check clientSecret.'
    }
  }
  return {
    class: 'ambiguous',
    code: name,
    message: 'The identity provider refuses username and password; check both, and the clock of this machine.'
  }
}

// A word from outside becomes part of a log line and of a status page, so its alphabet and its length are ours.
function boundedWord (value: unknown): string | undefined {
  return typeof value === 'string' && /^\w{1,64}$/.test(value) ? value : undefined
}

function codeOf (error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { code, cause, errors } = error as { code?: unknown, cause?: unknown, errors?: unknown }
  // Both addresses of a name failed (AggregateError): the first tells enough.
  const inner = Array.isArray(errors) ? codeOf(errors[0]) : codeOf(cause)
  return inner ?? boundedWord(code)
}
