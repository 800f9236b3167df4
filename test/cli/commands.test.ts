import t from 'tap'
import { parseDuration } from '#src/cli/wait.ts'
import { interpretCommand } from '../helpers/command.ts'
import { runCommand, startDaemon } from '../helpers/daemon.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { canariesIn, startWorld } from '../helpers/world.ts'

t.test('help and version work everywhere', async (t) => {
  const version = await runCommand(['--version'])
  t.match(version, { status: 0, stdout: /^\d+\.\d+\.\d+\n$/, stderr: '' })
  const help = await runCommand(['--help'])
  t.equal(help.status, 0)
  for (const command of ['serve', 'check', 'explain', 'status', 'wait', 'healthcheck', 'demo', 'attack']) {
    t.match(help.stdout, new RegExp(`^ {2}${command} `, 'm'))
    const own = await interpretCommand([command, '--help'])
    t.match(own, { status: 0, stdout: new RegExp(`^Usage: countersign ${command} `) })
  }
  t.equal((await interpretCommand(['serve', '--version'])).stdout, version.stdout)
})

t.test('a misused command says how it is used', async (t) => {
  t.match(await runCommand(['sevre']), { status: 64, stderr: /there is no command "sevre"/ })
  t.match(await interpretCommand(['check', '--colour']), { status: 64, stderr: /--colour/ })
  t.match(await interpretCommand(['explain', 'GET']), { status: 64, stderr: /usage: countersign explain METHOD PATH/ })
  t.match(await interpretCommand(['explain', 'GET', '/', '-H', 'nonsense']), { status: 78 }, 'configuration comes first')
  t.match(await interpretCommand(['wait', '--max', 'soon']), { status: 64, stderr: /--max/ })
})

t.test('durations have units', async (t) => {
  t.same(['500ms', '30s', '2m', '1.5s', '3', 'soon', '', '-1s', '1h'].map(parseDuration), [
    500,
    30_000,
    120_000,
    1500,
    3000,
    undefined,
    undefined,
    undefined,
    undefined
  ])
})

t.test('where no daemon runs, status is 69, healthcheck and wait are 1', async (t) => {
  const env = { COUNTERSIGN_ADMIN: `unix:${temporaryFolder(t)}/none.sock` }
  t.match(await interpretCommand(['status'], { env }), { status: 69, stdout: '', stderr: /not running: nothing answers at unix:/ })
  t.match(await interpretCommand(['healthcheck'], { env }), { status: 1, stderr: /not live/ })
  t.match(await interpretCommand(['wait', '--max', '200ms'], { env }), { status: 1, stderr: /timed out/ })
  t.match(await interpretCommand(['healthcheck'], { env: { COUNTERSIGN_ADMIN: 'off' } }), { status: 1, stderr: /turned off/ })
})

t.test('status, wait and healthcheck find the running daemon by its configuration', async (t) => {
  const world = await startWorld()
  const env = { ...world.secrets, COUNTERSIGN_ADMIN: `unix:${temporaryFolder(t)}/admin.sock` }
  const fixture = t.testdir({ 'countersign.jsonc': world.config })
  const args = ['-c', `${fixture}/countersign.jsonc`]
  const daemon = startDaemon(['serve', ...args], { env })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
    await world.close()
  })
  t.match(await runCommand(['wait', '--max', '20s', ...args], { env }), { status: 0, stdout: '', stderr: '' })
  t.match(await runCommand(['healthcheck', ...args], { env }), { status: 0 })
  const text = await runCommand(['status', ...args], { env })
  t.equal(text.status, 0)
  t.match(text.stdout, /^countersign \d.*, ready,/)
  t.match(text.stdout, /^a +defender-relayer +fresh +\d{4}-/m)
  t.match(text.stdout, /^\/orders +127\.0\.0\.1:\d+ +http:\/\/127\.0\.0\.1:\d+\/v2 +orders +http bearer$/m)
  const json = await interpretCommand(['status', '--json', ...args], { env })
  t.match(JSON.parse(json.stdout), { ready: true, credentials: [{ name: 'a' }, { name: 'b' }, { name: 'orders' }] })
  t.same(canariesIn(text.stdout + json.stdout, world.secrets), [])
})

t.test('explain tells route, credential, what is removed and added, and why a request is refused', async (t) => {
  const dir = t.testdir({
    'countersign.jsonc': `{
      "credentials": { "maps": { "type": "static", "value": "CANARY-maps-key" }, "relayer": { "type": "defender-relayer", "apiKey": "CANARY-key", "apiSecret": "CANARY-secret" } },
      "routes": [
        { "prefix": "/maps", "upstream": "https://maps.example.com/v1", "credential": "maps", "inject": [{ "type": "apiKey", "in": "query", "name": "key", "postQuery": "url" }, { "type": "apiKey", "in": "cookie", "name": "sid" }] },
        { "prefix": "/relayer", "credential": "relayer", "allow": ["POST /txs"] },
        { "prefix": "/body", "upstream": "https://maps.example.com", "credential": "maps", "websocket": false, "maxBodyBytes": 10, "inject": [{ "type": "apiKey", "in": "query", "name": "key" }] },
        { "prefix": "/", "upstream": "https://public.example.com" }
      ]
    }`
  })
  const explain = (...args: string[]): ReturnType<typeof interpretCommand> =>
    interpretCommand(['explain', ...args, '-c', `${dir}/countersign.jsonc`])
  const relayer = await runCommand([
    'explain',
    'POST',
    '/relayer/txs',
    '-H',
    'authorization: Bearer CANARY-mine',
    '-H',
    'X_Api_Key: CANARY',
    '-H',
    'Accept: */*',
    '-c',
    `${dir}/countersign.jsonc`
  ])
  t.equal(relayer.status, 0)
  t.match(relayer.stdout, /^route +\/relayer$/m)
  t.match(relayer.stdout, /^credential +relayer$/m)
  t.match(relayer.stdout, /^forwarded +POST https:\/\/api\.defender\.openzeppelin\.com\/txs$/m)
  t.match(relayer.stdout, /^removed +authorization, X_Api_Key$/m)
  t.match(relayer.stdout, /^added +header X-Api-Key: \[Redacted\]\n +header authorization: Bearer \[Redacted\]$/mi)
  const maps = await explain('GET', '/maps/tiles?k%65y[]=CANARY&z=1', '-H', 'Cookie: SID=CANARY; b=2')
  t.match(maps.stdout, /^removed +query k%65y\[\], cookie SID$/m)
  t.match(maps.stdout, /query key=\[Redacted\]\n +cookie sid=\[Redacted\]/)
  t.match(await explain('GET', '/other', '-H', 'Authorization: Bearer own'), {
    status: 0,
    stdout: /credential +none[^]*nothing that was sent[^]*added +nothing/
  })
  const rejections: ReadonlyArray<readonly [RegExp, ...string[]]> = [
    [/^refused +403 CS_NOT_ALLOWED/, 'GET', '/relayer/txs'],
    [/^refused +400 CS_BAD_REQUEST .*dot segment/, 'GET', '/relayer/../x'],
    [/^refused +400 CS_BAD_REQUEST .*method/, 'LIST', '/other'],
    [/^refused +400 CS_BAD_REQUEST .*case-sensitive/, 'get', '/other'],
    [/^refused +400 CS_BAD_REQUEST .*not ASCII/, 'GET', '/other?q=\u00e9'],
    [/^refused +400 CS_BAD_REQUEST .*not ASCII/, 'GET', '/\uff0f'],
    [/^refused +400 CS_BAD_REQUEST .*`#`/, 'GET', '/other?q#x'],
    [/^refused +400 CS_BAD_REQUEST .*forward proxy/, 'GET', 'http://evil.example/', '-H', 'Host: evil.example'],
    [/^refused +400 CS_BAD_REQUEST .*Transfer-Encoding/, 'POST', '/other', '-H', 'Transfer-Encoding: gzip'],
    [/^refused +403 CS_NOT_ALLOWED .*service worker/, 'GET', '/other', '-H', 'Service-Worker: script'],
    [
      /^refused +403 CS_ORIGIN_NOT_ALLOWED .*type this address/,
      'GET',
      '/other',
      '-H',
      'Sec-Fetch-Site: cross-site',
      '-H',
      'Sec-Fetch-Mode: navigate'
    ],
    [/^refused +415 CS_BODY_UNSUPPORTED/, 'POST', '/body', '-H', 'Content-Type: text/plain'],
    [/^refused +403 CS_NOT_ALLOWED .*upgraded/, 'GET', '/body', '-H', 'Upgrade: websocket', '-H', 'Connection: upgrade'],
    [/^refused +413 CS_BODY_TOO_LARGE/, 'PUT', '/body', '-H', 'Content-Length: 11'],
    [/^refused +405 CS_METHOD_NOT_ALLOWED/, 'TRACE', '/relayer'],
    [/^refused +421 CS_HOST_NOT_ALLOWED/, 'POST', '/relayer/txs', '-H', 'Host: evil.example'],
    [/^refused +403 CS_ORIGIN_NOT_ALLOWED/, 'POST', '/relayer/txs', '-H', 'Origin: https://evil.example']
  ]
  t.match(
    await runCommand(['explain', 'GET', '/relayer/txs', '-c', `${dir}/countersign.jsonc`]),
    { status: 1, stdout: /^refused +403/ },
    'the exit status of a process'
  )
  for (const [pattern, ...args] of rejections) t.match(await explain(...args), { status: 1, stdout: pattern })
  t.notMatch(relayer.stdout + maps.stdout + maps.stderr, /CANARY/)
})

t.test('explain takes the listener of a route, and sees its paths as they are', async (t) => {
  const dir = t.testdir({
    'countersign.jsonc': `{
      "credentials": { "maps": { "type": "static", "value": "CANARY-maps-key" } },
      "routes": [
        { "prefix": "/maps", "upstream": "https://public.example.com" },
        { "listen": "127.0.0.1:8090", "upstream": "https://maps.example.com/v1", "credential": "maps" },
        { "prefix": "/engine", "listen": "unix:/run/engine-proxy.sock", "upstream": "unix:/run/engine.sock:/v1" }
      ]
    }`
  })
  const explain = (...args: string[]): ReturnType<typeof interpretCommand> =>
    interpretCommand(['explain', ...args, '-c', `${dir}/countersign.jsonc`])
  t.match(await explain('GET', '/maps/x', '--listen', '127.0.0.1:8090'), {
    status: 0,
    stdout: /^route +127\.0\.0\.1:8090\ncredential +maps\nforwarded +GET https:\/\/maps\.example\.com\/v1\/maps\/x$/m
  })
  t.match(
    await explain('GET', '/maps/x'),
    { status: 0, stdout: /^forwarded +GET https:\/\/public\.example\.com\/x$/m },
    'by prefix otherwise'
  )
  t.match(
    await explain('GET', '/x'),
    { status: 1, stdout: /^refused +404 CS_NO_ROUTE/ },
    'a route without a prefix is not on the main listener'
  )
  t.match(await explain('GET', '/x', '--listen', 'unix:/run/engine-proxy.sock', '-H', 'Host: any'), {
    status: 0,
    stdout: /^route +\/engine$[^]*http:\/\/localhost\/v1\/x$/m
  })
  t.match(
    await explain('GET', '/x', '--listen', '127.0.0.1:8090', '-H', 'Host: localhost:8080'),
    { status: 1, stdout: /^refused +421/ },
    'each listener has its own port'
  )
  t.match(await explain('GET', '/maps/x', '--listen', '127.0.0.1:8080'), { status: 0, stdout: /public/ })
  for (const listen of ['127.0.0.1:9999', 'nonsense']) {
    t.match(await explain('GET', '/x', '--listen', listen), { status: 64, stderr: /--listen names no listener of the configuration/ })
  }
})
