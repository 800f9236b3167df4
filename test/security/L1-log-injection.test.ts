// L1, log injection: what a client sends must not write log lines of its own, drive the terminal that they are read on, or
// fill the disk (OWASP "Log Injection"; CVE-2003-0063 and its kin for terminals). C1 bytes count: 0x9b alone begins an escape sequence.
import { Writable } from 'node:stream'
import t from 'tap'
import { createLogger } from '#src/logger.ts'
import { runCommand } from '../helpers/daemon.ts'
import { connectRaw, message } from '../helpers/raw-client.ts'
import { startProxy } from '../helpers/proxy.ts'
import { startUpstream } from '../helpers/recording-upstream.ts'

// eslint-disable-next-line no-control-regex -- the very thing to find
const ACTIVE = /[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/

/** What an HTTP parser lets through, and what Node's refuses today. */
const TAKEN = ['%0d%0a%1b[2J', '"}', '\\u001b', 'x'.repeat(8000)]
const REFUSED = ['\x9b31m', '\x85', '\xc2\x9b2J', '\xe2\x80\xa8', '\xe2\x80\xae']

t.test('whatever stands in a path, a method, a Host or an agent, a line is one line of harmless text', async (t) => {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(t, { routes: [{ upstream: upstream.origin, prefix: '/a' }] })
  const targets = [...TAKEN, ...REFUSED].flatMap((odd) => [`/a/${odd}`, `/${odd}`, `/a?${odd}`])
  for (const target of targets) {
    const client = await connectRaw(proxy.port)
    client.send(
      message(`GET ${target} HTTP/1.1`, [
        `Host: 127.0.0.1:${proxy.port}`,
        'User-Agent: \x9b31m',
        `X-Forwarded-For: ${target}`,
        'Connection: close'
      ])
    )
    await client.closed()
    client.destroy()
  }
  await proxy.close()
  const text = proxy.logged()
  t.notMatch(text, ACTIVE)
  t.ok(text.split('\n').every((line) => line.length < 4096), 'no line is long')
  const requests = proxy.lines().filter(({ msg }) => msg === 'request')
  t.ok(requests.length >= TAKEN.length * 3, `${requests.length} of ${targets.length} were logged`)
  t.notOk(requests.some(({ path }) => String(path).includes('?')), 'no query is logged')

  let readable = ''
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      readable += chunk.toString('utf8')
      done()
    }
  })
  const log = createLogger({ level: 'info', destination: stream, readable: true, colour: false })
  const texts = [...TAKEN, ...REFUSED, '\u2028\u202e', '\x1b[2J\r\nfake']
  for (const path of texts) log.info({ path, [path]: path }, 'request')
  t.notMatch(readable, ACTIVE)
  t.equal(readable.split('\n').length, texts.length + 1)
})

t.test('explain and check print what they were given as harmless text', async (t) => {
  const dir = t.testdir({
    'c.jsonc': '{ "routes": [{ "prefix": "/", "upstream": "https://x.example" }] }',
    'bad.jsonc': '{ "\u009b31m\u202e": 1, "routes": [{ "prefix": "\u009b", "upstream": "\\u001b[2J" }] }'
  })
  for (const args of [
    ['explain', 'GET\u001b[2J\u009b', '/\u009bx\u202e', '-c', `${dir}/c.jsonc`],
    ['explain', 'GET', '/\u001b[2J', '-c', `${dir}/c.jsonc`],
    ['check', '-c', `${dir}/bad.jsonc`],
    ['check', '-c', `${dir}/none\u001b[2J\u009b.jsonc`],
    ['\u001b[2J\u009b'],
    ['check', '--\u001b[2J\u009b']
  ]) {
    const { stdout, stderr } = await runCommand(args)
    t.ok(stdout.length + stderr.length > 0)
    t.notMatch(stdout + stderr, ACTIVE, JSON.stringify(args))
  }
})
