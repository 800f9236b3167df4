import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { interpolate } from '#src/config/read/interpolate.ts'
import type { SecretResult } from '#src/config/read/template.ts'
import { formatPath } from '#src/config/problem.ts'

const from = (secrets: Readonly<Record<string, string>>) => (name: string): SecretResult => {
  const value = secrets[name]
  return value === undefined ? { ok: false, reason: `${name} is missing` } : { ok: true, value }
}

const messageOf = (text: string): string | undefined => interpolate({ a: text }, from({ NAME: 'x' })).problems[0]?.message

t.test('any secret arrives byte for byte, alone or within a text, and is never looked at again', async () => {
  const text = fc.string({
    unit: fc.oneof(fc.constantFrom('$', '{', '}', '\\', '"', '\n', '${NAME}', '\\${'), fc.string({ unit: 'binary', maxLength: 3 }))
  })
  const plain = fc.string({ unit: 'grapheme' }).filter((one) => !/[$\\{}]/.test(one))
  fc.assert(fc.property(text, plain, plain, (secret, before, after) => {
    const { value, problems } = interpolate([`${before}\${NAME}${after}\${NAME}`], from({ NAME: secret }))
    assert.deepEqual(problems, [])
    assert.deepEqual(value, [`${before}${secret}${after}${secret}`])
  }))
})

t.test('a text without ${ stays as it is', async (t) => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }).filter((text) => !text.includes('${')), (text) => {
    assert.equal(Object(interpolate({ text }, from({})).value).text, text)
  }))
  t.same(interpolate(['$', '$$', '$NAME', '{NAME}', '\\', '$ {NAME}'], from({})).value, ['$', '$$', '$NAME', '{NAME}', '\\', '$ {NAME}'])
})

t.test('a backslash makes ${ literal', async (t) => {
  const { value, problems, secretPaths } = interpolate(
    ['\\${NAME}', '\\${', '\\${}${NAME}', '\\\\${NAME}', 'a\\b${NAME}'],
    from({ NAME: 's' })
  )
  t.same(problems, [])
  t.same(value, ['${NAME}', '${', '${}s', '\\${NAME}', 'a\\bs'])
  t.same([...secretPaths], ['[2]', '[4]'])
})

t.test('escaping any text gives that text', async () => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom('$', '{', '}', 'N', ' ', '\n') }), (text) => {
    assert.deepEqual(interpolate([text.replaceAll('${', '\\${')], from({})).value, [text])
  }))
})

t.test('nothing is evaluated: whatever is no name is an error', async (t) => {
  for (const inner of ['1+1', 'NAME.toUpperCase()', 'process.version', 'NAME:-x', '1NAME', '_NAME', 'NÄME', '${NAME', 'NAME\n, x']) {
    t.match(messageOf(`\${${inner}}`), /nothing is evaluated; write \$\{NAME\}/, inner)
  }
  fc.assert(fc.property(fc.string().filter((inner) => !inner.includes('}') && !/^[A-Z][A-Z0-9_]*$/.test(inner)), (inner) => {
    let asked = false
    const { problems } = interpolate([`\${${inner}}`], () => {
      asked = true
      return { ok: true, value: '' }
    })
    assert.equal(problems.length, 1)
    assert.equal(asked, false)
  }))
})

t.test('an error shows the right form, and of the wrong one nothing', async (t) => {
  t.equal(messageOf('${}'), '${} names no secret; write ${NAME}')
  t.equal(messageOf('${  }'), '${} names no secret; write ${NAME}')
  t.equal(messageOf('${ NAME }'), '${ … } holds white space; write ${NAME}')
  t.equal(messageOf('${name}'), '${…} holds lower-case letters; the names of secrets are upper case, write ${NAME}')
  t.equal(messageOf('x${NAME'), '${ has no closing }; write ${NAME}, or \\${ for a literal ${ (in JSON the backslash is doubled)')
  t.notMatch(messageOf('${canary-4711}'), /canary/)
})

t.test('${ in an object key is an error at the key, escaped or not', async (t) => {
  const { problems } = interpolate({ 'a${NAME}': 1, b: { '\\${': 2 } }, from({ NAME: 'x' }))
  t.same(problems.map(({ path, at }) => [path, at]), [[['a${NAME}'], 'key'], [['b', '\\${'], 'key']])
})

t.test('all missing secrets are reported at once, each once with all its places', async (t) => {
  const asked: string[] = []
  const { problems, brokenPaths, value } = interpolate({ a: '${ONE}${ONE}', b: ['${TWO}', '${ONE}${TWO}'] }, (name) => {
    asked.push(name)
    return { ok: false, reason: `${name} is missing` }
  })
  t.same(asked, ['ONE', 'TWO'])
  t.same(problems.map(({ path, message, alsoAt }) => ({ path, message, alsoAt })), [
    { path: ['a'], message: 'ONE is missing', alsoAt: [['b', 1]] },
    { path: ['b', 0], message: 'TWO is missing', alsoAt: [['b', 1]] }
  ])
  t.same([...brokenPaths], ['a', 'b[0]', 'b[1]'])
  t.same(value, { a: '${ONE}${ONE}', b: ['${TWO}', '${ONE}${TWO}'] })
})

t.test('only strings change, and the input stays as it was', async (t) => {
  const input = Object.freeze({ a: 1, b: true, c: null, d: Object.freeze(['${NAME}']), __proto__: null })
  t.same(interpolate(input, from({ NAME: 's' })).value, { a: 1, b: true, c: null, d: ['s'] })
  t.same(input.d, ['${NAME}'])
})

t.test('keys such as __proto__ survive, and pollute nothing', async (t) => {
  const input = JSON.parse('{ "__proto__": { "x": "${NAME}" }, "constructor": "${NAME}" }') as unknown
  const { value, secretPaths } = interpolate(input, from({ NAME: 's' }))
  t.same(Object.keys(value as object), ['__proto__', 'constructor'])
  t.notOk('x' in {})
  t.same([...secretPaths], [formatPath(['__proto__', 'x']), 'constructor'])
})
