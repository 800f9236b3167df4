import t from 'tap'
import { createElapsed, systemClock, waitAtMost } from '#src/token/clock.ts'
import { FakeClock, settle } from '../helpers/clock.ts'

t.test('the system clock reads the machine', async (t) => {
  const clock = systemClock()
  t.ok(Math.abs(clock.wall() - Date.now()) < 1000)
  const first = clock.monotonic()
  t.ok(clock.monotonic() >= first)
})

t.test('a timer of the system clock fires once, and not before its time', async (t) => {
  const clock = systemClock()
  const start = clock.monotonic()
  // The timer is unref'ed: something else has to keep the process alive until it fires.
  const alive = setInterval(() => {}, 1000)
  await new Promise<void>((resolve) => clock.setTimer(resolve, 10.5))
  clearInterval(alive)
  t.ok(clock.monotonic() - start >= 9.5)
})

t.test('a timer that was cancelled does not fire', async (t) => {
  const clock = systemClock()
  const cancel = clock.setTimer(() => t.fail('fired'), 0)
  cancel()
  await new Promise((resolve) => setTimeout(resolve, 5))
})

t.test('a timer of sixty days does not fire at once', async (t) => {
  const waits: number[] = []
  const fns: Array<() => void> = []
  t.intercept(globalThis, 'setTimeout', {
    value: (fn: () => void, ms: number) => {
      fns.push(fn)
      waits.push(ms)
      return { unref: () => undefined }
    }
  })
  let fired = 0
  systemClock().setTimer(() => { fired += 1 }, 60 * 86_400_000)
  while (fns.length > 0) fns.shift()?.()
  t.same(waits, [2 ** 31 - 1, 2 ** 31 - 1, 60 * 86_400_000 - 2 * (2 ** 31 - 1)])
  t.equal(fired, 1)
})

t.test('elapsed time follows the monotonic clock', async (t) => {
  const clock = new FakeClock()
  const elapsed = createElapsed(clock)
  const start = elapsed()
  await clock.advance(1234)
  t.equal(elapsed() - start, 1234)
})

t.test('elapsed time counts a suspend, also after the wall clock was set back', async (t) => {
  const clock = new FakeClock()
  const elapsed = createElapsed(clock)
  const start = elapsed()
  clock.jump(-7_200_000)
  t.equal(elapsed() - start, 0)
  clock.sleep(3_600_000)
  t.equal(elapsed() - start, 3_600_000)
  clock.jump(-3_600_000)
  t.equal(elapsed() - start, 3_600_000, 'what was counted stays counted')
})

t.test('elapsed time counts short suspends once they make five seconds', async (t) => {
  const clock = new FakeClock()
  const elapsed = createElapsed(clock)
  const start = elapsed()
  clock.sleep(3_000)
  t.equal(elapsed() - start, 0)
  clock.sleep(2_000)
  t.equal(elapsed() - start, 5_000)
})

t.test('a suspend that the monotonic clock counted itself is not counted twice', async (t) => {
  const clock = new FakeClock()
  const elapsed = createElapsed(clock)
  const start = elapsed()
  clock.sleep(7_200_000, { counted: true })
  t.equal(elapsed() - start, 7_200_000)
})

t.test('a wait ends with the promise, however that settles, and leaves no timer', async (t) => {
  const clock = new FakeClock()
  await waitAtMost(clock, 10_000, Promise.resolve())
  await waitAtMost(clock, 10_000, Promise.reject(new Error('no')))
  t.equal(clock.armed, 0)
})

t.test('a wait ends after its time', async (t) => {
  const clock = new FakeClock()
  let over = false
  const waiting = waitAtMost(clock, 10_000, new Promise(() => {})).then(() => { over = true })
  await clock.advance(9_999)
  t.equal(over, false)
  await clock.advance(1)
  await waiting
})

t.test('a wait ends with its signal, and leaves no timer', async (t) => {
  const clock = new FakeClock()
  const controller = new AbortController()
  const waiting = t.rejects(waitAtMost(clock, 10_000, new Promise(() => {}), controller.signal), { message: 'gone' })
  await settle()
  controller.abort(new Error('gone'))
  await waiting
  await t.rejects(waitAtMost(clock, 10_000, new Promise(() => {}), controller.signal), { message: 'gone' })
  t.equal(clock.armed, 0)
})
