import fc from 'fast-check'
import t from 'tap'
import { setQuery } from '#src/http/query.ts'

const RAW = '?a=1&a=2&b=%20+%2B&c=%C3%A9&=x&d'

t.test('a plus is a plus to some readers and a blank to others', async (t) => {
  t.equal(setQuery('?a+b=evil&a%2Bb=evil&a%20b=2', [['a+b', 'v']]), '?a%20b=2&a%2Bb=v')
  t.equal(setQuery('?a+b=evil&a%2Bb=2&a%20b=evil', [['a b', 'v']]), '?a%2Bb=2&a%20b=v')
})

t.test('a query keeps its bytes and order, with ours behind', async (t) => {
  t.equal(setQuery(RAW, [['key', 's3cret']]), `${RAW}&key=s3cret`)
  t.equal(setQuery('?&&a&', [['key', 'v']]), '?&&a&&key=v')
})

t.test('an empty query becomes ours alone', async (t) => {
  t.equal(setQuery('', [['key', 'v']]), '?key=v')
  t.equal(setQuery('?', [['key', 'v']]), '?key=v')
  t.equal(setQuery('', []), '')
})

t.test('every spelling of our name is removed', async (t) => {
  for (const spelling of [
    'api_key=evil',
    'api_key',
    'api_key=',
    '%61pi_key=evil',
    'api%5fkey=evil',
    '%61%70%69%5F%6b%65%79=evil',
    'api_key=a=b',
    'api_key=%zz'
  ]) {
    t.equal(setQuery(`?x=1&${spelling}&y=2&${spelling}`, [['api_key', 'v']]), '?x=1&y=2&api_key=v', spelling)
  }
  t.equal(setQuery('?api+key=evil&api%20key=evil', [['api key', 'v']]), '?api%20key=v')
  t.equal(setQuery('?%C3%A9=evil&\xc3\xa9=evil&\xe9=evil', [['é', 'v']]), '?%C3%A9=v')
})

t.test('names that PHP, Rack and qs read as ours are removed', async (t) => {
  for (const spelling of [
    'api.key',
    'api+key',
    'api%20key',
    'api%2Ekey',
    'api[key',
    'api_key[]',
    'api_key[0]',
    'api_key%5B%5D',
    'api.key[a][b]',
    '[api_key]',
    '[[api_key',
    ']api_key',
    'api_key]',
    'api_key%00x',
    '+api.key',
    'api_key%5Bx',
    'api_key[',
    '%61pi.key[]'
  ]) {
    t.equal(setQuery(`?x=1&${spelling}=evil&y=2&${spelling}`, [['api_key', 'v']]), '?x=1&y=2&api_key=v', spelling)
    t.equal(setQuery(`?${spelling}=evil`, [['api.key', 'v']]), '?api.key=v', `${spelling} for api.key`)
  }
  t.equal(setQuery('?filter[key]=evil&filter%5Bkey%5D=evil&filter[other]=1', [['filter[key]', 'v']]), '?filter[other]=1&filter%5Bkey%5D=v')
  t.equal(
    setQuery('?api_keys=1&api-key=2&api_key_=3&xapi_key[]=4&a[api_key]=5', [['api_key', 'v']]),
    '?api_keys=1&api-key=2&api_key_=3&xapi_key[]=4&a[api_key]=5&api_key=v'
  )
})

t.test('our name is found by readers that take ; for a separator, or drop blanks', async (t) => {
  t.equal(setQuery('?a=1;key=evil', [['key', 'v']]), '?a=1&key=v')
  t.equal(setQuery('?a=1;k%65y=evil;b=2&c;d', [['key', 'v']]), '?a=1;b=2&c;d&key=v')
  t.equal(setQuery('?+key=evil&%20key=evil&key+=evil', [['key', 'v']]), '?key=v')
  t.equal(setQuery('?key=1;b=2&c;key', [['key', 'v']]), '?b=2&c&key=v')
  t.equal(setQuery('?a;key=evil&b', [['a;key', 'v']]), '?b&a%3Bkey=v')
  t.equal(setQuery('?a;b&c;', [['key', 'v']]), '?a;b&c;&key=v')
})

t.test('other names stay, also those that only look like ours', async (t) => {
  const query = '?API_KEY=1&api_key2=2&xapi_key=3&a=api_key&__proto__=4&constructor=5&%zzapi_key=6'
  t.equal(setQuery(query, [['api_key', 'v']]), `${query}&api_key=v`)
})

t.test('names that are properties of every object are names like others', async (t) => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    t.equal(setQuery(`?${name}=evil&a`, [[name, 'v']]), `?a&${name}=v`)
  }
})

t.test('name and value are encoded, so neither can add a parameter', async (t) => {
  t.equal(setQuery('', [['a&b=c', 'x&y=z#+ é']]), '?a%26b%3Dc=x%26y%3Dz%23%2B%20%C3%A9')
})

t.test('a reader finds exactly one value of our name, ours, and every other pair as it was', async (t) => {
  const part = fc.constantFrom(
    'api_key=1',
    '%61pi_key=2',
    'api_key',
    'a=1',
    'a=2',
    '=x',
    '',
    'b',
    'c=%C3%A9',
    'd=%20+',
    'api%5Fkey=3',
    'e=f=g'
  )
  fc.assert(fc.property(fc.array(part), fc.string(), (parts, value) => {
    const query = setQuery(parts.length === 0 ? '' : `?${parts.join('&')}`, [['api_key', value]])
    const read = new URLSearchParams(query)
    const expected = new URLSearchParams(parts.join('&'))
    expected.delete('api_key')
    expected.append('api_key', value)
    return JSON.stringify([...read]) === JSON.stringify([...expected])
  }))
  t.pass()
})
