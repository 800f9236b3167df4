import { transient, unexpectedResponse, type Classification, type SettingNames } from '../provider/failures.ts'

/** What sentences tell people to check. */
export const OAUTH2_SETTINGS: SettingNames = { address: 'tokenUrl', login: 'tokenUrl and clientId' }

/**
 * Classifies a response that is no success (RFC 6749 section 5.2). The status tells a failing server from one that rejects;
 * among rejections the code decides. Both `ambiguous` and `permanent` are tried again after 5 s once: some servers answer
 * `invalid_client` while their own database is away.
 *
 * @param declared `error` of the response, whatever it is. Only codes of the tables below are passed on: anything else may echo
 *   what was sent, and so may `error_description`, which is never read.
 */
export function classifyErrorResponse (status: number, declared: unknown): Classification {
  const code = typeof declared === 'string' ? declared : ''
  if (status >= 500 || status === 408 || status === 429 || TRANSIENT_CODES.has(code)) return unavailable(status, code)
  const rejection = ERROR_CODES.get(code)
  if (rejection !== undefined) return { ...rejection, code, message: `${rejection.message} (${code}).` }
  return REFUSED_STATUSES.get(status) ?? (status === 400 && code !== '' ? UNKNOWN_REJECTION : unexpectedResponse(status, OAUTH2_SETTINGS))
}

/** Classifies a redirect. Following it would hand the client secret to whatever stands in `Location`. */
export function redirected (status: number): Classification {
  return transient(
    'Redirected',
    `The identity provider's address answered with a redirect (status ${status}), which is never followed because the client secret would go along; if this stays, put the final address into tokenUrl.`
  )
}

/** Classifies a success whose token is no bearer token and so must not be used (RFC 6749 section 7.1). @param type `token_type` */
export function unsupportedTokenType (type: unknown): Classification {
  // Named only where it looks like the name of a type: whatever else stands there may be a token.
  const named = typeof type === 'string' && /^[\w.-]{1,16}$/.test(type) ? `of the type "${type}"` : 'of an unknown type'
  return transient(
    'UnsupportedTokenType',
    `The identity provider gave a token ${named}, and only bearer tokens are sent; have this client issued bearer tokens, or set tokenType to "any" if the upstream takes this one as such.`
  )
}

const CHECK_CLIENT = 'check clientId and clientSecret, and whether clientAuth must be "basic" or "post"'

/** What a status means where `error` has no code that the tables below know. */
const REFUSED_STATUSES: ReadonlyMap<number, Classification> = new Map([
  [
    401,
    {
      class: 'ambiguous',
      code: 'Unauthorized',
      message: `The identity provider does not accept the client (status 401); ${CHECK_CLIENT}.`
    }
  ],
  [
    403,
    {
      class: 'permanent',
      code: 'Forbidden',
      message:
        'The identity provider, or a firewall in front of it, refuses the request (status 403); allow this client and this machine there.'
    }
  ]
])

const UNKNOWN_REJECTION: Classification = {
  class: 'unclear',
  code: 'UnknownRefusal',
  message:
    'The identity provider refuses the login (status 400) for a reason that OAuth 2.0 has no code for; look into its log, and check tokenUrl, clientAuth and extra.'
}

/** RFC 6749 sections 4.1.2.1 and 5.2, RFC 8628 section 3.5. */
export const TRANSIENT_CODES: ReadonlySet<string> = new Set(['temporarily_unavailable', 'server_error', 'slow_down'])

/** RFC 6749 section 5.2, RFC 8707 section 2; `access_denied` is what Auth0 and others say for an audience that is not granted. */
export const ERROR_CODES: ReadonlyMap<string, Pick<Classification, 'class' | 'message'>> = new Map([
  ['invalid_client', { class: 'ambiguous', message: `The identity provider does not accept the client; ${CHECK_CLIENT}` }],
  [
    'unauthorized_client',
    {
      class: 'permanent',
      message: 'The identity provider does not let this client log in with client credentials; allow it that grant there'
    }
  ],
  [
    'unsupported_grant_type',
    { class: 'permanent', message: 'The identity provider does not offer the client credentials grant at this address; check tokenUrl' }
  ],
  ['invalid_grant', { class: 'permanent', message: 'The identity provider refuses the grant; check clientId and extra' }],
  [
    'invalid_scope',
    { class: 'permanent', message: 'The identity provider refuses the scope; check scope, and what the client is allowed there' }
  ],
  [
    'invalid_target',
    {
      class: 'permanent',
      message: 'The identity provider refuses the resource; check resource and audience, and what the client is allowed there'
    }
  ],
  [
    'invalid_request',
    {
      class: 'permanent',
      message:
        'The identity provider finds something missing or wrong in the request; check scope, audience, resource, clientAuth and extra, and that the client is allowed the client credentials grant'
    }
  ],
  [
    'access_denied',
    {
      class: 'permanent',
      message: 'The identity provider denies the client access; check audience and scope, and what the client is allowed there'
    }
  ]
])

function unavailable (status: number, code: string): Classification {
  const known = TRANSIENT_CODES.has(code) || ERROR_CODES.has(code)
  const own = status === 429 ? 'TooManyRequests' : status === 408 ? 'RequestTimeout' : 'ServerError'
  return transient(
    known ? code : own,
    `The identity provider cannot serve the login now (status ${status}${known ? `, ${code}` : ''}); it is asked again with growing pauses.`
  )
}
