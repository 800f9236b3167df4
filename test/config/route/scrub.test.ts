import t, { type Test } from 'tap'
import { configOf, linesOf, loadFile } from '../load-fixture.ts'

const CREDENTIALS = {
  token: { type: 'cognito', userPoolId: 'eu-west-1_AbC', clientId: 'client', username: 'user', password: 'pass' },
  long: { type: 'static', value: 'long-enough' },
  short: { type: 'static', value: 'CANARY7' },
  user: { type: 'static', username: 'somebody', password: 'CANARY7' }
}

/** What is said of a route, without the place in the file. */
function warningsOf (t: Test, route: object): string[] {
  const lines = linesOf(loadFile(t, { credentials: CREDENTIALS, routes: [{ prefix: '/', upstream: 'https://x.example', ...route }] }))
  return lines.filter((line) => !line.includes('no route uses')).map((line) => line.split('  ').slice(1).join('  '))
}

t.test('scrub is off unless the file turns it on', async (t) => {
  const of = (route: object): boolean | undefined =>
    configOf(
      loadFile(t, { credentials: CREDENTIALS, routes: [{ prefix: '/', upstream: 'https://x.example', credential: 'token', ...route }] })
    ).routes[0]?.scrub
  t.equal(of({}), false)
  t.equal(of({ scrub: false }), false)
  t.equal(of({ scrub: true }), true)
  t.match(warningsOf(t, { scrub: 'yes' }), [/^routes\[0\]\.scrub {2}must be true or false/])
})

t.test('what scrub cannot do is a warning', async (t) => {
  const on = { scrub: true, websocket: false }
  t.same(warningsOf(t, { ...on, credential: 'token' }), [])
  t.same(warningsOf(t, { ...on, credential: 'long' }), [])
  t.match(warningsOf(t, on), [/^routes\[0\]\.scrub {2}is of no use, since the route injects no credential; remove it$/])
  t.match(warningsOf(t, { ...on, credential: 'short' }), [
    /^routes\[0\]\.scrub {2}a value of the route is shorter than 8 characters and is not masked/
  ])
  t.match(warningsOf(t, { ...on, inject: [{ type: 'apiKey', in: 'header', name: 'X-Key', credential: 'short', use: 'value' }] }), [
    /is shorter than 8 characters/
  ])
  t.match(warningsOf(t, { ...on, credential: 'user' }), [
    /^routes\[0\]\.scrub {2}the password is shorter than 8 characters and is masked only together with the username/
  ])
  t.notMatch([on, { ...on, credential: 'short' }, { ...on, credential: 'user' }].flatMap((route) => warningsOf(t, route)).join(), /CANARY/)
})

t.test('a route with scrub is to say what it wants of upgraded connections', async (t) => {
  t.match(warningsOf(t, { scrub: true, credential: 'token' }), [/^routes\[0\]\.scrub {2}does not reach into upgraded connections/])
  for (const websocket of [true, false]) t.same(warningsOf(t, { scrub: true, credential: 'token', websocket }), [])
  t.same(warningsOf(t, { scrub: false, credential: 'short' }), [])
})
