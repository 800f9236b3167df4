import fc from 'fast-check'
import t from 'tap'
import { createLoginGate } from '#src/token/login-gate.ts'
import { FakeClock, settle } from '../helpers/clock.ts'

const never = (): AbortSignal => new AbortController().signal

t.test('no more than `concurrency` logins run at the same time', async (t) => {
  const gate = createLoginGate({ clock: new FakeClock(), concurrency: 2, perSecond: 100 })
  const order: number[] = []
  const turns = [1, 2, 3].map(async (id) => {
    const leave = await gate.enter(never())
    order.push(id)
    return leave
  })
  await settle()
  t.same(order, [1, 2])
  const leave = await turns[0]
  leave?.()
  leave?.()
  await settle()
  t.same(order, [1, 2, 3], 'and leaving twice frees one place')
  gate.enter(never()).then(() => order.push(4))
  await settle()
  t.same(order, [1, 2, 3])
})

t.test('in no second do more than `perSecond` logins start, and they start in the order of arrival', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.nat(900), { minLength: 1, maxLength: 40 }),
      async (perSecond, concurrency, pauses) => {
        const clock = new FakeClock()
        const gate = createLoginGate({ clock, concurrency, perSecond })
        const starts: number[] = []
        const order: number[] = []
        let running = 0
        let most = 0
        for (const [id, pause] of pauses.entries()) {
          gate.enter(never()).then((leave) => {
            starts.push(clock.monotonic())
            order.push(id)
            most = Math.max(most, ++running)
            clock.setTimer(() => {
              running--
              leave()
            }, pause)
          })
          await clock.advance(pause % 50)
        }
        await clock.advance(120_000)
        const crowded = starts.some((at, index) => (starts[index + perSecond] ?? Infinity) - at < 1000)
        return order.length === pauses.length && order.every((id, index) => id === index) && most <= concurrency && !crowded
      }
    ),
    { numRuns: 50 }
  )
  t.pass()
})

t.test('a rate below one per second spreads logins further', async (t) => {
  const clock = new FakeClock()
  const gate = createLoginGate({ clock, concurrency: 9, perSecond: 0.5 })
  let started = 0
  for (let id = 0; id < 3; id++) gate.enter(never()).then(() => { started++ })
  await clock.advance(1_999)
  t.equal(started, 1)
  await clock.advance(1)
  t.equal(started, 2)
})

t.test('a wait that is aborted leaves its place in the queue', async (t) => {
  const gate = createLoginGate({ clock: new FakeClock(), concurrency: 1, perSecond: 100 })
  const leave = await gate.enter(never())
  const controller = new AbortController()
  const gone = t.rejects(gate.enter(controller.signal), { message: 'gone' })
  const next = gate.enter(never())
  controller.abort(new Error('gone'))
  await gone
  leave()
  t.type(await next, 'function')
})

t.test('a signal that aborted before or after its turn does no harm', async (t) => {
  const gate = createLoginGate({ clock: new FakeClock(), concurrency: 1, perSecond: 100 })
  await t.rejects(gate.enter(AbortSignal.abort(new Error('gone'))), { message: 'gone' })
  const controller = new AbortController()
  const leave = await gate.enter(controller.signal)
  controller.abort()
  leave()
  t.type(await gate.enter(never()), 'function')
})

t.test('close turns away who waits and who comes later, and leaves no timer', async (t) => {
  const clock = new FakeClock()
  const gate = createLoginGate({ clock, concurrency: 1, perSecond: 1 })
  const leave = await gate.enter(never())
  leave()
  const waiting = t.rejects(gate.enter(never()), { message: 'the login gate is closed' })
  t.equal(clock.armed, 1)
  gate.close()
  await waiting
  await t.rejects(gate.enter(never()), { message: 'the login gate is closed' })
  t.equal(clock.armed, 0)
})

t.test('the doubtful come last, and hold no more than half of the turns', async (t) => {
  const gate = createLoginGate({ clock: new FakeClock(), concurrency: 4, perSecond: 100 })
  const order: string[] = []
  const enter = (name: string, doubtful: boolean): Promise<() => void> => gate.enter(never(), () => doubtful).then((leave) => {
    order.push(name)
    return leave
  })
  const hung = ['x1', 'x2', 'x3', 'x4'].map((name) => enter(name, true))
  await settle()
  t.same(order, ['x1', 'x2'])
  const good = ['g1', 'g2', 'g3'].map((name) => enter(name, false))
  await settle()
  t.same(order, ['x1', 'x2', 'g1', 'g2'])
  ;(await hung[0])?.()
  await settle()
  t.same(order, ['x1', 'x2', 'g1', 'g2', 'g3'], 'whoever is not doubtful is before')
  ;(await good[0])?.()
  ;(await good[1])?.()
  await settle()
  t.same(order, ['x1', 'x2', 'g1', 'g2', 'g3', 'x3'], 'a turn stays free rather than be held by a third')
  ;(await hung[1])?.()
  await settle()
  t.same(order.slice(6), ['x4'])
})

t.test('doubt that comes or goes during the wait counts', async (t) => {
  const gate = createLoginGate({ clock: new FakeClock(), concurrency: 1, perSecond: 100 })
  const order: string[] = []
  const doubtful = new Set<string>()
  const enter = (name: string): Promise<() => void> => gate.enter(never(), () => doubtful.has(name)).then((leave) => {
    order.push(name)
    return leave
  })
  const first = await enter('first')
  for (const name of ['a', 'b']) enter(name).catch(t.threw)
  doubtful.add('a')
  first()
  await settle()
  t.same(order, ['first', 'b'])
})

t.test('with one turn only the doubtful still get it', async (t) => {
  const gate = createLoginGate({ clock: new FakeClock(), concurrency: 1, perSecond: 100 })
  t.type(await gate.enter(never(), () => true), 'function')
})

t.test('limits that are adjusted hold for who waits already, and what has started still counts', async (t) => {
  const clock = new FakeClock()
  const gate = createLoginGate({ clock, concurrency: 1, perSecond: 10 })
  const order: number[] = []
  for (const id of [1, 2, 3, 4, 5]) gate.enter(never()).then(() => order.push(id), () => {})
  await settle()
  t.same(order, [1])
  gate.adjust({ concurrency: 10, perSecond: 3 })
  await settle()
  t.same(order, [1, 2, 3], 'three in this second')
  await clock.advance(500)
  gate.adjust({ concurrency: 10, perSecond: 1 })
  await clock.advance(499)
  t.same(order, [1, 2, 3])
  await clock.advance(1)
  t.same(order, [1, 2, 3, 4])
  gate.adjust({ concurrency: 4, perSecond: 10 })
  await clock.advance(60_000)
  t.same(order, [1, 2, 3, 4], 'four are running')
  gate.close()
  t.equal(clock.armed, 0)
})
