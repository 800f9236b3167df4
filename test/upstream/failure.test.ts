import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { upstreamFailure } from '#src/upstream/failure.ts'
import { connectRaw, message, rawRequest, type RawResponse } from '../helpers/raw-client.ts'
import { BEARER, startProxy, type TestProxy, type TestRoute } from '../helpers/proxy.ts'
import { respondWith, startUpstream, type ScriptedResponse } from '../helpers/recording-upstream.ts'

const PLACES = /127\.0\.0\.1|localhost|::1|[\w\]]:\d{2,5}|ECONN|ENOTFOUND|EAI_|undici|UND_ERR|HPE_|invalid\.|node:/

t.test('an upstream that refuses connections is a 502 that names no place', async (t) => {
  const proxy = await startProxy(t, { routes: [{ upstream: `http://127.0.0.1:${await closedPort()}`, bindings: [BEARER] }] })
  for (const request of [get(proxy), post(proxy)]) {
    const response = await rawRequest(proxy.port, request)
    isFailure(t, response, 502, 'CS_UPSTREAM_UNREACHABLE', 'connection_refused')
  }
})

t.test('a refused upload of 10 MB gets its 502 too, and the connection ends or serves on', async (t) => {
  const proxy = await startProxy(t, { routes: [{ upstream: `http://127.0.0.1:${await closedPort()}` }] })
  const client = await connectRaw(proxy.port)
  client.send(message('POST /x HTTP/1.1', [host(proxy), 'Content-Length: 10000000']))
  client.send(Buffer.alloc(10_000_000))
  isFailure(t, await client.response(), 502, 'CS_UPSTREAM_UNREACHABLE', 'connection_refused')
  client.destroy()
})

t.test('a name that does not resolve is a 502', async (t) => {
  const proxy = await startProxy(t, { routes: [{ upstream: 'http://nowhere.invalid:8080' }] })
  isFailure(t, await rawRequest(proxy.port, get(proxy)), 502, 'CS_UPSTREAM_UNREACHABLE', 'dns_error')
})

t.test('an upstream that closes or resets before it answers is a 502', async (t) => {
  for (const [how, type, respond] of [
    [
      'close',
      'connection_terminated',
      ({ connection }) => {
        connection.socket.end()
        return undefined
      }
    ],
    [
      'reset',
      'connection_terminated',
      ({ connection }) => {
        connection.socket.resetAndDestroy()
        return undefined
      }
    ],
    [
      'half a protocol',
      'http_response_incomplete',
      ({ connection }) => {
        connection.socket.end('HTT')
        return undefined
      }
    ],
    [
      'half a status line',
      'http_response_incomplete',
      ({ connection }) => {
        connection.socket.end('HTTP/1.1 20')
        return undefined
      }
    ],
    [
      'half a header',
      'http_response_incomplete',
      ({ connection }) => {
        connection.socket.end('HTTP/1.1 200 OK\r\nX-A: b')
        return undefined
      }
    ],
    [
      'an interim response',
      'http_response_incomplete',
      ({ connection }) => {
        connection.socket.end('HTTP/1.1 103 Early Hints\r\n\r\n')
        return undefined
      }
    ]
  ] as ReadonlyArray<readonly [string, string, ScriptedResponse]>) {
    const { proxy, upstream } = await pair(t, respond)
    for (const request of [get(proxy), post(proxy)]) {
      isFailure(t, await rawRequest(proxy.port, request), 502, 'CS_UPSTREAM_UNREACHABLE', type, how)
    }
    t.equal(upstream.exchanges.length, 2, 'sent once each')
  }
})

t.test('a response that is no HTTP, or that two readers could frame differently, is a 502', async (t) => {
  for (const bytes of [
    'SSH-2.0-OpenSSH_9.0\r\n\r\n',
    '<html></html>\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok',
    'HTTP/1.1 200 OK\r\nX Y: z\r\n\r\n',
    'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
    `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(1_000_000)}\r\nContent-Length: 0\r\n\r\n`
  ]) {
    const { proxy, upstream } = await pair(t, () => bytes)
    const response = await rawRequest(proxy.port, get(proxy))
    isFailure(
      t,
      response,
      502,
      'CS_UPSTREAM_UNREACHABLE',
      /^(?:http_protocol_error|http_response_header_section_size)$/,
      JSON.stringify(bytes.slice(0, 80))
    )
    const again = await rawRequest(proxy.port, get(proxy))
    t.equal(again.statusCode, 502)
    t.equal(upstream.connections.length, 2, 'the connection is not used again')
  }
})

t.test('bytes behind a response never become the response to another request', async (t) => {
  for (const poison of ['HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison', 'poison']) {
    const { proxy } = await pair(t, ({ target }) => respondWith('200 OK', [], target) + poison)
    for (const target of ['/1', '/2', '/3', '/4']) {
      const response = await rawRequest(proxy.port, message(`GET ${target} HTTP/1.1`, [host(proxy)]))
      t.match(response, { statusCode: 200, text: target })
    }
  }
})

t.test('every status from 200 to 999 passes, any other is one 502', async (t) => {
  for (const status of ['200', '299', '451', '599', '600', '799', '999']) {
    const { proxy } = await pair(t, () => `HTTP/1.1 ${status} Odd\r\nContent-Length: 2\r\n\r\nok`)
    t.match(await rawRequest(proxy.port, get(proxy)), { statusCode: Number(status), reason: 'Odd', text: 'ok', complete: true }, status)
  }
  for (const status of ['099', '000', '1000']) {
    const { proxy } = await pair(t, () => `HTTP/1.1 ${status} Odd\r\nContent-Length: 2\r\n\r\nok`)
    const client = await connectRaw(proxy.port)
    client.send(get(proxy))
    isFailure(t, await client.response(), 502, 'CS_UPSTREAM_UNREACHABLE', 'http_protocol_error', status)
    client.send(get(proxy))
    t.equal((await client.response()).statusCode, 502, 'exactly one answer came before this one')
    client.destroy()
  }
})

t.test('every way to fail has its RFC 9209 type', async (t) => {
  const withCode = (code: string): Error => Object.assign(new Error('failed'), { code })
  for (const [error, type] of [
    [withCode('ENOTFOUND'), 'dns_error'],
    [withCode('EAI_AGAIN'), 'dns_error'],
    [withCode('EAI_FAIL'), 'dns_error'],
    [withCode('ETIMEOUT'), 'dns_timeout'],
    [withCode('ECONNREFUSED'), 'connection_refused'],
    [withCode('ETIMEDOUT'), 'connection_timeout'],
    [withCode('ECONNABORTED'), 'connection_terminated'],
    [withCode('EHOSTUNREACH'), 'destination_ip_unroutable'],
    [withCode('EHOSTDOWN'), 'destination_ip_unroutable'],
    [withCode('ENETDOWN'), 'destination_ip_unroutable'],
    [withCode('EPROTO'), 'tls_protocol_error'],
    [withCode('ERR_SSL_WRONG_VERSION_NUMBER'), 'tls_protocol_error'],
    [withCode('ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE'), 'tls_alert_received'],
    [withCode('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'), 'tls_alert_received'],
    [withCode('CERT_HAS_EXPIRED'), 'tls_certificate_error'],
    [new Error('outer', { cause: withCode('ECONNREFUSED') }), 'connection_refused'],
    [withCode('ESOMETHINGELSE'), 'destination_unavailable']
  ] as ReadonlyArray<readonly [Error, string]>) {
    t.equal(upstreamFailure(error).proxyStatus, type, `${error.name} ${error.message} ${'code' in error ? String(error.code) : ''}`)
  }
})

t.test('a flood of interim responses is a 502, and the connection is not used again', async (t) => {
  const { proxy, upstream } = await pair(t, ({ send }) => {
    for (let count = 0; count < 2000; count++) send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
    return undefined
  })
  const response = await rawRequest(proxy.port, get(proxy))
  isFailure(t, response, 502, 'CS_UPSTREAM_UNREACHABLE', 'http_protocol_error')
  t.equal(response.interim.length, 64, 'what came before is passed on')
  await upstream.last.connection.closed
})

t.test('interim responses do not count as the response that timeoutMs waits for', async (t) => {
  const { proxy, upstream } = await pair(t, () => 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', { timeoutMs: 300 })
  isFailure(t, await rawRequest(proxy.port, get(proxy)), 504, 'CS_UPSTREAM_TIMEOUT', 'http_response_timeout')
  await upstream.last.connection.closed
})

t.test('an upstream that closes its connection behind each response, unannounced, gets no request twice', async (t) => {
  const { proxy, upstream } = await pair(t, ({ connection }) => {
    connection.socket.end(respondWith('200 OK', [], 'ok'))
    return undefined
  })
  const responses = await Promise.all(Array.from({ length: 8 }, async (_, lane) => {
    const client = await connectRaw(proxy.port)
    const statuses: number[] = []
    for (let turn = 0; turn < 25; turn++) {
      client.send(message(`POST /${lane}-${turn} HTTP/1.1`, [host(proxy), 'Content-Length: 5'], 'money'))
      statuses.push((await client.response()).statusCode)
    }
    client.destroy()
    return statuses
  }))
  t.ok(responses.flat().every((status) => status === 200 || status === 502))
  const targets = upstream.exchanges.map(({ target }) => target)
  t.equal(new Set(targets).size, targets.length)
})

t.test('no response headers within timeoutMs is a 504, and the upstream sees its connection close', async (t) => {
  const { proxy, upstream } = await pair(t, () => undefined, { timeoutMs: 200 })
  for (const request of [get(proxy), post(proxy)]) {
    isFailure(t, await rawRequest(proxy.port, request), 504, 'CS_UPSTREAM_TIMEOUT', 'http_response_timeout')
    await upstream.last.connection.closed
  }
})

t.test('an upload that takes longer than timeoutMs but moves is no timeout, and its response is waited for timeoutMs more', async (t) => {
  const { proxy, upstream } = await pair(t, () => undefined, { timeoutMs: 1000 })
  const client = await connectRaw(proxy.port)
  client.send(message('POST /x HTTP/1.1', [host(proxy), 'Transfer-Encoding: chunked']))
  for (let count = 1; count <= 6; count++) {
    client.send('1\r\na\r\n')
    await upstream.until(() => upstream.received.split('1\r\na').length > count)
    await pause(t, 200)
  }
  t.equal(client.unread.length, 0, 'nothing was answered while it moved')
  client.send('0\r\n\r\n')
  isFailure(t, await client.response(), 504, 'CS_UPSTREAM_TIMEOUT', 'http_response_timeout')
  client.destroy()
})

t.test('a body that drips for much longer than timeoutMs arrives whole', async (t) => {
  const { proxy } = await pair(t, async ({ send }) => {
    send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n')
    for (let count = 0; count < 10; count++) {
      await pause(t, 60)
      send('x')
    }
    return undefined
  }, { timeoutMs: 300 })
  const response = await rawRequest(proxy.port, get(proxy))
  t.equal(response.text, 'xxxxxxxxxx')
  t.ok(response.complete)
})

t.test('a body that falls silent for idleTimeoutMs breaks off', async (t) => {
  const { proxy, upstream } = await pair(t, () => 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc', { idleTimeoutMs: 300 })
  const response = await rawRequest(proxy.port, get(proxy))
  t.same([response.statusCode, response.text, response.complete], [200, 'abc', false])
  await upstream.last.connection.closed
})

t.test('an upstream that dies in the middle of a body leaves the client a truncated answer', async (t) => {
  for (const bytes of [
    'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nde'
  ]) {
    for (const end of ['end', 'resetAndDestroy'] as const) {
      const { proxy } = await pair(t, ({ send, connection }) => {
        send(bytes)
        connection.socket[end]()
        return undefined
      })
      const client = await connectRaw(proxy.port)
      client.send(get(proxy))
      const received = await client.rest()
      t.notOk(received.toString().endsWith('0\r\n\r\n'), `${end} ${JSON.stringify(bytes)}`)
      t.notMatch(received.toString(), /CS_/, 'no second answer within the first')
    }
  }
})

async function pair (
  t: Test,
  respond: ScriptedResponse,
  route: Partial<TestRoute> = {}
): Promise<{ proxy: TestProxy, upstream: Awaited<ReturnType<typeof startUpstream>> }> {
  const upstream = await startUpstream(t, { respond })
  return { upstream, proxy: await startProxy(t, { routes: [{ upstream: upstream.origin, ...route }] }) }
}

function isFailure (t: Test, response: RawResponse, statusCode: number, code: string, proxyStatus: string | RegExp, what = code): void {
  const body = JSON.parse(response.text) as Record<string, unknown>
  t.match(response, { statusCode, complete: true }, what)
  t.match(body, { statusCode, code }, what)
  t.match(
    response.header('proxy-status'),
    typeof proxyStatus === 'string' ? `countersign; error=${proxyStatus}` : /^countersign; error=/,
    what
  )
  t.match(response.header('proxy-status')?.slice('countersign; error='.length), proxyStatus, what)
  t.equal(response.header('content-type'), 'application/json')
  t.equal(response.header('cache-control'), 'no-store')
  t.notMatch(response.fields.filter(([name]) => name !== 'Date').flat().join('\n') + response.text, PLACES, `${what}: no place in it`)
}

function host (proxy: TestProxy): string {
  return `Host: localhost:${proxy.port}`
}

function get (proxy: TestProxy): string {
  return message('GET /x HTTP/1.1', [host(proxy)])
}

function post (proxy: TestProxy): string {
  return message('POST /x HTTP/1.1', [host(proxy), 'Content-Length: 5'], 'hello')
}

// Not to wait for something to happen, but for time that has to pass: what is tested are durations.
function pause (t: Test, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    t.teardown(() => { clearTimeout(timer) })
  })
}

async function closedPort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => { server.close(resolve) })
  return port
}
