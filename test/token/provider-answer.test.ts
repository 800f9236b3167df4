// What an identity provider sends costs its bytes, however many chunks it makes of them: a login in a process whose heap could
// not hold an object for each.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { LONGEST_ANSWER, readAnswerBytes } from '#src/token/provider-answer.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const HEAP_MB = 40
const BYTES = 1_000_000

/** Answers every request with a status and a JSON text, filled up with blanks, in chunks of one byte. */
async function startDripping (t: Test, status: number, json: string): Promise<string> {
  const chunks = [...json.padEnd(BYTES)].map((byte) => `1\r\n${byte}\r\n`).join('')
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => { socket.end(`HTTP/1.1 ${status} X\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`) })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** What a process with a small heap says of its login. */
async function logIn (script: string, url: string): Promise<unknown> {
  const args = [`--max-old-space-size=${HEAP_MB}`, fileURLToPath(new URL(`../helpers/${script}.js`, import.meta.url)), url]
  return await new Promise((resolve, reject) => {
    execFile(process.execPath, args, (error, stdout) => {
      if (error === null) resolve(JSON.parse(stdout))
      else reject(new Error(`the process ended by ${error.signal ?? String(error.code)}`))
    })
  })
}

t.test('OAuth 2.0: a token in a million chunks is a token', async (t) => {
  const url = await startDripping(t, 200, JSON.stringify({ access_token: 'x', token_type: 'bearer' }))
  t.same(await logIn('oauth2-login', url), { code: 'ok' })
})

t.test('Cognito: a refusal in a million chunks is a refusal', async (t) => {
  const url = await startDripping(t, 400, JSON.stringify({ __type: 'ResourceNotFoundException', message: 'User pool client x does not exist.' }))
  t.match(await logIn('cognito-login', url), { code: 'ResourceNotFoundException' })
})

t.test('single bytes that come one by one are kept as one', async (t) => {
  const stream = new PassThrough()
  const read = readAnswerBytes(stream)
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

t.test('an answer is read up to its limit, whole, and what is beyond is not waited for', async (t) => {
  for (const [length, whole] of [[0, true], [LONGEST_ANSWER, true], [LONGEST_ANSWER + 1, false]] as const) {
    const stream = new PassThrough()
    stream.end(Buffer.alloc(length, 'x'))
    t.equal((await readAnswerBytes(stream))?.length, whole ? length : undefined, String(length))
  }
  const endless = new PassThrough()
  endless.write(Buffer.alloc(LONGEST_ANSWER + 1))
  t.equal(await readAnswerBytes(endless), undefined)
  t.ok(endless.destroyed)
  const broken = new PassThrough()
  const read = readAnswerBytes(broken)
  broken.write('x')
  broken.destroy(new Error('reset'))
  await t.rejects(read, { message: 'reset' })
  const left = new PassThrough()
  const silent = readAnswerBytes(left)
  left.destroy()
  await t.rejects(silent)
})
