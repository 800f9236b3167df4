import fc from 'fast-check'
import t from 'tap'
import { setCookies } from '#src/http/cookie.ts'

t.test('cookies of other names stay as they are, with ours behind them', async (t) => {
  t.equal(setCookies('a=1; b="2"; c', [['session', 'v']]), 'a=1; b="2"; c; session=v')
  t.equal(setCookies('', [['session', 'v']]), 'session=v')
})

t.test('every cookie of our name is removed', async (t) => {
  t.equal(setCookies('session=evil; a=1;session=evil2;  session = evil3; session', [['session', 'v']]), 'a=1; session=v')
  t.equal(setCookies('a="; session=evil; b="', [['session', 'v']]), 'a="; b="; session=v')
})

t.test('names are compared decoded as well, as some readers decode them (CVE-2020-7070)', async (t) => {
  t.equal(setCookies('%73ession=evil; s%65ssion=evil; %zz=1; 100%=2', [['session', 'v']]), '%zz=1; 100%=2; session=v')
})

t.test('names that some reader takes for ours are ours', async (t) => {
  for (const spelling of [
    'SESSION=evil',
    'Session=evil',
    '"session"=evil',
    '" session "=evil',
    '=session=evil',
    '= session=evil',
    '==session=evil',
    'session[]=evil',
    'session[a]=evil',
    '%53ession=evil',
    'session%00x=evil',
    '$Version=1, session=evil'
  ]) {
    t.equal(
      setCookies(`a=1; ${spelling}; b=2`, [['session', 'v']]),
      spelling.startsWith('$') ? 'a=1; $Version=1; b=2; session=v' : 'a=1; b=2; session=v',
      spelling
    )
  }
  for (const spelling of ['my.sid', 'my_sid', 'my%20sid', 'My.Sid', 'my[sid']) {
    t.equal(setCookies(`${spelling}=evil`, [['my.sid', 'v']]), 'my.sid=v', spelling)
  }
})

t.test('a name that decodes to another one is ours in both readings', async (t) => {
  for (const [name, spellings] of [
    ['a%62', ['a%62', 'A%62', 'ab', 'a%2562']],
    ['a+b', ['a+b', 'a%2Bb', 'A+B']],
    ['a%', ['a%', 'a%25']]
  ] as const) {
    for (const spelling of spellings) {
      t.equal(setCookies(`x=1; ${spelling}=evil; ${spelling}[]=evil`, [[name, 'v']]), `x=1; ${name}=v`, spelling)
    }
  }
})

t.test('other names stay', async (t) => {
  t.equal(
    setCookies('sessions=1; xsession=2; __proto__=3; a=x,y; =4; ses-sion=5', [['session', 'v']]),
    'sessions=1; xsession=2; __proto__=3; a=x,y; =4; ses-sion=5; session=v'
  )
  t.equal(setCookies('__proto__=1; a=2', [['__proto__', 'v']]), 'a=2; __proto__=v')
})

t.test('empty parts vanish', async (t) => {
  t.equal(setCookies(';; a=1; ;', [['s', 'v'], ['t', 'w']]), 'a=1; s=v; t=w')
})

t.test('a value is encoded, so it cannot add a cookie', async (t) => {
  t.equal(setCookies('', [['s', 'a; b=c, "é']]), 's=a%3B%20b%3Dc%2C%20%22%C3%A9')
})

t.test('exactly one cookie of our name is left, the last one, whatever the client sent', async (t) => {
  const part = fc.constantFrom('key=evil', ' key = evil ', 'key', 'a=1', 'b=key=2', '', ' ', 'KEY=3', '"key"=4', '=key=5', 'a=1,key=6')
  fc.assert(fc.property(fc.array(part), (parts) => {
    const names = setCookies(parts.join(';'), [['key', 'ours']]).split(';').map((pair) => pair.split('=')[0]?.trim())
    return names.filter((name) => name === 'key').length === 1 && names.at(-1) === 'key'
  }))
  t.pass()
})
