import { PassThrough } from 'node:stream'
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { LARGEST_HELD_BODY, ReplayBuffer } from '#src/upstream/replay-buffer.ts'

// Of an IncomingMessage only the stream is used.
const stream = (): PassThrough & IncomingMessage => new PassThrough() as unknown as PassThrough & IncomingMessage

const LISTENED = ['data', 'end', 'close'] as const

/** Our listeners alone: a PassThrough has some of its own. */
function counted (source: PassThrough): number {
  return LISTENED.reduce((sum, name) => sum + source.listenerCount(name), 0)
}

t.test('a body is held to its last byte, and handed out once', async (t) => {
  const source = stream()
  const idle = counted(source)
  const buffer = new ReplayBuffer(source)
  source.write('ab')
  source.end('cd')
  t.equal((await buffer.whole())?.toString(), 'abcd')
  t.equal(await buffer.whole(), undefined)
  t.equal(buffer.bytes, 0)
  t.ok(counted(source) <= idle)
})

t.test('one byte over the limit lets everything go', async (t) => {
  const source = stream()
  const idle = counted(source)
  const buffer = new ReplayBuffer(source)
  source.write(Buffer.alloc(LARGEST_HELD_BODY))
  await new Promise((resolve) => { setImmediate(resolve) })
  t.equal(buffer.bytes, LARGEST_HELD_BODY)
  const whole = buffer.whole()
  source.write('x')
  t.equal(await whole, undefined, 'and tells who waits')
  t.equal(buffer.bytes, 0)
  t.equal(counted(source), idle)
})

t.test('a body that breaks off is none', async (t) => {
  const source = stream()
  const buffer = new ReplayBuffer(source)
  source.write('ab')
  const whole = buffer.whole()
  source.destroy()
  t.equal(await whole, undefined)
  t.equal(buffer.bytes, 0)
})

t.test('a body whose rest does not come is given up', async (t) => {
  const source = stream()
  const buffer = new ReplayBuffer(source)
  source.write('ab')
  t.equal(await buffer.whole(), undefined)
  t.equal(buffer.bytes, 0)
})

t.test('release settles who waits', async (t) => {
  const buffer = new ReplayBuffer(stream())
  const whole = buffer.whole()
  buffer.release()
  buffer.release()
  t.equal(await whole, undefined)
})
