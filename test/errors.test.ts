import t from 'tap'
import { errorAnswer, ERRORS, ProxyError, type ErrorCode } from '../src/errors.ts'

const STATUS: Readonly<Record<ErrorCode, number>> = {
  CS_BAD_REQUEST: 400,
  CS_CALLER_TOKEN: 401,
  CS_ORIGIN_NOT_ALLOWED: 403,
  CS_NOT_ALLOWED: 403,
  CS_NO_ROUTE: 404,
  CS_METHOD_NOT_ALLOWED: 405,
  CS_BODY_TOO_LARGE: 413,
  CS_BODY_UNSUPPORTED: 415,
  CS_HOST_NOT_ALLOWED: 421,
  CS_UPSTREAM_UNREACHABLE: 502,
  CS_UPSTREAM_TLS: 502,
  CS_CREDENTIAL_REJECTED: 502,
  CS_TOKEN_UNAVAILABLE: 503,
  CS_OVERLOADED: 503,
  CS_UPSTREAM_TIMEOUT: 504,
  CS_INTERNAL: 500
}

t.test('every error has its status, a JSON body and Proxy-Status', async (t) => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const { statusCode, headers, body } = errorAnswer(new ProxyError(code))
    t.equal(statusCode, STATUS[code], code)
    const parsed = JSON.parse(body) as Record<string, unknown>
    t.same(Object.keys(parsed), ['statusCode', 'code', 'error', 'message'])
    t.match(parsed, { statusCode, code, error: /^[A-Z]/, message: /[.]$/ })
    t.match(headers, { 'content-type': 'application/json', 'cache-control': 'no-store', 'proxy-status': /^countersign; error=[a-z_]+$/, 'x-content-type-options': 'nosniff', 'cross-origin-resource-policy': 'same-origin', 'content-length': String(Buffer.byteLength(body)) })
  }
})

t.test('an error may be more exact, ask for patience, or end the connection', async (t) => {
  t.match(errorAnswer(new ProxyError('CS_BODY_UNSUPPORTED', { status: 422 })), { statusCode: 422, body: /"error":"Unprocessable Entity"/ })
  t.match(errorAnswer(new ProxyError('CS_TOKEN_UNAVAILABLE', { retryAfter: 7 })).headers, { 'retry-after': '7' })
  t.match(errorAnswer(new ProxyError('CS_BAD_REQUEST', { close: true })).headers, { connection: 'close' })
  t.match(errorAnswer(new ProxyError('CS_UPSTREAM_UNREACHABLE', { proxyStatus: 'dns_error' })).headers, { 'proxy-status': 'countersign; error=dns_error' })
})
