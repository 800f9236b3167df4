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
