import t from 'tap'
import { LineWriter, type Loss } from '#src/line-writer.ts'

/** A reader that takes what it is told to. */
class Reader {
  text = ''
  /** How many bytes it still takes. */
  room = Infinity
  /** How it refuses the rest. */
  code = 'EAGAIN'

  readonly take = (bytes: Uint8Array): number => {
    if (this.room === 0) throw Object.assign(new Error('refused'), { code: this.code })
    const taken = Math.min(bytes.length, this.room)
    this.text += Buffer.from(bytes.subarray(0, taken)).toString('latin1')
    this.room -= taken
    return taken
  }
}

const LINE = `${'x'.repeat(999)}\n`

t.test('a reader that takes a byte at a time gets every byte, in order', async (t) => {
  const reader = new Reader()
  const writer = new LineWriter(reader.take)
  const expected = Array.from({ length: 50 }, (_, index) => `line ${index} \u00e9\n`)
  for (const line of expected) writer.write(line, 'usual')
  for (let length = -1; reader.text.length > length;) {
    length = reader.text.length
    reader.room = 1
    writer.flush()
  }
  t.equal(Buffer.from(reader.text, 'latin1').toString('utf8'), expected.join(''))
})

t.test('what waits is bounded, whatever it is, and all that was left out is counted', async (t) => {
  for (const weight of ['request', 'usual', 'urgent'] as const) {
    const reader = new Reader()
    reader.room = 0
    const writer = new LineWriter(reader.take)
    const losses: Loss[] = []
    writer.onLoss((loss) => { losses.push(loss) })
    for (let count = 0; count < 10_000; count++) writer.write(LINE, weight)
    t.same(losses, [], 'not while it stands still')
    reader.room = Infinity
    writer.flush()
    const written = reader.text.length / LINE.length
    t.ok(written >= 1000 && written <= 2200, `${weight}: ${written} lines were kept`)
    t.same(losses, [
      weight === 'request' ? { requestLines: 10_000 - written, otherLines: 0 } : { requestLines: 0, otherLines: 10_000 - written }
    ])
    writer.flush()
    t.equal(losses.length, 1, 'said once')
  }
})

t.test('a burst that the reader takes is not cut', async (t) => {
  const reader = new Reader()
  const writer = new LineWriter(reader.take)
  writer.onLoss(() => { t.fail('nothing was lost') })
  for (let count = 0; count < 10_000; count++) writer.write(LINE, 'request')
  writer.flush()
  t.equal(reader.text.length, 10_000 * LINE.length)
})

t.test('requests leave room for what matters more', async (t) => {
  const reader = new Reader()
  reader.room = 0
  const writer = new LineWriter(reader.take)
  for (let count = 0; count < 10_000; count++) writer.write(LINE, 'request')
  for (let count = 0; count < 100; count++) writer.write(`warning ${count}\n`, 'urgent')
  reader.room = Infinity
  writer.flush()
  t.match(reader.text, /warning 0\n[^]*warning 99\n$/)
})

t.test('it goes on by itself once the reader does, whatever the reason was', async (t) => {
  for (const code of ['EAGAIN', 'ENOSPC', 'EPIPE', 'EIO', '']) {
    const reader = new Reader()
    reader.room = 0
    reader.code = code
    const writer = new LineWriter(reader.take)
    const told = new Promise((resolve) => { writer.onLoss(resolve) })
    for (let count = 0; count < 3000; count++) writer.write(LINE, 'urgent')
    reader.room = Infinity
    // Its timer keeps no process alive.
    const alive = setTimeout(() => {}, 20_000)
    await told
    clearTimeout(alive)
    t.ok(reader.text.length > 0, code)
  }
})

t.test('at the end it waits for a reader that may go on, for no other, and not for ever', async (t) => {
  const patient = new Reader()
  patient.room = 0
  const writer = new LineWriter(patient.take)
  writer.write('last words\n', 'urgent')
  const ending = writer.end(20_000)
  patient.room = Infinity
  await ending
  t.equal(patient.text, 'last words\n')
  for (const code of ['EPIPE', 'ENOSPC', 'EBADF']) {
    const reader = new Reader()
    reader.room = 0
    reader.code = code
    const writer = new LineWriter(reader.take)
    writer.write('last words\n', 'urgent')
    await writer.end(1e9)
  }
  const still = new Reader()
  still.room = 0
  const other = new LineWriter(still.take)
  other.write('last words\n', 'urgent')
  await other.end(50)
  t.equal(still.text, '')
})
