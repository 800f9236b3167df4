import t, { type Test } from 'tap'
import type { RouteConfig } from '#src/config/config.ts'
import { configOf, linesOf, loadFile } from '../load-fixture.ts'

const CREDENTIALS = {
  token: { type: 'cognito', userPoolId: 'eu-west-1_AbC', clientId: 'client', username: 'user', password: 'pass' },
  value: { type: 'static', value: 'v4lue' },
  base64: { type: 'static', value: 'dTpw' },
  user: { type: 'static', username: 'user', password: 'pass' },
  relayer: { type: 'defender-relayer', apiKey: 'key', apiSecret: 'secret' }
}
const fileWith = (routes: unknown[], more: object = {}): object => ({ credentials: { ...CREDENTIALS, ...more }, routes })
const linesFor = (t: Test, routes: unknown[], more: object = {}): string[] => {
  return linesOf(loadFile(t, fileWith(routes, more)))
    .filter((line) => !line.includes('no route uses this credential'))
    .map((line) => line.split('  ').slice(1).join('  '))
}
const routeOf = (t: Test, route: object, more: object = {}): RouteConfig | undefined =>
  configOf(loadFile(t, fileWith([{ prefix: '/', upstream: 'https://x.example', ...route }], more))).routes[0]
const errorsOf = (t: Test, route: object, more: object = {}): string[] =>
  linesFor(t, [{ prefix: '/', upstream: 'https://x.example', ...route }], more)
const header = (name: string, more: object = {}): object => ({ type: 'apiKey', in: 'header', name, ...more })
const BEARER = { type: 'http', scheme: 'bearer' }
const BASIC = { type: 'http', scheme: 'basic' }

t.test('a prefix is / or plain segments', async (t) => {
  for (const prefix of ['/', '/a', '/a/b', '/A-b_c.d~e', '/...']) t.equal(routeOf(t, { prefix })?.prefix, prefix)
  for (const prefix of [
    '',
    'a',
    '/a/',
    '//',
    '/a//b',
    '/a?b',
    '/a#b',
    '/a%20',
    '/.',
    '/a/..',
    '/a/./b',
    '/:id',
    '/*',
    '/a b',
    '/é',
    '/a\\b',
    '/{a}'
  ]) {
    t.match(errorsOf(t, { prefix }), [/^routes\[0\]\.prefix {2}(?:is no prefix|holds a dot segment); write/], prefix)
  }
})

t.test('two routes cannot have one prefix', async (t) => {
  const upstream = 'https://x.example'
  t.same(
    linesFor(t, [
      { prefix: '/a', upstream },
      { prefix: '/b', upstream },
      { prefix: '/a', upstream }
    ]),
    ['routes[2].prefix  is the prefix of routes[0] too; give each route its own']
  )
  t.same(linesFor(t, [{ prefix: '/a', upstream }, { prefix: '/a/b', upstream }, { prefix: '/', upstream }, { prefix: '/A', upstream }]), [])
})

t.test('an upstream is needed, but with a preset', async (t) => {
  t.match(errorsOf(t, { upstream: undefined, credential: 'token' }), [/^routes\[0\]\.upstream {2}is missing; add it/])
  t.match(errorsOf(t, { upstream: undefined }), [/^routes\[0\]\.upstream {2}is missing; add it/])
  t.equal(routeOf(t, { upstream: undefined, credential: 'relayer' })?.upstream, 'https://api.defender.openzeppelin.com')
  t.match(
    linesFor(t, [{ prefix: '/', credential: 'broken' }], { broken: { type: 'defender-relayer', apiKey: 'k' } }),
    [/^credentials\.broken\.apiSecret {2}is missing/],
    'no consequence of another error is reported'
  )
})

t.test('an upstream that would send credentials in the clear needs a permission', async (t) => {
  t.match(errorsOf(t, { upstream: 'http://x.example' }), [/^routes\[0\]\.upstream {2}is http: to another machine/])
  t.equal(routeOf(t, { upstream: 'http://x.example', allowInsecureUpstream: true })?.upstream, 'http://x.example')
})

t.test('default schemes by type of credential', async (t) => {
  t.same(routeOf(t, {})?.bindings, [])
  t.same(routeOf(t, { credential: 'token' })?.bindings, [{ scheme: BEARER, value: { type: 'token', credential: 'token' } }])
  t.same(routeOf(t, { credential: 'value' })?.bindings, [{ scheme: BEARER, value: { type: 'token', credential: 'value' } }])
  t.same(routeOf(t, { credential: 'user' })?.bindings, [{ scheme: BASIC, value: { type: 'token', credential: 'user' } }])
  t.match(routeOf(t, { credential: 'relayer' })?.bindings, [
    { scheme: header('X-Api-Key'), value: { type: 'fixed', credential: 'relayer' } },
    { scheme: BEARER, value: { type: 'token', credential: 'relayer' } }
  ])
})

t.test('inject replaces the default; use and credential say where a value comes from', async (t) => {
  const bindings =
    routeOf(t, {
      credential: 'token',
      inject: [
        BEARER,
        header('X-Key', { credential: 'value' }),
        { type: 'apiKey', in: 'query', name: 'q', use: 'clientId', postQuery: 'url' },
        { type: 'apiKey', in: 'cookie', name: 'c', credential: 'user', use: 'password' }
      ]
    })?.bindings ?? []
  t.match(bindings, [
    { scheme: BEARER, value: { type: 'token', credential: 'token' } },
    { scheme: header('X-Key'), value: { type: 'token', credential: 'value' } },
    { scheme: { type: 'apiKey', in: 'query', name: 'q', postQuery: 'url' }, value: { type: 'fixed', credential: 'token' } },
    { scheme: { type: 'apiKey', in: 'cookie', name: 'c' }, value: { type: 'fixed', credential: 'user' } }
  ])
  t.same(bindings.map(({ value }) => value.type === 'fixed' && value.value.reveal()), [false, false, 'client', 'pass'])
  t.match(
    routeOf(t, { inject: [header('X-Key', { credential: 'value' })] })?.bindings,
    [{ value: { credential: 'value' } }],
    'the route itself may have no credential'
  )
})

t.test('a value that cannot be worked out is an error', async (t) => {
  t.match(errorsOf(t, { inject: [BEARER] }), [/^routes\[0\]\.inject\[0\] {2}has no value, since neither it nor its route has a credential/])
  t.match(errorsOf(t, { inject: [] }), [/^routes\[0\]\.inject {2}is empty; add a scheme/])
  t.match(errorsOf(t, { credential: 'nobody' }), [
    /^routes\[0\]\.credential {2}names no credential; write one of "token", "value", "base64", "user", "relayer", or add it/
  ])
  t.match(errorsOf(t, { credential: 'value', inject: [header('X-K', { credential: 'nobody' })] }), [
    /^routes\[0\]\.inject\[0\]\.credential {2}names no credential/
  ])
  t.same(errorsOf(t, { credential: 'value', inject: [header('X-K', { use: 'apiKey' })] }), [
    'routes[0].inject[0].use  names no field of the credential; write one of value'
  ])
  for (const use of ['type', 'tokenUse', 'constructor', '__proto__', 'endpoint']) {
    t.match(
      errorsOf(t, { credential: 'token', inject: [header('X-K', { use })] }),
      [/names no field of the credential; write one of userPoolId, clientId, username, password$/],
      use
    )
  }
  t.match(errorsOf(t, { credential: 'token', inject: [BASIC] }), [/would send a token as Basic authentication/])
  t.match(errorsOf(t, { credential: 'user', inject: [BEARER] }), [/has username and password to choose from; name one with use/])
})

t.test('two schemes cannot write one field', async (t) => {
  for (const [first, second] of [
    [BEARER, header('authorization')],
    [header('X-Api-Key'), header('x_api_KEY', { credential: 'base64' })],
    [
      { type: 'apiKey', in: 'query', name: 'k' },
      { type: 'apiKey', in: 'query', name: 'k', postQuery: 'url' }
    ],
    [
      { type: 'apiKey', in: 'cookie', name: 'k' },
      { type: 'apiKey', in: 'cookie', name: 'k' }
    ],
    ...[
      ['api.key', 'api_key'],
      ['api_key', 'api key'],
      ['key', 'key[a]'],
      ['a[b', 'a_b'],
      ['[k]', 'k'],
      [' k', 'k']
    ].map((names) => names.map((name) => ({ type: 'apiKey', in: 'query', name }))),
    ...[
      ['sid', 'SID'],
      ['my.sid', 'my_sid'],
      ['a%62', 'ab'],
      ['a%62', 'A%62']
    ].map((names) => names.map((name) => ({ type: 'apiKey', in: 'cookie', name }))),
    [BEARER, BASIC]
  ]) {
    t.same(errorsOf(t, { credential: 'base64', inject: [first, second] }), [
      'routes[0].inject[1]  writes the same field as routes[0].inject[0]; remove one of them'
    ])
  }
  t.same(
    errorsOf(t, {
      credential: 'value',
      inject: [
        { type: 'apiKey', in: 'cookie', name: 'k' },
        header('k'),
        ...['k', 'K', 'k-', 'f[a]', 'f[b]', 'k+', 'k%'].map((name) => ({ type: 'apiKey', in: 'query', name }))
      ]
    }),
    []
  )
})

t.test('no credential goes where HTTP or the proxy itself writes', async (t) => {
  for (const name of [
    'Host',
    'content-length',
    'Connection',
    'Transfer-Encoding',
    'transfer_encoding',
    'Upgrade',
    'Keep-Alive',
    'TE',
    'Trailer',
    'Proxy-Connection',
    'Proxy-Authorization',
    'Expect',
    'X-Countersign-Token',
    'Content-Type',
    'Forwarded',
    'X-Forwarded-For',
    'HTTP2-Settings',
    'Sec-WebSocket-Key'
  ]) {
    t.match(
      errorsOf(t, { credential: 'value', inject: [header(name)] }),
      [/^routes\[0\]\.inject\[0\]\.name {2}is a header that the proxy or HTTP itself writes/],
      name
    )
  }
  t.match(errorsOf(t, { credential: 'value', inject: [header('Cookie')] }), [/would replace the client's cookies; write "in": "cookie"/])
})

t.test('names of headers and cookies are tokens, those of parameters anything readable', async (t) => {
  for (const name of ['', 'a b', 'a:b', 'a\r\nb', 'é', 'a=b', 'a;b', 'a"b']) {
    t.match(errorsOf(t, { credential: 'value', inject: [header(name)] }), [/is no header name/], name)
    t.match(errorsOf(t, { credential: 'value', inject: [{ type: 'apiKey', in: 'cookie', name }] }), [/is no cookie name/], name)
  }
  for (const name of ['', 'a\nb', '\ud800']) {
    t.match(errorsOf(t, { credential: 'value', inject: [{ type: 'apiKey', in: 'query', name }] }), [/is no parameter name/])
  }
  t.same(errorsOf(t, { credential: 'value', inject: [{ type: 'apiKey', in: 'query', name: 'a b[é]=' }] }), [])
  t.match(errorsOf(t, { credential: 'value', inject: [header('X-K', { postQuery: 'url' })] }), [
    /^routes\[0\]\.inject\[0\]\.postQuery {2}has a meaning only with "in": "query"/
  ])
})

t.test('a value that no header can carry is refused where it stands', async (t) => {
  for (const value of ['a\r\nX-Evil: 1', 'a\n', 'a\0', 'a\x01', 'a\x7f', '€', ' a', 'a\t']) {
    t.match(
      errorsOf(t, { credential: 'odd' }, { odd: { type: 'static', value } }),
      [/^credentials\.odd\.value {2}.*no header can carry.*\(routes\[0\]\.credential sends it as http bearer\)/],
      JSON.stringify(value)
    )
    t.match(errorsOf(t, { credential: 'odd', inject: [header('X-K')] }, { odd: { type: 'static', value } }), [
      /^credentials\.odd\.value {2}.*\(routes\[0\]\.inject\[0\] sends it as apiKey in header\)/
    ])
    t.match(errorsOf(t, { credential: 'odd' }, { odd: { type: 'defender-relayer', apiKey: value, apiSecret: 's' } }), [
      /^credentials\.odd\.apiKey {2}(?:.*no header can carry|.*ends with|begins with)/
    ])
  }
  t.same(errorsOf(t, { credential: 'odd' }, { odd: { type: 'static', value: 'a\tb é' } }), [])
})

t.test('a parameter or a cookie is encoded and may hold nearly anything', async (t) => {
  const inject = [{ type: 'apiKey', in: 'query', name: 'k' }, { type: 'apiKey', in: 'cookie', name: 'k' }]
  t.same(errorsOf(t, { credential: 'odd', inject }, { odd: { type: 'static', value: 'a\r\n€; \0b' } }), [])
  t.match(errorsOf(t, { credential: 'odd', inject }, { odd: { type: 'static', value: 'a\ud800' } }), [
    /holds half of a surrogate pair/,
    /holds half of a surrogate pair/
  ])
})

t.test('bearer and basic add their own word, and basic wants base64', async (t) => {
  const withValue = (value: string, scheme: object): string[] =>
    errorsOf(t, { credential: 'odd', inject: [scheme] }, { odd: { type: 'static', value } })
  for (const value of ['Bearer abc', 'bearer abc']) {
    t.match(withValue(value, BEARER), [/begins with "Bearer ", which is added anyway; remove that word/])
  }
  t.match(withValue('Basic dTpw', BASIC), [/begins with "Basic "/])
  t.match(withValue('user:pass', BASIC), [
    /holds a colon, so it is not the base64 of user:password; give the credential "username" and "password" instead/
  ])
  t.match(withValue('us er', BASIC), [/is not base64/])
  t.same(withValue('dTpw', BASIC), [])
  t.same(withValue('1|token.with~odd+signs', BEARER), [])
  t.same(withValue('Bearer abc', header('Authorization')), [], 'an apiKey is sent as it is')
})

t.test('allow patterns: METHOD /path', async (t) => {
  const allow = ['GET /', 'ANY /**', 'POST /txs', 'M-SEARCH /a/*/b', 'GET /a/%2F;x=1', 'DELETE /a//b']
  t.same(routeOf(t, { allow })?.allow, allow)
  const bad = [
    '',
    'GET',
    '/a',
    'GET a',
    'GET  /a',
    'GET /a?b',
    'GET /a#b',
    'GET /a b',
    'GET /a*',
    'GET /**/a',
    'GET /a/***',
    'get /a',
    'TRACE /a',
    'CONNECT /a',
    'GET /é',
    'GET /a/../b',
    'GET /.',
    ' GET /a',
    'GET /a\n',
    'G(T /a'
  ]
  const lines = errorsOf(t, { allow: bad })
  t.same(lines.map((line) => line.split('  ')[0]), bad.map((_, index) => `routes[0].allow[${index}]`))
  t.match(errorsOf(t, { allow: [] }), [/^routes\[0\]\.allow {2}is empty, so every request is refused/])
})

t.test('limits of a route are carried', async (t) => {
  t.match(routeOf(t, { timeoutMs: 1, idleTimeoutMs: 2, maxBodyBytes: 3, websocket: false }), {
    timeoutMs: 1,
    idleTimeoutMs: 2,
    maxBodyBytes: 3,
    websocket: false
  })
  const route = routeOf(t, {})
  t.match(route, { timeoutMs: 60_000, idleTimeoutMs: 300_000, websocket: true })
  t.notOk(route !== undefined && 'maxBodyBytes' in route)
})

t.test('an interpolated prefix is a warning: it stands in logs and metrics', async (t) => {
  const result = loadFile(t, { routes: [{ prefix: '/${NAME}', upstream: 'https://x.example' }] }, { NAME: 'abc' })
  t.match(linesOf(result), [/routes\[0\]\.prefix {2}holds an interpolated value/])
  t.equal(configOf(result).routes[0]?.prefix, '/abc')
})
