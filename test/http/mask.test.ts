import fc from 'fast-check'
import t from 'tap'
import { Mask, maskText, patternsOf } from '#src/http/mask.ts'

/** What the mask must give, in the plainest words: each byte of each occurrence becomes a star. */
function expected (bytes: Buffer, patterns: readonly Buffer[]): Buffer {
  const masked = Buffer.from(bytes)
  for (const pattern of patterns) {
    for (let at = bytes.indexOf(pattern); at !== -1; at = bytes.indexOf(pattern, at + 1)) masked.fill('*', at, at + pattern.length)
  }
  return masked
}

function run (chunks: readonly Buffer[], patterns: readonly Buffer[]): { readonly out: Buffer, readonly count: number } {
  const mask = new Mask(patternsOf(patterns))
  const out = Buffer.concat([...chunks.map((chunk) => mask.push(chunk)), mask.end()])
  return { out, count: mask.count }
}

function cut (bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end))
}

// Two letters only, so that patterns overlap themselves and each other all the time.
const letters = (minLength: number, maxLength: number): fc.Arbitrary<Buffer> =>
  fc.array(fc.constantFrom(97, 98), { minLength, maxLength }).map((list) => Buffer.from(list))

t.test('however a stream is cut, what comes out is the whole masked at once, and so is the count', async () => {
  fc.assert(
    fc.property(
      fc.array(letters(1, 12), { minLength: 1, maxLength: 4 }),
      letters(0, 80),
      fc.array(fc.nat(), { maxLength: 12 }),
      (patterns, bytes, places) => {
        const whole = run([bytes], patterns)
        const parts = run(cut(bytes, places), patterns)
        return whole.out.equals(expected(bytes, patterns)) && parts.out.equals(whole.out) && parts.count === whole.count
      }
    ),
    { numRuns: 2000 }
  )
})

t.test('no secret is left in any bytes, at every cut, and bytes outside are untouched', async () => {
  const secret = Buffer.from('eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl')
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ maxLength: 60 }), fc.nat(secret.length), (before, after, at) => {
    const bytes = Buffer.concat([before, secret, after])
    const place = before.length + at
    const { out, count } = run([bytes.subarray(0, place), bytes.subarray(place)], [secret])
    return count === 1 && out.equals(Buffer.concat([before, Buffer.alloc(secret.length, '*'), after]))
  }))
})

t.test('nothing is kept back longer than it may still become an occurrence', async (t) => {
  const mask = new Mask(patternsOf([Buffer.from('secret-token'), Buffer.from('second')]))
  const texts: Array<readonly [pushed: string, out: string]> = [
    ['data: 1\n\n', 'data: 1\n\n'], ['abc s', 'abc '], ['e', ''], ['ven', 'seven'], ['sec', ''], ['secret-tokem', 'secsecret-tokem'],
    ['secret-toke', ''], ['n', '************'], ['sesecon', 'se'], ['d.', '******.'], ['secret-', ''], ['', '']
  ]
  for (const [pushed, out] of texts) t.equal(mask.push(Buffer.from(pushed)).toString(), out, pushed)
  t.equal(mask.end().toString(), 'secret-')
  t.equal(mask.count, 2)
})

t.test('a chunk is never written to, and one without a secret goes on as it is', async (t) => {
  const mask = new Mask(patternsOf([Buffer.from('secret')]))
  const chunk = Buffer.from('a secret!')
  t.equal(mask.push(chunk).toString(), 'a ******!')
  t.equal(chunk.toString(), 'a secret!')
  const plain = Buffer.from('nothing')
  t.equal(mask.push(plain).buffer, plain.buffer)
})

t.test('occurrences that overlap are one, those that touch are two', async (t) => {
  t.match(run([Buffer.from('user:pass')], [Buffer.from('user:pass'), Buffer.from('pass')]), { count: 1 })
  t.match(run([Buffer.from('passpass')], [Buffer.from('pass')]), { count: 2 })
  t.match(run([Buffer.from('aaaa')], [Buffer.from('aaa')]), { count: 1 })
})

t.test('without patterns everything passes', async (t) => {
  t.equal(run([Buffer.from('abc'), Buffer.from('')], []).out.toString(), 'abc')
  t.same(patternsOf([Buffer.alloc(0), Buffer.from('a'), Buffer.from('a')]).map(({ bytes }) => bytes.toString()), ['a'])
})

t.test('a header value keeps its other bytes', async (t) => {
  t.same(maskText('\xe9 key=secret; a\xff', patternsOf([Buffer.from('secret')])), { text: '\xe9 key=******; a\xff', count: 1 })
  t.same(maskText('plain', patternsOf([Buffer.from('secret')])), { text: 'plain', count: 0 })
})

t.test('a repetitive secret in a repetitive text, byte by byte, costs little', async (t) => {
  const pattern = Buffer.concat([Buffer.alloc(2000, 'a'), Buffer.from('b')])
  const mask = new Mask(patternsOf([pattern]))
  for (let at = 0; at < 6000; at++) mask.push(Buffer.from('a'))
  t.equal(mask.push(Buffer.from('b')).length, 2001)
})
