import { randomBytes } from 'node:crypto'
import { once, EventEmitter } from 'node:events'
import t, { type Test } from 'tap'
import { PassThrough } from 'node:stream'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import * as zlib from 'node:zlib'
import { ProxyError } from '#src/errors.ts'
import type { Injection } from '#src/auth/injection.ts'
import { Secret } from '#src/secret.ts'
import type { ResponseHead } from '#src/upstream/response-head.ts'
import { Scrubber } from '#src/upstream/scrub.ts'
import type { ResponseHandler, Transfer } from '#src/upstream/sender.ts'

const TOKEN = 'CANARY-JWT-eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl'
const STARS = '*'.repeat(TOKEN.length)
const BEARER: Injection = { in: 'header', name: 'authorization', prefix: 'Bearer ', value: new Secret(TOKEN) }

const CODINGS: ReadonlyArray<readonly [coding: string, encode: (bytes: Buffer) => Buffer]> = [
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['GZip', gzipSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['br', brotliCompressSync]
]

/** What a connection does with a response, one step at a time, and what the handler behind the scrubber saw of it. */
class Script extends EventEmitter implements Transfer {
  aborted = false
  paused = false
  masked = 0
  readonly seen: { headers: string[], trailers: string[], reason: string | undefined, chunks: Buffer[], error?: Error, ended: boolean } = {
    headers: [],
    trailers: [],
    reason: undefined,
    chunks: [],
    ended: false
  }

  /** What the handler was given. */
  readonly inner: Transfer
  #outer: ResponseHandler | undefined

  constructor (method = 'GET', sent: readonly Injection[] = [BEARER]) {
    super()
    const { seen } = this
    const sender = new Scrubber().over(
      {
        dispatch: (_request, handler) => {
          this.#outer = handler
          return this
        }
      },
      sent,
      (count) => {
        this.masked += count
      }
    )
    const see = ({ rawHeaders, reason }: ResponseHead): void => {
      seen.headers = rawHeaders
      seen.reason = reason
    }
    this.inner = sender.dispatch(
      { method, target: '/', headers: [], body: null },
      {
        onInterim: see,
        onHead: see,
        onSwitch: see,
        onBody: (chunk) => {
          seen.chunks.push(chunk)
          this.emit('chunk')
        },
        onEnd: (trailers) => {
          seen.trailers = trailers
          seen.ended = true
          this.emit('over')
        },
        onError: (error) => {
          seen.error = error
          this.emit('over')
        }
      }
    )
  }

  get text (): string {
    return Buffer.concat(this.seen.chunks).toString('latin1')
  }

  start (statusCode: number, rawHeaders: string[] = [], reason = 'OK'): this {
    const head: ResponseHead = {
      statusCode,
      reason,
      rawHeaders,
      length: undefined,
      chunked: true,
      keepAlive: true,
      keepAliveSeconds: undefined,
      upgrade: statusCode === 101
    }
    if (statusCode === 101) this.#outer?.onSwitch(head, new PassThrough())
    else if (statusCode < 200) this.#outer?.onInterim(head)
    else this.#outer?.onHead(head)
    return this
  }

  data (...chunks: Buffer[]): this {
    for (const chunk of chunks) this.#outer?.onBody(chunk)
    return this
  }

  end (trailers: string[] = []): this {
    this.#outer?.onEnd(trailers)
    return this
  }

  /** Waits until the handler has heard the last of the response. */
  async over (): Promise<this> {
    if (!this.seen.ended && this.seen.error === undefined) await once(this, 'over')
    return this
  }

  break (error: Error): void {
    this.#outer?.onError(error)
  }

  abort (): void {
    this.aborted = true
  }

  pause (): void {
    this.paused = true
  }

  resume (): void {
    this.paused = false
    this.emit('resumed')
  }
}

/** Chunks of so many bytes. */
function split (bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
}

async function decoded (t: Test, coding: string, bytes: Buffer, expected: string): Promise<void> {
  for (const size of [1, 7, bytes.length]) {
    const script = await new Script()
      .start(200, ['Content-Encoding', coding, 'Content-Length', String(bytes.length), 'ETag', '"x"', 'X-Kept', '1'])
      .data(...split(bytes, size))
      .end(['X-T', `t ${TOKEN}`])
      .over()
    t.equal(script.text, expected, `${coding}, ${size} bytes at a time`)
    t.same(script.seen.headers, ['ETag', 'W/"x"', 'X-Kept', '1'])
    t.same(script.seen.trailers, ['X-T', `t ${STARS}`])
    t.equal(script.masked, 3)
  }
}

t.test('a body is masked wherever its chunks are cut', async (t) => {
  const body = Buffer.from(`{"a":"Bearer ${TOKEN}","b":1}`)
  for (let at = 0; at <= body.length; at++) {
    const script = new Script().start(200).data(body.subarray(0, at), body.subarray(at)).end()
    if (script.text !== `{"a":"Bearer ${STARS}","b":1}` || script.masked !== 1 || !script.seen.ended) t.fail(`cut at ${at}: ${script.text}`)
  }
  const script = new Script().start(200).data(...split(body, 1)).end()
  t.equal(script.text, `{"a":"Bearer ${STARS}","b":1}`)
})

t.test('headers, their names, the reason, interim responses and trailers are masked', async (t) => {
  const script = new Script().start(103, ['Link', `</${TOKEN}>`])
  t.same(script.seen.headers, ['Link', `</${STARS}>`])
  script.start(
    200,
    ['X-Echo', `Bearer ${TOKEN}`, `x-${TOKEN}`, '1', 'Set-Cookie', `s=${TOKEN}; HttpOnly`, 'Location', `/?k=${TOKEN}`, 'X-Latin', '\xe9'],
    `OK ${TOKEN}`
  )
  t.same(script.seen.headers, [
    'X-Echo',
    `Bearer ${STARS}`,
    `x-${STARS}`,
    '1',
    'Set-Cookie',
    `s=${STARS}; HttpOnly`,
    'Location',
    `/?k=${STARS}`,
    'X-Latin',
    '\xe9'
  ])
  t.equal(script.seen.reason, `OK ${STARS}`)
  script.end(['X-T', TOKEN])
  t.same(script.seen.trailers, ['X-T', STARS])
  t.equal(script.masked, 7)
})

t.test('a body in a coding is decoded, masked, and passed on without it', async (t) => {
  const text = `first ${TOKEN} second ${TOKEN} third`
  for (const [coding, encode] of CODINGS) await decoded(t, coding, encode(Buffer.from(text)), text.replaceAll(TOKEN, STARS))
  const zstd: unknown = Reflect.get(zlib, 'zstdCompressSync')
  if (typeof zstd === 'function') {
    await decoded(t, 'zstd', (zstd as (bytes: Buffer) => Buffer)(Buffer.from(text)), text.replaceAll(TOKEN, STARS))
  }
})

t.test('what a coding holds comes out as soon as the upstream has flushed it', async (t) => {
  for (const [coding, stream, flush] of [
    ['gzip', zlib.createGzip(), zlib.constants.Z_SYNC_FLUSH],
    ['deflate', zlib.createDeflate(), zlib.constants.Z_SYNC_FLUSH],
    ['br', zlib.createBrotliCompress(), zlib.constants.BROTLI_OPERATION_FLUSH]
  ] as const) {
    const script = new Script().start(200, ['Content-Encoding', coding])
    stream.on('data', (chunk: Buffer) => {
      script.data(chunk)
    })
    const event = `data: ${TOKEN}\n\n`
    for (let count = 1; count <= 3; count++) {
      stream.write(event)
      stream.flush(flush)
      while (script.text.length < event.length * count) await once(script, 'chunk')
    }
    t.equal(script.text, `data: ${STARS}\n\n`.repeat(3), coding)
    script.inner.abort()
    stream.destroy()
  }
})

t.test('a coding that cannot be looked into is an error, not a way through', async (t) => {
  for (const [statusCode, headers] of [
    [200, ['Content-Encoding', 'compress']],
    [200, ['Content-Encoding', 'gzip, br']],
    [200, ['Content-Encoding', 'gzip', 'content-encoding', 'gzip']],
    [206, ['Content-Encoding', 'gzip', 'Content-Range', 'bytes 0-1/9']],
    [500, ['CONTENT-ENCODING', 'aes128gcm']]
  ] as const) {
    const script = new Script()
      .start(statusCode, [...headers])
      .data(Buffer.from(TOKEN))
      .end()
    t.match(
      script.seen.error,
      { code: 'CS_UPSTREAM_UNREACHABLE', statusCode: 502, proxyStatus: 'http_response_content_coding' },
      headers.join()
    )
    t.ok(script.seen.error instanceof ProxyError)
    t.ok(script.aborted, 'the upstream is told')
    t.equal(script.text, '')
    t.notOk(script.seen.ended)
  }
})

t.test('answers without a body keep what they say of one', async (t) => {
  const gone = ['Content-Encoding', 'gzip', 'Content-Length', '9', 'ETag', '"x"']
  t.same(
    new Script('HEAD').start(200, [...gone]).end().seen,
    { headers: ['ETag', 'W/"x"'], trailers: [], reason: 'OK', chunks: [], ended: true },
    'as GET would say it'
  )
  t.same(new Script('HEAD').start(200, ['Content-Encoding', 'compress', 'Content-Length', '9']).end().seen.headers, [
    'Content-Encoding',
    'compress',
    'Content-Length',
    '9'
  ])
  t.same(new Script().start(304, [...gone]).end().seen.headers, gone)
  t.same(new Script().start(200, ['Content-Encoding', 'gzip', 'Content-Length', '0']).end().seen.ended, true, 'nor is nothing decoded')
  t.same(new Script().start(200, ['Content-Encoding', 'identity', 'Content-Length', '2']).data(Buffer.from('ok')).end().seen.headers, [
    'Content-Encoding',
    'identity',
    'Content-Length',
    '2'
  ])
})

t.test('digests of a body that may have changed are dropped', async (t) => {
  const script = new Script().start(200, [
    'Content-MD5',
    'x',
    'Digest',
    'x',
    'Repr-Digest',
    'x',
    'content-digest',
    'x',
    'ETag',
    '"x"',
    'Content-Length',
    '2'
  ])
  t.same(script.seen.headers, ['ETag', '"x"', 'Content-Length', '2'])
})

t.test('half a coded body, and rubbish in place of one, are an error', async (t) => {
  const whole = gzipSync(Buffer.from('x'.repeat(1000)))
  for (const bytes of [whole.subarray(0, whole.length - 9), Buffer.from('no gzip at all')]) {
    const script = await new Script().start(200, ['Content-Encoding', 'gzip']).data(bytes).end().over()
    t.ok(script.seen.error)
    t.notOk(script.seen.ended)
    t.ok(script.aborted)
  }
  const broken = new Script().start(200, ['Content-Encoding', 'gzip']).data(whole.subarray(0, 12))
  broken.break(new Error('reset'))
  t.match(broken.seen.error, { message: 'reset' }, 'the upstream\'s own end is passed on at once')
})

t.test('bytes behind the end of a coded body do not hang anything', async (t) => {
  const script = await new Script()
    .start(200, ['Content-Encoding', 'gzip'])
    .data(gzipSync('ok'), Buffer.from('garbage that is no member'))
    .end()
    .over()
  t.equal(script.text, 'ok')
  script.data(Buffer.from('more'))
  t.equal(script.text, 'ok')
})

t.test('a reader that pauses pauses the upstream, behind a decoder too, and a bomb stays small', async (t) => {
  const plain = new Script().start(200)
  plain.inner.pause()
  t.ok(plain.paused)
  plain.inner.resume()
  t.notOk(plain.paused)

  // What does not compress stands behind it, so that there is more than the decoder's buffer of any Node takes.
  const unpacked = Buffer.concat([Buffer.alloc(64 * 1024 * 1024), randomBytes(256 * 1024)])
  const size = unpacked.length
  const bomb = split(gzipSync(unpacked), 1024)
  const script = new Script().start(200, ['Content-Encoding', 'gzip'])
  const drained = (): number => script.seen.chunks.reduce((sum, { length }) => sum + length, 0)
  script.data(bomb.shift() ?? Buffer.alloc(0))
  script.inner.pause()
  while (!script.paused) script.data(bomb.shift() ?? Buffer.alloc(0))
  t.ok(bomb.length > 0, `the upstream waits, ${bomb.length} chunks are left`)
  const before = drained()
  await new Promise((resolve) => { setImmediate(resolve) })
  t.equal(drained(), before, 'nothing comes while it is paused')
  script.inner.resume()
  for (let chunk = bomb.shift(); chunk !== undefined; chunk = bomb.shift()) {
    if (script.paused) await once(script, 'resumed')
    script.data(chunk)
  }
  await script.end().over()
  t.equal(drained(), size)
})

t.test('Basic credentials are masked as they were sent, decoded, and the password alone', async (t) => {
  const basic: Injection = {
    in: 'header',
    name: 'authorization',
    prefix: 'Basic ',
    value: new Secret(Buffer.from('batch:CANARY-PW-hunter2').toString('base64'))
  }
  const script = new Script('GET', [basic, BEARER])
    .start(200)
    .data(Buffer.from(`Basic ${basic.value.reveal()} batch:CANARY-PW-hunter2 p=CANARY-PW-hunter2 ${TOKEN} batch`))
    .end()
  t.equal(script.text, `Basic ${'*'.repeat(32)} ${'*'.repeat(23)} p=${'*'.repeat(17)} ${STARS} batch`)
})

t.test('an upgrade\'s headers are masked', async (t) => {
  t.same(new Script().start(101, ['X-Echo', TOKEN]).seen.headers, ['X-Echo', STARS])
})
