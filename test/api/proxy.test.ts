import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { ConfigError, createProxy, ListenError, Secret, TokenError, type ConfigInput, type Proxy, type ProxyOptions } from '#src/index.ts'
import { loadConfig } from '#src/config/load.ts'
import { startApi, type RecordingApi } from '../helpers/api.ts'
import { CLIENT_ID, POOL_ID, startEmulator, USER } from '../helpers/cognito.ts'
import { startForwardProxy } from '../helpers/forward-proxy.ts'

/** Without a configuration to be found. */
const ANYWHERE = { listen: '127.0.0.1:0', admin: 'off', env: {}, cwd: t.testdir({}) } as const

async function startUpstream (t: Test): Promise<RecordingApi> {
  const api = await startApi()
  t.teardown(() => api.close())
  return api
}

function make (t: Test, options: ProxyOptions): Proxy {
  const proxy = createProxy({ ...ANYWHERE, ...options })
  t.teardown(() => proxy.stop())
  return proxy
}

function staticRoute (upstream: string, value: string | Secret = 'k-1'): ConfigInput {
  return { credentials: { maps: { type: 'static', value } }, routes: [{ prefix: '/maps', upstream, credential: 'maps' }] }
}

function problemsOf (make: () => unknown): string[] {
  try {
    make()
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.filter(({ severity }) => severity === 'error').map(({ path = '', message }) => `${path}: ${message}`)
  }
}

t.test('a configuration file', async (t) => {
  const api = await startUpstream(t)
  const text = (key: string): string => JSON.stringify(staticRoute(api.url, `\${${key}}`))
  const cwd = t.testdir({ 'countersign.jsonc': `// mine\n${text('A')}`, 'secrets.env': 'B=from-the-file\n' })
  const env = { A: 'from-the-environment' }
  const proxy = make(t, { configFile: 'countersign.jsonc', secretsFile: 'secrets.env', cwd, env })
  for (const read of [() => proxy.url, () => proxy.address, () => proxy.admin, () => proxy.routes, () => proxy.status()]) {
    t.throws(read, /not started/)
  }
  await proxy.start()
  await proxy.start()
  await proxy.whenReady()
  t.match(proxy.url, /^http:\/\/127\.0\.0\.1:\d+$/)
  t.match(proxy.address, { type: 'tcp', host: '127.0.0.1' })
  t.equal(proxy.admin, 'off')
  t.same(proxy.routes, [])
  await fetch(`${proxy.url}/maps/1`)
  t.match(api.seen.at(-1), { url: '/1', headers: { authorization: 'Bearer from-the-environment' } })
  t.match(proxy.status(), {
    ready: true, reload: null, credentials: [{ name: 'maps', type: 'static' }], routes: [{ prefix: '/maps', schemes: ['http bearer'] }]
  })
  t.same(env, { A: 'from-the-environment' }, 'the environment is left alone')

  writeFileSync(`${cwd}/countersign.jsonc`, text('B'))
  t.equal(await proxy.reload(), true)
  await fetch(`${proxy.url}/maps/2`)
  t.equal(api.seen.at(-1)?.headers.authorization, 'Bearer from-the-file')
  writeFileSync(`${cwd}/countersign.jsonc`, text('C'))
  await t.rejects(proxy.reload(), ConfigError)
  await fetch(`${proxy.url}/maps/3`)
  t.equal(api.seen.at(-1)?.headers.authorization, 'Bearer from-the-file', 'the old one serves on')
  t.equal(proxy.status().reload?.outcome, 'invalid')
  await t.rejects(proxy.reload({}), TypeError)
  await proxy.stop()
  await proxy.stop()
  await t.rejects(fetch(proxy.url))
  await t.rejects(proxy.start(), /stopped/)
})

t.test('a configuration object has the problems of the file, all at once', async (t) => {
  const bad = {
    listn: 1,
    credentials: { 'a b': { type: 'static', value: 'x' }, c: { type: 'oauth1' }, d: { type: 'cognito', userPoolId: 'CANARY' } },
    routes: [{ prefix: 'x', upstream: 'http://api.example.com', credential: 'nobody' }],
    limits: { requests: 0 }
  }
  const fromObject = problemsOf(() => createProxy({ config: bad as unknown as ConfigInput, ...ANYWHERE }))
  const cwd = t.testdir({ 'countersign.jsonc': JSON.stringify(bad) })
  const loaded = loadConfig({ env: {}, cwd, options: { config: 'countersign.jsonc' } })
  const fromFile = loaded.ok ? [] : loaded.problems.filter(({ severity }) => severity === 'error').map(({ path = '', message }) => `${path}: ${message}`)
  t.ok(fromFile.length > 6, String(fromFile))
  t.same([...fromObject].sort(), [...fromFile].sort())
  try {
    createProxy({ config: bad as unknown as ConfigInput, ...ANYWHERE })
  } catch (error) {
    t.match(error, { name: 'ConfigError', message: /configuration {2}routes\[0\]\.prefix {2}is no prefix/ })
    t.notMatch(String(error), /CANARY/)
  }
  for (const nothing of [null, [], 'x', 1]) t.equal(problemsOf(() => make(t, { config: nothing as ConfigInput })).length > 0, true)
  const circle: Record<string, unknown> = {}
  circle['limits'] = circle
  t.match(problemsOf(() => make(t, { config: circle as ConfigInput })).join('\n'), /nested deeper than 64 levels/)
  t.throws(() => createProxy({ config: {}, configFile: 'x' }), TypeError)
})

t.test('in an object, ${NAME} is a secret as in the file, a Secret is taken as it is, and undefined is nothing', async (t) => {
  const api = await startUpstream(t)
  const values: Array<[value: string | Secret, sent: string]> = [
    ['${MAPS_KEY}', 'from-env'], ['plain', 'plain'], [new Secret('${MAPS_KEY}'), '${MAPS_KEY}'], [new Secret('\\${'), '\\${']
  ]
  const proxy = make(t, { config: { routes: [], callerToken: undefined }, env: { MAPS_KEY: 'from-env' } })
  await proxy.start()
  for (const [value, sent] of values) {
    t.equal(await proxy.reload(staticRoute(api.url, value)), true)
    await fetch(`${proxy.url}/maps/1`)
    t.equal(api.seen.at(-1)?.headers.authorization, `Bearer ${sent}`)
  }
  await Promise.all([t.rejects(proxy.reload({ routes: [{}] })), proxy.reload(staticRoute(api.url, 'last'))])
  t.equal(await proxy.reload(), true)
  await fetch(`${proxy.url}/maps/1`)
  t.equal(api.seen.at(-1)?.headers.authorization, 'Bearer last', 'of two at a time the good one stays')
  await t.rejects(proxy.reload(staticRoute(api.url, '${OTHER}')), /credentials\.maps\.value {2}secret OTHER is not set/)
  t.equal(await proxy.reload(), true, 'the last good object is what counts')
})

t.test('a credential of a program\'s own', async (t) => {
  const api = await startUpstream(t)
  let count = 0
  const source = { token: async () => ({ value: `own-${++count}` }), lastUse: 0 }
  const config = (one: { token: () => Promise<{ value: string }> }): ConfigInput => ({
    credentials: { mine: { type: 'custom', source: one } },
    routes: [{ prefix: '/', upstream: api.url, credential: 'mine' }]
  })
  const proxy = make(t, { config: config(source) })
  await proxy.start()
  const sent = async (): Promise<string | undefined> => {
    await fetch(proxy.url)
    return api.seen.at(-1)?.headers.authorization
  }
  t.equal(await sent(), 'Bearer own-1')
  t.match(proxy.status().credentials, [{ name: 'mine', type: 'custom', state: 'fresh', logins: 1 }])
  source.lastUse = 1
  t.equal(await proxy.reload(config(source)), true)
  t.equal(await sent(), 'Bearer own-1', 'the same source keeps its token')
  t.equal(await proxy.reload(config({ token: source.token })), true)
  t.equal(await sent(), 'Bearer own-2', 'another one has another')

  t.match(problemsOf(() => make(t, { config: { credentials: { mine: { type: 'custom', source: {} as never } } } })), [
    /^credentials\.mine\.source: must be an object with a function token/
  ])
  const cwd = t.testdir({ 'countersign.jsonc': '{ "credentials": { "mine": { "type": "custom", "source": {} } } }' })
  t.match(problemsOf(() => createProxy({ ...ANYWHERE, configFile: 'countersign.jsonc', cwd })), [
    /^credentials\.mine\.type: must be one of "cognito", "defender-relayer", "defender-admin", "oauth2", "static"/
  ])
})

t.test('a login goes by the forward proxies of the environment that it is given', async (t) => {
  const emulator = await startEmulator(t)
  const { username, password } = USER
  const cognito = { type: 'cognito', userPoolId: POOL_ID, clientId: CLIENT_ID, username, password } as const
  const forward = await startForwardProxy(t)
  const config: ConfigInput = {
    credentials: { orders: { ...cognito, endpoint: 'http://id.example.test', allowInsecureEndpoint: true } },
    routes: [{ prefix: '/', upstream: emulator.url, credential: 'orders' }]
  }
  const proxy = make(t, { config, env: { HTTP_PROXY: forward.url } })
  await proxy.start()
  t.equal((await fetch(proxy.url)).status, 503)
  t.ok(forward.targets.some((target) => target.includes('id.example.test')), String(forward.targets))
})

t.test('its log is quiet, or another\'s; and an address that is taken says so', async (t) => {
  const api = await startUpstream(t)
  const lines: Array<[level: string, fields: object, sentence: string]> = []
  const take = (level: string) => (fields: object, sentence: string): void => { lines.push([level, fields, sentence]) }
  const proxy = make(t, { config: staticRoute(api.url), log: { info: take('info'), warn: take('warn'), error: take('error') } })
  await proxy.start()
  await fetch(`${proxy.url}/maps`)
  await proxy.stop()
  t.match(lines.find(([, , sentence]) => sentence === 'listening'), ['info', { address: proxy.url.slice(7), admin: 'off' }, 'listening'])
  t.match(lines.find(([, , sentence]) => sentence === 'request'), ['info', { method: 'GET', route: '/maps', status: 200 }, 'request'])

  const first = make(t, { config: staticRoute(api.url) })
  await first.start()
  const second = make(t, { config: staticRoute(api.url), listen: first.url.slice(7) })
  await t.rejects(second.start(), ListenError)
  t.throws(() => second.url, /not started/)
  await first.stop()
  await second.start()
  t.equal((await fetch(`${second.url}/maps`)).status, 200, 'it starts once the address is free')
})

t.test('an object that holds itself is a problem, however often it does', async (t) => {
  const ring: Record<string, unknown> = {}
  for (const name of ['a', 'b', 'c']) ring[name] = ring
  const list: unknown[] = []
  list.push(list, list)
  const shared = { colour: 'red' }
  t.match(problemsOf(() => createProxy({ ...ANYWHERE, config: ring as ConfigInput })), [/in itself/])
  t.match(problemsOf(() => createProxy({ ...ANYWHERE, config: { routes: list } as unknown as ConfigInput })), [/in itself/])
  const twice = problemsOf(() => createProxy({ ...ANYWHERE, config: { one: shared, two: shared } as unknown as ConfigInput }))
  t.notMatch(twice.join(), /in itself/, 'to stand in two places is none')
})

t.test('a function or a symbol under a key that nobody knows is a problem like any other, and is not shown', async (t) => {
  for (const value of [() => 'CANARY', Symbol('CANARY'), new Secret('CANARY')]) {
    const config = { ...staticRoute('https://api.example.com'), colour: value } as ConfigInput
    const problems = problemsOf(() => createProxy({ ...ANYWHERE, config }))
    t.match(problems, [/^colour: unknown key/])
    const route = { prefix: '/a', upstream: 'https://api.example.com', colour: value }
    const inRoute = { routes: [route] } as unknown as ConfigInput
    t.match(problemsOf(() => createProxy({ ...ANYWHERE, config: inRoute })), [/^routes\[0\]\.colour: unknown key/])
    t.notMatch(problems.join(), 'CANARY')
  }
})

t.test('of several reloads at once the last one stays', async (t) => {
  const api = await startUpstream(t)
  const proxy = make(t, { config: staticRoute(api.url, 'k-1') })
  await proxy.start()
  t.same(await Promise.all([
    proxy.reload(staticRoute(api.url, 'k-2')), proxy.reload(staticRoute(api.url, 'k-3')), proxy.reload()
  ]), [true, true, true])
  await fetch(`${proxy.url}/maps/1`)
  t.match(api.seen.at(-1), { headers: { authorization: 'Bearer k-3' } })
})

t.test('a failure of a class that there is none of is transient, and everything goes on telling', async (t) => {
  for (const name of ['rejected', 'toString']) {
    const source = { token: async () => { throw new TokenError(name as 'transient', 'Odd', 'An odd failure.') } }
    const credentials: ConfigInput['credentials'] = { own: { type: 'custom', source } }
    const proxy = make(t, { config: { credentials, routes: [{ prefix: '/', upstream: 'https://a.example', credential: 'own' }] } })
    await proxy.start()
    const response = await fetch(`${proxy.url}/`)
    t.match([response.status, await response.json()], [503, { code: 'CS_TOKEN_UNAVAILABLE' }])
    t.match(proxy.status().credentials, [{ state: 'pending', lastError: { code: 'Odd' } }])
  }
})

t.test('a log whose calls reject harms nobody', async (t) => {
  const api = await startUpstream(t)
  let lines = 0
  const reject = async (): Promise<void> => {
    lines++
    throw new Error('the disk is full')
  }
  const proxy = make(t, { config: staticRoute(api.url), log: { info: reject, warn: reject, error: reject } })
  await proxy.start()
  t.equal((await fetch(`${proxy.url}/maps/1`)).status, 200)
  await proxy.stop()
  t.ok(lines > 0)
})
