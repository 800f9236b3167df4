import { spawnSync } from 'node:child_process'
import { Writable } from 'node:stream'
import t from 'tap'
import { LineWriter } from '#src/line-writer.ts'
import { createLogger } from '#src/logger.ts'
import { Secret } from '#src/secret.ts'
import { createStillReader } from './helpers/still-reader.ts'

function collect (): { readonly stream: NodeJS.WritableStream, readonly text: () => string } {
  let text = ''
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString('utf8')
      done()
    }
  })
  return { stream, text: () => text }
}

t.test('lines are JSON with a level, an instant and a constant sentence', async (t) => {
  const { stream, text } = collect()
  createLogger({ level: 'info', destination: stream, readable: false, colour: false }).info({ route: '/a' }, 'request')
  t.match(JSON.parse(text()), { level: 'info', time: /^\d{4}-\d\d-\d\dT.*Z$/, route: '/a', msg: 'request' })
})

t.test('a secret has no text form, whatever logs it', async (t) => {
  for (const readable of [true, false]) {
    const { stream, text } = collect()
    const log = createLogger({ level: 'trace', destination: stream, readable, colour: false })
    const secret = new Secret('CANARY')
    log.info({ secret, nested: { deep: [secret] }, token: 'CANARY', password: 'CANARY' }, 'hello')
    log.error(
      { error: Object.assign(new Error('failed', { cause: new Error('deeper') }), { headers: { authorization: 'CANARY' }, secret }) },
      'failed'
    )
    log.error(`${String(secret)}`)
    t.notMatch(text(), /CANARY/)
    t.match(text(), /deeper/)
  }
})

t.test('a readable line keeps escape sequences and line breaks of a client\'s off the terminal', async (t) => {
  const { stream, text } = collect()
  createLogger({ level: 'info', destination: stream, readable: true, colour: false }).info(
    { path: '/\u001b[2J\r\nfake', status: 200 },
    'request'
  )
  t.match(text(), /^\d\d:\d\d:\d\d\.\d{3} INFO {2}request path="\/\\u001b\[2J\\r\\nfake" status=200\n$/)
  const coloured = collect()
  createLogger({ level: 'info', destination: coloured.stream, readable: true, colour: true }).warn({}, 'x')
  t.match(coloured.text(), '\u001b[33mWARN \u001b[0m')
})

t.test('to a line writer, lines leave together at the end of the turn, a warning at once and in order', async (t) => {
  const writes: string[] = []
  const writer = new LineWriter((bytes) => {
    writes.push(Buffer.from(bytes).toString('utf8'))
    return bytes.length
  })
  const log = createLogger({ level: 'info', destination: writer, readable: false, colour: false })
  const messages = (): string[][] =>
    writes.map((text) =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { msg: string }).msg)
    )
  log.info('one')
  log.info('two')
  t.same(messages(), [])
  log.warn('three')
  t.same(messages(), [['one', 'two', 'three']])
  log.info('four')
  log.info('five')
  await new Promise((resolve) => { setImmediate(resolve) })
  t.same(messages(), [['one', 'two', 'three'], ['four', 'five']])
})

t.test('lines of requests are left out first, and how many is said once', async (t) => {
  const { writer, read } = createStillReader()
  const log = createLogger({ level: 'info', destination: writer, readable: false, colour: false })
  for (let count = 0; count < 20_000; count++) log.info({ path: '/'.padEnd(200, 'x') }, 'request')
  log.info({}, 'configuration reloaded')
  log.warn({}, 'token fetch failed')
  const messages = read()
  const told = messages.filter(({ msg }) => msg === 'log lines were left out, since their reader stood still')
  t.match(told, [{ level: 'warn', otherLines: 0 }])
  t.equal(messages.filter(({ msg }) => msg === 'request').length + (told[0]?.requestLines ?? 0), 20_000)
  t.same(messages.slice(-3).map(({ msg }) => msg), ['configuration reloaded', 'token fetch failed', told[0]?.msg])
})

t.test('what waits is written before the process ends', async (t) => {
  const url = (file: string): string => new URL(`../dist/${file}`, import.meta.url).href
  const program = `
    const { createLogger } = await import('${url('logger.js')}')
    const { openOutput } = await import('${url('cli/output.js')}')
    createLogger({ level: 'info', destination: openOutput(1), readable: false, colour: false }).info('the last words')
    process.exit(3)
  `
  const child = spawnSync(process.execPath, [...process.execArgv, '--input-type=module', '-e', program], { encoding: 'utf8' })
  t.equal(child.status, 3)
  t.match(child.stdout, /the last words/)
})

t.test('nothing of a client\'s making acts on a terminal or a log reader, in either form', async (t) => {
  const evil = 'a\u0000\u0007\b\t\n\v\f\r\u001b[31m\u007f\u0080\u0085\u009b31m\u009f\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069b'
  for (const readable of [true, false]) {
    const { stream, text } = collect()
    createLogger({ level: 'info', destination: stream, readable, colour: false }).info({ path: evil, error: new Error(evil) }, 'request')
    // eslint-disable-next-line no-control-regex -- the very thing to find
    t.notMatch(text().replace(/\n$/, ''), /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/)
    if (!readable) t.match(JSON.parse(text()), { path: evil, error: { message: evil } }, 'a program reads it as it was')
  }
})
