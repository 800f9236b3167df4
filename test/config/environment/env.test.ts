import { join } from 'node:path'
import t from 'tap'
import { readSettings } from '#src/config/environment/env.ts'
import { formatProblem } from '#src/config/problem.ts'

const CANARY = 'CANARY-ENV-4711'
const linesOf = (env: Record<string, string>, cwd = '/'): string[] => readSettings(env, cwd).problems.map(formatProblem)

t.test('what is set is read into a plain frozen object, what is not set is absent', async (t) => {
  const { settings, problems } = readSettings({
    COUNTERSIGN_CONFIG: 'a.jsonc',
    COUNTERSIGN_SECRETS: 's.env',
    COUNTERSIGN_LISTEN: '[::1]:0',
    COUNTERSIGN_ADMIN: 'off',
    COUNTERSIGN_ALLOW_EXTERNAL: 'TRUE',
    COUNTERSIGN_ALLOWED_HOSTS: 'Proxy, api.internal:8080 ,[::1]',
    COUNTERSIGN_CALLER_TOKEN: CANARY.repeat(2),
    COUNTERSIGN_LOG_LEVEL: 'debug',
    NODE_ENV: 'production'
  }, '/')
  t.same(problems, [])
  const { callerToken, ...rest } = settings
  t.same(rest, {
    config: 'a.jsonc',
    secrets: 's.env',
    listen: { type: 'tcp', host: '::1', port: 0 },
    admin: 'off',
    allowExternal: true,
    allowedHosts: ['proxy', 'api.internal:8080', '[::1]'],
    logLevel: 'debug'
  })
  t.ok(callerToken?.equals(CANARY.repeat(2)))
  t.ok(Object.isFrozen(settings))
  t.same(Object.keys(readSettings({}, '/').settings), [])
  t.equal(Reflect.get(readSettings({}, '/').settings, 'unknown'), undefined, 'no strict proxy')
})

t.test('NODE_ENV changes nothing', async (t) => {
  for (const NODE_ENV of ['development', 'test', 'production', '']) {
    t.same(readSettings({ NODE_ENV }, '/'), { settings: {}, problems: [], files: [], variables: [] }, NODE_ENV)
  }
})

t.test('an empty variable is an error, not a default', async (t) => {
  const names = ['CONFIG', 'SECRETS', 'LISTEN', 'ADMIN', 'ALLOW_EXTERNAL', 'ALLOWED_HOSTS', 'LOG_LEVEL'].map(
    (name) => `COUNTERSIGN_${name}`
  )
  for (const value of ['', ' ', '\n']) {
    t.same(
      linesOf(Object.fromEntries(names.map((name) => [name, value]))),
      names.map((name) => `${name}  is empty; set it to a value, or remove the variable`)
    )
  }
  t.match(linesOf({ COUNTERSIGN_CALLER_TOKEN: ' ' }), [/^COUNTERSIGN_CALLER_TOKEN {2}.* is empty in the environment;/])
  t.match(linesOf({ COUNTERSIGN_CALLER_TOKEN_FILE: '' }), [/^COUNTERSIGN_CALLER_TOKEN {2}COUNTERSIGN_CALLER_TOKEN_FILE is empty;/])
})

t.test('every malformed variable is named, all at once, and no value is shown', async (t) => {
  const lines = linesOf({
    COUNTERSIGN_LISTEN: CANARY,
    COUNTERSIGN_ADMIN: `${CANARY}:1:2`,
    COUNTERSIGN_ALLOW_EXTERNAL: CANARY,
    COUNTERSIGN_ALLOWED_HOSTS: `ok,*.${CANARY}`,
    COUNTERSIGN_LOG_LEVEL: CANARY,
    COUNTERSIGN_CALLER_TOKEN: `${CANARY}\n`,
    COUNTERSIGN_CACHE_URL: `redis://:${CANARY}@cache`
  })
  t.same(lines, [
    'COUNTERSIGN_LISTEN  is no address; write 127.0.0.1:8080, [::1]:8080, localhost:8080 or unix:/path/to.sock',
    'COUNTERSIGN_ADMIN  is no address; write 127.0.0.1:8080, [::1]:8080, localhost:8080 or unix:/path/to.sock, or off',
    'COUNTERSIGN_ALLOW_EXTERNAL  is neither true nor false; write one of the two',
    'COUNTERSIGN_ALLOWED_HOSTS  holds an entry that holds a *; write exact names, one by one',
    'COUNTERSIGN_LOG_LEVEL  is no log level; use one of fatal, error, warn, info, debug, trace, silent',
    'COUNTERSIGN_CACHE_URL  is not supported by this version; remove the variable',
    'COUNTERSIGN_CALLER_TOKEN  holds a line break or NUL, which no header can carry; remove it'
  ])
  t.notMatch(JSON.stringify(lines), /CANARY/)
})

t.test('numbers are read whole: 12abc is no port, and port 0 is one', async (t) => {
  for (const value of [
    '127.0.0.1:12abc',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.1:80',
    ':8080',
    '8080',
    'unix:relative.sock',
    'http://127.0.0.1:80'
  ]) {
    t.equal(linesOf({ COUNTERSIGN_LISTEN: value }).length, 1, value)
  }
  t.same(readSettings({ COUNTERSIGN_LISTEN: '127.0.0.1:0' }, '/').settings.listen, { type: 'tcp', host: '127.0.0.1', port: 0 })
})

t.test('the caller token may come from a file, and the variable wins', async (t) => {
  const cwd = t.testdir({ token: `${CANARY}-file\n` })
  const fromFile = readSettings({ COUNTERSIGN_CALLER_TOKEN_FILE: 'token' }, cwd)
  t.ok(fromFile.settings.callerToken?.equals(`${CANARY}-file`))
  t.same(fromFile.files, [join(cwd, 'token')])
  const both = readSettings({ COUNTERSIGN_CALLER_TOKEN_FILE: 'nowhere', COUNTERSIGN_CALLER_TOKEN: `${CANARY}-env` }, cwd)
  t.ok(both.settings.callerToken?.equals(`${CANARY}-env`))
  t.same(linesOf({ COUNTERSIGN_CALLER_TOKEN_FILE: CANARY }, cwd), [
    "COUNTERSIGN_CALLER_TOKEN  the file that COUNTERSIGN_CALLER_TOKEN_FILE names does not exist; correct the path or the file's permissions"
  ])
})

t.test('a short caller token is a warning', async (t) => {
  const { settings, problems } = readSettings({ COUNTERSIGN_CALLER_TOKEN: 'short' }, '/')
  t.ok(settings.callerToken)
  t.match(problems, [{ severity: 'warning', source: 'COUNTERSIGN_CALLER_TOKEN', message: /^is shorter than 16 characters;/ }])
  t.match(readSettings({ COUNTERSIGN_CALLER_TOKEN: '"0123456789abcdef"' }, '/').problems, [
    { severity: 'warning', source: 'COUNTERSIGN_CALLER_TOKEN', message: /^stands in quotes/ }
  ])
})

t.test('an entry of NO_PROXY that is none is a warning that names it, without what may be a secret', async (t) => {
  const warnings = (env: Record<string, string>): string[] =>
    readSettings(env, '/').problems.map(({ severity, source, message }) => `${severity} ${source} ${message}`)
  t.same(warnings({ NO_PROXY: 'localhost,.example.com,10.0.0.0/8,[::1]:80,*' }), [])
  const found = warnings({ NO_PROXY: '10.0.0.0/33, example.com ,https://user:CANARY@proxy.example/?CANARY' })
  t.match(found, [
    /^warning NO_PROXY the entry "10\.0\.0\.0\/33" is no name, address or CIDR block, so it excepts nothing; write /,
    /^warning NO_PROXY the entry "\\u\{2026\}@proxy\.example\/|^warning NO_PROXY the entry "…@proxy\.example\/…"/
  ])
  t.equal(found.length, 2)
  t.notMatch(found.join(), /CANARY|user/)
  t.match(warnings({ no_proxy: '<local>', NO_PROXY: 'good.example' }), [/^warning no_proxy the entry "<local>"/])
})
