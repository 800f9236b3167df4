import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'dotenv'
import fc from 'fast-check'
import t from 'tap'
import { formatProblem } from '#src/config/problem.ts'
import { checkPermissions, createSecretLookup, parseSecrets } from '#src/config/read/secrets.ts'

const CANARY = 'CANARY-KEY-4711'
const warningsOf = (text: string): string[] => parseSecrets(text, 's.env').warnings.map(formatProblem)

t.test('the environment wins over the file that NAME_FILE names, and that over the secrets file', async (t) => {
  const cwd = t.testdir({ file: 'from file\n' })
  const secretsFile = new Map([['NAME', 'from secrets']])
  const find = (env: Record<string, string>): unknown => createSecretLookup(env, cwd, secretsFile).find('NAME')
  t.same(find({ NAME: 'from environment', NAME_FILE: 'nowhere' }), { ok: true, value: 'from environment' })
  t.same(find({ NAME_FILE: 'file' }), { ok: true, value: 'from file' })
  t.same(find({ NAME_FILE: join(cwd, 'file') }), { ok: true, value: 'from file' })
  t.same(find({}), { ok: true, value: 'from secrets' })
})

t.test('of the file that NAME_FILE names one trailing newline is removed, and nothing else', async (t) => {
  const contents = { a: 'x\n', b: 'x\r\n', c: 'x\n\n', d: ' x ', e: 'x\ny', f: '\uFEFFx' }
  const cwd = t.testdir(contents)
  const values = Object.keys(contents).map((file) => createSecretLookup({ NAME_FILE: file }, cwd).find('NAME'))
  t.same(values, ['x', 'x', 'x\n', ' x ', 'x\ny', 'x'].map((value) => ({ ok: true, value })))
})

t.test('a blank secret is an error, wherever it comes from', async (t) => {
  const cwd = t.testdir({ empty: '\n', blank: ' \t\n' })
  const secretsFile = new Map([['NAME', ' ']])
  for (const env of [{ NAME: '' }, { NAME: ' \n' }, { NAME_FILE: '' }, { NAME_FILE: 'empty' }, { NAME_FILE: 'blank' }, {}]) {
    const secret = createSecretLookup(env, cwd, secretsFile).find('NAME')
    t.match(secret, { ok: false, reason: /NAME.* is empty/ }, JSON.stringify(env))
  }
})

t.test('a file that cannot be read names the variable and the reason, neither path nor content', async (t) => {
  const cwd = t.testdir({ [CANARY]: {}, bytes: Buffer.from([0xff, 0xfe]) })
  const reason = (file: string): unknown => createSecretLookup({ NAME_FILE: file }, cwd).find('NAME')
  t.match(reason(`${CANARY}-gone`), { reason: 'the file that NAME_FILE names does not exist; correct the path or the file\'s permissions' })
  t.match(reason(CANARY), { reason: /NAME_FILE names is a directory;/ })
  t.match(reason('bytes'), { reason: /NAME_FILE names is not UTF-8;/ })
  t.match(reason(`bytes/${CANARY}`), { reason: /does not exist/ })
  t.match(reason(`${CANARY}\0`), { reason: /NAME_FILE names has a name that no file can have;/ })
  t.notMatch(JSON.stringify([reason(`${CANARY}-gone`), reason(CANARY), reason(`${CANARY}\0`)]), /CANARY/)
})

t.test('nothing is read before its name is asked for', async (t) => {
  const cwd = t.testdir({ a: 'x', b: 'y' })
  const lookup = createSecretLookup({ A_FILE: 'a', B_FILE: 'b' }, cwd)
  t.same(lookup.files(), [])
  t.equal(lookup.has('A'), true)
  lookup.find('A')
  t.same(lookup.files(), [join(cwd, 'a')])
})

t.test('names that objects have anyway are no secrets', async (t) => {
  const { values } = parseSecrets('__proto__=a\nconstructor=b\n', 's.env')
  const lookup = createSecretLookup({}, '/', values)
  for (const name of ['__proto__', 'toString', 'hasOwnProperty']) t.match(lookup.find(name), { ok: false }, name)
})

t.test('dotenv\'s rules hold: quotes, export, comments, CRLF, byte order mark', async (t) => {
  const text = '\uFEFF# comment\r\nexport A=\'x # "y" \\n\'\r\nB="line\\nline"\r\nC = plain \r\nD=`it\'s "both"`\r\n'.slice(1)
  const { values, warnings } = parseSecrets(text, 's.env')
  t.same(Object.fromEntries(values), { A: 'x # "y" \\n', B: 'line\nline', C: 'plain', D: 'it\'s "both"' })
  t.match(warnings, [{ severity: 'warning', source: 's.env', message: /^has line ends of Windows \(CR LF\)/ }])
})

t.test('a warning says where an unquoted # cuts a value', async (t) => {
  const message = 'an unquoted # cuts the value here; put the value in single quotes, or a comment on a line of its own'
  t.same(warningsOf(`A=1\n\nB=${CANARY}#rest\nC=x # y\nD=#\n`), [
    `s.env:3:1  B  ${message}`,
    `s.env:4:1  C  ${message}`,
    `s.env:5:1  D  ${message}`
  ])
  t.same(warningsOf('A=\'a#b\'\nB="a#b" # comment\nC=plain\n# comment\n\n# another\nD=\n#x\n'), [])
  t.same(warningsOf('A=\'it\'s#x\'\n'), [`s.env:1:1  A  ${message}`], 'a quote that ends early is none')
})

t.test('a warning says where a name is set a second time', async (t) => {
  t.same(warningsOf('A=1\nB=2\nexport A=3\n'), [
    's.env:3:1  A  is set a second time, and the last one wins (the first is on line 1); remove one of them'
  ])
})

t.test('a warning says where a quote is not closed', async (t) => {
  const open =
    'begins with a quote that does not close at its end, so the quote is part of the value; close it, or put the whole value in other quotes'
  t.same(warningsOf(`A="${CANARY}\nB='x\nC=\`y\n`), [`s.env:1:1  A  ${open}`, `s.env:2:1  B  ${open}`, `s.env:3:1  C  ${open}`])
  t.same(warningsOf('A="x"y\n'), [`s.env:1:1  A  ${open}`])
  t.match(warningsOf(`A="${CANARY}\nB=${CANARY}\nC="\n`), [/^s\.env:1:1 {2}A {2}stands in quotes that close on a later line/])
  t.match(warningsOf('A="x\nB=y"\n'), [/stands in quotes that close on a later line/])
  t.same(warningsOf('A="-----BEGIN KEY-----\nQUJD\nABCD=="\nB=\'a "quoted" b\'\nC=it\'s\nD=x"\n'), [])
  t.notMatch(warningsOf(`A="${CANARY}\nB=x`).join(), CANARY)
})

t.test('a file in which no line is NAME=value is a warning', async (t) => {
  for (const text of ['', '# nothing\n', '{ "A": "b" }', '-----BEGIN KEY-----\nabc\n']) {
    t.match(warningsOf(text), [/^s\.env {2}no line is NAME=value;/], text)
  }
})

t.test('the warnings know the same lines as dotenv', async () => {
  const line = fc.string({
    unit: fc.constantFrom('A', 'B=', 'export ', '=', ':', ' ', '"', "'", '`', '#', '\\', '\n', '\r\n', 'x', '-', '.')
  })
  fc.assert(fc.property(line, (text) => {
    const names = Object.keys(parse(text))
    const silent = warningsOf(text).some((warning) => warning.includes('no line is'))
    assert.equal(silent, names.length === 0, JSON.stringify(text))
  }), { numRuns: 2000 })
})

t.test('a secrets file that others may read is a warning', { skip: process.platform === 'win32' }, async (t) => {
  const file = join(t.testdir({ 's.env': 'A=1' }), 's.env')
  for (const [mode, count] of [[0o600, 0], [0o400, 0], [0o640, 1], [0o604, 1], [0o644, 1]] as const) {
    chmodSync(file, mode)
    t.equal(checkPermissions(file, 's.env').length, count, mode.toString(8))
  }
  t.same(checkPermissions(`${file}-gone`, 's.env'), [])
})
