// What an identity provider sends costs its bytes, however many chunks it makes of them: a login in a process whose heap could
// not hold an object for each.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { PATIENCE_MS } from '../../helpers/patience.ts'
import { askProvider, connectProvider, LONGEST_RESPONSE, type ProviderResponse } from '#src/token/provider/client.ts'

const HEAP_MB = 40
const BYTES = 1_000_000

/** Answers every connection's first bytes with these, and ends it where they are whole. */
async function startSaying (t: Test, bytes: string | Buffer, end = true): Promise<URL> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(bytes)
      if (end) socket.end()
    })
    t.teardown(() => { socket.destroy() })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/token?x=1`)
}

async function ask (url: URL, signal = AbortSignal.timeout(PATIENCE_MS)): Promise<ProviderResponse> {
  const pool = connectProvider(url, { proxies: {}, signal })
  try {
    return await askProvider(pool, { url, headers: { 'content-type': 'text/plain' }, body: 'x', signal })
  } finally {
    await pool.destroy()
  }
}

/** Answers every request with a status and a JSON text, filled up with blanks, in chunks of one byte. */
async function startDripping (t: Test, status: number, json: string): Promise<string> {
  const chunks = [...json.padEnd(BYTES)].map((byte) => `1\r\n${byte}\r\n`).join('')
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.end(`HTTP/1.1 ${status} X\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** What a process with a small heap says of its login. */
async function logIn (script: string, url: string): Promise<unknown> {
  const args = [`--max-old-space-size=${HEAP_MB}`, fileURLToPath(new URL(`../../helpers/${script}.js`, import.meta.url)), url]
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
  const url = await startDripping(
    t,
    400,
    JSON.stringify({ __type: 'ResourceNotFoundException', message: 'User pool client x does not exist.' })
  )
  t.match(await logIn('cognito-login', url), { code: 'ResourceNotFoundException' })
})

t.test('a response is read up to its limit, whole, and what is beyond is not waited for', async (t) => {
  for (const [length, whole] of [[0, true], [LONGEST_RESPONSE, true], [LONGEST_RESPONSE + 1, false]] as const) {
    const url = await startSaying(
      t,
      Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n`), Buffer.alloc(length, 'x')])
    )
    const { status, text } = await ask(url)
    t.equal(status, 200)
    t.equal(text?.length, whole ? length : undefined, String(length))
  }
  const endless = await startSaying(
    t,
    Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), Buffer.alloc(LONGEST_RESPONSE + 1, 'x')]),
    false
  )
  t.equal((await ask(endless)).text, undefined)
})

t.test('fields have names in lower case, and one that comes twice is a list', async (t) => {
  const { headers } = await ask(
    await startSaying(
      t,
      'HTTP/1.1 103 X\r\nDate: no\r\n\r\nHTTP/1.1 400 X\r\nX-Amzn-ErrorType: A\r\nDate: 1\r\ndate: 2\r\n__proto__: p\r\ncontent-length: 0\r\n\r\n'
    )
  )
  t.equal(headers['x-amzn-errortype'], 'A')
  t.same(headers['date'], ['1', '2'])
  t.equal(Object.hasOwn(headers, '__proto__'), true)
  t.equal(headers['retry-after'], undefined)
})

t.test(
  'half a response, one that is none, a switch of protocols and a silent one are failures that tell nothing of upstreams',
  async (t) => {
    for (const bytes of [
      '',
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab',
      'SSH-2.0-x\r\n\r\n',
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab',
      'HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'
    ]) {
      const url = await startSaying(t, bytes)
      const error = await ask(url).then(
        () => undefined,
        (reason: unknown) => reason
      )
      t.ok(error instanceof Error && !('code' in error && String(error.code).startsWith('CS_')), JSON.stringify(bytes))
    }
    const silent = await startSaying(t, 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab', false)
    const ending = new AbortController()
    const asked = ask(silent, ending.signal)
    setImmediate(() => {
      ending.abort(new Error('long enough'))
    })
    await t.rejects(asked, { message: 'long enough' })
    await t.rejects(ask(silent, AbortSignal.abort(new Error('over'))), { message: 'over' })
  }
)
