import t, { type Test } from 'tap'
import type { CredentialConfig } from '#src/config/config.ts'
import { configOf, linesOf, loadFile } from '../load-fixture.ts'

const COGNITO = { type: 'cognito', userPoolId: 'eu-west-1_AbC', clientId: 'client', username: 'user', password: 'pass' }
const fileWith = (credential: object): object => ({
  credentials: { a: credential },
  routes: [{ prefix: '/', upstream: 'https://x.example', credential: 'a' }]
})
const credentialOf = (t: Test, credential: object): CredentialConfig | undefined =>
  configOf(loadFile(t, fileWith(credential))).credentials.get('a')
const pathsOf = (t: Test, credential: object): string[] =>
  linesOf(loadFile(t, fileWith(credential))).map((line) => line.split('  ').slice(1).join('  '))

t.test('cognito: the endpoint is the region\'s, or the one that is set', async (t) => {
  t.match(credentialOf(t, COGNITO), {
    type: 'cognito',
    endpoint: 'https://cognito-idp.eu-west-1.amazonaws.com',
    tokenUse: 'access',
    authFlow: 'srp'
  })
  t.match(credentialOf(t, { ...COGNITO, userPoolId: 'us-gov-west-1_x_y' }), { endpoint: 'https://cognito-idp.us-gov-west-1.amazonaws.com' })
  t.match(credentialOf(t, { ...COGNITO, endpoint: 'http://127.0.0.1:9229/', tokenUse: 'id', authFlow: 'password' }), {
    endpoint: 'http://127.0.0.1:9229',
    tokenUse: 'id',
    authFlow: 'password'
  })
})

t.test('cognito: user name, password and client secret are secrets, and may hold anything but at their ends', async (t) => {
  const credential = credentialOf(t, { ...COGNITO, username: 'ü:ser', password: '€ \t\n$', clientSecret: 'shh' })
  t.same(
    credential?.type === 'cognito' && [credential.username.reveal(), credential.password.reveal(), credential.clientSecret?.reveal()],
    ['ü:ser', '€ \t\n$', 'shh']
  )
  t.notOk('clientSecret' in (credentialOf(t, COGNITO) ?? {}))
})

t.test('an endpoint with http: to another machine needs its permission', async (t) => {
  t.match(pathsOf(t, { ...COGNITO, endpoint: 'http://idp.example' }), [
    /^credentials\.a\.endpoint {2}is http: to another machine, .*set allowInsecureEndpoint to true/
  ])
  t.match(credentialOf(t, { ...COGNITO, endpoint: 'http://idp.example', allowInsecureEndpoint: true }), { endpoint: 'http://idp.example' })
})

t.test('a user pool id has a region and an id', async (t) => {
  for (const userPoolId of ['x', '_x', 'eu-west-1_', 'eu/west_x', 'eu.west_x', 'a b_c', 'eu-west-1_x\n', 'evil.example/_x']) {
    t.match(pathsOf(t, { ...COGNITO, userPoolId }), [/^credentials\.a\.userPoolId {2}is no user pool id; write REGION_ID/], userPoolId)
  }
  t.match(pathsOf(t, { ...COGNITO, userPoolId: 'xn--_x' }), [/^credentials\.a\.userPoolId {2}has no region/])
  t.match(pathsOf(t, { ...COGNITO, clientId: 'a b' }), [/^credentials\.a\.clientId {2}is no app client id/])
})

t.test('the presets bring pool, client, upstream and both schemes along, and can be changed', async (t) => {
  const file = {
    credentials: {
      r: { type: 'defender-relayer', apiKey: 'k', apiSecret: 's' },
      a: { type: 'defender-admin', apiKey: 'k', apiSecret: 's' }
    },
    routes: [
      { prefix: '/r', credential: 'r' },
      { prefix: '/a', credential: 'a' },
      { prefix: '/b', credential: 'a', upstream: 'https://other.example' }
    ]
  }
  const config = configOf(loadFile(t, file))
  t.match(config.credentials.get('r'), { userPoolId: 'us-west-2_iLmIggsiy', clientId: '1bpd19lcr33qvg5cr3oi79rdap' })
  t.match(config.credentials.get('a'), { userPoolId: 'us-west-2_94f3puJWv', clientId: '40e58hbc7pktmnp9i26hh5nsav' })
  t.same(
    config.routes.map(({ upstream }) => upstream),
    ['https://api.defender.openzeppelin.com', 'https://defender-api.openzeppelin.com', 'https://other.example']
  )
  t.match(config.routes[2]?.bindings, [
    { scheme: { type: 'apiKey', in: 'header', name: 'X-Api-Key' }, value: { type: 'fixed' } },
    { scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token' } }
  ])
  t.match(
    credentialOf(t, {
      type: 'defender-admin',
      apiKey: 'k',
      apiSecret: 's',
      userPoolId: 'local_1',
      clientId: 'c',
      endpoint: 'http://localhost:1'
    }),
    { type: 'defender-admin', userPoolId: 'local_1', clientId: 'c', endpoint: 'http://localhost:1' }
  )
})

t.test('static: a value, or a name and a password as base64 of their UTF-8', async (t) => {
  const value = (credential: object): unknown => {
    const resolved = credentialOf(t, credential)
    return resolved?.type === 'static' && resolved.value.reveal()
  }
  t.equal(value({ type: 'static', value: 'abc' }), 'abc')
  t.equal(value({ type: 'static', username: 'Aladdin', password: 'open sesame' }), 'QWxhZGRpbjpvcGVuIHNlc2FtZQ==', 'RFC 7617 section 2')
  t.equal(value({ type: 'static', username: 'test', password: '123£' }), 'dGVzdDoxMjPCow==', 'RFC 7617 section 2.1')
})

t.test('static: whatever is neither of the two is an error', async (t) => {
  t.match(pathsOf(t, { type: 'static' }), [/^credentials\.a {2}has no secret; add value, or username and password$/])
  t.match(pathsOf(t, { type: 'static', username: 'u' }), [/^credentials\.a\.password {2}is missing/])
  t.match(pathsOf(t, { type: 'static', password: 'p' }), [/^credentials\.a\.username {2}is missing/])
  t.match(pathsOf(t, { type: 'static', value: 'v', password: 'p' }), [/^credentials\.a\.password {2}stands beside value/])
  t.match(pathsOf(t, { type: 'static', username: 'a:b', password: 'p' }), [/^credentials\.a\.username {2}holds a colon/])
  t.match(pathsOf(t, { type: 'static', username: 'a', password: 'p\n' }), [/^credentials\.a\.password {2}holds a line break/])
})

t.test('a blank field is an error', async (t) => {
  for (const credential of [
    { type: 'static', value: '' },
    { ...COGNITO, value: undefined, password: ' ' },
    { ...COGNITO, clientId: '' },
    { type: 'defender-relayer', apiKey: 'k', apiSecret: '\n' }
  ]) {
    t.match(pathsOf(t, credential), [/is empty; write its value/])
  }
  t.match(pathsOf(t, { ...COGNITO, endpoint: '' }), [/^credentials\.a\.endpoint {2}is empty; write https:/])
})

t.test('names of credentials: the regular ones, also where objects have such a property', async (t) => {
  const load = (name: string): string[] =>
    linesOf(
      loadFile(
        t,
        `{ "credentials": { ${JSON.stringify(name)}: { "type": "static", "value": "x" } }, "routes": [{ "prefix": "/", "upstream": "https://x", "credential": ${JSON.stringify(name)} }] }`
      )
    )
  for (const name of ['a', 'constructor', 'toString', 'hasOwnProperty', '0', 'A.b_c-d', 'x'.repeat(64)]) t.same(load(name), [], name)
  for (const name of ['', '__proto__', '-a', '.a', 'a b', 'é', 'x'.repeat(65), 'a/b', 'a\n', '${X}']) {
    t.ok(
      load(name).some((line) => line.startsWith('c.jsonc:1:20  credentials')),
      name
    )
  }
})

t.test('a name that objects have is unknown where nobody defined it', async (t) => {
  for (const credential of ['constructor', '__proto__', 'toString']) {
    t.match(linesOf(loadFile(t, { routes: [{ prefix: '/', upstream: 'https://x', credential }] })), [
      /names no credential; add it to credentials/
    ])
  }
})

const OAUTH2 = { type: 'oauth2', tokenUrl: 'https://t.example', clientId: 'c', clientSecret: 'shh' }
const DEFENDER = { type: 'defender-relayer', apiKey: 'k', apiSecret: 's' }

t.test('what a copy leaves at the ends of a secret is an error with its place, and shows nothing of it', async (t) => {
  const fields = [
    [COGNITO, ['username', 'password', 'clientSecret']],
    [DEFENDER, ['apiKey', 'apiSecret']],
    [OAUTH2, ['clientSecret']]
  ] as const
  for (const [credential, keys] of fields) {
    for (const key of keys) {
      for (const left of [
        '\r',
        '\n',
        '\r\n',
        ' ',
        '\t',
        '\0',
        '\x1b',
        '\x7f',
        '\u00a0',
        '\ufeff',
        '\u200b',
        '\u2028',
        '\u3000',
        '\u202e'
      ]) {
        for (const value of [`CANARY${left}`, `${left}CANARY`]) {
          const lines = pathsOf(t, { ...credential, [key]: value })
          t.ok(
            lines.some((line) => line.startsWith(`credentials.a.${key}  `) && /begins|ends|control character/.test(line)),
            `${key} U+${left.charCodeAt(0).toString(16)}`
          )
          t.notOk(loadFile(t, fileWith({ ...credential, [key]: value })).ok)
          t.notMatch(lines.join(), 'CANARY')
        }
      }
    }
  }
  t.match(pathsOf(t, { ...COGNITO, password: 'x\r' }), [/^credentials\.a\.password {2}ends with a carriage return, as files of Windows/])
  t.match(pathsOf(t, { ...COGNITO, password: ' x ' }), [/^credentials\.a\.password {2}begins and ends with white space/])
})

t.test('a static value may be anything, so what is at its ends is a warning', async (t) => {
  const inQuery = (value: string) =>
    loadFile(t, {
      credentials: { a: { type: 'static', value } },
      routes: [{ prefix: '/', upstream: 'https://x.example', credential: 'a', inject: [{ type: 'apiKey', in: 'query', name: 'key' }] }]
    })
  t.ok(inQuery('x\u00a0').ok)
  t.match(linesOf(inQuery('x\u00a0')), [/credentials\.a\.value {2}ends with white space/])
  t.same(linesOf(inQuery('x y')), [])
  for (const left of ['\n', '\r\n', '\t', '\x1b']) {
    t.match(
      linesOf(inQuery(`x${left}`)),
      [/^c\.jsonc:\d+:\d+ {2}credentials\.a\.value {2}ends with .*; remove it if it is no part of the value/],
      JSON.stringify(left)
    )
  }
})

t.test('a caller token in quotes, and what is left at its ends', async (t) => {
  const load = (callerToken: string) => loadFile(t, { callerToken, routes: [{ prefix: '/', upstream: 'https://x.example' }] })
  t.match(linesOf(load('"0123456789abcdef"')), [/^c\.jsonc:1:\d+ {2}callerToken {2}stands in quotes, which count as part of it/])
  t.ok(load('"0123456789abcdef"').ok)
  t.match(linesOf(load('0123456789abcdef\u00a0')), [/callerToken {2}ends with white space/])
  for (const value of ['0123456789abcdef\n', ' 0123456789abcdef']) t.notOk(load(value).ok)
})

t.test('what an extra field ends with may be meant so: a warning', async (t) => {
  const loaded = loadFile(t, fileWith({ ...OAUTH2, extra: { secret: 'x ' } }))
  t.ok(loaded.ok)
  t.match(linesOf(loaded), [
    /credentials\.a\.extra\.secret {2}ends with white space or a control character; remove it if it is no part of the value/
  ])
})

t.test('quotes around a secret are a warning', async (t) => {
  for (const value of ['"x"', '\'x\'', '`x`', '\u201cx\u201d']) {
    const loaded = loadFile(t, fileWith({ ...COGNITO, password: value }))
    t.ok(loaded.ok)
    t.match(linesOf(loaded), [/credentials\.a\.password {2}stands in quotes, which count as part of it/])
  }
  const quoted = [
    [{ ...OAUTH2, extra: { secret: '"x"' } }, 'extra.secret'],
    [{ ...OAUTH2, clientId: '"x"' }, 'clientId'],
    [{ ...OAUTH2, audience: '"x"' }, 'audience'],
    [{ ...OAUTH2, audience: ['a', '"x"'] }, 'audience[1]'],
    [{ ...OAUTH2, resource: '"x"' }, 'resource'],
    [{ ...COGNITO, clientId: '"x"' }, 'clientId'],
    [{ type: 'static', value: '"x"' }, 'value']
  ] as const
  for (const [credential, key] of quoted) {
    const loaded = loadFile(t, fileWith(credential))
    t.ok(loaded.ok, key)
    t.match(linesOf(loaded), [`credentials.a.${key}  stands in quotes, which count as part of it`])
  }
  for (const value of ['"x', 'x"', '"', 'it\'s "so"', '"x\'']) t.same(linesOf(loadFile(t, fileWith({ ...COGNITO, password: value }))), [])
})
