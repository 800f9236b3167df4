import t from 'tap'
import { checkNodeVariables } from '#src/config/environment/node-options.ts'
import { formatProblem } from '#src/config/load.ts'
import { runCommand } from '../../helpers/daemon.ts'

const linesOf = (env: Record<string, string>): string[] => checkNodeVariables(env).map(formatProblem)

t.test('options of Node that endanger secrets are named, and their values are not', async (t) => {
  const dangers = [
    '--inspect',
    '--inspect=0.0.0.0:9229',
    '--inspect-brk',
    '--inspect-wait',
    '--inspect-port=1',
    '--inspect_brk=CANARY',
    '--tls-keylog=CANARY',
    '--trace-tls',
    '--tls-cipher-list=CANARY',
    '--tls-min-v1.0',
    '--tls-min-v1.1',
    '--heapsnapshot-signal=SIGUSR2',
    '--heapsnapshot-near-heap-limit=3',
    '--abort-on-uncaught-exception',
    '--abort_on_uncaught_exception',
    '--report-on-signal',
    '--report-on-fatalerror',
    '--report-uncaught-exception',
    '--trace-events-enabled',
    '--trace-event-categories=node.http',
    '"--inspect"',
    '"--tls-keylog=CANARY a b"'
  ]
  for (const option of dangers) {
    const name = /--[\w.-]+/.exec(option.replaceAll('_', '-'))?.[0] ?? ''
    const lines = linesOf({ NODE_OPTIONS: `--max-old-space-size=64  ${option} --enable-source-maps` })
    t.match(lines, [new RegExp(`^NODE_OPTIONS {2}${name.replaceAll('.', '\\.')} .*; remove it$`)], option)
    t.equal(lines.length, 1, option)
    t.notMatch(lines.join(), /CANARY/)
  }
  t.same(linesOf({ NODE_OPTIONS: '--inspect --tls-keylog=x --inspect' }).length, 2, 'each of them, once')
})

t.test('sections of NODE_DEBUG that show what passes are named, however they are written', async (t) => {
  for (const [value, ...sections] of [
    ['http', 'http'],
    ['HTTP,timer', 'http'],
    ['net, tls', 'net', 'tls'],
    ['http*', 'http', 'https', 'http2'],
    ['un*ci', 'undici'],
    ['fetch', 'fetch'],
    ['websocket', 'websocket'],
    ['child_process', 'child_process']
  ] as const) {
    t.match(linesOf({ NODE_DEBUG: value }), [`NODE_DEBUG  prints what passes through ${sections.join(', ')} on stderr`], value)
  }
  t.match(linesOf({ NODE_DEBUG: '*' }), [/undici/])
})

t.test('what endangers nothing is not warned of', async (t) => {
  for (const NODE_OPTIONS of [
    '',
    '--enable-source-maps',
    '--import=./otel.mjs',
    '-r dotenv/config',
    '--max-old-space-size=100',
    '--title=--inspect',
    '--disable-sigusr1',
    '--no-inspect'
  ]) { t.same(linesOf({ NODE_OPTIONS }), [], NODE_OPTIONS) }
  for (const NODE_DEBUG of ['', 'timer', 'xhttp', 'http-x', '(', 'htt[p]']) t.same(linesOf({ NODE_DEBUG }), [], NODE_DEBUG)
})

t.test('check says so, and exits 0', async (t) => {
  const dir = t.testdir({ 'c.jsonc': '{ "routes": [{ "prefix": "/", "upstream": "http://127.0.0.1:1" }] }' })
  const { status, stderr } = await runCommand(['check', '-c', `${dir}/c.jsonc`], {
    env: { NODE_OPTIONS: '--trace-tls', NODE_DEBUG: 'undici' }
  })
  t.equal(status, 0)
  t.match(stderr, /^warning: NODE_OPTIONS {2}--trace-tls /m)
  t.match(stderr, /^warning: NODE_DEBUG .*undici/m)
})
