import t, { type Test } from 'tap'
import { linesOf, loadFile } from '../load-fixture.ts'
import { BEARER, bindingsOf, exactly, KEY, oisOf, problemsOf, routesOf, valueFor } from './fixture.ts'

const A = { ois: [oisOf('A', { key: KEY })], apiCredentials: [valueFor('A', 'key')] }
const ADDRESS = `0x${'aB'.repeat(20)}`
const relayOf = (type: string, place = 'query'): object => ({ type, in: place, name: type })
const pathsOf = (paths: object): object => ({
  ...A,
  ois: [oisOf('A', { key: KEY }, { paths })],
  routes: [{ prefix: '/', ois: 'A', allow: 'ois' }]
})

t.test('a route takes upstream, schemes and values from its OIS; the rest is its own', async (t) => {
  const [route, ...others] = routesOf(t, {
    ...A,
    routes: [{ prefix: '/prices', ois: 'A', allow: ['GET /x'], timeoutMs: 5, idleTimeoutMs: 6, maxBodyBytes: 7 }]
  })
  t.match(route, {
    prefix: '/prices',
    upstream: 'https://api.example.com',
    upstreamLabel: 'https://api.example.com',
    ois: 'A',
    credential: 'A/key',
    allow: ['GET /x'],
    timeoutMs: 5,
    idleTimeoutMs: 6,
    maxBodyBytes: 7
  })
  t.same(bindingsOf(route), ['apiKey header X-Key = A/key: v4lue'])
  t.same(others, [], 'no automatic route beside it')
})

t.test('several routes may name one OIS', async (t) => {
  const routes = routesOf(t, { ...A, routes: [{ prefix: '/a', ois: 'A' }, { prefix: '/b', ois: 'A', allow: ['GET /x'] }] })
  t.same(routes.map(bindingsOf), [['apiKey header X-Key = A/key: v4lue'], ['apiKey header X-Key = A/key: v4lue']])
})

t.test('one credential names the route, several do not, none does not', async (t) => {
  const file = {
    ois: [oisOf('A', { a: KEY, b: BEARER }), oisOf('B'), oisOf('C', { c: relayOf('relayChainType') })],
    apiCredentials: [valueFor('A', 'a'), valueFor('A', 'b')],
    routes: [{ prefix: '/c', ois: 'C', relay: { relayChainType: 'evm' } }]
  }
  for (const route of routesOf(t, file)) t.notOk('credential' in route, route.ois ?? '')
})

t.test('what an OIS brings cannot stand beside it, and what belongs to one needs it', async (t) => {
  const credentials = { v: { type: 'static', value: 'x' } }
  const route = { prefix: '/', ois: 'A', upstream: 'https://x', credential: 'v', inject: [KEY] }
  exactly(t, problemsOf(t, { ...A, credentials, routes: [route] }), [
    /^credentials\.v {2}no route uses this credential/,
    ...['upstream', 'credential', 'inject'].map(
      (key) => new RegExp(`^routes\\[0\\]\\.${key} {2}stands beside ois, which brings its own; remove one of the two$`)
    )
  ])
  exactly(
    t,
    problemsOf(t, { routes: [{ prefix: '/', upstream: 'https://x', relay: { relayChainId: '1' }, postQuery: 'url', allow: 'ois' }] }),
    [
      /^routes\[0\]\.relay {2}has a meaning only beside ois; remove it$/,
      /^routes\[0\]\.postQuery {2}has a meaning only beside ois; remove it, or write it into the scheme in inject$/,
      /^routes\[0\]\.allow {2}has a meaning only beside ois; write the list out$/
    ]
  )
  exactly(t, problemsOf(t, { ...A, routes: [{ ois: 'A' }] }), [
    /^routes\[0\] {2}has neither prefix nor listen, so no request reaches it; add one of them$/
  ])
})

t.test('a title that no OIS has lists those that there are', async (t) => {
  exactly(
    t,
    problemsOf(t, {
      ois: [oisOf('A'), oisOf('Price API')],
      routes: [
        { prefix: '/x', ois: 'a' },
        { prefix: '/p', ois: 'A' }
      ]
    }),
    [/^routes\[0\]\.ois {2}names no OIS; write one of "A", "Price API", or add it to ois$/]
  )
  exactly(t, problemsOf(t, { routes: [{ prefix: '/x', ois: 'A' }] }), [/^routes\[0\]\.ois {2}names no OIS; add it to ois$/])
  exactly(
    t,
    problemsOf(t, { ois: [oisOf('A', {}, { info: {}, servers: 'x' })], routes: [{ prefix: '/x', ois: 'A' }] }),
    [/servers {2}must be a list/, /info {2}unknown key/],
    'nothing that follows from another error is said'
  )
  exactly(t, problemsOf(t, { ois: [{ apiSpecifications: {} }], routes: [{ prefix: '/x', ois: 'A' }] }), [/^ois\[0\]\.title {2}is missing/])
  exactly(t, problemsOf(t, { ois: [oisOf('A')], routes: [{ prefix: '/x', ois: '${GONE}' }] }), [
    /^routes\[0\]\.ois {2}secret GONE is not set/
  ])
})

t.test('an OIS that no route names gets one at its title, in lower case, with - for everything but letters and digits', async (t) => {
  const titles = ['Price API', 'CoinGecko basic_request', 'A--b', '42', 'ToString', 'tab\there']
  const routes = routesOf(t, { ois: titles.map((title) => oisOf(title)), routes: [{ prefix: '/', upstream: 'https://x' }] })
  t.same(routes.map(({ prefix }) => prefix), ['/', '/price-api', '/coingecko-basic-request', '/a--b', '/42', '/tostring', '/tab-here'])
})

t.test('automatic prefixes that collide name both, and show a route to write', async (t) => {
  exactly(
    t,
    problemsOf(t, {
      ois: [oisOf('Price API'), oisOf('B'), oisOf('price-api'), oisOf('PRICE_API')],
      routes: [{ prefix: '/b', upstream: 'https://x' }]
    }),
    [
      /^ois\[1\]\.title {2}gets the automatic prefix \/b, which routes\[0\] has too; add to routes \{ "prefix": "\/another-prefix", "ois": "B" \}$/,
      /^ois\[2\]\.title {2}gets the automatic prefix \/price-api, which ois\[0\] has too; add to routes \{ "prefix": "\/another-prefix", "ois": "price-api" \}$/,
      /^ois\[3\]\.title {2}gets the automatic prefix \/price-api, which ois\[0\] has too/
    ]
  )
  t.same(problemsOf(t, { ois: [oisOf('Price API'), oisOf('price-api')], routes: [{ prefix: '/other', ois: 'price-api' }] }), [])
})

t.test('http: to another machine is for the route to allow', async (t) => {
  const ois = [oisOf('Far API', {}, { servers: [{ url: 'http://far.example' }] })]
  const permission = 'is http: to another machine, which sends credentials in the clear; use https:, or'
  t.same(problemsOf(t, { ois }), [
    `ois[0].apiSpecifications.servers[0].url  ${permission} add to routes { "prefix": "/far-api", "ois": "Far API", "allowInsecureUpstream": true }`
  ])
  t.same(problemsOf(t, { ois, routes: [{ prefix: '/f', ois: 'Far API' }] }), [
    `ois[0].apiSpecifications.servers[0].url  ${permission} set allowInsecureUpstream to true in routes[0]`
  ])
  t.match(routesOf(t, { ois, routes: [{ prefix: '/f', ois: 'Far API', allowInsecureUpstream: true }] }), [
    { upstream: 'http://far.example' }
  ])
  t.match(routesOf(t, { ois: [oisOf('Near', {}, { servers: [{ url: 'http://127.0.0.1:5000' }] })] }), [
    { upstream: 'http://127.0.0.1:5000' }
  ])
})

t.test('a relay scheme that is on needs a source: the error shows the lines to add', async (t) => {
  const kinds = [
    'relayRequestId',
    'relayChainId',
    'relayChainType',
    'relayRequesterAddress',
    'relaySponsorAddress',
    'relaySponsorWalletAddress'
  ]
  const ois = [oisOf('Relay API', Object.fromEntries(kinds.map((kind) => [kind, relayOf(kind)])))]
  const relay =
    '"relay": { "relayRequestId": { "generate": true }, "relayChainId": "1", "relayChainType": "evm", "relayRequesterAddress": { "header": "X-Requester-Address" }, "relaySponsorAddress": { "header": "X-Sponsor-Address" }, "relaySponsorWalletAddress": { "header": "X-Sponsor-Wallet-Address" } }'
  t.same(problemsOf(t, { ois }), [
    `ois[0].apiSpecifications.security  turns on ${kinds.join(', ')}, and the automatic route has no source for them; add to routes { "prefix": "/relay-api", "ois": "Relay API", ${relay} }`
  ])
  t.same(problemsOf(t, { ois, routes: [{ prefix: '/', ois: 'Relay API' }] }), [
    `routes[0].relay  lacks a source for ${kinds.join(', ')}, which the OIS turns on; add ${relay}`
  ])
  t.same(
    problemsOf(t, {
      ois,
      routes: [{ prefix: '/', ois: 'Relay API', relay: Object.fromEntries(kinds.slice(1).map((kind) => [kind, { header: 'X-A' }])) }]
    }),
    ['routes[0].relay  lacks a source for relayRequestId, which the OIS turns on; add "relay": { "relayRequestId": { "generate": true } }']
  )
  const lines = problemsOf(t, { ois, routes: [JSON.parse(`{ "prefix": "/", "ois": "Relay API", ${relay} }`)] })
  t.same(lines, [], 'and those lines work')
})

t.test('the place of a missing source is the route, or the OIS of an automatic one', async (t) => {
  const ois = `{ "ois": [
  { "title": "R", "apiSpecifications": { "servers": [{ "url": "https://x" }],
    "components": { "securitySchemes": { "c": { "type": "relayChainId", "in": "query", "name": "c" } } },
    "security": { "c": [] } } }]`
  t.match(linesOf(loadFile(t, `${ois} }`)), [
    /^c\.jsonc:4:17 {2}ois\[0\]\.apiSpecifications\.security {2}turns on relayChainId, and the automatic route has no source for it;/
  ])
  t.match(linesOf(loadFile(t, `${ois},\n"routes": [\n  { "prefix": "/", "ois": "R" }] }`)), [
    /^c\.jsonc:6:3 {2}routes\[0\]\.relay {2}lacks a source/
  ])
  t.match(linesOf(loadFile(t, `${ois},\n"routes": [\n  { "prefix": "/", "ois": "R", "relay": {} }] }`)), [
    /^c\.jsonc:6:41 {2}routes\[0\]\.relay {2}lacks a source/
  ])
})

t.test('fixed relay values have Airnode\'s formats, and are not shown', async (t) => {
  const linesFor = (t: Test, kind: string, value: unknown): string[] =>
    problemsOf(t, { ois: [oisOf('R', { k: relayOf(kind) })], routes: [{ prefix: '/', ois: 'R', relay: { [kind]: value } }] })
  const good: Record<string, string[]> = {
    relayRequesterAddress: [ADDRESS],
    relaySponsorAddress: [ADDRESS.toLowerCase()],
    relaySponsorWalletAddress: [ADDRESS],
    relayChainId: ['1', '0', '31337'],
    relayChainType: ['evm'],
    relayRequestId: [`0x${'f0'.repeat(32)}`]
  }
  for (const [kind, values] of Object.entries(good)) {
    for (const value of values) t.same(linesFor(t, kind, value), [], kind)
    for (const value of [
      '',
      'CANARY',
      '-1',
      '1.0',
      ' 1',
      'EVM',
      '0x',
      `${ADDRESS}0`,
      ADDRESS.slice(2),
      `${values[0]}\n`,
      'undefined',
      'null'
    ]) {
      exactly(
        t,
        linesFor(t, kind, value),
        [
          /^routes\[0\]\.relay\.relay\w+ {2}has another format than Airnode gives such a value; write (?:0x and \d\d hex digits|decimal digits|evm)$/
        ],
        `${kind} ${value}`
      )
    }
    for (const value of [
      1,
      true,
      null,
      [],
      {},
      { header: 1 },
      { header: 'X', generate: true },
      { generate: false },
      { name: 'CANARY' },
      ...(kind === 'relayRequestId' ? [] : [{ generate: true }])
    ]) {
      exactly(
        t,
        linesFor(t, kind, value),
        [/^routes\[0\]\.relay\.relay\w+ {2}must be a string, (?:or )?\{ "header": "NAME" \}(?: or \{ "generate": true \})?; correct it$/],
        `${kind} ${JSON.stringify(value)}`
      )
    }
  }
  exactly(t, problemsOf(t, { ois: [oisOf('R')], routes: [{ prefix: '/', ois: 'R', relay: { chainId: '1' } }] }), [
    /^routes\[0\]\.relay\.chainId {2}unknown key; remove it, or write one of "relayRequesterAddress", /
  ])
})

t.test('a relay source may be a header that nobody else uses', async (t) => {
  const linesFor = (header: string): string[] =>
    problemsOf(t, {
      ois: [oisOf('R', { k: relayOf('relayChainId') })],
      routes: [{ prefix: '/', ois: 'R', relay: { relayChainId: { header } } }]
    })
  for (const header of ['X-Requester-Address', 'x_chain', 'chainId']) t.same(linesFor(header), [], header)
  for (const header of ['', 'a b', 'X:', 'é', 'a\r\nb']) {
    exactly(t, linesFor(header), [/^routes\[0\]\.relay\.relayChainId\.header {2}is no header name/], header)
  }
  for (const header of [
    'Host',
    'Cookie',
    'Connection',
    'content_length',
    'Content-Type',
    'X-Forwarded-For',
    'Proxy-Authorization',
    'X-Countersign-Token'
  ]) {
    exactly(
      t,
      linesFor(header),
      [/^routes\[0\]\.relay\.relayChainId\.header {2}is a header that HTTP, this proxy or a browser uses itself; choose another$/],
      header
    )
  }
})

t.test('a relay source that nothing wants is a warning', async (t) => {
  const file = { ...A, routes: [{ prefix: '/', ois: 'A', relay: { relayChainId: '1', relayRequestId: { generate: true } } }] }
  exactly(t, problemsOf(t, file), [
    /^routes\[0\]\.relay\.relayChainId {2}is of no use, since the OIS turns no such scheme on; remove it$/,
    /^routes\[0\]\.relay\.relayRequestId {2}is of no use/
  ])
  t.same(bindingsOf(routesOf(t, file)[0]), ['apiKey header X-Key = A/key: v4lue'])
  exactly(
    t,
    problemsOf(t, {
      ois: [oisOf('R', { c: relayOf('relayChainId') }, { security: {} })],
      routes: [{ prefix: '/', ois: 'R', relay: { relayChainId: '1' } }]
    }),
    [/Schemes\.c {2}is not turned on/, /relayChainId {2}is of no use/]
  )
})

t.test('one source may serve two schemes of one kind', async (t) => {
  const [route] = routesOf(t, {
    ois: [oisOf('R', { a: relayOf('relayChainId'), b: relayOf('relayChainId', 'header') })],
    routes: [{ prefix: '/', ois: 'R', relay: { relayChainId: { header: 'X-Chain' } } }]
  })
  t.same(bindingsOf(route), [
    'relayChainId query relayChainId = relayChainId header X-Chain',
    'relayChainId header relayChainId = relayChainId header X-Chain'
  ])
})

t.test('postQuery is for every query parameter of the OIS', async (t) => {
  const schemes = { a: { ...KEY, in: 'query', name: 'k' }, b: KEY, c: relayOf('relayChainId'), d: BEARER }
  const file = {
    ois: [oisOf('A', schemes)],
    apiCredentials: ['a', 'b', 'd'].map((name) => valueFor('A', name)),
    routes: [{ prefix: '/', ois: 'A', postQuery: 'url', relay: { relayChainId: '1' } }]
  }
  t.same(routesOf(t, file)[0]?.bindings.map(({ scheme }) => 'postQuery' in scheme && scheme.postQuery), ['url', false, 'url', false])
  exactly(t, problemsOf(t, { ...A, routes: [{ prefix: '/', ois: 'A', postQuery: 'url' }] }), [
    /^routes\[0\]\.postQuery {2}is of no use, since the OIS turns on no scheme with "in": "query"; remove it$/
  ])
  exactly(t, problemsOf(t, { ...A, routes: [{ prefix: '/', ois: 'A', postQuery: 'body' }] }), [
    /^routes\[0\]\.postQuery {2}must be "url"; correct it$/
  ])
})

t.test('allow "ois" takes paths and methods: a parameter is one segment, a query is no part of a path', async (t) => {
  const paths = {
    '/': { get: {} },
    '/coins/{id}': { get: { parameters: [] }, post: {} },
    '/a/{b}/c/{d}': { post: {} },
    '/x?k=v#f': { get: {} },
    '/x': { get: {} },
    '/latest%20': { get: {} },
    '/v1.0/~me;x=1': { get: {} },
    '/none': {}
  }
  t.same(routesOf(t, pathsOf(paths))[0]?.allow, [
    'GET /',
    'GET /coins/*',
    'POST /coins/*',
    'POST /a/*/c/*',
    'GET /x',
    'GET /latest%20',
    'GET /v1.0/~me;x=1'
  ])
})

t.test('a path that an allow list cannot hold exactly is refused, not widened', async (t) => {
  for (const path of ['/a-{id}', '/{a}{b}', '/{a}.json', '/a/{', '/a}', '/{}', '/*', '/a/**', '/a*b', '/{a/b}']) {
    exactly(
      t,
      problemsOf(t, pathsOf({ [path]: { get: {} } })),
      [
        /^ois\[0\]\.apiSpecifications\.paths\[.*\] {2}cannot be a line of an allow list, which knows whole segments only: .*; write the route's allow out$/
      ],
      path
    )
    t.same(
      problemsOf(t, { ...A, ois: [oisOf('A', { key: KEY }, { paths: { [path]: { get: {} } } })] }),
      [],
      'without "allow": "ois" it is not asked'
    )
  }
  exactly(t, problemsOf(t, pathsOf({ '/é': { get: {} } })), [/holds characters that no request can send; percent-encode them/])
})

t.test('paths that no request can have are refused, wanted or not', async (t) => {
  for (const path of [
    '//evil',
    '//evil.example/x',
    '/../x',
    '/a/..',
    '/a/./b',
    '/%2e%2e/x',
    '/..;/x',
    '/a\\b',
    '/%5Cx',
    '/%zz',
    '/%00',
    'x/y',
    '',
    'https://x/y',
    '/a b',
    '/a\tb'
  ]) {
    exactly(
      t,
      problemsOf(t, { ois: [oisOf('A', {}, { paths: { [path]: { get: {} } } })] }),
      [/^ois\[0\]\.apiSpecifications\.paths\[".*"\] {2}is (?:no path|a path that readers take differently)/],
      path
    )
  }
  exactly(t, problemsOf(t, { ois: [oisOf('A', {}, { paths: { '/x': { put: {} }, '/y': { get: 1 } } })] }), [
    /paths\["\/x"\]\.put {2}unknown key; remove it, or write one of "get", "post"/,
    /paths\["\/y"\]\.get {2}must be an object/
  ])
})

t.test('an OIS without paths lets nothing through, which is a warning', async (t) => {
  for (const paths of [{}, undefined, { '/x': {} }]) {
    exactly(t, problemsOf(t, pathsOf(paths as object)), [
      /^routes\[0\]\.allow {2}takes the paths of an OIS that has none, so every request is refused; add paths there, or leave allow out$/
    ])
  }
})

t.test('an interpolated title is not shown', async (t) => {
  const lines = problemsOf(
    t,
    {
      ois: [oisOf('${TITLE}', { c: relayOf('relayChainId') }, { servers: [{ url: 'http://far.example' }] }), oisOf('${OTHER}')],
      routes: [{ prefix: '/x', ois: 'nobody' }]
    },
    { TITLE: 'CANARY', OTHER: 'canary' }
  )
  t.notMatch(lines.join('\n'), /canary/i)
  t.match(lines.join('\n'), /"ois": "\$\{TITLE\}"/)
})
