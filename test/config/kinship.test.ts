import t from 'tap'
import type { CognitoCredential, OAuth2Credential, StaticCredential } from '#src/config/config.ts'
import { kinshipOf } from '#src/config/kinship.ts'
import { Secret } from '#src/secret.ts'

const COGNITO: CognitoCredential = {
  type: 'cognito',
  userPoolId: 'eu-west-1_A',
  clientId: 'client',
  username: new Secret('user'),
  password: new Secret('password'),
  clientSecret: new Secret('client secret'),
  tokenUse: 'access',
  authFlow: 'srp',
  endpoint: 'https://cognito-idp.eu-west-1.amazonaws.com'
}
const OAUTH2: OAuth2Credential = {
  type: 'oauth2',
  tokenUrl: 'https://id.example.com/token',
  clientId: 'client',
  clientSecret: new Secret('secret'),
  scope: 'read',
  audience: 'api',
  resource: 'urn:api',
  clientAuth: 'basic',
  extra: new Map([['organization', new Secret('one')], ['team', new Secret('two')]])
}
const STATIC: StaticCredential = { type: 'static', value: new Secret('value') }

t.test('equal fields are the same credential, whatever objects hold them', async t => {
  t.equal(kinshipOf(COGNITO, { ...COGNITO, username: new Secret('user'), password: new Secret('password'), clientSecret: new Secret('client secret') }), 'same')
  t.equal(kinshipOf(OAUTH2, { ...OAUTH2, clientSecret: new Secret('secret'), extra: new Map([['team', new Secret('two')], ['organization', new Secret('one')]]) }), 'same')
  t.equal(kinshipOf(STATIC, { ...STATIC, value: new Secret('value') }), 'same')
})

t.test('what only proves the identity is its secret', async t => {
  const { clientSecret, ...withoutSecret } = COGNITO
  t.equal(kinshipOf(COGNITO, { ...COGNITO, password: new Secret('other') }), 'rotated')
  t.equal(kinshipOf(COGNITO, { ...COGNITO, clientSecret: new Secret('other') }), 'rotated')
  t.equal(kinshipOf(COGNITO, withoutSecret), 'rotated')
  t.equal(kinshipOf(COGNITO, { ...COGNITO, authFlow: 'password' }), 'rotated')
  t.equal(kinshipOf(OAUTH2, { ...OAUTH2, clientSecret: new Secret('other') }), 'rotated')
  t.equal(kinshipOf(OAUTH2, { ...OAUTH2, clientAuth: 'post' }), 'rotated')
})

t.test('everything else makes another credential of it', async t => {
  const others: CognitoCredential[] = [
    { ...COGNITO, type: 'defender-relayer' },
    { ...COGNITO, userPoolId: 'eu-west-1_B' },
    { ...COGNITO, clientId: 'other' },
    { ...COGNITO, username: new Secret('other') },
    { ...COGNITO, tokenUse: 'id' },
    { ...COGNITO, endpoint: 'https://other' },
    // CVE-2026-33496: joined, these would be the same text.
    { ...COGNITO, userPoolId: 'eu-west-1_Ac', clientId: 'lient' }
  ]
  for (const other of others) t.equal(kinshipOf(COGNITO, other), 'other')
  const { scope, ...withoutScope } = OAUTH2
  for (const other of [
    { ...OAUTH2, tokenUrl: 'https://other' },
    { ...OAUTH2, clientId: 'other' },
    { ...OAUTH2, scope: 'write' },
    withoutScope,
    { ...OAUTH2, audience: 'other' },
    { ...OAUTH2, resource: 'other' },
    { ...OAUTH2, extra: new Map([['organization', new Secret('three')], ['team', new Secret('two')]]) },
    { ...OAUTH2, extra: new Map() }
  ]) t.equal(kinshipOf(OAUTH2, other), 'other')
  t.equal(kinshipOf(STATIC, { ...STATIC, value: new Secret('other') }), 'other')
  t.equal(kinshipOf(COGNITO, STATIC), 'other')
  t.equal(kinshipOf(STATIC, OAUTH2), 'other')
})
