import t from 'tap'
import { configOf, linesOf, load, loadFile } from './load-fixture.ts'

const ROUTES = { routes: [{ prefix: '/', upstream: 'https://x.example' }] }
const withFile = (file: object): Record<string, string> => ({ 'c.jsonc': JSON.stringify({ ...file, ...ROUTES }) })

t.test('an address: command line, then environment, then file', async (t) => {
  const files = withFile({ listen: '127.0.0.1:1', admin: '127.0.0.1:2' })
  const env = { COUNTERSIGN_LISTEN: '127.0.0.1:3', COUNTERSIGN_ADMIN: 'unix:/tmp/admin.sock' }
  t.match(configOf(load(t, { files })), { listen: { port: 1 }, admin: { port: 2 } })
  t.match(configOf(load(t, { files, env })), { listen: { port: 3 }, admin: { type: 'unix', path: '/tmp/admin.sock' } })
  t.match(configOf(load(t, { files, env, options: { listen: '[::1]:5', admin: 'off' } })), {
    listen: { host: '::1', port: 5 },
    admin: 'off'
  })
})

t.test('an address is checked also where another one wins', async (t) => {
  const lines = linesOf(
    load(t, { files: withFile({ listen: 'x', admin: 'y' }), env: { COUNTERSIGN_LISTEN: 'x' }, options: { listen: 'z' } })
  )
  t.match(lines, [
    /^COUNTERSIGN_LISTEN {2}is no address/,
    /^--listen {2}is no address/,
    /^c\.jsonc:1:11 {2}listen {2}is no address/,
    /^c\.jsonc:1:23 {2}admin {2}is no address.*, or off$/
  ])
})

t.test('an address that other machines can reach is refused, wherever it was said', async (t) => {
  for (const address of ['0.0.0.0:8080', '[::]:0', '192.0.2.1:80', 'host.example:80', '[::ffff:192.0.2.1]:80']) {
    const option = linesOf(load(t, { files: withFile({}), options: { listen: address } }))
    t.match(
      option,
      [
        /^--listen {2}is an address that other machines may reach, and they could spend the credentials; use 127\.0\.0\.1, or allow it with --allow-external, COUNTERSIGN_ALLOW_EXTERNAL=true or "allowExternal": true$/
      ],
      address
    )
    t.match(linesOf(load(t, { files: withFile({}), env: { COUNTERSIGN_ADMIN: address } })), [/^COUNTERSIGN_ADMIN {2}is an address that/])
    t.match(linesOf(loadFile(t, { listen: address, ...ROUTES })), [/^c\.jsonc:1:11 {2}listen {2}is an address that/])
  }
  for (const address of ['127.0.0.1:0', '127.0.0.2:0', '[::1]:0', 'localhost:0', 'unix:/tmp/x.sock']) {
    t.same(linesOf(loadFile(t, { listen: address, ...ROUTES })), [], address)
  }
})

t.test('each of the three switches allows it, and the one before wins', async (t) => {
  const files = withFile({ listen: '0.0.0.0:80', callerToken: 'a token of some length' })
  t.equal(configOf(load(t, { files, options: { allowExternal: true } })).allowExternal, true)
  t.equal(configOf(load(t, { files, env: { COUNTERSIGN_ALLOW_EXTERNAL: 'true' } })).allowExternal, true)
  const allowed = withFile({ listen: '0.0.0.0:80', allowExternal: true, callerToken: 'a token of some length' })
  t.equal(configOf(load(t, { files: allowed })).allowExternal, true)
  t.match(linesOf(load(t, { files: allowed, env: { COUNTERSIGN_ALLOW_EXTERNAL: 'false' } })), [
    /is an address that other machines may reach/
  ])
  t.ok(load(t, { files: allowed, env: { COUNTERSIGN_ALLOW_EXTERNAL: 'false' }, options: { allowExternal: true } }).ok)
})

t.test('an external address without a caller token is a warning', async (t) => {
  const result = loadFile(t, { listen: '0.0.0.0:80', allowExternal: true, ...ROUTES })
  t.ok(result.ok)
  t.match(linesOf(result), [
    /^c\.jsonc:1:11 {2}listen {2}other machines can reach the proxy, and it asks callers for nothing; set callerToken/
  ])
  t.same(
    linesOf(
      load(t, {
        files: withFile({ listen: '0.0.0.0:80', allowExternal: true }),
        env: { COUNTERSIGN_CALLER_TOKEN: 'a token of some length' }
      })
    ),
    []
  )
})

t.test('the proxy and the admin listener need two addresses', async (t) => {
  const collide = (listen: string, admin?: string): boolean =>
    linesOf(
      loadFile(t, { listen, ...(admin !== undefined && { admin }), allowExternal: true, callerToken: 'a token of some length', ...ROUTES })
    ).length > 0
  t.equal(collide('127.0.0.1:8081'), true, 'the default of the other one counts')
  t.equal(collide('localhost:1', '127.0.0.1:1'), true)
  t.equal(collide('0.0.0.0:1', '127.0.0.1:1'), true)
  t.equal(collide('unix:/a', 'unix:/a'), true)
  t.equal(collide('127.0.0.1:1', '[::1]:1'), false)
  t.equal(collide('127.0.0.1:0', '127.0.0.1:0'), false)
  t.equal(collide('unix:/a', 'unix:/b'), false)
  t.equal(collide('127.0.0.1:8081', 'off'), false)
  t.match(linesOf(load(t, { files: withFile({}), options: { listen: '127.0.0.1:8081' } })), [
    /^--listen {2}the proxy and the admin listener have the same address; give one of them another port/
  ])
})

t.test('host names of the guard are exact; the environment wins over the file', async (t) => {
  t.same(configOf(loadFile(t, { allowedHosts: ['Proxy', 'api.internal:8080', '10.0.0.1', '[2001:db8::1]:80'], ...ROUTES })).allowedHosts, [
    'proxy',
    'api.internal:8080',
    '10.0.0.1',
    '[2001:db8::1]:80'
  ])
  const lines = linesOf(
    loadFile(t, {
      allowedHosts: ['*.example', 'http://x', 'a b', '', '::1', 'x:0', 'x:99999', '127.1', 'x/y', 'u@x', 'unix:/x'],
      ...ROUTES
    })
  )
  t.equal(lines.length, 11)
  t.same(configOf(load(t, { files: withFile({ allowedHosts: ['a'] }), env: { COUNTERSIGN_ALLOWED_HOSTS: 'b,c:1' } })).allowedHosts, [
    'b',
    'c:1'
  ])
})

t.test('origins are exactly what browsers send', async (t) => {
  const good = [
    'http://localhost:3000',
    'https://app.example',
    'https://xn--bcher-kva.example',
    'http://[::1]:1',
    'chrome-extension://abcdef'
  ]
  t.same(configOf(loadFile(t, { allowedOrigins: good, ...ROUTES })).allowedOrigins, good)
  const bad = [
    '*',
    'null',
    'https://*.example',
    'https://app.example/',
    'https://App.example',
    'https://app.example:443',
    'app.example',
    'https://u@app.example',
    '',
    'https://bücher.example',
    'https://a b',
    'http://127.1',
    'http://x:99999'
  ]
  t.equal(linesOf(loadFile(t, { allowedOrigins: bad, ...ROUTES })).length, bad.length)
})

t.test('accessLog is a share', async (t) => {
  for (const [accessLog, share] of [
    [true, 1],
    [false, false],
    [{ sample: 0.01 }, 0.01],
    [{ sample: 0 }, 0]
  ] as const) { t.equal(configOf(loadFile(t, { accessLog, ...ROUTES })).accessLog, share) }
})

t.test('a caller token must fit into a header', async (t) => {
  for (const callerToken of ['', '  ', 'a\nb', 'a\u20acb', 'a ']) {
    t.match(linesOf(loadFile(t, { callerToken, ...ROUTES })), [/^c\.jsonc:1:16 {2}callerToken {2}/], JSON.stringify(callerToken))
  }
  t.ok(configOf(loadFile(t, { callerToken: 'a token of some length', ...ROUTES })).callerToken?.equals('a token of some length'))
  t.ok(
    configOf(
      load(t, { files: withFile({ callerToken: 'a token of some length' }), env: { COUNTERSIGN_CALLER_TOKEN: 'another of some length' } })
    ).callerToken?.equals('another of some length')
  )
})

const withRoutes = (...routes: object[]): object => ({
  listen: '127.0.0.1:1',
  admin: '127.0.0.1:2',
  routes: routes.map((route) => ({ upstream: 'https://x.example', ...route }))
})

t.test('a route needs a prefix or an address, and may have both', async (t) => {
  const { routes } = configOf(
    loadFile(
      t,
      withRoutes({ listen: '127.0.0.1:3' }, { prefix: '/a', listen: '[::1]:0' }, { prefix: '/b' }, { listen: 'unix:/tmp/x.sock' })
    )
  )
  t.match(
    routes.map(({ prefix, listen }) => [prefix, listen]),
    [
      [undefined, { port: 3 }],
      ['/a', { host: '::1', port: 0 }],
      ['/b', undefined],
      [undefined, { type: 'unix' }]
    ]
  )
  t.same(Object.keys(routes[0] ?? {}).includes('prefix'), false)
  t.match(linesOf(loadFile(t, withRoutes({}))), [
    /^c\.jsonc:1:\d+ {2}routes\[0\] {2}has neither prefix nor listen, so no request reaches it; add one of them$/
  ])
})

t.test('the address of a route is an ADDR, and not open to other machines without a permission', async (t) => {
  for (const listen of ['', 'x', '8080', ':8080', 'unix:x', '127.1:1', '127.0.0.1:99999', 'off']) {
    t.match(linesOf(loadFile(t, withRoutes({ listen }))), [/^c\.jsonc:1:\d+ {2}routes\[0\]\.listen {2}is no address; write 127/], listen)
  }
  for (const listen of ['0.0.0.0:3', '[::]:0', 'host.example:80']) {
    t.match(linesOf(loadFile(t, withRoutes({ listen }))), [/routes\[0\]\.listen {2}is an address that other machines may reach/], listen)
    t.ok(loadFile(t, { ...withRoutes({ listen }), allowExternal: true, callerToken: 'a token of some length' }).ok)
    t.match(linesOf(loadFile(t, { ...withRoutes({ listen }), allowExternal: true })), [
      /^c\.jsonc:1:\d+ {2}routes\[0\]\.listen {2}other machines can reach the proxy, and it asks callers for nothing/
    ])
  }
})

t.test('no two listeners have one address', async (t) => {
  const problems = (...listens: string[]): string[] =>
    linesOf(loadFile(t, withRoutes(...listens.map((listen) => ({ listen }))))).map((line) => line.split('  ').slice(1).join('  '))
  t.same(problems('127.0.0.1:1'), ['routes[0].listen  is the address of the proxy itself too; give one of them another port'])
  t.same(problems('localhost:2'), ['routes[0].listen  is the address of the admin listener too; give one of them another port'])
  t.same(problems('127.0.0.1:3', '127.0.0.1:4', 'localhost:3'), [
    'routes[2].listen  is the address of routes[0] too; give one of them another port'
  ])
  t.match(problems('unix:/a', 'unix:/a'), [/^routes\[1\]\.listen {2}is the address of routes\[0\] too/])
  t.same(problems('127.0.0.1:0', '127.0.0.1:0', '[::1]:1'), [])
  const option = load(t, {
    files: { 'c.jsonc': JSON.stringify(withRoutes({ listen: '127.0.0.1:9' })) },
    options: { listen: '127.0.0.1:9' }
  })
  t.match(linesOf(option), [/routes\[0\]\.listen {2}is the address of the proxy itself too/], 'the address that wins counts')
})

t.test('an OIS route may have an address of its own, and then needs no prefix', async (t) => {
  const ois = {
    title: 'A',
    oisFormat: '1.0.0',
    apiSpecifications: { servers: [{ url: 'https://x.example' }], paths: {}, components: { securitySchemes: {} }, security: {} }
  }
  const { routes } = configOf(loadFile(t, { ois: [ois], routes: [{ listen: '127.0.0.1:0', ois: 'A' }] }))
  t.match(routes, [{ listen: { port: 0 }, upstream: 'https://x.example' }])
  t.equal(routes.length, 1)
})

t.test('a proxy variable that is no URL of an HTTP proxy is an error that does not show it', async (t) => {
  const files = withFile({})
  for (const [name, value] of [
    ['HTTPS_PROXY', 'socks5://u:CANARY@x'],
    ['https_proxy', 'http://CANARY CANARY'],
    ['HTTP_PROXY', 'http://u:CANARY%zz@x']
  ] as const) {
    const lines = linesOf(load(t, { files, env: { [name]: value } }))
    t.match(lines, [new RegExp(`^${name} {2}is no URL of an HTTP proxy; write http`)])
    t.notMatch(lines.join(), /CANARY/)
  }
  t.ok(load(t, { files, env: { HTTPS_PROXY: '', http_proxy: 'proxy:3128', https_proxy: 'https://u:p@proxy.example' } }).ok)
  t.ok(load(t, { files, env: { HTTPS_PROXY: 'socks5://x', https_proxy: 'http://x' } }).ok, 'the lower-case one wins')
})
