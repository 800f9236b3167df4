import t from 'tap'
import { linesOf, loadFile } from './load-fixture.ts'

const GOOD = {
  listen: '"127.0.0.1:0"',
  limits: '{ "requests": 1 }',
  credentials:
    '{ "a": { "type": "static", "value": "x" }, "b": { "type": "cognito", "userPoolId": "eu-west-1_x", "clientId": "c", "username": "u", "password": "p" } }',
  routes:
    '[{ "prefix": "/a", "upstream": "https://x.example", "credential": "a" }, { "prefix": "/b", "upstream": "https://x.example", "credential": "b" }]'
}

/** One fault: the text that it replaces in the file, by what, and what is said about it. */
type Problem = readonly [name: string, from: string, to: string, told: RegExp]

const PROBLEMS: readonly Problem[] = [
  ['unknown key with a missing secret', '"limits":', '"colour": "${GONE_1}", "limits":', / colour {2}unknown key/],
  ['missing secret', '"password": "p"', '"password": "${GONE_2}"', / credentials\.b\.password {2}secret GONE_2 is not set/],
  ['unknown key of a credential', '"username": "u"', '"username": "u", "user": "${GONE_3}"', / credentials\.b\.user {2}unknown key/],
  ['wrong type', '"requests": 1', '"requests": "many"', / limits\.requests {2}must be/],
  ['unknown key of limits', '{ "requests"', '{ "requets": 1, "requests"', / limits\.requets {2}unknown key/],
  ['bad address', '"127.0.0.1:0"', '"nonsense"', / listen {2}is no address/],
  [
    'second value of a duplicate key',
    '"prefix": "/a"',
    '"prefix": "/a", "timeoutMs": 1, "timeoutMs": "60s"',
    /1:\d+ {2}routes\[0\]\.timeoutMs {2}must be/
  ],
  ['a duplicate key', '"prefix": "/a"', '"prefix": "/a", "websocket": true, "websocket": true', / routes\[0\]\.websocket {2}duplicate key/],
  ['unknown credential', '"credential": "a"', '"credential": "nobody"', / routes\[0\]\.credential {2}names no credential/],
  ['bad upstream', '"/b", "upstream": "https://x.example"', '"/b", "upstream": "ftp://x"', / routes\[1\]\.upstream {2}/],
  ['bad prefix', '"prefix": "/b"', '"prefix": "b"', / routes\[1\]\.prefix {2}is no prefix/],
  ['bad pool', '"eu-west-1_x"', '"x"', / credentials\.b\.userPoolId {2}is no user pool id/],
  ['carriage return', '"username": "u"', '"username": "u\\r"', / credentials\.b\.username {2}ends with a carriage return/],
  ['a key with ${', '"value": "x"', '"value": "x", "${KEY}": 1', / credentials\.a\["\$\{KEY\}"\] {2}a key holds/]
]

t.test('of any two faults both are told', async (t) => {
  const text = `{ ${Object.entries(GOOD).map(([key, value]) => `"${key}": ${value}`).join(', ')} }`
  t.same(linesOf(loadFile(t, text)), [])
  for (const one of PROBLEMS) {
    for (const other of PROBLEMS) {
      const [[, from, to], [, otherFrom, otherTo]] = [one, other]
      const once = text.replace(from, () => to)
      // Where the one has taken the place of the other there is nothing to combine.
      if (one !== other && !once.includes(otherFrom)) continue
      const lines = linesOf(loadFile(t, one === other ? once : once.replace(otherFrom, () => otherTo)))
      for (const [name, , , told] of [one, other]) {
        if (!lines.some((line) => told.test(line))) t.fail(`${one[0]} and ${other[0]}: ${name} is not told`, { lines })
      }
    }
  }
})

t.test('each value of a duplicate key is judged, deep ones too, and what follows from the choice is not told', async (t) => {
  const text = `{
    "routes": [{ "prefix": "/", "upstream": "https://x.example", "credential": "a" }],
    "credentials": { "a": { "type": "static", "value": "x" } },
    "credentials": { "b": { "type": "static", "value": "\${GONE}", "value": 7, "value": " ", "colour": 1 } },
    "limits": { "requests": 1 },
    "limits": 5,
    "limits": { "requests": 0, "requests": "x" }
  }`
  t.same(linesOf(loadFile(t, text)).map((line) => line.replace(/;.*/, '')), [
    'c.jsonc:4:5  credentials  duplicate key, the first is at 3:5',
    'c.jsonc:4:56  credentials.b.value  secret GONE is not set',
    'c.jsonc:4:67  credentials.b.value  duplicate key, the first is at 4:47',
    'c.jsonc:4:76  credentials.b.value  must be a string',
    'c.jsonc:4:79  credentials.b.value  duplicate key, the first is at 4:47',
    'c.jsonc:4:88  credentials.b.value  is empty',
    'c.jsonc:4:93  credentials.b.colour  unknown key',
    'c.jsonc:6:5  limits  duplicate key, the first is at 5:5',
    'c.jsonc:6:15  limits  must be an object, { … }',
    'c.jsonc:7:5  limits  duplicate key, the first is at 5:5',
    'c.jsonc:7:29  limits.requests  must be greater than 0',
    'c.jsonc:7:32  limits.requests  duplicate key, the first is at 7:17',
    'c.jsonc:7:44  limits.requests  must be a number'
  ])
})
