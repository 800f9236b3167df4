// What a sender sends costs its bytes, however many chunks it makes of them.
import { PassThrough } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { readWhole } from '#src/http/read-whole.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const BYTES = 1_000_000
const MOST = 1_048_576

t.test('single bytes that come one by one are kept as one', async (t) => {
  const stream = new PassThrough()
  const read = readWhole(stream, MOST)
  collectGarbage()
  const before = process.memoryUsage()
  for (let index = 0; index < BYTES; index++) {
    stream.write('x')
    if (index % 10_000 === 0) await new Promise((resolve) => { setImmediate(resolve) })
  }
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  t.ok(heapUsed + arrayBuffers - before.heapUsed - before.arrayBuffers < 8 * BYTES)
  stream.end()
  t.equal((await read)?.length, BYTES)
})

t.test('a body is read up to its limit, whole, and what is beyond is not waited for', async (t) => {
  for (const [length, whole] of [[0, true], [MOST, true], [MOST + 1, false]] as const) {
    const stream = new PassThrough()
    stream.end(Buffer.alloc(length, 'x'))
    t.equal((await readWhole(stream, MOST))?.length, whole ? length : undefined, String(length))
  }
  const endless = new PassThrough()
  endless.write(Buffer.alloc(MOST + 1))
  t.equal(await readWhole(endless, MOST), undefined)
  t.ok(endless.destroyed)
  const broken = new PassThrough()
  const read = readWhole(broken, MOST)
  broken.write('x')
  broken.destroy(new Error('reset'))
  await t.rejects(read, { message: 'reset' })
  const left = new PassThrough()
  const silent = readWhole(left, MOST)
  left.destroy()
  await t.rejects(silent)
})
