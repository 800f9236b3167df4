import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Secret } from '#src/secret.ts'
import { TokenRefresher } from '#src/token/refresher.ts'
import { createAuthority, createSelfSigned } from '../../helpers/certificates.ts'
import { FakeClock } from '../../helpers/clock.ts'
import {
  NEVER,
  respond,
  createFetchEvents,
  createUnsignedJwt,
  failureOf,
  issued,
  listen,
  readBasic,
  sourceFor,
  startConnectProxy,
  startScriptedServer,
  type Reply
} from '../../helpers/oauth2.ts'
import { createTestLog } from '../../helpers/token-source.ts'
import type { ProxyEnvironment } from '#src/upstream/connect.ts'

const MINUTE = 60_000
const HOST = 'login.example.test'

/** What a source makes of one answer. */
async function failureFor (t: Test, reply: Reply, fields: Parameters<typeof sourceFor>[1] = {}) {
  const server = await startScriptedServer(t, reply)
  return await failureOf(sourceFor(`${server.url}/token`, fields).token(NEVER))
}

// ---- the request

t.test('a login is one POST of a form, with the client in a Basic header and nowhere else', async (t) => {
  const server = await startScriptedServer(t)
  const grant = await sourceFor(`${server.url}/oauth/token?tenant=a%20b`, { clientSecret: new Secret('CANARY-KEY-1') }).token(NEVER)
  t.equal(grant.value.reveal(), 'token-1')
  t.equal(grant.lifetimeMs, 3_600_000)
  t.equal(server.calls.length, 1)
  const [call] = server.calls
  t.equal(call?.requestLine, 'POST /oauth/token?tenant=a%20b HTTP/1.1')
  t.equal(call?.headers.get('host'), `127.0.0.1:${server.port}`)
  t.equal(call?.headers.get('accept'), 'application/json')
  t.match(call?.headers.get('content-type'), /^application\/x-www-form-urlencoded(?:;charset=UTF-8)?$/)
  t.equal(call?.headers.get('authorization'), `Basic ${Buffer.from('batch:CANARY-KEY-1').toString('base64')}`)
  t.equal(call?.body, 'grant_type=client_credentials')
  t.equal(call?.raw.split('CANARY').length, 1, 'the secret has no other place')
})

t.test('a source grants no renewal, so that every token is a login: a refresh token in the response is ignored', async (t) => {
  const server = await startScriptedServer(t, issued({ refresh_token: 'refresh-1', id_token: 'no.jwt.at-all' }))
  const source = sourceFor(`${server.url}/token`)
  const grant = await source.token(NEVER)
  t.same(Object.keys(grant).sort(), ['lifetimeMs', 'value'])
})

t.test('a source holds no token: every login asks', async (t) => {
  const server = await startScriptedServer(t)
  server.script.push(issued({ access_token: 'first' }), issued({ access_token: 'second' }))
  const source = sourceFor(`${server.url}/token`)
  t.equal((await source.token(NEVER)).value.reveal(), 'first')
  t.equal((await source.token(NEVER)).value.reveal(), 'second')
})

t.test('with post the client is in the form and there is no Authorization', async (t) => {
  const server = await startScriptedServer(t)
  await sourceFor(`${server.url}/token`, { clientAuth: 'post', clientId: 'a b', clientSecret: new Secret('c&d=e+f%é') }).token(NEVER)
  const [call] = server.calls
  t.equal(call?.headers.has('authorization'), false)
  t.equal(call?.form.get('client_id'), 'a b')
  t.equal(call?.form.get('client_secret'), 'c&d=e+f%é')
  t.equal(call?.form.get('grant_type'), 'client_credentials')
})

t.test('id and secret of a Basic header are form-encoded', async (t) => {
  const server = await startScriptedServer(t)
  const source = (clientId: string, secret: string) => sourceFor(`${server.url}/token`, { clientId, clientSecret: new Secret(secret) })
  await source('my client:1', 's+ecr%t é€').token(NEVER)
  t.equal(
    Buffer.from(String(server.calls[0]?.headers.get('authorization')).slice(6), 'base64').toString('latin1'),
    'my+client%3A1:s%2Becr%25t+%C3%A9%E2%82%AC'
  )

  await source('3f2a-41d9_b.c', 'Q~x-y_z.0').token(NEVER)
  t.equal(
    Buffer.from(String(server.calls[1]?.headers.get('authorization')).slice(6), 'base64').toString('latin1'),
    '3f2a-41d9_b.c:Q~x-y_z.0',
    'what needs no escape has none: many servers do not decode'
  )

  const text = fc.string({ unit: 'binary', minLength: 1 })
  await fc.assert(fc.asyncProperty(text, text, async (id, secret) => {
    await source(id, secret).token(NEVER)
    t.same(readBasic(server.calls.at(-1)?.headers.get('authorization')), [id, secret])
  }), { numRuns: 60 })
})

t.test('scope, audience, resource and extra are form fields, and no extra can take their place', async (t) => {
  const server = await startScriptedServer(t)
  const extra = new Map(
    Object.entries({ tenant: 'ü & co', scope: 'evil', audience: 'evil', resource: 'evil', grant_type: 'password', ['__proto__']: 'x' }).map(
      ([name, value]) => [name, new Secret(value)]
    )
  )
  await sourceFor(`${server.url}/token`, {
    scope: 'a:read b',
    audience: ['https://api.example.com/', 'second'],
    resource: ['urn:example:r', 'urn:example:s'],
    extra
  }).token(NEVER)
  t.same([...(server.calls[0]?.form ?? [])].sort(), [
    ['__proto__', 'x'],
    ['audience', 'https://api.example.com/'],
    ['audience', 'second'],
    ['grant_type', 'client_credentials'],
    ['resource', 'urn:example:r'],
    ['resource', 'urn:example:s'],
    ['scope', 'a:read b'],
    ['tenant', 'ü & co']
  ])
})

// ---- a good response

t.test('a lifetime that makes no sense is left out, one in a string is read', async (t) => {
  const server = await startScriptedServer(t)
  const cases: ReadonlyArray<readonly [expiresIn: unknown, lifetimeMs: number | undefined]> = [
    [3600, 3_600_000],
    ['3600', 3_600_000],
    [' 3600 ', 3_600_000],
    ['1799.5', 1_799_500],
    [59.5, 59_500],
    [undefined, undefined],
    [null, undefined],
    [0, undefined],
    ['0', undefined],
    [-1, undefined],
    ['-60', undefined],
    [0.001, undefined],
    ['', undefined],
    ['soon', undefined],
    ['3600s', undefined],
    ['0x10', undefined],
    ['1e3', undefined],
    [true, undefined],
    [[3600], undefined],
    [{}, undefined],
    [1e300, 1e303],
    ['9'.repeat(400), undefined]
  ]
  for (const [expiresIn, lifetimeMs] of cases) {
    server.reply = issued({ expires_in: expiresIn })
    const grant = await sourceFor(`${server.url}/token`).token(NEVER)
    t.equal(grant.lifetimeMs, lifetimeMs, JSON.stringify(expiresIn))
    t.equal('lifetimeMs' in grant, lifetimeMs !== undefined)
  }
  server.reply = respond(200, '{"access_token":"token-1","token_type":"bearer","expires_in":1e999}')
  t.equal((await sourceFor(`${server.url}/token`).token(NEVER)).lifetimeMs, undefined, 'infinite')
})

t.test('without a usable lifetime a JWT lives as long as its own exp and iat say', async (t) => {
  const server = await startScriptedServer(t)
  const lifetimeOf = async (claims: object, expiresIn?: unknown) => {
    server.reply = issued({ access_token: createUnsignedJwt(claims), expires_in: expiresIn })
    return (await sourceFor(`${server.url}/token`).token(NEVER)).lifetimeMs
  }
  // Nothing is measured against our clock, which may be wrong.
  t.equal(await lifetimeOf({ iat: 1000, exp: 1900 }), 900_000)
  t.equal(await lifetimeOf({ iat: 1000, exp: 1900 }, 'soon'), 900_000)
  t.equal(await lifetimeOf({ iat: 1000, exp: 1900 }, 60), 60_000, 'the response counts first')
  t.equal(await lifetimeOf({ iat: 1900, exp: 1000 }), undefined)
  t.equal(await lifetimeOf({ exp: 1900 }), undefined)
  t.equal(await lifetimeOf({ iat: '1000', exp: '1900' }), undefined)
})

t.test('a token without a type, or of the type Bearer or BearerToken in any case, is a bearer token', async (t) => {
  const server = await startScriptedServer(t)
  for (const type of [
    'Bearer',
    'bearer',
    'BEARER',
    'bEaReR',
    'Bearer ',
    ' bearer',
    'BearerToken',
    'bearertoken',
    'BEARERTOKEN',
    undefined,
    null,
    '',
    ' '
  ]) {
    server.reply = issued({ token_type: type })
    t.equal((await sourceFor(`${server.url}/token`).token(NEVER)).value.reveal(), 'token-1', String(type))
  }
})

t.test('a token of another type is a failure that is tried again, unless any type is taken', async (t) => {
  const server = await startScriptedServer(t)
  for (const type of [
    'mac',
    'DPoP',
    'N_A',
    'Bearer,mac',
    'Bearer Token',
    'bearer_token',
    'token-1\r\nx: y',
    'x'.repeat(5000),
    1,
    0,
    false,
    ['Bearer'],
    {}
  ]) {
    server.reply = issued({ token_type: type })
    for (const tokenType of [undefined, 'bearer'] as const) {
      const error = await failureOf(sourceFor(`${server.url}/token`, tokenType === undefined ? {} : { tokenType }).token(NEVER))
      t.match(error, { class: 'transient', code: 'UnsupportedTokenType' }, Buffer.from(JSON.stringify(type).slice(0, 20)).toString('hex'))
      t.ok(error.message.length < 300 && /^[\x20-\x7e]+$/.test(error.message), 'a short sentence')
      t.equal(error.message.includes('"mac"'), type === 'mac', 'which names a type that looks like one')
    }
    t.equal((await sourceFor(`${server.url}/token`, { tokenType: 'any' }).token(NEVER)).value.reveal(), 'token-1')
  }
})

t.test('a lifetime is the response\'s, else the configured one, else the token\'s own', async (t) => {
  const server = await startScriptedServer(t)
  const jwt = createUnsignedJwt({ iat: 1000, exp: 1900 })
  const lifetimeOf = async (access: string, expiresIn: unknown, lifetimeSeconds?: number) => {
    server.reply = issued({ access_token: access, expires_in: expiresIn })
    return (await sourceFor(`${server.url}/token`, lifetimeSeconds === undefined ? {} : { lifetimeSeconds }).token(NEVER)).lifetimeMs
  }
  t.equal(await lifetimeOf(jwt, '60', 1200), 60_000)
  for (const odd of [undefined, null, 0, -1, 'soon', '', true, [60], {}]) t.equal(await lifetimeOf(jwt, odd, 1200), 1_200_000)
  t.equal(await lifetimeOf(jwt, undefined), 900_000)
  t.equal(await lifetimeOf('opaque', undefined, 1200), 1_200_000)
  t.equal(await lifetimeOf('opaque', undefined), undefined)
})

t.test('what servers are known to be sloppy about does not matter', async (t) => {
  const token = { access_token: 'token-1', token_type: 'bearer', expires_in: 60 }
  const replies = [
    respond(200, token, { 'Content-Type': 'text/html' }),
    respond(201, token),
    respond(200, `\ufeff${JSON.stringify(token)}`),
    respond(200, { ...token, scope: ['a', 'b'], refresh_token: '', error: '', id_token: 7 }),
    respond(200, token, { 'WWW-Authenticate': 'Bearer' }),
    `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${respond(200, token)}`,
    `HTTP/1.0 200 OK\r\n\r\n${JSON.stringify(token)}`,
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"acc\r\n${(JSON.stringify(token).length - 5).toString(16)}\r\n${JSON.stringify(token).slice(5)}\r\n0\r\n\r\n`
  ]
  const server = await startScriptedServer(t)
  for (const reply of replies) {
    server.reply = (socket) => { socket.end(reply) }
    const grant = await sourceFor(`${server.url}/token`).token(NEVER)
    t.same([grant.value.reveal(), grant.lifetimeMs], ['token-1', 60_000], reply.split('\r\n', 1).join())
  }
})

t.test('the Date of a response tells how far the clocks are apart, in success and in failure', async (t) => {
  const server = await startScriptedServer(t)
  const source = sourceFor(`${server.url}/token`)
  const ahead = new Date(Date.now() + 3_600_000).toUTCString()
  const isAnHour = (skewMs: number | undefined): void => {
    t.ok(skewMs !== undefined && Math.abs(skewMs - 3_600_000) < 5_000, String(skewMs))
  }
  server.script.push(
    issued({}, { Date: ahead }),
    respond(503, 'busy', { Date: ahead }),
    respond(401, { error: 'invalid_client' }, { Date: ahead }),
    issued({}, { Date: 'noon' })
  )
  isAnHour((await source.token(NEVER)).clockSkewMs)
  isAnHour((await failureOf(source.token(NEVER))).clockSkewMs)
  isAnHour((await failureOf(source.token(NEVER))).clockSkewMs)
  t.notOk('clockSkewMs' in await source.token(NEVER))
})

// ---- a bad answer

t.test('a response that is no token endpoint\'s is a transient failure', async (t) => {
  const replies: ReadonlyArray<readonly [name: string, reply: Reply]> = [
    ['HTML', respond(200, '<html>Sign in to the hotel</html>', { 'Content-Type': 'text/html' })],
    ['truncated JSON', respond(200, '{"access_token":"tok')],
    ['empty', respond(200, '')],
    ['empty 204', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['no token', respond(200, { token_type: 'Bearer', expires_in: 3600 })],
    ['an empty token', issued({ access_token: '' })],
    ['a token that is no text', issued({ access_token: { a: 1 } })],
    ['null', respond(200, 'null')],
    ['a list', respond(200, [issued()])],
    ['text', respond(200, '"token"')],
    ['a form', respond(200, 'access_token=token-1&token_type=bearer')],
    ['invalid UTF-8', Buffer.concat([Buffer.from(respond(200, '', { 'Content-Length': '3' })), Buffer.from([0xff, 0xfe, 0x7b])])],
    ['400 without JSON', respond(400, '<h1>Bad Request</h1>')],
    ['404', respond(404, 'not here')],
    ['404 with a word', respond(404, { error: 'Not Found' })],
    ['an unknown error under 200', respond(200, { error: 'hiccup' })],
    ['an error that is no text', respond(400, { error: { code: 1 } })],
    ['over a MiB', respond(200, JSON.stringify({ access_token: 'x'.repeat(1024 * 1024), token_type: 'bearer' }))]
  ]
  for (const [name, reply] of replies) {
    t.match(await failureFor(t, reply), { class: 'transient', code: 'UnexpectedAnswer', message: /tokenUrl/ }, name)
  }
})

t.test('a response without an end is left at a MiB', async (t) => {
  const server = await startScriptedServer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    const pump = (): void => { while (!socket.destroyed && socket.write(chunk)); }
    socket.on('drain', pump)
    pump()
  })
  t.match(await failureOf(sourceFor(`${server.url}/token`).token(NEVER)), { class: 'transient', code: 'UnexpectedAnswer' })
  await server.calls[0]?.closed
})

t.test('a connection that breaks is a transient failure', async (t) => {
  const replies: ReadonlyArray<readonly [name: string, reply: Reply]> = [
    [
      'closed before a response',
      (socket) => {
        socket.end()
      }
    ],
    [
      'reset before a response',
      (socket) => {
        socket.resetAndDestroy()
      }
    ],
    [
      'closed within the head',
      (socket) => {
        socket.end('HTTP/1.1 200 OK\r\nConte')
      }
    ],
    [
      'closed within the body',
      (socket) => {
        socket.end(respond(200, '{"access_token":"token-1","token_type":"bearer"}', { 'Content-Length': '4000' }))
      }
    ],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n'],
    [
      'a head without end',
      (socket) => {
        socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`)
      }
    ]
  ]
  for (const [name, reply] of replies) t.match(await failureFor(t, reply), { class: 'transient', code: 'NetworkError' }, name)
  t.match(await failureOf(sourceFor('http://127.0.0.1:1/token').token(NEVER)), {
    class: 'transient',
    code: 'NetworkError',
    message: /ECONNREFUSED/
  })
  t.match(await failureOf(sourceFor('https://id.example.invalid/token').token(NEVER)), {
    class: 'transient',
    code: 'DnsError',
    message: /tokenUrl/
  })
})

t.test('a server that cannot serve now is asked again when it says', async (t) => {
  const inTwoMinutes = new Date(Date.now() + 120_000).toUTCString()
  const anHourAhead = {
    Date: new Date(Date.now() + 3_600_000).toUTCString(),
    'Retry-After': new Date(Date.now() + 3_720_000).toUTCString()
  }
  const replies: ReadonlyArray<readonly [reply: Reply, code: string, retryAfterMs?: number]> = [
    [respond(500, ''), 'ServerError'],
    [respond(502, '<html>Bad Gateway</html>', { 'Content-Type': 'text/html' }), 'ServerError'],
    [respond(503, { error: 'temporarily_unavailable' }, { 'Retry-After': '7' }), 'temporarily_unavailable', 7_000],
    [respond(500, { error: 'invalid_client' }), 'invalid_client'],
    [respond(500, { error: 'whatever' }), 'ServerError'],
    [respond(400, { error: 'server_error' }), 'server_error'],
    [respond(401, { error: 'temporarily_unavailable' }), 'temporarily_unavailable'],
    [respond(400, { error: 'slow_down' }, { 'Retry-After': '30' }), 'slow_down', 30_000],
    [respond(408, ''), 'RequestTimeout'],
    [respond(429, 'Too many', { 'Retry-After': '120' }), 'TooManyRequests', 120_000],
    [respond(429, { error: 'invalid_client' }, { 'Retry-After': inTwoMinutes }), 'invalid_client', 120_000],
    [respond(503, '', anHourAhead), 'ServerError', 120_000],
    [respond(503, '', { 'Retry-After': 'Thu, 01 Jan 1970 00:00:00 GMT' }), 'ServerError', 0],
    [respond(503, '', { 'Retry-After': '9'.repeat(30) }), 'ServerError', 86_400_000],
    [respond(503, '', { 'Retry-After': 'later' }), 'ServerError']
  ]
  for (const [reply, code, retryAfterMs] of replies) {
    const error = await failureFor(t, reply)
    t.match(error, { class: 'transient', code }, code)
    if (retryAfterMs === undefined) t.equal(error.retryAfterMs, undefined, 'no Retry-After')
    else t.ok(Math.abs((error.retryAfterMs ?? NaN) - retryAfterMs) < 5_000, `Retry-After is ${error.retryAfterMs}`)
  }
})

t.test('what the server refuses is a rejection that says what to do', async (t) => {
  const replies: ReadonlyArray<readonly [reply: Reply, failure: string, code: string, advice: RegExp]> = [
    [respond(401, { error: 'invalid_client' }), 'ambiguous', 'invalid_client', /clientSecret.*clientAuth/],
    [
      respond(401, { error: 'invalid_client' }, { 'WWW-Authenticate': 'Basic realm="x", error="invalid_client"' }),
      'ambiguous',
      'invalid_client',
      /clientId/
    ],
    [respond(400, { error: 'invalid_client' }, { 'Content-Type': 'text/plain' }), 'ambiguous', 'invalid_client', /clientId/],
    [respond(200, { error: 'invalid_client' }), 'ambiguous', 'invalid_client', /clientId/],
    [respond(400, { error: 'unauthorized_client' }), 'permanent', 'unauthorized_client', /grant/],
    [respond(400, { error: 'unsupported_grant_type' }), 'permanent', 'unsupported_grant_type', /tokenUrl/],
    [respond(400, { error: 'invalid_grant' }), 'permanent', 'invalid_grant', /clientId/],
    [respond(400, { error: 'invalid_scope' }), 'permanent', 'invalid_scope', /scope/],
    [respond(400, { error: 'invalid_target' }), 'permanent', 'invalid_target', /resource/],
    [respond(400, { error: 'invalid_request' }), 'permanent', 'invalid_request', /clientAuth/],
    [respond(403, { error: 'access_denied' }), 'permanent', 'access_denied', /audience/],
    [respond(400, { error: 'a_new_one' }), 'unclear', 'UnknownRefusal', /log/],
    [respond(401, '<h1>Unauthorized</h1>', { 'Content-Type': 'text/html' }), 'ambiguous', 'Unauthorized', /clientSecret/],
    [respond(401, ''), 'ambiguous', 'Unauthorized', /clientSecret/],
    [respond(403, 'Request blocked'), 'permanent', 'Forbidden', /firewall/],
    [respond(403, { error: 'a_new_one' }), 'permanent', 'Forbidden', /firewall/]
  ]
  for (const [reply, failure, code, message] of replies) t.match(await failureFor(t, reply), { class: failure, code, message }, code)
})

t.test('a redirect is not followed: the secret goes to the token URL only', async (t) => {
  const elsewhere = await startScriptedServer(t)
  for (const status of [300, 301, 302, 303, 304, 307, 308]) {
    for (const clientAuth of ['basic', 'post'] as const) {
      const error = await failureFor(t, respond(status, '', { Location: `${elsewhere.url}/token` }), { clientAuth })
      t.match(error, { class: 'transient', code: 'Redirected', message: /tokenUrl/ }, String(status))
      t.notMatch(error.message, String(elsewhere.port))
    }
  }
  t.same(elsewhere.calls, [])
})

t.test('no failure holds a word of the provider, whatever it echoes', async (t) => {
  const canary = 'CANARY-KEY-7f3a'
  const echo = {
    error: canary,
    error_description: canary,
    error_uri: `https://x/${canary}`,
    access_token: canary,
    token_type: `Bearer ${canary}`,
    [canary]: 1
  }
  const replies: Reply[] = [
    ...[200, 400, 401, 403, 404, 418, 429, 500].flatMap((status) => [
      respond(status, echo),
      respond(status, { ...echo, error: 'invalid_scope' }),
      respond(status, `<p>${canary}</p>`)
    ]),
    respond(200, { ...echo, error: undefined }),
    respond(307, '', { Location: `https://x/${canary}` }),
    respond(401, '', { 'WWW-Authenticate': `Basic error="${canary}", realm=${canary}`, 'Retry-After': canary, Date: canary }),
    `HTTP/1.1 200 ${canary}\r\n${canary}\r\n\r\n`
  ]
  for (const reply of replies) {
    const error = await failureFor(t, reply, {
      clientId: canary,
      clientSecret: new Secret(canary),
      scope: canary,
      extra: new Map([['x', new Secret(canary)]])
    })
    t.notMatch(inspect(error, { depth: 9, showHidden: true }), canary)
    t.match(error.message, /^The identity provider.*[^.]\.$/)
    t.match(error.code, /^\w{1,32}$/)
  }
})

t.test('whatever bytes come, a login ends with a token or a TokenError', async (t) => {
  const server = await startScriptedServer(t)
  const json = fc.oneof(
    fc.json(),
    fc
      .record(
        { access_token: fc.anything(), token_type: fc.anything(), expires_in: fc.anything(), error: fc.anything() },
        { requiredKeys: [] }
      )
      .map((value) => {
        try {
          return JSON.stringify(value) ?? ''
        } catch {
          return '{}'
        }
      })
  )
  const reply = fc.oneof(
    fc.tuple(fc.integer({ min: 200, max: 599 }), json).map(([status, body]) => respond(status, body)),
    fc.uint8Array().map((bytes) => Buffer.from(bytes))
  )
  await fc.assert(fc.asyncProperty(reply, async (bytes) => {
    server.reply = (socket) => { socket.end(bytes) }
    await sourceFor(`${server.url}/token`).token(NEVER).catch((error) => { t.equal(error.name, 'TokenError') })
  }), { numRuns: 100 })
})

t.test('what the library itself refuses is a transient failure that quotes nothing', async (t) => {
  const server = await startScriptedServer(t)
  for (const [tokenUrl, fields] of [
    [`${server.url}/token`, { clientId: '' }],
    ['CANARY no URL', {}],
    ['ftp://CANARY.example.com/', {}]
  ] as const) {
    const error = await failureOf(sourceFor(tokenUrl, fields).token(NEVER))
    t.match(error, { class: 'transient', code: 'UnknownFailure' })
    t.notMatch(inspect(error, { depth: 9, showHidden: true }), 'CANARY')
  }
  t.same(server.calls, [])
})

// ---- time

t.test('the deadline covers the connection, the head and the whole body', async (t) => {
  const stalls: Reply[] = [
    () => {},
    (socket) => { socket.write('HTTP/1.1 200 OK\r\nContent-Le') },
    (socket) => { socket.write(issued().slice(0, -10)) },
    (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      const drip = setInterval(() => { socket.write('1\r\n \r\n') }, 10)
      socket.once('close', () => { clearInterval(drip) })
    }
  ]
  for (const stall of stalls) {
    const server = await startScriptedServer(t, stall)
    t.match(await failureOf(sourceFor(`${server.url}/token`, {}, { deadlineMs: 150 }).token(NEVER)), {
      class: 'transient',
      code: 'Timeout',
      message: /150 ms/
    })
    await server.calls[0]?.closed
  }
})

t.test('a handshake that never ends is given up, and its connection closed', async (t) => {
  let closed: Promise<void> | undefined
  const port = await listen(t, createTcpServer((socket) => {
    closed = new Promise((resolve) => { socket.resume().once('close', () => { resolve() }) })
  }))
  t.match(await failureOf(sourceFor(`https://127.0.0.1:${port}/token`, {}, { deadlineMs: 150 }).token(NEVER)), {
    class: 'transient',
    code: 'Timeout'
  })
  await closed
})

t.test('an abort ends a login at once, and one that comes first lets nothing out', async (t) => {
  const server = await startScriptedServer(t, () => {})
  const controller = new AbortController()
  const login = failureOf(sourceFor(`${server.url}/token`).token(controller.signal))
  await server.called(1)
  controller.abort(new Error('CANARY'))
  t.match(await login, { class: 'transient', code: 'Aborted' })
  await server.calls[0]?.closed

  t.match(await failureOf(sourceFor(`${server.url}/token`).token(AbortSignal.abort())), { class: 'transient', code: 'Aborted' })
  t.equal(server.calls.length, 1)
})

t.test('a login leaves no connection behind', async (t) => {
  const server = await startScriptedServer(t)
  await sourceFor(`${server.url}/token`).token(NEVER)
  await server.calls[0]?.closed
  t.pass('it was closed')
})

// ---- TLS and proxies

interface Outcome { readonly class?: string, readonly code: string, readonly message?: string }

/** Logs in from a process of its own, whose environment holds nothing about the network but what is given. */
async function logInElsewhere (tokenUrl: string, variables: Record<string, string>, proxies: ProxyEnvironment = {}): Promise<Outcome> {
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(?:https?_proxy|no_proxy|node_extra_ca_certs|node_tls_reject_unauthorized)$/i.test(name)
    )
  )
  const args = [
    ...process.execArgv,
    fileURLToPath(new URL('../../helpers/oauth2-login.js', import.meta.url)),
    tokenUrl,
    JSON.stringify(proxies)
  ]
  const stdout = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, args, { env: { ...inherited, ...variables } }, (error, stdout) => {
      if (error === null) resolve(stdout)
      else reject(error)
    })
  })
  return JSON.parse(stdout) as Outcome
}

t.test('a private authority is trusted where NODE_EXTRA_CA_CERTS names it, and nothing turns verification off', async (t) => {
  const authority = createAuthority()
  const file = join(t.testdir(), 'ca.pem')
  writeFileSync(file, authority.cert)
  const server = await startScriptedServer(t, issued(), authority.issue({ names: ['127.0.0.1'] }))
  const expired = await startScriptedServer(t, issued(), authority.issue({ names: ['127.0.0.1'], notAfter: new Date(Date.now() - 60_000) }))
  const misnamed = await startScriptedServer(t, issued(), authority.issue({ names: ['other.example.test'] }))
  const selfSigned = await startScriptedServer(t, issued(), createSelfSigned({ names: ['127.0.0.1'] }))
  const [trusted, distrusted, lax, ...others] = await Promise.all([
    logInElsewhere(`${server.url}/token`, { NODE_EXTRA_CA_CERTS: file }),
    logInElsewhere(`${server.url}/token`, {}),
    logInElsewhere(`${server.url}/token`, { NODE_TLS_REJECT_UNAUTHORIZED: '0' }),
    ...[expired, misnamed, selfSigned].map(({ url }) => logInElsewhere(`${url}/token`, { NODE_EXTRA_CA_CERTS: file }))
  ])
  t.same(trusted, { code: 'ok' })
  for (const outcome of [distrusted, lax, ...others]) {
    t.match(outcome, { class: 'transient', code: 'TlsError', message: /NODE_EXTRA_CA_CERTS/ })
  }
  t.equal(server.calls.length, 1)
  t.same([expired, misnamed, selfSigned].flatMap(({ calls }) => calls), [])
})

t.test('an https token URL goes through the proxy, and the certificate is checked behind it', async (t) => {
  const authority = createAuthority()
  const file = join(t.testdir(), 'ca.pem')
  writeFileSync(file, authority.cert)
  const server = await startScriptedServer(t, issued(), authority.issue({ names: [HOST] }))
  const proxy = await startConnectProxy(t, server.port)
  const [trusted, distrusted] = await Promise.all([
    logInElsewhere(`https://${HOST}/token`, { NODE_EXTRA_CA_CERTS: file }, { httpsProxy: proxy.url }),
    logInElsewhere(`https://${HOST}/token`, { NODE_TLS_REJECT_UNAUTHORIZED: '0' }, { httpsProxy: proxy.url })
  ])
  t.same(trusted, { code: 'ok' })
  t.match(distrusted, { class: 'transient', code: 'TlsError' })
  t.same(proxy.targets, Array(2).fill(`CONNECT ${HOST}:443 HTTP/1.1`))
  t.equal(server.calls.length, 1)
})

t.test('proxies are those that were given, noProxy goes around them, and the environment is not read again', async (t) => {
  const server = await startScriptedServer(t)
  const proxy = await startConnectProxy(t, server.port)
  const url = `http://${HOST}/token`
  t.equal((await sourceFor(url, {}, { proxies: { httpProxy: proxy.url } }).token(NEVER)).value.reveal(), 'token-1')
  t.equal(proxy.targets.length, 1)
  t.match(
    await failureOf(sourceFor(url, {}, { proxies: { httpsProxy: proxy.url } }).token(NEVER)),
    { code: 'DnsError' },
    'that one is for https'
  )
  t.match(
    await failureOf(sourceFor(`https://${HOST}/token`, {}, { proxies: { httpProxy: proxy.url } }).token(NEVER)),
    { code: 'DnsError' },
    'and this one for http'
  )
  t.match(await failureOf(sourceFor(url, {}, { proxies: { httpProxy: proxy.url, noProxy: 'localhost,*' } }).token(NEVER)), {
    code: 'DnsError'
  })
  t.match(await failureOf(sourceFor(url, {}, { proxies: { httpProxy: proxy.url, noProxy: 'example.test' } }).token(NEVER)), {
    code: 'DnsError'
  })
  t.match(await logInElsewhere(url, { HTTP_PROXY: proxy.url, http_proxy: proxy.url }), { code: 'DnsError' })
  t.match(await logInElsewhere(url, { HTTP_PROXY: proxy.url, http_proxy: proxy.url }, { httpsProxy: 'http://127.0.0.1:1' }), {
    code: 'DnsError'
  })
  t.equal(proxy.targets.length, 1)
})

t.test('a loopback token URL never goes through a proxy', async (t) => {
  const server = await startScriptedServer(t)
  const proxies = { httpProxy: 'http://127.0.0.1:1', httpsProxy: 'http://127.0.0.1:1' }
  for (const host of ['127.0.0.1', 'localhost']) {
    t.equal((await sourceFor(`http://${host}:${server.port}/token`, {}, { proxies }).token(NEVER)).value.reveal(), 'token-1')
  }
})

t.test('a proxy that refuses, that is away, or that is no URL is a transient failure that keeps its password', async (t) => {
  const proxy = await startConnectProxy(t, 1, 407)
  const login = (httpsProxy: string) => failureOf(sourceFor(`https://${HOST}/token`, {}, { proxies: { httpsProxy } }).token(NEVER))
  t.match(await login(proxy.url), { class: 'transient', code: 'ProxyError', message: /407/ })
  t.match(await login('http://127.0.0.1:1'), { class: 'transient', code: 'NetworkError', message: /ECONNREFUSED/ })
  const nonsense = await login('http://user:CANARY-PW@[/')
  t.match(nonsense, { class: 'transient', code: 'NetworkError' })
  t.notMatch(inspect(nonsense, { depth: 9 }), 'CANARY')
})

// ---- through the refresher

/** A refresher over a scripted server: the time is fake, the connections are real. */
async function createScene (t: Test, reply: Reply) {
  const server = await startScriptedServer(t, reply)
  const clock = new FakeClock()
  const events = createFetchEvents()
  const refresher = new TokenRefresher({
    name: 'billing',
    source: sourceFor(`${server.url}/token`),
    clock,
    random: () => 0,
    gate: { enter: async () => () => {} },
    log: createTestLog(),
    onFetch: events.onFetch
  })
  t.teardown(() => { refresher.stop() })
  refresher.start()
  await events.reached(1)
  return { server, clock, events, refresher }
}

t.test('a token is replaced in the background at 80 % of its life, by a login', async (t) => {
  const { server, clock, events, refresher } = await createScene(t, issued({ access_token: 'first' }))
  const first = refresher.current()
  t.equal(first?.value.reveal(), 'first')
  server.reply = issued({ access_token: 'second' })
  await clock.advance(48 * MINUTE - 1)
  t.equal(server.calls.length, 1)
  await clock.advance(1)
  t.equal(refresher.current(), first, 'the old one serves meanwhile')
  await events.reached(2)
  t.equal(refresher.current()?.value.reveal(), 'second')
  t.match(events.seen, [{ kind: 'login', outcome: 'ok' }, { kind: 'login', outcome: 'ok' }])
  t.match(refresher.status(), { state: 'fresh', logins: 2, refreshes: 0, failures: 0 })
})

t.test('without any lifetime a token counts for 300 s', async (t) => {
  const { server, clock, events } = await createScene(t, issued({ expires_in: undefined }))
  await clock.advance(240_000 - 1)
  t.equal(server.calls.length, 1)
  await clock.advance(1)
  await events.reached(2)
  t.equal(server.calls.length, 2)
})

t.test('a server that is busy is asked again after its Retry-After, and the old token serves', async (t) => {
  const { server, clock, events, refresher } = await createScene(t, issued())
  server.script.push(respond(503, '', { 'Retry-After': '90' }))
  await clock.advance(48 * MINUTE)
  await events.reached(2)
  t.match(refresher.status(), { state: 'stale', lastError: { code: 'ServerError' } })
  t.equal(refresher.current()?.value.reveal(), 'token-1')
  await clock.advance(90_000 - 1)
  t.equal(server.calls.length, 2)
  await clock.advance(1)
  await events.reached(3)
  t.match(refresher.status(), { state: 'fresh', lastError: null })
})

t.test('a refused client is tried after 5 s, then every 15 minutes, and recovers by itself', async (t) => {
  for (const error of ['invalid_client', 'invalid_scope']) {
    const { server, clock, events, refresher } = await createScene(t, respond(401, { error }))
    t.equal(refresher.status().state, 'rejected')
    await t.rejects(refresher.get(), { code: 'CS_CREDENTIAL_REJECTED', statusCode: 502 })
    await clock.advance(5_000)
    await events.reached(2)
    await clock.advance(15 * MINUTE - 1)
    t.equal(server.calls.length, 2, error)
    server.reply = issued()
    await clock.advance(1)
    await events.reached(3)
    t.same(events.seen.map(({ outcome }) => outcome), ['rejected', 'rejected', 'ok'])
    t.equal((await refresher.get()).value.reveal(), 'token-1')
  }
})
