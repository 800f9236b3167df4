/** Prints `docs/failures.md` from the tables that the program itself goes by: `npm run docs` writes it. */
import { ERRORS } from '#src/errors.ts'
import { ForwardProxyError } from '#src/http/proxy-url.ts'
import { Secret } from '#src/secret.ts'
import {
  CHALLENGES,
  PERMANENT_ERRORS,
  TRANSIENT_ERRORS,
  COGNITO_SETTINGS,
  classifyResponse,
  classifyChallenge
} from '#src/token/cognito/classify.ts'
import {
  ERROR_CODES,
  OAUTH2_SETTINGS,
  TRANSIENT_CODES,
  classifyErrorResponse,
  redirected,
  unsupportedTokenType
} from '#src/token/oauth2/classify.ts'
import { FAILURE_POLICIES, UNCLEAR_RETRIES, isRejection } from '#src/token/failure-policy.ts'
import {
  classifyNetworkError,
  deadlineExceeded,
  unexpectedResponse,
  unknownFailure,
  unusableToken
} from '#src/token/provider/failures.ts'
import { LONGEST_BACKOFF_MS, SHORTEST_BACKOFF_MS, rejectedDelayMs } from '#src/token/schedule.ts'
import { tokenState } from '#src/token/state.ts'

const HOUR_MS = 3_600_000

/** The meaning of each class, and the remedy: the two columns that no table of the program has. */
const CLASSES = {
  transient: [
    'The provider gave no response that could be used: no connection, no answer in time, 5xx, throttling, a page of HTML, an empty, truncated or tokenless 200',
    'Nothing, if it passes; else what `lastError.message` says'
  ],
  ambiguous: [
    'It refused name and password, or the client. Throttling and a wrong clock can look the same',
    "Compare the secret with the provider's; look at `clockSkewMs`"
  ],
  lockout: ['It locked the user after too many wrong passwords', 'Correct the secret, find out who else uses an old one, and wait'],
  'refresh-dead': [
    'It no longer takes the refresh token: revoked, expired, or used already',
    'Nothing: the login that follows at once either works or tells more'
  ],
  unclear: [
    'It refused the credential with status 400, for a reason that OAuth 2.0 has no code for',
    `Counts as \`transient\` for ${UNCLEAR_RETRIES} retries, then, until a success, as \`permanent\`: do what \`lastError.message\` says`
  ],
  permanent: ['It refused the credential for a reason that only a person can mend', 'What `lastError.message` says'],
  challenge: [
    'It wants something answered that a program cannot answer: a second factor, a new password',
    'Take a user and an app client that log in with a password alone'
  ]
}

process.stdout.write(failuresFileText())

function failuresFileText () {
  return `# Failures of identity providers

Written by \`npm run docs\` from the tables that the program itself goes by (\`src/token/failure-policy.ts\`, \`provider/failures.ts\`, \`cognito/classify.ts\`, \`oauth2/classify.ts\`); a test compares.

While a usable token is held (more than 30 s left, or a tenth of a short life), callers notice nothing of any failure: requests go on with it, \`/status\` says \`stale\`, and \`lastError\` says why. The table is about what comes after that, and about a start without a token. Nothing is ever sent without a usable token.

## Classes

${table(['class', 'what happened', 'tried again', 'attempts in the first hour, and in each further one', 'the refresh token', 'callers without a usable token', '`state` then', 'what to do'], Object.entries(CLASSES).map(describeClass))}

A refused credential is also tried at once when its secret changes and when the process starts anew. \`Retry-After\` of a provider wins over the growing pause, within a second and an hour. The upstream's 401 brings no attempt forward that waits out a failure.

## Codes

\`lastError.code\` of \`/status\`, \`code\` in the log. The message is what \`lastError.message\` says; it never holds a word of the provider.

### Both

${codes(describeBoth())}

Faults of this program's own are \`transient\` too, and the next attempt starts anew: \`WorkerFailed\` and \`WorkerSilent\` (the thread that logs in to Cognito; a machine that is far too busy can cause the second), \`NoToken\`, \`Unexpected\`. Please report them if they stay.

### AWS Cognito

${codes(describeCognito())}

Any other error of a login is \`permanent\`, any other error of a refresh \`refresh-dead\`, both under Cognito's name for it; any error with a status of 500 or more, or 429, is \`transient\`.

### OAuth 2.0

${codes(describeOAuth2())}

A status of 500 or more, 408 or 429 is \`transient\` whatever the code says.
`
}

function describeClass ([failure, [meaning, advice]]) {
  const rejected = isRejection(failure)
  const error = ERRORS[rejected ? 'CS_CREDENTIAL_REJECTED' : 'CS_TOKEN_UNAVAILABLE']
  const code = rejected ? '`CS_CREDENTIAL_REJECTED`' : '`CS_TOKEN_UNAVAILABLE` with `Retry-After`'
  // One that never had a token, and one whose token is spent.
  const spent = { value: new Secret('spent'), obtainedAt: 0, lifetimeMs: HOUR_MS }
  const states = [undefined, spent].map((token) => tokenState({ token, dueAt: 0, failure }, 2 * HOUR_MS))
  const atOnce = failure === 'refresh-dead'
  return [
    `\`${failure}\``,
    meaning,
    atOnce
      ? 'at once, with a login'
      : rejected
        ? describePauses(failure)
        : `after ${duration(SHORTEST_BACKOFF_MS)} at least; the longest pause doubles up to ${duration(LONGEST_BACKOFF_MS)}, with full jitter`,
    atOnce
      ? 'as the login that follows'
      : failure === 'unclear'
        ? `${1 + UNCLEAR_RETRIES}, then as \`permanent\``
        : rejected
          ? attemptsPerHour(failure)
          : 'no limit but the pauses',
    FAILURE_POLICIES[failure].refreshToken === 'keep' ? 'kept' : 'dropped, and a login follows at once',
    atOnce ? 'wait for the login' : `${error.status} ${code}`,
    atOnce ? 'unchanged' : [...new Set(states)].map((state) => `\`${state}\``).join(', '),
    advice
  ]
}

function describePauses (failure) {
  const [first, then] = [rejectedDelayMs(1, failure), rejectedDelayMs(2, failure)]
  return first === then ? `every ${duration(then)}` : `after ${duration(first)} once, then every ${duration(then)}`
}

function attemptsPerHour (failure) {
  let attempts = 0
  for (let at = 0; at < HOUR_MS; at += rejectedDelayMs(attempts, failure)) attempts++
  return `${attempts}, ${HOUR_MS / rejectedDelayMs(attempts, failure)}`
}

function describeBoth () {
  const network = (error) => classifyNetworkError(error, COGNITO_SETTINGS)
  const failing = (code) => Object.assign(new Error(code), { code })
  return [
    ['no answer in time', deadlineExceeded(10_000)],
    ['no connection', network(failing('ECONNREFUSED'))],
    ['no such name', network(failing('ENOTFOUND'))],
    ['a certificate that does not verify', network(failing('CERT_HAS_EXPIRED'))],
    ['a proxy on the way that refuses', network(new ForwardProxyError('refused', { status: 407 }))],
    ['a token that no header can carry', unusableToken()]
  ]
}

function describeCognito () {
  const login = (code, text = '') => classifyResponse({ kind: 'login', status: 400, code, text })
  return [
    ['5xx without a code', unexpectedResponse(502, COGNITO_SETTINGS)],
    ['a page, half a response, nothing, no token', unexpectedResponse(200, COGNITO_SETTINGS)],
    ['what no rule foresees', unknownFailure(COGNITO_SETTINGS)],
    ...[...TRANSIENT_ERRORS].map((code) => ['its name', login(code)]),
    ['"Incorrect username or password."', login('NotAuthorizedException')],
    ['"Password attempts exceeded"', login('NotAuthorizedException', 'Password attempts exceeded')],
    ['its name', login('TooManyFailedAttemptsException')],
    ['"User is disabled."', login('NotAuthorizedException', 'User is disabled.')],
    ['an expired password or account', login('NotAuthorizedException', 'expired')],
    ['a client secret that is missing or wrong', login('NotAuthorizedException', 'secret')],
    ...[...PERMANENT_ERRORS.keys()].map((code) => ['its name', login(code)]),
    ['any refusal of a refresh', classifyResponse({ kind: 'refresh', status: 400, code: 'NotAuthorizedException', text: '' })],
    ...[...CHALLENGES.keys()].map((name) => ['the challenge', classifyChallenge(name)])
  ]
}

function describeOAuth2 () {
  return [
    ['5xx', classifyErrorResponse(500, undefined)],
    ['408', classifyErrorResponse(408, undefined)],
    ['429', classifyErrorResponse(429, undefined)],
    ['a page, half a response, nothing, no token', unexpectedResponse(200, OAUTH2_SETTINGS)],
    ['a redirect', redirected(302)],
    ['what no rule foresees', unknownFailure(OAUTH2_SETTINGS)],
    ...[...TRANSIENT_CODES].map((code) => ['`error`', classifyErrorResponse(400, code)]),
    ...[...ERROR_CODES.keys()].map((code) => ['`error`', classifyErrorResponse(400, code)]),
    ['401 without a known `error`', classifyErrorResponse(401, undefined)],
    ['403 without a known `error`', classifyErrorResponse(403, undefined)],
    ['400 with another `error`', classifyErrorResponse(400, 'other')],
    ['a token of another type', unsupportedTokenType('mac')]
  ]
}

function codes (rows) {
  return table(
    ['`code`', 'where it comes from', 'class', 'message'],
    rows.map(([cause, { code, class: failure, message }]) => [`\`${code}\``, cause, `\`${failure}\``, message])
  )
}

function table (head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function duration (ms) {
  return ms % 60_000 === 0 && ms > 60_000 ? `${ms / 60_000} min` : `${ms / 1000} s`
}
