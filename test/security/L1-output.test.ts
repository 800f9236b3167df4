// L1: whoever reads logs, metrics, status pages, process lists or error responses must not learn a secret, a token, or a part
// of one, however it is written down. Everything that the executable prints or answers is searched for canaries.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { runCommand, startDaemon } from '../helpers/daemon.ts'
import { tracesOf } from '../helpers/canaries.ts'
import { connectRaw, message } from '../helpers/raw-client.ts'
import { call } from '../helpers/plain-client.ts'
import { startWorld } from '../helpers/world.ts'

const random = (): string => randomBytes(18).toString('hex')

t.test('nothing that the executable says holds a secret, a token, or a part of one', async (t) => {
  const world = await startWorld({
    respond: ({ url }) => ({ status: url.startsWith('/status/') ? Number(url.slice(8, 11)) : 200, body: '{}' })
  })
  const secrets = {
    ...world.secrets,
    STATIC: `static+/&"${random()}`,
    BASIC_PASSWORD: random(),
    OAUTH_SECRET: random(),
    REJECTED_PASSWORD: random(),
    CALLER: random(),
    PROXY_PASSWORD: random()
  }
  const sent = { QUERY: random(), AUTHORIZATION: random(), COOKIE: random(), BODY: random(), USERINFO: random() }
  // A port where nobody listens.
  const nobody = 'http://127.0.0.1:1'
  const config = world.config
    .replace(
      '"credentials": {',
      `"callerToken": "\${CALLER}", "credentials": {
      "static": { "type": "static", "value": "\${STATIC}" },
      "basic": { "type": "static", "username": "batch", "password": "\${BASIC_PASSWORD}" },
      "oauth": { "type": "oauth2", "tokenUrl": "${nobody}/token", "clientId": "client", "clientSecret": "\${OAUTH_SECRET}" },
      "rejected": { "type": "cognito", "userPoolId": "eu-west-1_Orders1", "clientId": "orders", "username": "orders-batch", "password": "\${REJECTED_PASSWORD}", "endpoint": "${world.emulator.url}" },`
    )
    .replace(
      '"routes": [',
      `"routes": [
      { "prefix": "/static", "upstream": "${world.api.url}", "credential": "static", "inject": [{ "type": "apiKey", "in": "query", "name": "key" }], "scrub": true, "websocket": false },
      { "prefix": "/basic", "upstream": "${world.api.url}", "credential": "basic", "allow": ["GET /ok"] },
      { "prefix": "/oauth", "upstream": "${nobody}", "credential": "oauth" },
      { "prefix": "/rejected", "upstream": "${world.api.url}", "credential": "rejected" },
      { "prefix": "/nobody", "upstream": "${nobody}", "credential": "static" },`
    )
  const dir = t.testdir({ 'countersign.jsonc': config })
  const file = `${dir}/countersign.jsonc`
  const env = { ...secrets, HTTPS_PROXY: `http://user:${secrets.PROXY_PASSWORD}@127.0.0.1:1`, COUNTERSIGN_LOG_LEVEL: 'trace' }
  const daemon = startDaemon(['serve', '-c', file], { env })
  t.teardown(async () => {
    daemon.kill('SIGKILL')
    await daemon.exit
    await world.close()
  })
  const { address, admin } = await daemon.line('listening')
  const said: Record<string, string> = {}

  const headers = {
    'X-Countersign-Token': secrets.CALLER,
    Authorization: `Bearer ${sent.AUTHORIZATION}`,
    Cookie: `c=${sent.COOKIE}`,
    'Content-Type': 'application/json'
  }
  const body = JSON.stringify({ secret: sent.BODY })
  for (const path of [
    '/a/txs',
    '/b/txs',
    '/orders/1',
    '/static/x',
    '/basic/ok',
    '/basic/no',
    '/oauth/x',
    '/rejected/x',
    '/nobody/x',
    '/none',
    '/a/%zz',
    '/a/../b',
    '//x',
    '/a/status/401',
    '/a/status/500'
  ]) {
    for (const method of ['GET', 'POST']) {
      const response = await call(address, `${path}?secret=${sent.QUERY}`, { method, headers, ...(method === 'POST' && { body }) })
      // What the API of this test answers is `{}`; all else is said by the proxy.
      if (response.headers['proxy-status'] !== undefined) said[`${method} ${path}`] = JSON.stringify(response.headers) + response.body
    }
  }
  said['without a caller token'] = (await call(address, '/a/x')).body
  said['with another one'] = (await call(address, '/a/x', { headers: { 'X-Countersign-Token': sent.AUTHORIZATION } })).body
  const port = Number(String(address).split(':').at(-1))
  for (const start of [
    `GET http://user:${sent.USERINFO}@127.0.0.1:${port}/a HTTP/1.1`,
    `GET //user:${sent.USERINFO}@h/a HTTP/1.1`,
    `CONNECT user:${sent.USERINFO}@h:1 HTTP/1.1`,
    `GET /a?${sent.QUERY} HTTP/1.1`
  ]) {
    const client = await connectRaw(port)
    client.send(message(start, ['Host: nobody.example', 'Connection: close', `Authorization: ${sent.AUTHORIZATION}`]))
    said[start] = (await client.rest()).toString('latin1')
    client.destroy()
  }

  const args = ['-c', file]
  for (const path of ['/status', '/metrics', '/ready', '/startup', '/live', '/']) said[path] = (await call(admin, path)).body
  t.match(said['/status'], /"rejected".*NotAuthorizedException/, 'the refusal is told, without the password')
  for (const command of [
    ['check'],
    ['status', '--admin', String(admin)],
    ['status', '--json', '--admin', String(admin)],
    ['explain', 'GET', '/static/x?a=1', '-H', 'Authorization: x'],
    ['explain', 'POST', '/basic/ok'],
    ['explain', 'GET', '/a/x'],
    ['explain', 'GET', '/../x'],
    ['healthcheck', '--admin', String(admin)]
  ]) {
    const { stdout, stderr } = await runCommand([...command, ...args], { env })
    t.ok(stdout.length + stderr.length > 0 || command[0] === 'healthcheck', command.join(' '))
    said[command.join(' ')] = stdout + stderr
  }
  for (const broken of [
    config.replace('"callerToken"', '"callerTokken"'),
    config.replace('"value": "${STATIC}"', '"value": ["${STATIC}"]'),
    config.replace('"clientId": "client"', '"clientId": " ${OAUTH_SECRET}\\n"'),
    config.replace(/"upstream": "[^"]*"/, '"upstream": "ftp://${STATIC}/"'),
    config.replaceAll('/basic', '${BASIC_PASSWORD}'),
    config.replaceAll('"GET /ok"', '"${STATIC}"'),
    config.slice(0, -5)
  ]) {
    const { status, stderr } = await runCommand(['check', '-c', `${t.testdir({ 'broken.jsonc': broken })}/broken.jsonc`], { env })
    t.equal(status, 78)
    said[`check of a broken file: ${stderr}`] = stderr
  }
  if (process.platform === 'linux') {
    said['the process list'] = readFileSync(`/proc/${daemon.pid}/cmdline`, 'latin1') + readFileSync(`/proc/${daemon.pid}/comm`, 'latin1')
  }
  daemon.kill('SIGTERM')
  t.equal(await daemon.exit, 0)
  said['stdout'] = daemon.stdout()
  said['stderr'] = daemon.stderr()

  t.ok(Object.keys(said).length > 30, `${Object.keys(said).length} things were said`)
  for (const [what, text] of Object.entries(said)) {
    t.same(tracesOf(text, { ...secrets, ...sent }), [], what.slice(0, 80))
    t.notMatch(text, /eyJ[\w-]{10,}/, 'nor a token')
    t.notMatch(text, /^\s+at .*\(/m, 'nor a stack')
  }
})

t.test('the search finds what it is to find', async (t) => {
  const secret = 'p+/&"ssword-0123456789'
  for (const text of [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret),
    Buffer.from(secret).toString('base64'),
    Buffer.from(`xx${secret}`).toString('base64url'),
    Buffer.from(secret).toString('hex'),
    secret.slice(3, 14)
  ]) {
    t.same(tracesOf(`before ${text} after`, { one: secret, other: 'somethingelse' }), ['one'], text)
  }
})
