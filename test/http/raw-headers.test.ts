import t from 'tap'
import { has, isNamed, namesOf, pairs, valueOf, valuesOf, without } from '#src/http/raw-headers.ts'

const HEADERS = ['Host', 'a', 'X-One', '1', 'x-one', '', 'X-ONE', '3', 'Via', 'x-one']

t.test('names match in any case, and only as a whole', async (t) => {
  t.ok(isNamed('Content-Length', 'content-length'))
  for (const name of ['', 'Content-Lengt', 'Content-Lengths', 'Content_Length', 'Content-Lengt\u212a']) t.notOk(isNamed(name, 'content-length'), name)
})

t.test('a header is found by its name, never by a value', async (t) => {
  t.ok(has(HEADERS, 'via'))
  t.notOk(has(['Via', 'x-one'], 'x-one'))
  t.notOk(has([], 'host'))
})

t.test('values come in their order, as often as they were sent', async (t) => {
  t.same(valuesOf(HEADERS, 'x-one'), ['1', '', '3'])
  t.same(valuesOf(HEADERS, 'a'), [])
  t.equal(valueOf(HEADERS, 'x-one'), '1, , 3')
  t.equal(valueOf(['A', ''], 'a'), '', 'an empty one is one')
  t.equal(valueOf(HEADERS, 'a'), undefined)
})

t.test('names and pairs keep spelling, order and multiplicity', async (t) => {
  t.same(namesOf(HEADERS), ['Host', 'X-One', 'x-one', 'X-ONE', 'Via'])
  t.same(pairs(HEADERS), [['Host', 'a'], ['X-One', '1'], ['x-one', ''], ['X-ONE', '3'], ['Via', 'x-one']])
  t.same(pairs(HEADERS).flat(), HEADERS)
})

t.test('a header is taken out wherever it stands, and the list itself stays as it is', async (t) => {
  const before = [...HEADERS]
  t.same(without(HEADERS, 'x-one'), ['Host', 'a', 'Via', 'x-one'])
  t.same(without(HEADERS, 'none'), HEADERS)
  t.not(without(HEADERS, 'none'), HEADERS, 'always a new list')
  t.same(HEADERS, before)
})
