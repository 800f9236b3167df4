import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { configOf, linesOf, loadFile } from '../load-fixture.ts'
import { BASIC, BEARER, bindingsOf, exactly, KEY, oisOf, problemsOf, routesOf, valueFor } from './fixture.ts'

/** What is said about one OIS with all its values there. */
const linesFor = (
  t: Test,
  schemes: Record<string, unknown>,
  specifications: object = {},
  values: Record<string, unknown> = {}
): string[] => {
  const own = Object.entries(schemes)
    .filter(([, scheme]) => !String(Reflect.get(scheme as object, 'type')).startsWith('relay'))
    .map(([name]) => valueFor('A', name, values[name]))
  return problemsOf(t, { ois: [oisOf('A', schemes, specifications)], apiCredentials: own })
}

t.test('the example of the documentation: only title and apiSpecifications', async (t) => {
  const file = {
    ois: [{
      title: 'My OIS title',
      apiSpecifications: {
        servers: [{ url: 'https://api.example.com/v1/' }],
        components: { securitySchemes: { requiresXApiKey: { in: 'header', type: 'apiKey', name: 'X-api-key' } } },
        security: { requiresXApiKey: [] }
      }
    }],
    apiCredentials: [{ oisTitle: 'My OIS title', securitySchemeName: 'requiresXApiKey', securitySchemeValue: '${X_API_KEY}' }]
  }
  const result = loadFile(t, file, { X_API_KEY: 'sekret' })
  t.same(linesOf(result), [])
  const { routes: [route], credentials } = configOf(result)
  t.match(route, {
    prefix: '/my-ois-title',
    upstream: 'https://api.example.com/v1',
    upstreamLabel: 'https://api.example.com/v1',
    ois: 'My OIS title',
    credential: 'My OIS title/requiresXApiKey',
    timeoutMs: 60_000
  })
  t.same(bindingsOf(route), ['apiKey header X-api-key = My OIS title/requiresXApiKey: sekret'])
  t.equal(credentials.size, 0)
  t.notMatch(inspect(configOf(result), { depth: 9 }), /sekret/)
})

t.test('whole objects of formats 1.x, 2.x and 3.x are read alike; of other versions nobody knows what they mean', async (t) => {
  const whole = {
    version: '1.2.3',
    endpoints: [{ name: '${lower}', parameters: [], postProcessingSpecifications: [{ value: '`${1+1}`' }] }]
  }
  for (const oisFormat of ['1.0.0', '1.3.0', '2.3.0', '3.0.0', undefined]) {
    t.same(problemsOf(t, { ois: [oisOf('A', {}, {}, { ...whole, oisFormat })] }), [], oisFormat ?? 'none')
  }
  for (const oisFormat of ['4.0.0', '0.1.0', 'pre-alpha', '', '1.0.0-beta']) {
    exactly(
      t,
      problemsOf(t, { ois: [oisOf('A', {}, {}, { oisFormat })] }),
      [/^ois\[0\]\.oisFormat {2}is no version of OIS that this program knows/],
      oisFormat
    )
  }
  t.same(
    problemsOf(t, { ois: [{ title: 'A', apiSpecifications: { servers: [{ url: 'https://x' }] } }] }),
    [],
    'components, security and paths may be left out'
  )
})

t.test('every type of scheme in every place', async (t) => {
  const places = ['header', 'query', 'cookie']
  const kinds = {
    relayRequesterAddress: { header: 'X-R' },
    relayChainId: '1',
    relayChainType: 'evm',
    relaySponsorAddress: `0x${'aB'.repeat(20)}`,
    relaySponsorWalletAddress: { header: 'X-W' },
    relayRequestId: { generate: true }
  }
  for (const place of places) {
    const schemes = Object.fromEntries(['apiKey', ...Object.keys(kinds)].map((type) => [type, { type, in: place, name: `n-${type}` }]))
    const [route] = routesOf(t, {
      ois: [oisOf('A', schemes)],
      apiCredentials: [valueFor('A', 'apiKey')],
      routes: [{ prefix: '/', ois: 'A', relay: kinds }]
    })
    t.same(bindingsOf(route), [
      `apiKey ${place} n-apiKey = A/apiKey: v4lue`,
      `relayRequesterAddress ${place} n-relayRequesterAddress = relayRequesterAddress header X-R`,
      `relayChainId ${place} n-relayChainId = relayChainId fixed 1`,
      `relayChainType ${place} n-relayChainType = relayChainType fixed evm`,
      `relaySponsorAddress ${place} n-relaySponsorAddress = relaySponsorAddress fixed 0x${'aB'.repeat(20)}`,
      `relaySponsorWalletAddress ${place} n-relaySponsorWalletAddress = relaySponsorWalletAddress header X-W`,
      `relayRequestId ${place} n-relayRequestId = relayRequestId generate`
    ])
  }
  t.same(bindingsOf(routesOf(t, { ois: [oisOf('A', { b: BASIC })], apiCredentials: [valueFor('A', 'b', 'dTpw')] })[0]), [
    'http basic = A/b: dTpw'
  ])
  t.same(bindingsOf(routesOf(t, { ois: [oisOf('A', { b: BEARER })], apiCredentials: [valueFor('A', 'b', 't')] })[0]), [
    'http bearer = A/b: t'
  ])
})

t.test('only what is turned on is applied; what is off or has no use is a warning', async (t) => {
  const file = { ois: [oisOf('A', { on: KEY, off: BEARER }, { security: { on: [] } })], apiCredentials: [valueFor('A', 'on')] }
  t.same(problemsOf(t, file), [
    'ois[0].apiSpecifications.components.securitySchemes.off  is not turned on, so it is not applied; add "off": [] to security, or remove it'
  ])
  t.same(bindingsOf(routesOf(t, file)[0]), ['apiKey header X-Key = A/on: v4lue'])
  t.same(
    problemsOf(t, {
      ois: [oisOf('A', { off: BEARER, chain: { ...KEY, type: 'relayChainId' } }, { security: {} })],
      apiCredentials: [valueFor('A', 'off'), valueFor('A', 'chain'), valueFor('A', 'ghost'), valueFor('B', 'off')]
    }),
    [
      'apiCredentials[0].securitySchemeName  is a scheme that security does not turn on, so this is not used; turn it on, or remove the entry',
      'apiCredentials[1].securitySchemeName  is a relay scheme, whose value the relay of a route says, so this is not used; remove the entry',
      'apiCredentials[2].securitySchemeName  is no scheme of its OIS, so this is not used; correct it, or remove the entry',
      'apiCredentials[3].oisTitle  is the title of no OIS, so this is not used; correct it, or remove the entry'
    ]
  )
})

t.test('every error has its FILE:LINE:COLUMN and path, all of them at once', async (t) => {
  const file = `{
  "ois": [
    { "title": "Price API", "oisFormat": "4.0.0",
      "apiSpecifications": {
        "servers": [{ "url": "https://user:pw@x" }, { "url": "https://y" }],
        "components": { "securitySchemes": {
          "key": { "type": "apiKey", "in": "header", "name": "Host" },
          "more": { "type": "apiKey", "in": "query", "name": "" },
          "twice": { "type": "apiKey", "in": "query", "name": "q" },
          "same": { "type": "apiKey", "in": "query", "name": "q" } } },
        "security": { "key": [], "ghost": [], "more": [], "twice": [],
          "same": [] },
        "paths": { "//evil.example": { "get": {} } } } },
    { "title": "Price API", "apiSpecifications": {} },
    { "title": "Odd (1)",
      "apiSpecifications": { "servers": [{ "url": "ftp://x" }] } },
    { "apiSpecifications": { "info": {}, "servers": [{ "url": "https://x", "description": "" }], "components": { "schemas": {}, "securitySchemes": { "o": { "type": "oauth2" } } },
      "security": [{ "key": [] }, { "other": ["read"] }], "paths": { "/x": { "put": {} } } } }
  ],
  "apiCredentials": [
    { "oisTitle": "Price API", "securitySchemeName": "key", "securitySchemeValue": "a\\r\\nX-Evil: 1" },
    { "oisTitle": "Price API", "securitySchemeName": "key", "credential": "nobody" },
    { "oisTitle": "Price API", "securitySchemeName": "more", "securitySchemeValue": " " },
    { "oisTitle": "Price API", "securitySchemeName": "twice" },
    { "oisTitle": "Price API", "securitySchemeName": "same", "credential": "nobody", "securitySchemeValue": "x" },
    { "oisTitle": "Price API", "name": "x" }
  ]
}`
  t.same(linesOf(loadFile(t, file)), [
    'c.jsonc:3:42  ois[0].oisFormat  is no version of OIS that this program knows; convert the OIS to 1.x.x, 2.x.x or 3.x.x',
    'c.jsonc:5:53  ois[0].apiSpecifications.servers[1]  is one server too many, since a route has one upstream; keep one, and write an OIS for each other',
    'c.jsonc:7:62  ois[0].apiSpecifications.components.securitySchemes.key.name  is a header that the proxy or HTTP itself writes; no credential can go there, choose another',
    'c.jsonc:8:62  ois[0].apiSpecifications.components.securitySchemes.more.name  is no parameter name; write one without control characters',
    'c.jsonc:11:34  ois[0].apiSpecifications.security.ghost  is turned on and not defined; define it in components.securitySchemes, or remove it here',
    'c.jsonc:12:11  ois[0].apiSpecifications.security.same  writes the same field as "twice", and one would overwrite the other; turn one of them off',
    'c.jsonc:13:20  ois[0].apiSpecifications.paths["//evil.example"]  is a path that readers take differently, so no request for it is forwarded (a leading //, a dot segment, a backslash, a malformed escape); correct it',
    'c.jsonc:14:16  ois[1].title  is the title of ois[0] too, and titles tell whose credential is whose; give each OIS its own',
    'c.jsonc:15:16  ois[2].title  is no title of an OIS; write at most 64 letters, digits, blanks, _ and -',
    'c.jsonc:16:51  ois[2].apiSpecifications.servers[0].url  is no base URL; write https://host, https://host:port or https://host/path',
    'c.jsonc:17:5  ois[3].title  is missing; add it, a string',
    'c.jsonc:17:30  ois[3].apiSpecifications.info  unknown key; remove it, or write one of "servers", "components", "security", "paths"',
    'c.jsonc:17:76  ois[3].apiSpecifications.servers[0].description  unknown key; remove it, or write one of "url"',
    'c.jsonc:17:114  ois[3].apiSpecifications.components.schemas  unknown key; remove it, or write one of "securitySchemes"',
    'c.jsonc:17:165  ois[3].apiSpecifications.components.securitySchemes.o.type  is no type that OIS has; define an http bearer scheme, and name a credential of type oauth2 in apiCredentials (OIS has "apiKey", "http", "relayRequesterAddress", "relayChainId", "relayChainType", "relaySponsorAddress", "relaySponsorWalletAddress", "relayRequestId")',
    'c.jsonc:18:19  ois[3].apiSpecifications.security  is a list, as OpenAPI has it, and OIS has no alternatives; write an object, { "key": [], "other": [] }',
    'c.jsonc:18:78  ois[3].apiSpecifications.paths["/x"].put  unknown key; remove it, or write one of "get", "post"',
    'c.jsonc:21:84  apiCredentials[0].securitySchemeValue  holds a line break or NUL, which no header can carry; remove it (ois[0].apiSpecifications.security.key sends it as apiKey in header)',
    'c.jsonc:22:5  apiCredentials[1]  is for the same scheme of the same OIS as apiCredentials[0]; keep one of them',
    'c.jsonc:23:85  apiCredentials[2].securitySchemeValue  is empty; write its value, or a ${NAME} that stands for it',
    'c.jsonc:24:5  apiCredentials[3].securitySchemeValue  is missing; add it, or "credential" with a name from credentials',
    'c.jsonc:25:76  apiCredentials[4].credential  stands beside securitySchemeValue; keep one of the two',
    'c.jsonc:25:76  apiCredentials[4].credential  names no credential; add it to credentials',
    'c.jsonc:26:5  apiCredentials[5].securitySchemeName  is missing; add it, a string',
    'c.jsonc:26:32  apiCredentials[5].name  unknown key; remove it, or write one of "oisTitle", "securitySchemeName", "securitySchemeValue", "credential"'
  ])
})

t.test('a scheme that is on and has no value shows the entry to add', async (t) => {
  t.same(problemsOf(t, { ois: [oisOf('Price API', { 'my key': KEY })] }), [
    'ois[0].apiSpecifications.security["my key"]  is turned on and has no value; add { "oisTitle": "Price API", "securitySchemeName": "my key", "securitySchemeValue": "${NAME}" } to apiCredentials'
  ])
})

t.test('a value belongs to one scheme of one OIS and is never shared', async (t) => {
  const ois = [oisOf('A', { key: KEY }), oisOf('B', { key: KEY })]
  exactly(
    t,
    problemsOf(t, { ois, apiCredentials: [valueFor('A', 'key')] }),
    [/^ois\[1\]\.apiSpecifications\.security\.key {2}is turned on and has no value/],
    'as airnode-feed would give it away'
  )
  const routes = routesOf(t, { ois, apiCredentials: [valueFor('B', 'key', 'of-b'), valueFor('A', 'key', 'of-a')] })
  t.same(routes.map(bindingsOf), [['apiKey header X-Key = A/key: of-a'], ['apiKey header X-Key = B/key: of-b']])
  exactly(
    t,
    problemsOf(t, { ois: [oisOf('A', { key: KEY })], apiCredentials: [valueFor('a', 'key'), valueFor('A', 'Key')] }),
    [
      /^ois\[0\].*is turned on and has no value/,
      /^apiCredentials\[0\]\.oisTitle {2}is the title of no OIS/,
      /^apiCredentials\[1\]\.securitySchemeName {2}is no scheme/
    ],
    'names are compared exactly'
  )
})

t.test('security: an object of empty lists', async (t) => {
  const security = (value: unknown): string[] => problemsOf(t, { ois: [oisOf('A', {}, { security: value })] })
  t.same(security({}), [])
  t.same(security([]), [
    'ois[0].apiSpecifications.security  is a list, which is read as {}; write {}, or { "NAME": [] } to turn a scheme on'
  ])
  t.ok(loadFile(t, { ois: [oisOf('A', {}, { security: [] })] }).ok)
  exactly(t, security([{ k: [] }]), [/is a list, as OpenAPI has it, .*write an object, \{ "k": \[\] \}$/])
  exactly(t, security(['k']), [/write an object, \{ "NAME": \[\] \}$/])
  exactly(t, security('k'), [/^ois\[0\]\.apiSpecifications\.security {2}must be an object, \{ "NAME": \[\] \}; correct it$/])
  for (const scopes of [['read'], true, {}, null, 'x']) {
    exactly(t, security({ k: scopes }), [
      /is turned on and not defined/,
      /^ois\[0\]\.apiSpecifications\.security\.k {2}must be an empty list, \[\], since OIS has no scopes; correct it$/
    ])
  }
})

t.test('schemes are strict: no other types, places, keys', async (t) => {
  for (const type of ['oauth2', 'openIdConnect', 'mutualTLS', 'ApiKey', 'relay', '']) {
    exactly(
      t,
      linesFor(t, { k: { ...KEY, type } }),
      [/^ois\[0\]\.apiSpecifications\.components\.securitySchemes\.k\.type {2}is no type that OIS has; /],
      type
    )
  }
  for (const place of ['path', 'body', 'Header', 'processing']) {
    exactly(t, linesFor(t, { k: { ...KEY, in: place } }), [
      /securitySchemes\.k\.in {2}must be one of "header", "query", "cookie"; correct it$/
    ])
  }
  for (const scheme of ['Bearer', 'digest', 'negotiate']) {
    exactly(t, linesFor(t, { k: { type: 'http', scheme } }), [
      /securitySchemes\.k\.scheme {2}must be one of "bearer", "basic"; correct it$/
    ])
  }
  for (const key of ['description', 'x-secret', 'scheme', 'flows', 'postQuery']) {
    exactly(t, linesFor(t, { k: { ...KEY, [key]: 'x' } }), [
      /securitySchemes\.k(?:\.|\[").* {2}unknown key; remove it, or write one of "type", "in", "name"$/
    ])
  }
  exactly(t, linesFor(t, { k: { ...BEARER, bearerFormat: 'JWT' } }), [
    /securitySchemes\.k\.bearerFormat {2}unknown key; remove it, or write one of "type", "scheme"$/
  ])
  exactly(t, linesFor(t, { k: { type: 'apiKey', in: 'header' } }), [/securitySchemes\.k\.name {2}is missing; add it, a string$/])
  exactly(t, linesFor(t, { k: { in: 'header', name: 'x' } }), [
    /securitySchemes\.k\.type {2}is missing; add it, one of "apiKey", "http", "relayRequesterAddress"/
  ])
})

t.test('names that no header, cookie or parameter can have, and headers that are not for schemes', async (t) => {
  for (const type of ['apiKey', 'relayChainId']) {
    for (const [place, name, message] of [
      ['header', '', 'is no header name'],
      ['header', 'X\r\nY: 1', 'is no header name'],
      ['cookie', 'a=b', 'is no cookie name'],
      ['query', '', 'is no parameter name'],
      ['query', 'a\nb', 'is no parameter name'],
      ...[
        'Host',
        'content-length',
        'Connection',
        'Transfer_Encoding',
        'Upgrade',
        'TE',
        'Content-Type',
        'X-Forwarded-For',
        'Proxy-Authorization'
      ].map((header) => ['header', header, 'is a header that the proxy or HTTP itself writes']),
      ['header', 'Cookie', 'would replace the client\'s cookies; write "in": "cookie"']
    ]) {
      for (const on of [true, false]) {
        const file = {
          ois: [oisOf('A', { k: { type, in: place, name } }, on ? {} : { security: {} })],
          apiCredentials: type === 'apiKey' ? [valueFor('A', 'k')] : [],
          routes: [{ prefix: '/', ois: 'A', relay: { relayChainId: '1' } }]
        }
        t.ok(
          problemsOf(t, file).some((line) => line.startsWith(`ois[0].apiSpecifications.components.securitySchemes.k.name  ${message}`)),
          `${type} ${place} ${JSON.stringify(name)}`
        )
      }
    }
  }
  t.same(
    linesFor(t, {
      a: { ...KEY, name: 'Authorization' },
      u: { ...KEY, name: 'User-agent' },
      c: { ...KEY, in: 'cookie', name: 'Host' },
      q: { ...KEY, in: 'query', name: 'a b[é]' }
    }),
    [],
    'Coinpaprika wants the first two'
  )
})

t.test('two schemes that are on cannot write one field; one that is off may', async (t) => {
  const query = { type: 'apiKey', in: 'query', name: 'k' }
  for (const [first, second] of [
    [BEARER, BASIC],
    [BEARER, { ...KEY, name: 'authorization' }],
    [KEY, { ...KEY, name: 'x_KEY' }],
    [query, query],
    [
      { ...KEY, in: 'cookie' },
      { ...KEY, in: 'cookie' }
    ],
    [
      { ...query, name: 'api.key' },
      { ...query, name: 'api_key' }
    ],
    [query, { ...query, name: 'k[]' }],
    [
      { ...KEY, in: 'cookie', name: 'sid' },
      { ...KEY, in: 'cookie', name: 'SID' }
    ]
  ]) {
    exactly(t, linesFor(t, { one: first, two: second }, {}, { one: 'dTpw', two: 'dTpw' }), [
      /^ois\[0\]\.apiSpecifications\.security\.two {2}writes the same field as "one", and one would overwrite the other; turn one of them off$/
    ])
  }
  const relayed = {
    ois: [oisOf('A', { one: query, two: { ...query, type: 'relayChainId' } })],
    apiCredentials: [valueFor('A', 'one')],
    routes: [{ prefix: '/', ois: 'A', relay: { relayChainId: '1' } }]
  }
  exactly(t, problemsOf(t, relayed), [/security\.two {2}writes the same field as "one"/])
  t.same(
    linesFor(t, { one: query, two: { ...query, name: 'K' }, three: { ...KEY, name: 'k' }, four: { ...KEY, in: 'cookie', name: 'k' } }),
    []
  )
  t.notOk(
    problemsOf(t, { ois: [oisOf('A', { one: KEY, two: KEY }, { security: { two: [] } })], apiCredentials: [valueFor('A', 'two')] }).some(
      (line) => line.includes('same field')
    )
  )
})

t.test('values that cannot be sent are refused where they stand', async (t) => {
  const lineFor = (scheme: unknown, value: string): string[] => linesFor(t, { k: scheme }, {}, { k: value })
  for (const value of ['abc\n', 'a\r\nX-Evil: 1', 'a\0b', 'a\x07', '€', 'a\x7f']) {
    for (const scheme of [KEY, BEARER]) {
      exactly(
        t,
        lineFor(scheme, value),
        [/^apiCredentials\[0\]\.securitySchemeValue {2}holds .*no header can carry/],
        JSON.stringify(value)
      )
    }
    exactly(
      t,
      lineFor(BASIC, value),
      [/^apiCredentials\[0\]\.securitySchemeValue {2}(?:is not base64|holds a colon)/],
      JSON.stringify(value)
    )
    for (const place of ['query', 'cookie']) {
      exactly(
        t,
        lineFor({ ...KEY, in: place }, value),
        ['abc\n', 'a\x07', 'a\x7f'].includes(value)
          ? [/securitySchemeValue {2}ends with white space or a control character; remove it if it is no part of the value$/]
          : [],
        'it is percent-encoded there'
      )
    }
  }
  exactly(t, lineFor({ ...KEY, in: 'query' }, 'a\ud800'), [/holds half of a surrogate pair/])
  for (const value of ['', ' ', '\n\t']) {
    for (const scheme of [KEY, { ...KEY, in: 'cookie' }, BASIC]) {
      exactly(t, lineFor(scheme, value), [/^apiCredentials\[0\]\.securitySchemeValue {2}is empty; write its value/])
    }
  }
  for (const scheme of [KEY, BEARER, { ...KEY, in: 'query' }, { ...KEY, in: 'cookie' }]) {
    for (const value of ['"abc"', "'abc'"]) {
      exactly(t, lineFor(scheme, value), [/^apiCredentials\[0\]\.securitySchemeValue {2}stands in quotes, which count as part of it/])
    }
    exactly(t, lineFor(scheme, 'abc\u00a0'), [
      /^apiCredentials\[0\]\.securitySchemeValue {2}ends with white space or a control character; remove it if it is no part of the value$/
    ])
  }
  for (const value of [' abc', 'abc\t', '\ufeffabc', 'abc\r']) {
    for (const place of ['query', 'cookie']) {
      exactly(t, lineFor({ ...KEY, in: place }, value), [
        /securitySchemeValue {2}(?:begins|ends) with .*; remove it if it is no part of the value$/
      ])
    }
  }
  t.same(lineFor(KEY, 'clé'), [], 'ISO 8859-1')
  t.same(lineFor(KEY, 'Bearer abc'), [], 'an apiKey goes out as it is')
})

t.test('basic wants base64, and bearer the bare token', async (t) => {
  const lineFor = (scheme: unknown, value: string): string[] => linesFor(t, { k: scheme }, {}, { k: value })
  exactly(t, lineFor(BASIC, 'user:pass'), [
    /^apiCredentials\[0\]\.securitySchemeValue {2}holds a colon, so it is not the base64 of user:password; write the base64, or in place of the value "credential" with the name of a static credential that has username and password \(ois\[0\]\.apiSpecifications\.security\.k sends it as http basic\)$/
  ])
  exactly(t, lineFor(BASIC, 'Basic dTpw'), [/begins with "Basic ", which is added anyway; remove that word/])
  for (const value of ['Bearer secret-jwt', 'bearer x']) {
    exactly(t, lineFor(BEARER, value), [/begins with "Bearer ", which is added anyway; remove that word/])
  }
  t.same(lineFor(BASIC, 'd2h5YXJleW91OnJlYWRpbmd0aGlz'), [])
})

t.test('blanks around a header\'s value are no part of it: a warning, and it is sent without', async (t) => {
  const file = (scheme: object): object => ({ ois: [oisOf('A', { k: scheme })], apiCredentials: [valueFor('A', 'k', '  abc \t')] })
  for (const scheme of [KEY, BEARER]) {
    exactly(t, problemsOf(t, file(scheme)), [
      /^apiCredentials\[0\]\.securitySchemeValue {2}begins or ends with a blank, which is no part of a header's value, so it is sent without; remove it$/
    ])
    t.match(bindingsOf(routesOf(t, file(scheme))[0]), [/: abc$/])
  }
  for (const place of ['query', 'cookie']) t.match(bindingsOf(routesOf(t, file({ ...KEY, in: place }))[0]), [/: {3}abc \t$/])
})

t.test('a value may be the token of a credential', async (t) => {
  const credentials = {
    token: { type: 'oauth2', tokenUrl: 'https://id.example/token', clientId: 'c', clientSecret: 's' },
    value: { type: 'static', value: 'v4lue' },
    user: { type: 'static', username: 'user', password: 'pass' },
    broken: { type: 'static' }
  }
  const linesOfScheme = (scheme: object, credential: string): string[] =>
    problemsOf(t, {
      ois: [oisOf('A', { k: scheme })],
      apiCredentials: [{ oisTitle: 'A', securitySchemeName: 'k', credential }],
      credentials: { [credential]: Reflect.get(credentials, credential) as unknown }
    })
  const [route] = routesOf(t, {
    ois: [oisOf('A', { k: BEARER })],
    apiCredentials: [{ oisTitle: 'A', securitySchemeName: 'k', credential: 'token' }],
    credentials: { token: credentials.token }
  })
  t.same(bindingsOf(route), ['http bearer = token of token'])
  t.equal(route?.credential, 'token')
  for (const [scheme, credential] of [
    [KEY, 'token'],
    [{ ...KEY, in: 'query' }, 'token'],
    [BEARER, 'value'],
    [KEY, 'value'],
    [BASIC, 'user']
  ] as const) { t.same(linesOfScheme(scheme, credential), [], JSON.stringify(scheme) + credential) }
  exactly(t, linesOfScheme(BASIC, 'token'), [
    /^apiCredentials\[0\]\.credential {2}is a token, and ois\[0\]\.apiSpecifications\.security\.k sends Basic authentication; name a static credential, or define the scheme as bearer$/
  ])
  exactly(t, linesOfScheme(BEARER, 'user'), [
    /^apiCredentials\[0\]\.credential {2}has username and password, and ois\[0\]\.apiSpecifications\.security\.k sends one value; name a credential with a token or a value$/
  ])
  exactly(t, linesOfScheme(KEY, 'user'), [/^apiCredentials\[0\]\.credential {2}has username and password/])
  exactly(
    t,
    problemsOf(t, {
      ois: [oisOf('A', { k: BASIC })],
      apiCredentials: [{ oisTitle: 'A', securitySchemeName: 'k', credential: 'v' }],
      credentials: { v: { type: 'static', value: 'u:p' } }
    }),
    [/^credentials\.v\.value {2}holds a colon, .*\(ois\[0\]\.apiSpecifications\.security\.k sends it as http basic\)$/]
  )
  exactly(t, linesOfScheme(BEARER, 'broken'), [/^credentials\.broken {2}has no secret/], 'and nothing that follows from it')
})

t.test('an entry that names no credential lists those that there are; one that is not used uses none', async (t) => {
  const credentials = { v: { type: 'static', value: 'x' } }
  exactly(
    t,
    problemsOf(t, {
      ois: [oisOf('A', { k: KEY })],
      apiCredentials: [{ oisTitle: 'A', securitySchemeName: 'k', credential: 'w' }],
      credentials
    }),
    [
      /^apiCredentials\[0\]\.credential {2}names no credential; write one of "v", or add it to credentials$/,
      /^credentials\.v {2}no route uses this credential/
    ]
  )
  for (const credential of ['toString', '__proto__', 'constructor']) {
    exactly(t, problemsOf(t, { ois: [oisOf('A', { k: KEY })], apiCredentials: [{ oisTitle: 'A', securitySchemeName: 'k', credential }] }), [
      /names no credential; add it to credentials/
    ])
  }
  exactly(
    t,
    problemsOf(t, {
      ois: [oisOf('A', { k: KEY }, { security: {} })],
      apiCredentials: [{ oisTitle: 'A', securitySchemeName: 'k', credential: 'v' }],
      credentials
    }),
    [/security does not turn on/, /no route uses this credential/]
  )
})

t.test('names that objects have anyway are names like any other', async (t) => {
  const names = ['toString', '__proto__', 'constructor', 'hasOwnProperty', 'valueOf']
  for (const [index, name] of names.entries()) {
    const key = JSON.stringify(name)
    const file = (security: string, schemes: string, entries: string): string =>
      `{ "ois": [{ "title": ${key}, "apiSpecifications": { "servers": [{ "url": "https://x" }], "components": { "securitySchemes": { ${schemes} } }, "security": { ${security} } } }], "apiCredentials": [${entries}], "routes": [{ "prefix": "/", "ois": ${key} }] }`
    const scheme = `${key}: { "type": "apiKey", "in": "header", "name": "X-${index}" }`
    const entry = `{ "oisTitle": ${key}, "securitySchemeName": ${key}, "securitySchemeValue": "v" }`
    t.same(bindingsOf(routesOf(t, file(`${key}: []`, scheme, entry))[0]), [`apiKey header X-${index} = ${name}/${name}: v`])
    exactly(
      t,
      problemsOf(t, file(`${key}: []`, '', entry)),
      [/is turned on and not defined/, /is no scheme of its OIS/],
      `${name} is not defined by being a property of every object`
    )
    exactly(t, problemsOf(t, file(`${key}: []`, scheme, '')), [/is turned on and has no value/])
    exactly(t, problemsOf(t, file('', scheme, '')), [/is not turned on/], 'nor turned on')
    t.ok(
      problemsOf(t, file(`${key}: ["x"]`, scheme, entry)).some((line) => line.includes('must be an empty list')),
      'shapes are checked under this name too'
    )
    t.ok(
      problemsOf(t, file(`${key}: []`, `${key}: { "type": "apiKey", "in": "body", "name": "x", "more": 1 }`, entry)).some((line) =>
        line.includes(`${name}.in  must be one of`)
      )
    )
  }
  exactly(
    t,
    problemsOf(t, {
      routes: [
        { prefix: '/', ois: '__proto__' },
        { prefix: '/b', ois: 'toString' }
      ]
    }),
    [/^routes\[0\]\.ois {2}names no OIS; add it to ois$/, /^routes\[1\]\.ois {2}names no OIS/]
  )
})

t.test('titles: as Airnode\'s schema has them, each once, never blank', async (t) => {
  for (const title of ['A', 'Price API', 'a_b-c 1', 'x'.repeat(64)]) t.same(problemsOf(t, { ois: [oisOf(title)] }), [])
  for (const title of ['', 'x'.repeat(65), 'a/b', 'a.b', 'é', 'a"b', 'a\u0000']) {
    exactly(t, problemsOf(t, { ois: [oisOf(title)] }), [/^ois\[0\]\.title {2}is no title of an OIS/], title)
  }
  exactly(t, problemsOf(t, { ois: [oisOf('  ')] }), [/^ois\[0\]\.title {2}is blank/])
  exactly(t, problemsOf(t, { ois: [oisOf('A'), oisOf('B'), oisOf('A')] }), [/^ois\[2\]\.title {2}is the title of ois\[0\] too/])
})

t.test('exactly one server, with a plain base URL', async (t) => {
  const linesFor = (servers: unknown, env: NodeJS.ProcessEnv = {}): string[] => problemsOf(t, { ois: [oisOf('A', {}, { servers })] }, env)
  const url = (text: string): string[] => linesFor([{ url: text }])
  for (const good of [
    'https://x.example',
    'https://x.example/v1/',
    'HTTPS://X.example:8443/a%20b',
    'http://localhost:5000',
    'http://127.0.0.1:1/x',
    'http://[::1]:1'
  ]) { t.same(url(good), [], good) }
  exactly(t, linesFor([]), [
    /^ois\[0\]\.apiSpecifications\.servers {2}is empty, so there is no upstream; add one, \{ "url": "https:\/\/…" \}$/
  ])
  exactly(t, linesFor(undefined), [
    /^ois\[0\]\.apiSpecifications\.servers {2}is missing, so there is no upstream; add it, \[\{ "url": "https:\/\/…" \}\]$/
  ])
  exactly(t, linesFor([{ url: 'https://a' }, { url: 'https://b' }, { url: 'https://c' }]), [
    /^ois\[0\]\.apiSpecifications\.servers\[1\] {2}is one server too many/
  ])
  for (const bad of [
    'ftp://x',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'wss://x',
    'https://u:p@x',
    'https://x/v1?z=1',
    'https://x/#f',
    'https://{host}/v1',
    'https://x/..',
    '//x',
    'x',
    '',
    'https://x y',
    'https://x\\y'
  ]) {
    exactly(t, url(bad), [/^ois\[0\]\.apiSpecifications\.servers\[0\]\.url {2}/], bad)
  }
  exactly(t, linesFor([{ url: 'https://x', description: 'd' }]), [/servers\[0\]\.description {2}unknown key/])
  exactly(t, linesFor('https://x'), [/servers {2}must be a list/])
  exactly(t, linesFor([{ url: 'https://${HOST}' }], { HOST: 'x.example/a?b' }), [/servers\[0\]\.url {2}holds a query/])
})

t.test('what is not read is not judged', async (t) => {
  t.same(
    problemsOf(t, {
      ois: [
        oisOf(
          'A',
          {},
          { paths: { '/x?k=1#f': { get: { parameters: 'whatever ${1+1}', '${key}': 1 } } } },
          { endpoints: '${2+2}', version: 7, other: { '${k}': null } }
        )
      ]
    }),
    []
  )
})

t.test('${NAME} works in what is read, keys stay literal and are refused', async (t) => {
  const env = { TITLE: 'A', HOST: 'x.example', KEY: 'X-Key', VALUE: 'a"b\\c#d', NAME: 'k' }
  const file = {
    ois: [oisOf('${TITLE}', { k: { ...KEY, name: '${KEY}' } }, { servers: [{ url: 'https://${HOST}/${NAME}' }] })],
    apiCredentials: [{ oisTitle: '${TITLE}', securitySchemeName: '${NAME}', securitySchemeValue: '${VALUE}' }]
  }
  exactly(t, problemsOf(t, file, env), [/^ois\[0\]\.title {2}holds an interpolated value, and titles stand in logs, metrics and prefixes/])
  const [route] = routesOf(t, file, env)
  t.match(route, { prefix: '/a', upstream: 'https://x.example/k', upstreamLabel: 'https://${HOST}/${NAME}', ois: '${TITLE}' })
  t.same(bindingsOf(route), ['apiKey header X-Key = ${TITLE}/k: a"b\\c#d'])
  exactly(t, problemsOf(t, { ois: [oisOf('A', { '${NAME}': KEY })], apiCredentials: [valueFor('A', '\\${NAME}')] }, env), [
    /securitySchemes\["\$\{NAME\}"\] {2}a key holds \$\{/,
    /security\["\$\{NAME\}"\] {2}a key holds \$\{/
  ])
  exactly(
    t,
    problemsOf(t, {
      ois: [oisOf('${GONE}', { k: KEY })],
      apiCredentials: [valueFor('${GONE}', 'k', '${GONE}')],
      routes: [{ prefix: '/', ois: 'A' }]
    }),
    [
      /^ois\[0\]\.title {2}secret GONE is not set; .*\(used too by apiCredentials\[0\]\.oisTitle at .*, apiCredentials\[0\]\.securitySchemeValue at /
    ],
    'nothing that follows from it is said'
  )
  for (const value of ['${1+1}', '${process.version}', '${}', '${ VALUE }', '${VALUE']) {
    exactly(
      t,
      problemsOf(t, { ois: [oisOf('A', { k: KEY })], apiCredentials: [valueFor('A', 'k', value)] }, env),
      [/^apiCredentials\[0\]\.securitySchemeValue {2}/],
      value
    )
  }
})

t.test('a scheme\'s name may be any text, and a label of it stays one line', async (t) => {
  const [route] = routesOf(t, { ois: [oisOf('A', { 'x\n\u001b[31m/é': KEY })], apiCredentials: [valueFor('A', 'x\n\u001b[31m/é')] })
  t.same(bindingsOf(route), ['apiKey header X-Key = A/x\\u{a}\\u{1b}[31m/\\u{e9}: v4lue'])
})
