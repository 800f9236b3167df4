import fc from 'fast-check'
import t from 'tap'
import { createStamp } from '#src/observe/stamp.ts'

t.test('it says what Date says, whatever the clock does', async (t) => {
  let now = 0
  const stamp = createStamp(() => now)
  const steps = fc.array(fc.oneof(fc.integer({ min: -2000, max: 2000 }), fc.constantFrom(0, 1, 999, 1000, 86_400_000)), { maxLength: 50 })
  fc.assert(
    fc.property(fc.date({ min: new Date('1970-01-02'), max: new Date('9999-01-01'), noInvalidDate: true }), steps, (start, list) => {
      now = start.getTime()
      for (const step of [0, ...list]) {
        now = Math.max(0, now + step)
        t.equal(stamp(), new Date(now).toISOString())
      }
    })
  )
})
