import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import { formatProblem, loadConfig } from '#src/config/load.ts'
import { configOf, linesOf, load, loadFile } from './load-fixture.ts'

const RELAYER = { RELAYER_API_KEY: 'key', RELAYER_API_SECRET: 'secret' }
const COGNITO = {
  COUNTERSIGN_UPSTREAM: 'https://api.example.com/v1/',
  COGNITO_USER_POOL_ID: 'eu-west-1_AbC',
  COGNITO_CLIENT_ID: 'client',
  COGNITO_USERNAME: 'user',
  COGNITO_PASSWORD: 'pass'
}
const MINIMAL = { routes: [{ prefix: '/', upstream: 'https://x.example' }] }

t.test('the Defender Relayer variables make a credential and a route, without a file', async (t) => {
  const config = configOf(load(t, { env: RELAYER }))
  const credential = config.credentials.get('relayer')
  t.match(credential, {
    type: 'defender-relayer',
    userPoolId: 'us-west-2_iLmIggsiy',
    clientId: '1bpd19lcr33qvg5cr3oi79rdap',
    tokenUse: 'access',
    authFlow: 'srp',
    endpoint: 'https://cognito-idp.us-west-2.amazonaws.com'
  })
  if (credential?.type !== 'defender-relayer') return
  t.equal(credential.username.reveal(), 'key')
  t.equal(credential.password.reveal(), 'secret')
  t.match(config.routes, [
    {
      prefix: '/relayer',
      upstream: 'https://api.defender.openzeppelin.com',
      credential: 'relayer',
      timeoutMs: 60_000,
      idleTimeoutMs: 300_000
    }
  ])
  const [first, second] = config.routes[0]?.bindings ?? []
  t.match(first, { scheme: { type: 'apiKey', in: 'header', name: 'X-Api-Key' }, value: { type: 'fixed', credential: 'relayer' } })
  t.equal(first?.value.type === 'fixed' && first.value.value.reveal(), 'key')
  t.same(second, { scheme: { type: 'http', scheme: 'bearer' }, value: { type: 'token', credential: 'relayer' } })
})

t.test('defaults are those of the contract', async (t) => {
  const {
    listen,
    admin,
    allowExternal,
    allowedHosts,
    allowedOrigins,
    accessLog,
    shutdownTimeoutMs,
    limits,
    logins,
    logLevel,
    callerToken
  } = configOf(loadFile(t, MINIMAL))
  t.same(
    { listen, admin, allowExternal, allowedHosts, allowedOrigins, accessLog, shutdownTimeoutMs, limits, logins, logLevel, callerToken },
    {
      listen: { type: 'tcp', host: '127.0.0.1', port: 8080 },
      admin: { type: 'tcp', host: '127.0.0.1', port: 8081 },
      allowExternal: false,
      allowedHosts: [],
      allowedOrigins: [],
      accessLog: 1,
      shutdownTimeoutMs: 30_000,
      limits: { connections: 10_000, requests: 2000, headerBytes: 32_768 },
      logins: { concurrency: 4, perSecond: 20 },
      logLevel: 'info',
      callerToken: undefined
    }
  )
})

t.test('several sets of variables combine', async (t) => {
  const config = configOf(
    load(t, {
      env: {
        ...RELAYER,
        ADMIN_API_KEY: 'a',
        ADMIN_API_SECRET: 'b',
        ...COGNITO,
        COGNITO_CLIENT_SECRET: 'shh',
        COGNITO_ENDPOINT: 'http://127.0.0.1:9229'
      }
    })
  )
  t.same([...config.credentials.keys()], ['relayer', 'admin', 'default'])
  t.same(config.routes.map(({ prefix, upstream }) => [prefix, upstream]), [
    ['/relayer', 'https://api.defender.openzeppelin.com'],
    ['/admin', 'https://defender-api.openzeppelin.com'],
    ['/', 'https://api.example.com/v1']
  ])
  const cognito = config.credentials.get('default')
  t.match(cognito, { type: 'cognito', userPoolId: 'eu-west-1_AbC', endpoint: 'http://127.0.0.1:9229' })
  t.ok(cognito?.type === 'cognito' && cognito.clientSecret?.equals('shh'))
})

t.test('secrets of the sets may come from files and from the secrets file', async (t) => {
  const result = load(t, {
    files: { key: 'from-file\n', 's.env': 'RELAYER_API_SECRET=from-secrets\n' },
    env: { RELAYER_API_KEY_FILE: 'key' }
  })
  const credential = configOf(result).credentials.get('relayer')
  t.ok(credential?.type === 'defender-relayer' && credential.username.equals('from-file') && credential.password.equals('from-secrets'))
  t.same(result.files.map((file) => file.split('/').at(-1)), ['s.env', 'key'])
})

t.test('an incomplete set names the variables that are missing', async (t) => {
  t.same(linesOf(load(t, { env: { RELAYER_API_KEY: 'x', COGNITO_USERNAME: 'u', COGNITO_CLIENT_ID: 'c' } })), [
    'RELAYER_API_SECRET  is not set, though RELAYER_API_KEY is; set it (or RELAYER_API_SECRET_FILE), or remove the other variables of the set',
    ...['COGNITO_USER_POOL_ID', 'COGNITO_PASSWORD', 'COUNTERSIGN_UPSTREAM'].map(
      (name) => `${name}  is not set, though COGNITO_CLIENT_ID is; set it (or ${name}_FILE), or remove the other variables of the set`
    )
  ])
})

t.test('a malformed variable of a set is named, its value is not shown', async (t) => {
  const lines = linesOf(
    load(t, {
      env: {
        RELAYER_API_KEY: 'CANARY\r\nX-Evil: 1',
        RELAYER_API_SECRET: ' ',
        ...COGNITO,
        COUNTERSIGN_UPSTREAM: 'http://CANARY.example',
        COGNITO_USER_POOL_ID: 'CANARY',
        COGNITO_CLIENT_ID: 'CANARY x',
        COGNITO_ENDPOINT: 'ftp://CANARY'
      }
    })
  )
  t.same(lines.map((line) => line.split('  ')[0]).sort(), [
    'COGNITO_CLIENT_ID',
    'COGNITO_ENDPOINT',
    'COGNITO_USER_POOL_ID',
    'COUNTERSIGN_UPSTREAM',
    'RELAYER_API_KEY',
    'RELAYER_API_SECRET'
  ])
  t.match(lines.find((line) => line.startsWith('RELAYER_API_KEY')), /holds a line break or NUL, which no header can carry; remove it/)
  t.notMatch(lines.join('\n'), /CANARY/)
})

t.test('with neither file nor variables the message shows the three ways to start', async (t) => {
  const [line = '', ...rest] = linesOf(load(t, {}))
  t.same(rest, [])
  for (const way of ['RELAYER_API_KEY', 'COUNTERSIGN_UPSTREAM', 'config/countersign.jsonc', 'countersign demo']) {
    t.ok(line.includes(way), way)
  }
  t.equal(linesOf(load(t, { env: { COUNTERSIGN_LOG_LEVEL: 'loud' } })).length, 2, 'beside other problems too')
})

t.test('the file: command line, else environment, else config/countersign.jsonc where it exists', async (t) => {
  const file = (prefix: string): string => JSON.stringify({ routes: [{ prefix, upstream: 'https://x.example' }] })
  const files = { 'a.jsonc': file('/a'), 'b.jsonc': file('/b'), config: { 'countersign.jsonc': file('/c') } }
  const cwd = t.testdir(files)
  const prefix = (env: NodeJS.ProcessEnv, config?: string): unknown =>
    configOf(loadConfig({ env, cwd, options: { config } })).routes[0]?.prefix
  t.equal(prefix({ COUNTERSIGN_CONFIG: 'b.jsonc' }, 'a.jsonc'), '/a')
  t.equal(prefix({ COUNTERSIGN_CONFIG: join(cwd, 'b.jsonc') }), '/b')
  t.equal(prefix(RELAYER), '/c', 'and the variables are only secrets then')
})

t.test('the secrets: command line, else environment, else config/secrets.env where it exists', async (t) => {
  const cwd = t.testdir({
    'c.jsonc': JSON.stringify({
      credentials: { a: { type: 'static', value: '${NAME}' } },
      routes: [{ prefix: '/', upstream: 'https://x', credential: 'a' }]
    }),
    'a.env': 'NAME=a',
    'b.env': 'NAME=b',
    config: { 'secrets.env': 'NAME=c' }
  })
  const value = (env: NodeJS.ProcessEnv, secrets?: string): unknown => {
    const credential = configOf(loadConfig({ env, cwd, options: { config: 'c.jsonc', secrets } })).credentials.get('a')
    return credential?.type === 'static' && credential.value.reveal()
  }
  t.equal(value({ COUNTERSIGN_SECRETS: 'b.env' }, 'a.env'), 'a')
  t.equal(value({ COUNTERSIGN_SECRETS: 'b.env' }), 'b')
  t.equal(value({}), 'c')
  t.equal(value({ NAME: 'd' }), 'd')
})

t.test('a file that was named and cannot be read is an error; a variable\'s path is not shown', async (t) => {
  const cwd = t.testdir({ folder: {}, 'utf16.jsonc': Buffer.from('\uFEFF{}', 'utf16le') })
  const lines = (env: NodeJS.ProcessEnv, options: object = {}): string[] =>
    linesOf(loadConfig({ env: { ...RELAYER, ...env }, cwd, options }))
  t.same(lines({}, { config: 'gone.jsonc' }), ['gone.jsonc  this file does not exist; correct the path (--config) or remove it'])
  t.same(lines({}, { config: 'folder' }), ['folder  this file is a directory; correct the path (--config) or remove it'])
  t.same(lines({}, { config: 'utf16.jsonc' }), ['utf16.jsonc  this file is not UTF-8; correct the path (--config) or remove it'])
  t.same(lines({}, { config: '' }), ['--config  is empty; name a file'])
  t.same(lines({}, { secrets: 'gone.env' }), ['gone.env  this file does not exist; correct the path (--secrets) or remove it'])
  t.same(lines({ COUNTERSIGN_CONFIG: 'CANARY' }), [
    'COUNTERSIGN_CONFIG  the file that it names does not exist; correct the path or the file'
  ])
  t.same(lines({ COUNTERSIGN_SECRETS: 'folder' }), [
    'COUNTERSIGN_SECRETS  the file that it names is a directory; correct the path or the file'
  ])
  t.same(lines({ COUNTERSIGN_CONFIG: '' }), ['COUNTERSIGN_CONFIG  is empty; set it to a value, or remove the variable'])
  t.match(linesOf(loadConfig({ env: {}, cwd: t.testdir({ config: { 'countersign.jsonc': {} } }), options: {} })), [
    /^config\/countersign\.jsonc {2}this file is a directory;/
  ])
})

t.test('a file that this user may not read is an error', { skip: process.getuid?.() === 0 || process.platform === 'win32' }, async (t) => {
  const cwd = t.testdir({ 'c.jsonc': '{}' })
  chmodSync(join(cwd, 'c.jsonc'), 0)
  t.match(linesOf(loadConfig({ env: {}, cwd, options: { config: 'c.jsonc' } })), [/may not be read by this user/])
})

t.test('every error has its FILE:LINE:COLUMN and path, all of them at once, from the top', async (t) => {
  const file = `{
  // a comment
  "listen": "nonsense",
  "colour": "red",
  "credentials": {
    "a b": { "type": "static", "value": "x" },
    "maps": { "type": "static", "value": "\${MISSING}" },
    "orders": { "type": "cognito", "userPoolId": "wrong", "clientId": "\${MISSING}", "username": "u" },
  },
  "routes": [
    { "prefix": "orders", "upstream": "http://api.example.com", "credential": "nobody" },
    { "prefix": "/maps", "upstream": "https://maps.example", "credential": "maps", "credential": "maps" },
    { "prefix": "/maps", "upstream": "https://\${ MISSING }", "timeoutMs": "60s" },
  ]
}`
  const lines = linesOf(load(t, { files: { 'c.jsonc': file.replaceAll('\n', '\r\n') }, env: { COUNTERSIGN_LOG_LEVEL: 'loud' } }))
  t.same(lines, [
    'COUNTERSIGN_LOG_LEVEL  is no log level; use one of fatal, error, warn, info, debug, trace, silent',
    'c.jsonc:3:13  listen  is no address; write 127.0.0.1:8080, [::1]:8080, localhost:8080 or unix:/path/to.sock',
    'c.jsonc:4:3  colour  unknown key; remove it, or write one of "$schema", "listen", "admin", "allowExternal", "allowedHosts", "allowedOrigins", "callerToken", "credentials", "routes", "ois", "apiCredentials", "accessLog", "shutdownTimeoutMs", "limits", "logins", "tokenCache"',
    'c.jsonc:6:5  credentials["a b"]  is no name of a credential; use letters, digits, _ . and -, a letter or digit first, at most 64',
    'c.jsonc:7:42  credentials.maps.value  secret MISSING is not set; set MISSING or MISSING_FILE in the environment, or MISSING in the secrets file (used too by credentials.orders.clientId at 8:71)',
    'c.jsonc:8:15  credentials.orders.password  is missing; add it, a string',
    'c.jsonc:11:17  routes[0].prefix  is no prefix; write / or /name (letters, digits, -, ., _ and ~; no slash at the end)',
    'c.jsonc:11:39  routes[0].upstream  is http: to another machine, which sends credentials in the clear; use https:, or set allowInsecureUpstream to true in the configuration file',
    'c.jsonc:11:79  routes[0].credential  names no credential; write one of "a b", "maps", "orders", or add it to credentials',
    'c.jsonc:12:84  routes[1].credential  duplicate key, the first is at 12:62; keep one of them',
    'c.jsonc:13:38  routes[2].upstream  ${ … } holds white space; write ${MISSING}',
    'c.jsonc:13:75  routes[2].timeoutMs  must be a number; correct it'
  ])
})

t.test('a syntax error has its place, and what variables say is checked beside it', async (t) => {
  const result = load(t, {
    files: { 'c.jsonc': '{\n  "routes": [\n}' },
    env: { COUNTERSIGN_LISTEN: '0.0.0.0:80' },
    options: { admin: 'x' }
  })
  t.match(linesOf(result), [/^--admin {2}is no address;/, /^c\.jsonc:3:1 {2}/])
  t.equal(linesOf(result).length, 2, 'the file might have allowed the external address')
})

t.test('a secret goes anywhere that a string goes, byte for byte', async (t) => {
  const secret = '"quotes" \\ $& ${NAME} #\t\n€'
  const config = configOf(loadFile(t, {
    credentials: { a: { type: 'cognito', userPoolId: '${POOL}', clientId: 'c${ID}', username: '${NAME}', password: 'p${NAME}\\${NAME}' } },
    routes: [{ prefix: '/', upstream: 'https://${HOST}/v3/${ID}', credential: 'a' }]
  }, { NAME: secret, POOL: 'eu-west-1_x', ID: '42', HOST: 'x.example' }))
  const credential = config.credentials.get('a')
  t.match(credential, { userPoolId: 'eu-west-1_x', clientId: 'c42' })
  t.equal(credential?.type === 'cognito' && credential.username.reveal(), secret)
  t.equal(credential?.type === 'cognito' && credential.password.reveal(), `p${secret}\${NAME}`)
  t.match(config.routes, [{ upstream: 'https://x.example/v3/42', upstreamLabel: 'https://${HOST}/v3/${ID}' }])
})

t.test('no error shows a value: a canary in every field, as literal, as secret and in the place of another type', async (t) => {
  const good = {
    $schema: 's',
    listen: '127.0.0.1:0',
    admin: 'off',
    allowExternal: false,
    allowedHosts: ['h'],
    allowedOrigins: ['https://o'],
    callerToken: 'a token of some length',
    credentials: {
      a: { type: 'static', value: 'x' },
      b: { type: 'static', username: 'u', password: 'p' },
      c: {
        type: 'cognito',
        userPoolId: 'r_1',
        clientId: 'c',
        username: 'u',
        password: 'p',
        clientSecret: 's',
        tokenUse: 'id',
        authFlow: 'srp',
        endpoint: 'https://e',
        allowInsecureEndpoint: false
      },
      d: { type: 'defender-admin', apiKey: 'k', apiSecret: 's' },
      e: {
        type: 'oauth2',
        tokenUrl: 'https://t',
        clientId: 'c',
        clientSecret: 's',
        scope: 's',
        audience: 'a',
        resource: 'r:',
        clientAuth: 'post',
        extra: { a: 'b' },
        allowInsecureEndpoint: false
      }
    },
    routes: [
      {
        prefix: '/',
        upstream: 'https://x',
        credential: 'a',
        allow: ['GET /'],
        timeoutMs: 1,
        idleTimeoutMs: 1,
        maxBodyBytes: 1,
        websocket: true,
        allowInsecureUpstream: false,
        inject: [
          { type: 'apiKey', in: 'query', name: 'n', use: 'value', credential: 'a', postQuery: 'url' },
          { type: 'http', scheme: 'basic', credential: 'b' }
        ]
      },
      { prefix: '/c', upstream: 'https://x', credential: 'c' },
      { prefix: '/d', credential: 'd' },
      { prefix: '/e', upstream: 'https://x', credential: 'e' },
      {
        prefix: '/o',
        ois: 'O',
        allow: 'ois',
        postQuery: 'url',
        relay: { relayChainId: '1', relayRequesterAddress: { header: 'x' }, relayRequestId: { generate: true } }
      }
    ],
    ois: [
      {
        title: 'O',
        oisFormat: '1.0.0',
        apiSpecifications: {
          servers: [{ url: 'https://o' }],
          components: {
            securitySchemes: {
              k: { type: 'apiKey', in: 'query', name: 'k' },
              b: { type: 'http', scheme: 'basic' },
              h: { type: 'apiKey', in: 'header', name: 'h' },
              c: { type: 'relayChainId', in: 'cookie', name: 'c' },
              r: { type: 'relayRequesterAddress', in: 'header', name: 'r' },
              i: { type: 'relayRequestId', in: 'header', name: 'i' }
            }
          },
          security: { k: [], b: [], h: [], c: [], r: [], i: [] },
          paths: { '/x': { get: {} } }
        }
      }
    ],
    apiCredentials: [
      { oisTitle: 'O', securitySchemeName: 'k', securitySchemeValue: 'v' },
      { oisTitle: 'O', securitySchemeName: 'b', securitySchemeValue: 'dTpw' },
      { oisTitle: 'O', securitySchemeName: 'h', credential: 'a' }
    ],
    accessLog: { sample: 1 },
    shutdownTimeoutMs: 1,
    limits: { connections: 1, requests: 1, headerBytes: 1 },
    logins: { concurrency: 1, perSecond: 1 }
  }
  t.same(linesOf(loadFile(t, good)), [])
  const leaves: Array<Array<string | number>> = []
  const walk = (value: unknown, path: Array<string | number>): void => {
    if (typeof value !== 'object' || value === null) leaves.push(path)
    else for (const [key, inner] of Object.entries(value)) walk(inner, [...path, key])
  }
  walk(good, [])
  t.ok(leaves.length > 90)
  const canaries = [
    'CANARY',
    'CANARY\r\nX-Evil: 1',
    'Bearer CANARY',
    'Basic CANARY:x',
    ' CANARY:\u20ac',
    'https://u:CANARY@x/?CANARY',
    'http://CANARY.example/..',
    '/CANARY/',
    '*CANARY',
    '${canary}',
    '${ CANARY-1 }',
    '${CANARY'
  ]
  // A title that is written out is no secret, and messages name an OIS by it.
  const isTitle = (path: ReadonlyArray<string | number>): boolean => path[0] === 'ois' && path[2] === 'title'
  const result = leaves.flatMap((path) =>
    canaries.flatMap((canary, index) =>
      [isTitle(path) ? 1 : canary, '${NAME}', ...(index === 0 ? [{ CANARY_VALUE: canary }, [canary]] : [])].map((replacement) => {
        const copy = structuredClone(good)
        const owner = path.slice(0, -1).reduce<unknown>((value, key) => Reflect.get(value as object, key), copy)
        Reflect.set(owner as object, path.at(-1) ?? '', replacement)
        return loadFile(t, copy, { NAME: canary })
      })
    )
  )
  const leaks = result.flatMap(linesOf).map((line) => line.replaceAll('CANARY_VALUE', '')).filter((line) => /canary/i.test(line))
  t.same(leaks, [])
  const seen = result
    .flatMap((one) => (one.ok ? [inspect(one.config.credentials, { depth: 9 })] : []))
    .filter((text) => /canary/i.test(text.replace(/(?:userPoolId|clientId|endpoint|tokenUrl|scope|audience|resource|extra): .*/g, '')))
  t.same(seen, [], 'nor does an inspected configuration show a secret')
})

t.test('a configuration is frozen through and through', async (t) => {
  const config = configOf(load(t, { env: RELAYER }))
  for (const part of [
    config,
    config.listen,
    config.limits,
    config.routes,
    config.routes[0],
    config.routes[0]?.bindings,
    config.routes[0]?.bindings[0]?.value,
    config.credentials.get('relayer')
  ]) { t.ok(Object.isFrozen(part)) }
})

t.test('warnings do not stop the start, and come with the configuration', async (t) => {
  const result = load(t, {
    files: {
      'c.jsonc': JSON.stringify({ credentials: { a: { type: 'static', value: '${KEY}' } }, callerToken: 'short' }),
      's.env': 'KEY=x#y\nKEY=z'
    },
    env: { COUNTERSIGN_UPSTREAM: 'https://x' }
  })
  t.ok(result.ok)
  t.same(linesOf(result), [
    'COUNTERSIGN_UPSTREAM  has no effect beside a configuration file; remove it, or add a route to the file',
    'c.jsonc:1:1  routes  there are no routes, so every request gets 404; add one',
    'c.jsonc:1:17  credentials.a  no route uses this credential; name it in a route, or remove it',
    'c.jsonc:1:71  callerToken  is shorter than 16 characters; use a longer random one',
    's.env:1:1  KEY  an unquoted # cuts the value here; put the value in single quotes, or a comment on a line of its own',
    's.env:2:1  KEY  is set a second time, and the last one wins (the first is on line 1); remove one of them'
  ])
})

t.test('the files that were read are listed, with absolute paths', async (t) => {
  const result = load(t, {
    files: { 'c.jsonc': JSON.stringify({ ...MINIMAL, callerToken: '${TOKEN}' }), 's.env': 'A=1', token: 'a token of some length' },
    env: { TOKEN_FILE: 'token' }
  })
  t.same(result.files.map((file) => file.slice(file.lastIndexOf('/'))), ['/c.jsonc', '/s.env', '/token'])
  t.ok(result.files.every((file) => file.startsWith('/')))
})

t.test('a problem is one line, without the parts that it lacks', async (t) => {
  t.equal(formatProblem({ severity: 'error', source: 'f', line: 2, column: 3, path: 'a.b', message: 'm' }), 'f:2:3  a.b  m')
  t.equal(formatProblem({ severity: 'error', source: 'f', line: 2, message: 'm' }), 'f:2:1  m')
  t.equal(formatProblem({ severity: 'error', source: 'NAME', message: 'm' }), 'NAME  m')
})
