import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import fc from 'fast-check'
import t from 'tap'
import { parseJsonc } from '#src/config/read/jsonc.ts'
import { createReporter, formatPath, formatProblem } from '#src/config/problem.ts'
import { RouteSchema } from '#src/config/route/schema.ts'
import { FileSchema, fileJsonSchema, NOT_YET } from '#src/config/schema.ts'
import { checkShape, readPart, valueAt } from '#src/config/shape.ts'

const messagesOf = (document: unknown): string[] => {
  const reporter = createReporter((path) => ({ source: 'f', path: formatPath(path) }), new Set())
  checkShape(document, reporter)
  return reporter.problems.map((problem) => formatProblem(problem).slice(3))
}

// ajv comes with fastify; nothing but this test uses it.
const requireFromFastify = createRequire(createRequire(import.meta.url).resolve('@fastify/ajv-compiler'))
const Ajv = requireFromFastify('ajv') as new (options: object) => { compile (schema: unknown): (document: unknown) => boolean }
const accepts = new Ajv({ strict: true, allowUnionTypes: true }).compile(fileJsonSchema())

t.test('the checked-in schema file is the one that the schema makes', async (t) => {
  const file = new URL('../../config/countersign.schema.json', import.meta.url)
  t.equal(
    readFileSync(file, 'utf8'),
    execFileSync(process.execPath, ['scripts/schema.js'], { cwd: new URL('../../', import.meta.url), encoding: 'utf8' }),
    'run `npm run schema` and check the result in'
  )
})

t.test('every key has a description, so that editors help', async (t) => {
  const bare: string[] = []
  const walk = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return
    for (const [key, value] of Object.entries(node)) {
      if (key === 'properties') {
        for (const [name, property] of Object.entries(value as object)) {
          if (typeof Reflect.get(property as object, 'description') !== 'string') bare.push(`${path}.${name}`)
        }
      }
      walk(value, `${path}.${key}`)
    }
  }
  walk(fileJsonSchema(), '')
  t.same(bare, [])
})

t.test('the JSON Schema and the validator agree on any document', async (t) => {
  const scalar = fc.constantFrom('', 'x', '/', 'header', 'url', 0, 1, -1, 0.5, 2 ** 31, 1e300, true, false, null)
  const mostly = (sound: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
    fc.oneof({ weight: 25, arbitrary: sound }, { weight: 1, arbitrary: scalar })
  const texts = mostly(fc.constantFrom('', 'x', '/', 'https://x'))
  const flag = mostly(fc.boolean())
  const count = mostly(fc.constantFrom(1, 2 ** 30))
  const list = (item: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> => mostly(fc.array(item, { maxLength: 2 }))
  const word = (...words: string[]): fc.Arbitrary<unknown> => mostly(fc.constantFrom(...words))
  const some = (sound: Record<string, fc.Arbitrary<unknown>>, requiredKeys: string[] = []): fc.Arbitrary<unknown> =>
    mostly(fc.record(sound, { requiredKeys }))
  const credential = fc.oneof(
    some(
      {
        type: fc.constant('cognito'),
        userPoolId: texts,
        clientId: texts,
        username: texts,
        password: texts,
        clientSecret: texts,
        tokenUse: word('id', 'access'),
        authFlow: word('srp', 'password'),
        endpoint: texts,
        allowInsecureEndpoint: flag
      },
      ['type', 'userPoolId', 'clientId', 'username', 'password']
    ),
    some(
      {
        type: fc.constant('oauth2'),
        tokenUrl: texts,
        clientId: texts,
        clientSecret: texts,
        scope: texts,
        audience: texts,
        resource: texts,
        clientAuth: word('basic', 'post'),
        extra: mostly(fc.dictionary(fc.constantFrom('a', 'b'), texts, { maxKeys: 2 })),
        allowInsecureEndpoint: flag
      },
      ['type', 'tokenUrl', 'clientId', 'clientSecret']
    ),
    some(
      { type: word('defender-relayer', 'defender-admin', 'oauth3'), apiKey: texts, apiSecret: texts, clientId: texts, endpoint: texts },
      ['type', 'apiKey', 'apiSecret']
    ),
    some({ type: fc.constant('static'), value: texts, username: texts, password: texts }, ['type'])
  )
  const inject = fc.oneof(
    some(
      {
        type: fc.constant('apiKey'),
        in: word('header', 'query', 'cookie', 'body'),
        name: texts,
        use: texts,
        credential: texts,
        postQuery: word('url')
      },
      ['type', 'in', 'name']
    ),
    some({ type: word('http'), scheme: word('bearer', 'basic', 'digest'), use: texts, credential: texts }, ['type', 'scheme'])
  )
  const name = fc.constantFrom('a', 'toString', 'constructor')
  const source = fc.oneof(texts, some({ header: texts }, ['header']))
  const relay = some({
    relayChainId: source,
    relayRequesterAddress: source,
    relayRequestId: fc.oneof(source, some({ generate: fc.constant(true) }, ['generate']))
  })
  const tls = some({ ca: texts, cert: texts, key: texts, serverName: texts })
  const route = some(
    {
      prefix: texts,
      listen: texts,
      tls,
      upstream: texts,
      credential: texts,
      ois: texts,
      relay,
      postQuery: word('url'),
      inject: list(inject),
      allow: fc.oneof(list(texts), word('ois')),
      allowInsecureUpstream: flag,
      timeoutMs: count,
      idleTimeoutMs: count,
      maxBodyBytes: count,
      websocket: flag
    },
    ['prefix']
  )
  const scheme = fc.oneof(
    some({ type: word('apiKey', 'relayChainId', 'oauth2'), in: word('header', 'query', 'cookie'), name: texts }, ['type', 'in', 'name']),
    some({ type: word('http'), scheme: word('basic', 'bearer') }, ['type', 'scheme'])
  )
  const specifications = some({
    servers: list(some({ url: texts }, ['url'])),
    components: some({ securitySchemes: mostly(fc.dictionary(name, scheme, { maxKeys: 2 })) }),
    security: fc.oneof(
      mostly(
        fc.dictionary(name, fc.oneof({ weight: 20, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.constant(['x']) }), {
          maxKeys: 2
        })
      ),
      fc.constantFrom([], [{ a: [] }])
    ),
    paths: mostly(
      fc.dictionary(fc.constantFrom('/', '/a/{b}'), some({ get: some({ parameters: list(texts) }), post: mostly(fc.constant({})) }), {
        maxKeys: 2
      })
    )
  })
  const ois = some({ title: texts, oisFormat: texts, version: texts, endpoints: list(texts), apiSpecifications: specifications }, [
    'title',
    'apiSpecifications'
  ])
  const apiCredential = some({ oisTitle: texts, securitySchemeName: texts, securitySchemeValue: texts, credential: texts }, [
    'oisTitle',
    'securitySchemeName'
  ])
  const document = some({
    $schema: texts,
    listen: texts,
    admin: texts,
    allowExternal: flag,
    allowedHosts: list(texts),
    allowedOrigins: list(texts),
    callerToken: texts,
    credentials: mostly(fc.dictionary(fc.constantFrom('a', 'toString', 'constructor'), credential, { maxKeys: 2 })),
    routes: list(route),
    ois: list(ois),
    apiCredentials: list(apiCredential),
    chains: scalar,
    accessLog: fc.oneof(flag, some({ sample: mostly(fc.double({ min: 0, max: 1 })) }, ['sample'])),
    shutdownTimeoutMs: count,
    limits: some({ connections: count, requests: count, headerBytes: count }),
    logins: some({ concurrency: count, perSecond: count })
  })
  let good = 0
  fc.assert(fc.property(document, (value) => {
    const plain = JSON.parse(JSON.stringify(value)) as unknown
    const valid = messagesOf(plain).length === 0
    good += Number(valid)
    return accepts(plain) === valid
  }), { numRuns: 3000 })
  t.ok(good > 300 && good < 2700, `${good} of 3000 documents were good`)
})

t.test('and on documents that are good or nearly so', async (t) => {
  const good: { credentials: Record<string, object>, routes: object[] } & Record<string, unknown> = {
    listen: '127.0.0.1:0',
    credentials: {
      a: { type: 'static', value: 'x' },
      b: { type: 'cognito', userPoolId: 'r_1', clientId: 'c', username: 'u', password: 'p', authFlow: 'password', clientSecret: 's' }
    },
    routes: [
      {
        prefix: '/',
        listen: 'x',
        upstream: 'https://x',
        tls: { ca: 'x', cert: 'x', key: 'x', serverName: 'x' },
        credential: 'a',
        inject: [
          { type: 'apiKey', in: 'cookie', name: 'n', use: 'value' },
          { type: 'http', scheme: 'basic', credential: 'b' }
        ],
        allow: ['GET /'],
        maxBodyBytes: 1
      }
    ],
    ois: [
      {
        title: 'A',
        oisFormat: '1.0.0',
        version: 'x',
        apiSpecifications: {
          servers: [{ url: 'x' }],
          components: {
            securitySchemes: {
              k: { type: 'apiKey', in: 'query', name: 'n' },
              h: { type: 'http', scheme: 'basic' },
              r: { type: 'relayRequestId', in: 'cookie', name: 'n' }
            }
          },
          security: { k: [], toString: [] },
          paths: { '/x': { get: { parameters: [] } } }
        },
        endpoints: [1]
      }
    ],
    apiCredentials: [
      { oisTitle: 'A', securitySchemeName: 'k', securitySchemeValue: 'v' },
      { oisTitle: 'A', securitySchemeName: 'h', credential: 'a' }
    ],
    chains: [],
    accessLog: { sample: 0 },
    limits: { requests: 1 }
  }
  good.routes.push({
    prefix: '/o',
    ois: 'A',
    allow: 'ois',
    postQuery: 'url',
    relay: { relayChainId: '1', relaySponsorAddress: { header: 'x' }, relayRequestId: { generate: true } }
  })
  good.credentials['c'] = { type: 'oauth2', tokenUrl: 'x', clientId: 'x', clientSecret: 'x', clientAuth: 'post', extra: { a: 'b' } }
  t.same(messagesOf(good), [])
  t.ok(accepts(good))
  const paths: Array<Array<string | number>> = []
  const walk = (value: unknown, path: Array<string | number>): void => {
    if (path.length > 0) paths.push(path)
    if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) walk(inner, [...path, Array.isArray(value) ? Number(key) : key])
    }
  }
  walk(good, [])
  for (const path of paths) {
    for (const replacement of [undefined, null, 1, 'x', [], {}, true, { zz: 1 }]) {
      const copy = structuredClone(good)
      Reflect.set(valueAt(copy, path.slice(0, -1)) as object, path.at(-1) ?? '', replacement)
      const plain = JSON.parse(JSON.stringify(copy)) as unknown
      t.equal(accepts(plain), messagesOf(plain).length === 0, `${formatPath(path)} = ${JSON.stringify(replacement)}`)
    }
  }
})

t.test('wrong types say what is wanted, and show no value', async (t) => {
  t.same(
    messagesOf({
      listen: 1,
      allowExternal: 'CANARY',
      allowedHosts: 'CANARY',
      accessLog: 'CANARY',
      limits: { connections: 1.5, requests: 0 },
      shutdownTimeoutMs: 2 ** 31,
      routes: [{ prefix: '/', inject: [{ type: 'CANARY' }, { type: 'http', scheme: 'CANARY' }] }]
    }),
    [
      'listen  must be a string; correct it',
      'allowExternal  must be true or false; correct it',
      'allowedHosts  must be a list, [ … ]; correct it',
      'routes[0].inject[0].type  must be one of "apiKey", "http"; correct it',
      'routes[0].inject[1].scheme  must be one of "bearer", "basic"; correct it',
      'accessLog  must be true or false, or an object, { … }; correct it',
      'shutdownTimeoutMs  must be at most 2147483647; correct it',
      'limits.connections  must be a whole number; correct it',
      'limits.requests  must be greater than 0; correct it'
    ]
  )
  t.same(messagesOf({ accessLog: { sample: 2 } }), ['accessLog.sample  must be at most 1; correct it'])
  t.same(messagesOf({ accessLog: {} }), ['accessLog.sample  is missing; add it, a number'])
  t.same(messagesOf([]), ['must be an object, { … }; correct it'])
})

t.test('what is missing is named', async (t) => {
  t.same(messagesOf({ credentials: { a: {}, b: { type: 'defender-relayer', apiKey: 'x' } }, routes: [{ inject: 1 }] }), [
    'credentials.a.type  is missing; add it, one of "cognito", "defender-relayer", "defender-admin", "oauth2", "static"',
    'credentials.b.apiSecret  is missing; add it, a string',
    'routes[0].inject  must be a list, [ … ]; correct it'
  ])
})

t.test('an unknown key is refused with the keys that are known there', async (t) => {
  t.same(messagesOf({ limits: { conections: 1 } }), [
    'limits.conections  unknown key; remove it, or write one of "connections", "requests", "headerBytes"'
  ])
  t.match(messagesOf({ route: [] }), [/^route {2}unknown key; remove it, or write one of "\$schema", "listen", .*"routes"/])
  t.same(messagesOf({ credentials: { a: { type: 'static', value: 'x', apiKey: 'y' } } }), [
    'credentials.a.apiKey  unknown key; remove it, or write one of "type", "value", "username", "password"'
  ])
  t.match(messagesOf({ routes: [{ prefix: '/', inject: [{ type: 'http', scheme: 'basic', name: 'x' }] }] }), [
    /^routes\[0\]\.inject\[0\]\.name {2}unknown key; .*"scheme"/
  ])
  t.match(messagesOf(parseJsonc('{ "__proto__": 1, "toString": 2, "constructor": 3 }').document?.value), [
    /^__proto__ {2}unknown key/,
    /^toString/,
    /^constructor/
  ])
})

t.test('an unknown key is escaped and cut before it is shown', async (t) => {
  const [line = ''] = messagesOf({ ['\x1b[31m\u202e"\n' + 'x'.repeat(500)]: 1 })
  t.ok(line.startsWith('["\\u001b[31m\\u{202e}\\"\\nxxxx'), line)
  t.ok(line.length < 400)
})

t.test('what comes later is refused by name', async (t) => {
  const lines = messagesOf(Object.fromEntries(NOT_YET.map((key) => [key, []])))
  t.same(lines.sort(), NOT_YET.map((key) => `${key}  is not supported by this version; remove it`).sort())
  t.same(NOT_YET.filter((key) => Object.hasOwn(FileSchema.shape, key)), [], 'a key that has come leaves the list')
})

t.test('a part with unknown keys is read without them, one with other faults is not', async (t) => {
  t.match(readPart(RouteSchema, { prefix: '/a', other: 1, inject: [{ type: 'http', scheme: 'basic', more: 2 }] }), {
    prefix: '/a',
    timeoutMs: 60_000,
    inject: [{ scheme: 'basic' }]
  })
  t.equal(readPart(RouteSchema, { prefix: 1, other: 1 }), undefined)
})
