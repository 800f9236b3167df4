import t from 'tap'
import { inSlices, Turns } from '#src/observe/slices.ts'

/** Counts the turns of the event loop until it is stopped. */
function countTurns (): { readonly now: () => number, readonly stop: () => void } {
  let turns = 0
  let immediate = setImmediate(next)
  function next (): void {
    turns++
    immediate = setImmediate(next)
  }
  return { now: () => turns, stop: () => { clearImmediate(immediate) } }
}

t.test('however many read at once, a turn of the event loop has one slice of one of them', async (t) => {
  const turns = new Turns()
  const loop = countTurns()
  const slices: Array<{ readonly reader: number, readonly turn: number }> = []
  const read = async (reader: number): Promise<number> => {
    let length = 0
    for await (const text of inSlices(Array.from({ length: 50 }, () => 'x'.repeat(30_000)), turns)) {
      length += text.length
      t.ok(text.length < 100_000)
      slices.push({ reader, turn: loop.now() })
    }
    return length
  }
  const lengths = await Promise.all([0, 1, 2, 3].map(read))
  loop.stop()
  t.same(lengths, [1_500_000, 1_500_000, 1_500_000, 1_500_000])
  t.ok(slices.length >= 4 * 15, `${slices.length} slices`)
  // What is left at the end follows the last turn that was waited for, without one of its own.
  const shared = slices.filter(({ turn, reader }) => slices.some((other) => other.turn === turn && other.reader !== reader))
  t.ok(shared.length <= 8, JSON.stringify(shared))
  t.same(slices.slice(0, 4).map(({ reader }) => reader).sort(), [0, 1, 2, 3], 'they take turns')
})

t.test('work that makes no text is sliced by time', async (t) => {
  const loop = countTurns()
  const began: number[] = []
  function * work (): Generator<string> {
    for (let piece = 0; piece < 20; piece++) {
      began.push(loop.now())
      for (const end = performance.now() + 3; performance.now() < end;);
      yield ''
    }
  }
  for await (const text of inSlices(work(), new Turns())) t.fail(`no text: ${text}`)
  loop.stop()
  t.equal(new Set(began).size, 20)
})

t.test('a reader that leaves ends the work, and the others go on', async (t) => {
  const turns = new Turns()
  let open = true
  function * work (): Generator<string> {
    try {
      for (;;) yield 'x'.repeat(40_000)
    } finally {
      open = false
    }
  }
  const other = (async () => {
    let length = 0
    for await (const text of inSlices(Array.from({ length: 20 }, () => 'x'.repeat(40_000)), turns)) length += text.length
    return length
  })()
  const reader = inSlices(work(), turns)
  t.equal((await reader.next()).done, false)
  await reader.return(undefined)
  t.notOk(open)
  t.equal(await other, 800_000)
})
