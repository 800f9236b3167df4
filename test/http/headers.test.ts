import fc from 'fast-check'
import t from 'tap'
import { connectionListed, foldName, isDroppedFromRequest, responseHeaders } from '#src/http/headers.ts'

t.test('names are compared without case, and every character but letters and digits is alike', async (t) => {
  for (const name of [
    'X-Api-Key',
    'x_api_key',
    'X_API-KEY',
    'x-api-key',
    'X.Api.Key',
    'X~Api~Key',
    'x!api|KEY',
    'X#Api$Key',
    "X`api'key"
  ]) {
    t.equal(foldName(name), 'x-api-key')
  }
})

t.test('hop-by-hop, forwarding and caller headers never go upstream, in any spelling', async (t) => {
  for (const name of [
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'TE',
    'Transfer-Encoding',
    'Upgrade',
    'HTTP2-Settings',
    'Host',
    'Content-Length',
    'Expect',
    'Trailer',
    'Forwarded',
    'X-Forwarded-For',
    'X_Forwarded_Host',
    'x-forwarded-anything',
    'Proxy-Authorization',
    'proxy_authorization',
    'X-Countersign-Token',
    'x_countersign_token',
    'X-Original-URL',
    'X_Original_Url',
    'X-Rewrite-URL',
    'X.Forwarded.For',
    'Content~Length',
    'Proxy.Authorization'
  ]) {
    t.ok(isDroppedFromRequest(foldName(name)), name)
  }
  for (const name of ['Accept', 'Via', 'X-Forward', 'Forwarded-By', 'Content-Type', '__proto__', 'constructor']) {
    t.notOk(isDroppedFromRequest(foldName(name)), name)
  }
})

t.test('Connection lists are read from every line, folded', async (t) => {
  t.equal(connectionListed(['Connection', 'close', 'Proxy-Connection', 'Keep-Alive']), undefined)
  t.equal(connectionListed(['X', 'y']), undefined)
  t.same(
    [...(connectionListed(['connection', 'close, X-Api-Key ,, authorization', 'CONNECTION', 'X_Other', 'Proxy-Connection', 'te']) ?? [])],
    ['x-api-key', 'authorization', 'x-other', 'te']
  )
})

t.test('response headers keep order, case and multiplicity', async (t) => {
  const headers = ['Set-Cookie', 'a=1', 'X-One', '1', 'set-cookie', 'b=2', 'ETAG', '"x"', 'X-Empty', '']
  t.same(responseHeaders(headers), headers)
})

t.test('hop-by-hop and CORS headers of the upstream are dropped, and what its Connection lists', async (t) => {
  t.same(
    responseHeaders([
      'Connection',
      'X-Internal, x_other',
      'X-Internal',
      '1',
      'X_Other',
      '2',
      'Keep-Alive',
      'timeout=5',
      'Transfer-Encoding',
      'chunked',
      'Upgrade',
      'h2',
      'Proxy-Authenticate',
      'Basic',
      'Access-Control-Allow-Origin',
      '*',
      'ACCESS-control-allow-CREDENTIALS',
      'true',
      'Trailer',
      'X-T',
      'WWW-Authenticate',
      'Bearer',
      'X-Kept',
      '3'
    ]),
    ['Trailer', 'X-T', 'WWW-Authenticate', 'Bearer', 'X-Kept', '3']
  )
})

t.test('of references only Location is rewritten', async (t) => {
  t.same(responseHeaders(['LOCATION', 'a', 'Content-Location', 'b', 'Link', 'c'], { location: (value) => `[${value}]` }), [
    'LOCATION',
    '[a]',
    'Content-Location',
    'b',
    'Link',
    'c'
  ])
})

t.test('what speaks for a whole origin is dropped where other routes share it', async (t) => {
  const headers = ['Service-Worker-Allowed', '/', 'CLEAR-SITE-DATA', '"*"', 'X-A', '1']
  t.same(responseHeaders(headers, { sharesOrigin: true }), ['X-A', '1'])
  t.same(responseHeaders(headers), headers)
})

t.test('a Proxy-Status of an upstream that claims to be ours gets another name', async (t) => {
  for (const value of [
    'countersign; error=http_request_denied',
    'Countersign',
    '"countersign";error=x',
    'edge, countersign; error=x',
    'edge; details="countersign; error=x"'
  ]) {
    t.same(
      responseHeaders(['Proxy-Status', value, 'proxy-status', 'edge; error=dns_error']),
      ['Upstream-Proxy-Status', value, 'proxy-status', 'edge; error=dns_error'],
      value
    )
  }
})

t.test('no list of headers makes the filter throw or add anything', async (t) => {
  const name = fc.oneof(
    fc.constantFrom('Connection', 'connection', 'X-A', 'x_a', '__proto__', 'constructor', 'Access-Control-Max-Age', 'Set-Cookie'),
    fc.string()
  )
  fc.assert(fc.property(fc.array(fc.tuple(name, fc.constantFrom('x-a', '__proto__', 'close', ',,', 'constructor, x_a'))), (fields) => {
    const given = fields.flat()
    const kept = responseHeaders(given)
    return (
      kept.length <= given.length &&
      kept.length % 2 === 0 &&
      !kept.some((text, index) => index % 2 === 0 && /^(?:connection|access-control-.*)$/i.test(text))
    )
  }))
  t.pass()
})
