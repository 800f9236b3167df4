import t, { type Test } from 'tap'
import { ForwardProxyError } from '#src/http/proxy-url.ts'
import {
  classifyResponse,
  classifyChallenge,
  COGNITO_SETTINGS,
  type ErrorResponse
} from '#src/token/cognito/classify.ts'
import {
  classifyNetworkError,
  deadlineExceeded,
  unexpectedResponse,
  unknownFailure,
  type Classification
} from '#src/token/provider/failures.ts'
import type { FailureClass } from '#src/token/token.ts'

const CANARY = 'c4n4ry'

const responses: readonly [FailureClass, string, Partial<ErrorResponse>][] = [
  ['transient', 'TooManyRequestsException', { text: 'Rate exceeded' }],
  ['transient', 'TooManyRequestsException', { kind: 'refresh' }],
  ['transient', 'LimitExceededException', {}],
  ['transient', 'InternalErrorException', { status: 500 }],
  ['transient', 'ServiceUnavailable', { status: 503 }],
  ['transient', 'NotAuthorizedException', { status: 502, text: 'Incorrect username or password.' }],
  ['transient', 'SomethingNew', { status: 429 }],
  ['transient', 'UnexpectedLambdaException', {}],
  ['ambiguous', 'NotAuthorizedException', { text: 'Incorrect username or password.' }],
  ['ambiguous', 'NotAuthorizedException', { text: '' }],
  ['lockout', 'NotAuthorizedException', { text: 'Password attempts exceeded' }],
  ['lockout', 'TooManyFailedAttemptsException', {}],
  ['permanent', 'NotAuthorizedException', { text: 'User is disabled.' }],
  ['permanent', 'NotAuthorizedException', { text: 'User account has expired, it must be reset by an administrator.' }],
  ['permanent', 'NotAuthorizedException', { text: 'Client abc is configured with secret but SECRET_HASH was not received' }],
  ['refresh-dead', 'NotAuthorizedException', { kind: 'refresh', text: 'Refresh Token has expired' }],
  ['refresh-dead', 'NotAuthorizedException', { kind: 'refresh', text: 'Invalid Refresh Token.' }],
  ['refresh-dead', 'RefreshTokenReuseException', { kind: 'refresh' }],
  ['refresh-dead', 'UnknownOperationException', { kind: 'refresh' }],
  ['refresh-dead', 'InvalidParameterException', { kind: 'refresh' }],
  ['permanent', 'InvalidParameterException', { text: 'USER_SRP_AUTH flow not enabled for this client' }],
  ['permanent', 'UserNotFoundException', {}],
  ['permanent', 'ResourceNotFoundException', {}],
  ['permanent', 'PasswordResetRequiredException', {}],
  ['permanent', 'UserNotConfirmedException', {}],
  ['permanent', 'ForbiddenException', { status: 403 }],
  ['permanent', 'NeverHeardOfException', {}]
]

/** A sentence that says what to do, and repeats nothing of the provider's words. */
function isSafe (t: Test, verdict: Classification): void {
  t.match(verdict.message, /^[A-Z].*[.]$/)
  t.notOk(verdict.message.includes(CANARY), 'no words of the provider')
}

for (const [expected, code, fields] of responses) {
  const { kind = 'login', status = 400, text = '' } = fields
  t.test(`${code} (${status}) "${text}" on a ${kind} is ${expected}`, async (t) => {
    const verdict = classifyResponse({ kind, status, code, text: `${text} ${CANARY}` })
    t.equal(verdict.class, expected)
    t.equal(verdict.code, code)
    isSafe(t, verdict)
  })
}

t.test('a response without a code, or with one that is no word, is transient', async (t) => {
  for (const code of [undefined, '', 'a'.repeat(65), 'evil\nline', CANARY + ' ']) {
    const verdict = classifyResponse({ kind: 'login', status: 400, code, text: CANARY })
    t.equal(verdict.class, 'transient')
    t.equal(verdict.code, 'UnexpectedAnswer')
    isSafe(t, verdict)
  }
  t.equal(unexpectedResponse(502, COGNITO_SETTINGS).code, 'ServerError')
})

t.test('every challenge is of its own class, under its name, with what to do', async (t) => {
  for (const name of [
    'NEW_PASSWORD_REQUIRED',
    'SMS_MFA',
    'SOFTWARE_TOKEN_MFA',
    'SELECT_MFA_TYPE',
    'MFA_SETUP',
    'CUSTOM_CHALLENGE',
    'SELECT_CHALLENGE',
    'EMAIL_OTP',
    'NEVER_HEARD_OF'
  ]) {
    const verdict = classifyChallenge(name)
    t.equal(verdict.class, 'challenge')
    t.equal(verdict.code, name)
    t.ok(verdict.message.includes(name))
    isSafe(t, verdict)
  }
  t.equal(classifyChallenge({ odd: true }).code, 'UNKNOWN_CHALLENGE')
})

t.test('names of the language are words like others', async (t) => {
  for (const name of ['__proto__', 'constructor', 'toString']) {
    isSafe(t, classifyChallenge(name))
    t.match(classifyResponse({ kind: 'login', status: 400, code: name, text: '' }), { class: 'permanent', code: name, message: name })
  }
})

t.test('network errors are transient and tell TLS, names, proxies and the rest apart', async (t) => {
  const coded = (code: string, extra: object = {}): Error => Object.assign(new Error(CANARY), { code, ...extra })
  const cases: readonly [unknown, string][] = [
    [coded('ENOTFOUND'), 'DnsError'],
    [coded('DEPTH_ZERO_SELF_SIGNED_CERT'), 'TlsError'],
    [coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'TlsError'],
    [coded('CERT_HAS_EXPIRED'), 'TlsError'],
    [coded('ECONNREFUSED'), 'NetworkError'],
    [new AggregateError([coded('ECONNREFUSED'), coded('ENETUNREACH')], CANARY), 'NetworkError'],
    [new TypeError('fetch failed', { cause: coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE') }), 'TlsError'],
    [new ForwardProxyError(CANARY, { status: 407 }), 'ProxyError'],
    [new ForwardProxyError(CANARY, { cause: coded('ECONNREFUSED') }), 'NetworkError'],
    [new ForwardProxyError(CANARY, { cause: coded('CERT_HAS_EXPIRED') }), 'TlsError'],
    [new Error(CANARY), 'NetworkError'],
    [undefined, 'NetworkError'],
    ['text', 'NetworkError']
  ]
  for (const [error, code] of cases) {
    const verdict = classifyNetworkError(error, COGNITO_SETTINGS)
    t.equal(verdict.class, 'transient')
    t.equal(verdict.code, code)
    isSafe(t, verdict)
  }
  t.match(classifyNetworkError(coded('ECONNREFUSED'), COGNITO_SETTINGS).message, /ECONNREFUSED/)
  t.match(classifyNetworkError(new ForwardProxyError(CANARY, { cause: coded('CERT_HAS_EXPIRED') }), COGNITO_SETTINGS).message, /certificate of the proxy/)
})

t.test('our own deadline and the unforeseen are transient', async (t) => {
  t.match(deadlineExceeded(10_000), { class: 'transient', code: 'Timeout', message: /10000 ms/ })
  t.match(unknownFailure(COGNITO_SETTINGS), { class: 'transient', code: 'UnknownFailure' })
})
