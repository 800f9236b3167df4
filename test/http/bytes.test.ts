import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { Bytes } from '#src/http/bytes.ts'
import { isLinear } from '../helpers/linear.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

t.test('bytes come out as they went in, however they were cut', async (t) => {
  const bytes = new Bytes()
  for (const chunk of ['', 'a', 'bc', 'x'.repeat(5000), 'd']) bytes.add(Buffer.from(chunk))
  t.equal(bytes.bytes.toString(), `abc${'x'.repeat(5000)}d`)
  t.equal(bytes.length, 5004)
})

t.test('a mebibyte of single bytes costs little more than itself', async (t) => {
  const bytes = new Bytes()
  collectGarbage()
  const before = process.memoryUsage()
  const read = Buffer.alloc(65_536)
  for (let index = 0; index < 1_048_576; index++) bytes.add(read.subarray(index % 65_536, index % 65_536 + 1))
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  t.equal(bytes.length, 1_048_576)
  t.ok(heapUsed + arrayBuffers - before.heapUsed - before.arrayBuffers < 8 * 1_048_576)
})

t.test('collecting takes time in proportion', async (t) => {
  isLinear(t, 'single bytes', (size) => size, (size) => {
    const bytes = new Bytes()
    for (let index = 0; index < size; index++) bytes.add(Buffer.from('a'))
  })
})
