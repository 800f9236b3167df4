import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import t from 'tap'
import { describeCrash, describeError, errorResponse, ERRORS, ProxyError, type ErrorCode } from '#src/errors.ts'

const STATUS: Readonly<Record<ErrorCode, number>> = {
  CS_BAD_REQUEST: 400,
  CS_CALLER_TOKEN: 401,
  CS_ORIGIN_NOT_ALLOWED: 403,
  CS_NOT_ALLOWED: 403,
  CS_NO_ROUTE: 404,
  CS_METHOD_NOT_ALLOWED: 405,
  CS_BODY_TOO_LARGE: 413,
  CS_BODY_UNSUPPORTED: 415,
  CS_HEADERS_TOO_LARGE: 431,
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
    const { statusCode, headers, body } = errorResponse(new ProxyError(code))
    t.equal(statusCode, STATUS[code], code)
    const parsed = JSON.parse(body) as Record<string, unknown>
    t.same(Object.keys(parsed), ['statusCode', 'code', 'error', 'message'])
    t.match(parsed, { statusCode, code, error: /^[A-Z]/, message: /[.]$/ })
    t.match(headers, {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'proxy-status': /^countersign; error=[a-z_]+$/,
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
      'content-length': String(Buffer.byteLength(body))
    })
  }
})

t.test('an error may be more exact, ask for patience, or end the connection', async (t) => {
  t.match(errorResponse(new ProxyError('CS_BODY_UNSUPPORTED', { status: 422 })), {
    statusCode: 422,
    body: /"error":"Unprocessable Entity"/
  })
  t.match(errorResponse(new ProxyError('CS_TOKEN_UNAVAILABLE', { retryAfter: 7 })).headers, { 'retry-after': '7' })
  t.match(errorResponse(new ProxyError('CS_BAD_REQUEST', { close: true })).headers, { connection: 'close' })
  t.match(errorResponse(new ProxyError('CS_UPSTREAM_UNREACHABLE', { proxyStatus: 'dns_error' })).headers, {
    'proxy-status': 'countersign; error=dns_error'
  })
})

t.test('errors are reduced to what is known to be safe', async (t) => {
  t.same(
    describeError(
      Object.assign(new Error('no', { cause: Object.assign(new Error('why'), { code: 'ECONNREFUSED' }) }), { request: 'CANARY' })
    ),
    { type: 'Error', message: 'no', cause: { type: 'Error', code: 'ECONNREFUSED', message: 'why' } }
  )
  t.same(describeError('CANARY'), { type: 'string' })
  const itself = new Error('again')
  itself.cause = itself
  t.match(describeError(itself), { message: 'again', cause: { cause: { message: 'again' } } })
})

/** Ways in which the runtime quotes what it was given. */
const QUOTING: ReadonlyArray<() => unknown> = [
  () => JSON.parse('CANARY-1'),
  () => BigInt('CANARY-1'),
  () => 'a' in ('CANARY-1' as unknown as object),
  () => { ('CANARY-1' as unknown as { a: number }).a = 1 },
  () => new URL('CANARY-1'),
  () => Buffer.alloc('CANARY-1' as unknown as number),
  () => decodeURIComponent('%CANARY-1'),
  () => assert.equal('CANARY-1', 'b'),
  () => new EventEmitter().emit('error', 'CANARY-1'),
  () => { throw new SyntaxError('one\n    at CANARY-1 (file:///x.js:1:1)\nthree') }
]

t.test('a defect tells where it happened, and nothing that the runtime quotes', async (t) => {
  for (const fail of QUOTING) {
    try {
      fail()
      t.fail('it was to throw')
    } catch (error) {
      for (const text of [JSON.stringify(describeError(error)), JSON.stringify(describeCrash(error))]) {
        t.notMatch(text, /CANARY/, String(fail))
        t.match(text, /errors\.test\.ts:\d+:\d+/)
      }
    }
  }
  t.notMatch(
    JSON.stringify(describeCrash(new Error('CANARY-1', { cause: Object.assign(new Error('CANARY-2'), { value: 'CANARY-3' }) }))),
    /CANARY/,
    'a crash has no sentence at all'
  )
})
