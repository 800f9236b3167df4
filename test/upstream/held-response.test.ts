import t from 'tap'
import { HeldResponse } from '#src/upstream/held-response.ts'

t.test('what is read of a response that is held is bounded', async (t) => {
  const held = new HeldResponse()
  t.equal(held.add(Buffer.alloc(65_535)), false)
  t.equal(held.add(Buffer.alloc(1)), true, 'the rest has to wait')
})

t.test('it knows how it ended', async (t) => {
  const whole = new HeldResponse()
  t.match(whole, { over: false, broken: false })
  whole.finish([])
  t.match(whole, { over: true, broken: false })
  const broken = new HeldResponse()
  broken.break()
  t.match(broken, { over: true, broken: true })
})

t.test('single bytes are held as one', async (t) => {
  const held = new HeldResponse()
  for (let index = 0; index < 1000; index++) held.add(Buffer.from([index % 256]))
  held.finish([])
  const written: Buffer[] = []
  held.pour(
    { resume: () => {} },
    { write: (chunk: Buffer) => written.push(chunk) > 0 } as unknown as Parameters<HeldResponse['pour']>[1],
    () => {}
  )
  t.equal(written.length, 1)
  t.same(written[0], Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 256)))
})
