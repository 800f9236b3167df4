import t, { type Test } from 'tap'
import type { CredentialConfig } from '#src/config/config.ts'
import { Secret } from '#src/secret.ts'
import { configOf, loadFile } from '../load-fixture.ts'
import { exactly, problemsOf } from '../ois/fixture.ts'

const OAUTH2 = { type: 'oauth2', tokenUrl: 'https://id.example.com/oauth/token', clientId: 'client', clientSecret: 's3cret' }
const fileWith = (credential: object, route: object = {}): object => ({
  credentials: { a: credential },
  routes: [{ prefix: '/', upstream: 'https://x.example', credential: 'a', ...route }]
})
const credentialOf = (t: Test, more: object): CredentialConfig | undefined =>
  configOf(loadFile(t, fileWith({ ...OAUTH2, ...more }))).credentials.get('a')
const linesOf = (t: Test, more: object): string[] => problemsOf(t, fileWith({ ...OAUTH2, ...more }))

t.test('only the endpoint, the client and its secret are needed; the token is sent as bearer', async (t) => {
  const config = configOf(loadFile(t, fileWith(OAUTH2)))
  const credential = config.credentials.get('a')
  t.same(credential, {
    type: 'oauth2',
    tokenUrl: OAUTH2.tokenUrl,
    clientId: 'client',
    clientSecret: credential?.type === 'oauth2' && credential.clientSecret,
    clientAuth: 'basic',
    extra: new Map(),
    tokenType: 'bearer'
  })
  t.equal(credential?.type === 'oauth2' && credential.clientSecret.reveal(), 's3cret')
  t.same(config.routes[0]?.bindings, [{ scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token', credential: 'a' } }])
})

t.test('everything else is carried', async (t) => {
  const more = {
    scope: 'a b',
    audience: 'https://api.example',
    resource: 'urn:x',
    clientAuth: 'post',
    tokenType: 'any',
    lifetimeSeconds: 90,
    extra: { token_format: 'jwt', constructor: 'x' }
  }
  t.match(credentialOf(t, more), {
    scope: 'a b',
    audience: ['https://api.example'],
    resource: ['urn:x'],
    clientAuth: 'post',
    tokenType: 'any',
    lifetimeSeconds: 90,
    extra: new Map([
      ['token_format', new Secret('jwt')],
      ['constructor', new Secret('x')]
    ])
  })
})

t.test('the token endpoint keeps its path and query, and has neither fragment nor user info', async (t) => {
  for (const tokenUrl of [
    'https://id.example/token',
    'https://id.example/token/',
    'https://id.example/token?tenant=42&x=%20',
    'https://id.example?a=b',
    'http://localhost:4000/token',
    'http://127.0.0.1/token?a'
  ]) {
    t.match(credentialOf(t, { tokenUrl }), { tokenUrl }, tokenUrl)
  }
  t.match(credentialOf(t, { tokenUrl: 'HTTPS://ID.example:443/Token' }), { tokenUrl: 'https://id.example/Token' })
  for (const [tokenUrl, message] of [
    ['', 'is empty'],
    ['ftp://x', 'is no base URL'],
    ['https://u:p@x/token', 'holds user info'],
    ['https://x/token#f', 'holds a fragment'],
    ['https://x/token?a#f', 'holds a fragment'],
    ['https://x/token?{tenant}', 'has a query with characters that URLs encode'],
    ['https://x/token?a b', 'has a query with characters'],
    ['https://x/{tenant}/token', 'holds a brace'],
    ['https://x/a/../token', 'has a path that readers take differently'],
    ['https://x/token?%zz', 'has a query']
  ]) { exactly(t, linesOf(t, { tokenUrl }), [new RegExp(`^credentials\\.a\\.tokenUrl {2}${message ?? ''}`)], tokenUrl) }
})

t.test('a token endpoint with http: to another machine needs its permission', async (t) => {
  exactly(t, linesOf(t, { tokenUrl: 'http://id.example/token' }), [
    /^credentials\.a\.tokenUrl {2}is http: to another machine, which sends credentials in the clear; use https:, or set allowInsecureEndpoint to true in the configuration file$/
  ])
  t.match(credentialOf(t, { tokenUrl: 'http://id.example/token', allowInsecureEndpoint: true }), { tokenUrl: 'http://id.example/token' })
})

t.test('what is missing, blank or unknown is an error', async (t) => {
  exactly(t, problemsOf(t, fileWith({ type: 'oauth2' })), [
    /^credentials\.a\.tokenUrl {2}is missing/,
    /^credentials\.a\.clientId {2}is missing/,
    /^credentials\.a\.clientSecret {2}is missing/
  ])
  for (const key of ['clientId', 'clientSecret', 'scope', 'audience', 'resource']) {
    exactly(t, linesOf(t, { [key]: ' ' }), [new RegExp(`^credentials\\.a\\.${key} {2}is empty; write its value`)])
  }
  exactly(t, linesOf(t, { clientAuth: 'private_key_jwt' }), [/^credentials\.a\.clientAuth {2}must be one of "basic", "post"/])
  exactly(t, linesOf(t, { grantType: 'password' }), [
    /^credentials\.a\.grantType {2}unknown key; remove it, or write one of "type", "tokenUrl", "clientId", "clientSecret", "scope", "audience", "resource", "clientAuth", "extra", "tokenType", "lifetimeSeconds", "allowInsecureEndpoint"$/
  ])
  exactly(t, linesOf(t, { extra: { a: 1 } }), [/^credentials\.a\.extra\.a {2}must be a string/])
})

t.test('no value holds control characters or half a surrogate pair, and none is shown', async (t) => {
  for (const key of ['clientId', 'clientSecret', 'scope', 'audience', 'resource']) {
    for (const value of ['CANARY\n', 'CANARY\r\nx', 'CANARY\0']) {
      const lines = linesOf(t, { [key]: value })
      exactly(t, lines, [new RegExp(`^credentials\\.a\\.${key} {2}holds a line break or another control character; remove it$`)])
      t.notMatch(lines.join(), /CANARY/)
    }
    exactly(t, linesOf(t, { [key]: 'a\ud800' }), [/holds half of a surrogate pair/])
  }
  exactly(t, linesOf(t, { resource: 'https://x/#f' }), [/^credentials\.a\.resource {2}holds a fragment, which no resource has/])
})

t.test('scope, audience and resource may be lists: one scope joined by blanks, a field for each of the others', async (t) => {
  t.match(credentialOf(t, { scope: ['a', 'b c'], audience: ['x', 'y'], resource: ['urn:x', 'urn:y'] }), {
    scope: 'a b c',
    audience: ['x', 'y'],
    resource: ['urn:x', 'urn:y']
  })
  for (const key of ['scope', 'audience', 'resource']) {
    exactly(t, linesOf(t, { [key]: [] }), [new RegExp(`^credentials\\.a\\.${key} {2}is an empty list; add to it, or leave it out$`)])
    exactly(
      t,
      linesOf(t, { [key]: ['a', ' ', ''] }),
      [1, 2].map((index) => new RegExp(`^credentials\\.a\\.${key}\\[${index}\\] {2}is empty; write its value`))
    )
    exactly(t, linesOf(t, { [key]: ['CANARY\n'] }), [
      new RegExp(`^credentials\\.a\\.${key}\\[0\\] {2}holds a line break or another control character; remove it$`)
    ])
    for (const wrong of [1, {}, null, true]) {
      exactly(t, linesOf(t, { [key]: wrong }), [new RegExp(`^credentials\\.a\\.${key} {2}must be a string, or a list`)])
    }
    exactly(t, linesOf(t, { [key]: ['a', 1] }), [new RegExp(`^credentials\\.a\\.${key}\\[1\\] {2}must be a string`)])
  }
  exactly(t, linesOf(t, { resource: ['urn:x', 'https://x/#f'] }), [/^credentials\.a\.resource\[1\] {2}holds a fragment/])
})

t.test('tokenType is bearer or any, lifetimeSeconds a whole number above zero', async (t) => {
  for (const tokenType of ['Bearer', 'mac', '', 1]) {
    exactly(t, linesOf(t, { tokenType }), [/^credentials\.a\.tokenType {2}(?:must be one of "bearer", "any"|is empty)/])
  }
  for (const lifetimeSeconds of [0, -1, 1.5, '60']) {
    exactly(t, linesOf(t, { lifetimeSeconds }), [/^credentials\.a\.lifetimeSeconds {2}must be/])
  }
})

t.test('extra fields cannot override what this program writes', async (t) => {
  for (const name of [
    'grant_type',
    'client_id',
    'client_secret',
    'scope',
    'audience',
    'resource',
    'client_assertion',
    'client_assertion_type'
  ]) {
    exactly(t, linesOf(t, { extra: { [name]: 'x' } }), [
      new RegExp(
        `^credentials\\.a\\.extra\\.${name} {2}is a field that this program writes itself; remove it, and use the credential's own key where it has one$`
      )
    ])
  }
  exactly(t, linesOf(t, { extra: { '': 'x', a: '', b: 'x\n' } }), [
    /extra\[""\] {2}is no name of a form field/,
    /extra\.a {2}is empty; write its value, or remove it/,
    /extra\.b {2}holds a line break/
  ])
})

t.test('inject may take its token elsewhere, or a field of it', async (t) => {
  const route = {
    inject: [
      { type: 'apiKey', in: 'header', name: 'X-Token' },
      { type: 'apiKey', in: 'header', name: 'X-Client', use: 'clientId' }
    ]
  }
  const bindings = configOf(loadFile(t, fileWith(OAUTH2, route))).routes[0]?.bindings
  t.match(bindings, [{ value: { type: 'token' } }, { value: { type: 'fixed' } }])
  exactly(t, problemsOf(t, fileWith(OAUTH2, { inject: [{ type: 'http', scheme: 'basic' }] })), [
    /would send a token as Basic authentication/
  ])
  for (const use of ['tokenUrl', 'clientAuth', 'extra']) {
    exactly(t, problemsOf(t, fileWith(OAUTH2, { inject: [{ type: 'http', scheme: 'bearer', use }] })), [
      /names no field of the credential; write one of clientId, clientSecret$/
    ])
  }
})
