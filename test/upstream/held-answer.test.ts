import t from 'tap'
import { HeldAnswer } from '#src/upstream/held-answer.ts'

t.test('what is read of an answer that is held is bounded', async (t) => {
  let paused = 0
  const controller = { pause: () => { paused++ }, resume: () => {} }
  const held = new HeldAnswer()
  held.add(controller, Buffer.alloc(65_535))
  t.equal(paused, 0)
  held.add(controller, Buffer.alloc(1))
  t.equal(paused, 1)
})

t.test('it knows how it ended', async (t) => {
  const whole = new HeldAnswer()
  t.match(whole, { over: false, broken: false })
  whole.finish([])
  t.match(whole, { over: true, broken: false })
  const broken = new HeldAnswer()
  broken.break()
  t.match(broken, { over: true, broken: true })
})

t.test('single bytes are held as one', async (t) => {
  const held = new HeldAnswer()
  const controller = { pause: () => {}, resume: () => {} }
  for (let index = 0; index < 1000; index++) held.add(controller, Buffer.from([index % 256]))
  held.finish([])
  const written: Buffer[] = []
  held.pour(controller, { write: (chunk: Buffer) => written.push(chunk) > 0 } as unknown as Parameters<HeldAnswer['pour']>[1], () => {})
  t.equal(written.length, 1)
  t.same(written[0], Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 256)))
})
