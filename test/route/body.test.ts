import t from 'tap'
import type { Injection } from '#src/auth/injection.ts'
import { ProxyError } from '#src/errors.ts'
import { checkSpliceable, spliceBody } from '#src/route/body.ts'
import { Secret } from '#src/secret.ts'

const INJECTIONS: readonly Injection[] = [
  { in: 'query', name: 'key', prefix: '', value: new Secret('v') },
  { in: 'query', name: 'url', prefix: '', value: new Secret('not here'), postQuery: 'url' },
  { in: 'header', name: 'x-key', prefix: '', value: new Secret('not here') }
]

function splice (body: string | Buffer, ...types: string[]): { body: string, contentType: string | undefined } | number {
  const headers = types.flatMap((type) => ['Content-Type', type])
  try {
    checkSpliceable(headers, Buffer.byteLength(body))
    const result = spliceBody(Buffer.from(body), headers, INJECTIONS)
    return { body: result.body.toString('latin1'), contentType: result.contentType }
  } catch (error) {
    if (!(error instanceof ProxyError) || error.code !== 'CS_BODY_UNSUPPORTED') throw error
    return error.statusCode
  }
}

t.test('an empty body becomes a JSON object, or a form where one is announced', async (t) => {
  t.same(splice(''), { body: '{"key":"v"}', contentType: 'application/json' })
  t.same(splice('', 'application/json'), { body: '{"key":"v"}', contentType: undefined })
  t.same(splice('', 'application/vnd.api+json'), { body: '{"key":"v"}', contentType: undefined })
  t.same(splice('', 'application/x-www-form-urlencoded'), { body: 'key=v', contentType: undefined })
})

t.test('JSON objects and forms take the field', async (t) => {
  t.same(splice('{"a":12345678901234567890}', 'application/json; charset=UTF-8'), {
    body: '{"a":12345678901234567890,"key":"v"}',
    contentType: undefined
  })
  t.same(splice('{"a":1}', 'application/problem+json'), { body: '{"a":1,"key":"v"}', contentType: undefined })
  t.same(splice(Buffer.from('a=\xe9', 'latin1'), 'application/x-www-form-urlencoded; charset=iso-8859-1'), {
    body: 'a=\xe9&key=v',
    contentType: undefined
  })
})

t.test('what cannot take the field is 422 or 415', async (t) => {
  for (const body of ['[1]', '1', '"x"', 'null', '{', ' ']) t.equal(splice(body, 'application/json'), 422, body)
  t.equal(splice(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'application/json'), 422, 'bytes that are not UTF-8')
  for (const type of [
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/octet-stream',
    'application/json; charset=utf-16',
    'application/x-www-form-urlencoded; charset=ibm037',
    'application/x-www-form-urlencoded; charset="utf-16le"',
    'application/x-www-form-urlencoded; charset=utf-8; charset=utf-7'
  ]) { t.equal(splice('{"a":1}', type), 415, type) }
  t.equal(splice('{"a":1}'), 415, 'no content type')
  t.equal(splice('{"a":1}', 'application/json', 'text/plain'), 415, 'two content types')
  t.equal(splice(`{"a":"${'x'.repeat(1_048_576)}"}`, 'application/json'), 415, 'over 1 MiB')
})

t.test('a compressed body is 415, and identity is not compressed', async (t) => {
  t.throws(() => { checkSpliceable(['Content-Encoding', 'gzip', 'Content-Type', 'application/json'], 10) }, /is compressed/)
  t.doesNotThrow(() => { checkSpliceable(['Content-Encoding', 'identity', 'Content-Type', 'application/json'], 10) })
})
