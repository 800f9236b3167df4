/**
 * Exposure by mistake (awslabs/aws-sigv4-proxy listens on every interface by default): whoever can reach the port can
 * spend the credentials behind it. An address that other machines can reach needs a word that says so, and a name that
 * resolves to who knows what is such an address.
 */
import t from 'tap'
import { runCommand, startDaemon } from '../helpers/daemon.ts'

const CONFIG = '{ "admin": "off", "routes": [{ "prefix": "/a", "upstream": "https://api.example.com" }] }'

t.test('B13: an address that other machines can reach is exit 78, with one line that says what to do', async (t) => {
  const cwd = t.testdir({ 'countersign.jsonc': CONFIG })
  const serve = ['serve', '-c', 'countersign.jsonc']
  const ways: ReadonlyArray<readonly [args: readonly string[], env: Readonly<Record<string, string>>]> = [
    [['--listen', '0.0.0.0:0'], {}],
    [['--listen', '[::]:0'], {}],
    [['--listen', 'proxy.example:0'], {}],
    [['--listen', '192.0.2.1:0'], {}],
    [['--listen', '[::ffff:192.0.2.1]:0'], {}],
    [['--listen', '127.0.0.1:0', '--admin', '0.0.0.0:0'], {}],
    [[], { COUNTERSIGN_LISTEN: '0.0.0.0:0' }],
    [['--listen', '127.0.0.1:0'], { COUNTERSIGN_ADMIN: '[::]:0' }]
  ]
  await Promise.all(ways.map(async ([args, env]) => {
    const { status, stdout, stderr } = await runCommand([...serve, ...args], { cwd, env })
    t.match(
      { status, stdout, lines: stderr.trimEnd().split('\n').length, stderr },
      { status: 78, stdout: '', lines: 1, stderr: /allow-external/ },
      [...args, ...Object.values(env)].join(' ')
    )
  }))
})

t.test('B13: with the word it listens, and says that callers are asked for nothing', async (t) => {
  const cwd = t.testdir({ 'countersign.jsonc': CONFIG })
  const daemon = startDaemon(['serve', '-c', 'countersign.jsonc', '--listen', '0.0.0.0:0', '--allow-external'], { cwd })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
  })
  t.match(await daemon.line('configuration warning'), { problem: /asks callers for nothing/ })
  t.match(await daemon.line('listening'), { address: /^0\.0\.0\.0:\d+$/ })
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
})
