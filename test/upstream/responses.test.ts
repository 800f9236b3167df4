import t, { type Test } from 'tap'
import { connectUpstream } from '#src/upstream/connect.ts'
import { ask } from '../helpers/ask.ts'
import { createAuthority } from '../helpers/certificates.ts'
import { BEARER, startProxy, type TestProxy, type TestRoute } from '../helpers/proxy.ts'
import { connectRaw, message, rawRequest } from '../helpers/raw-client.ts'
import {
  respondWith,
  OK,
  startUpstream,
  type ScriptedResponse,
  type RecordingUpstream,
  type UpstreamOptions
} from '../helpers/recording-upstream.ts'

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'

t.test('an unasked 100 in front of a response is dropped, however it is cut, and other interim responses pass', async (t) => {
  for (const [bytes, interim] of [
    [CONTINUE + OK, []],
    [CONTINUE + CONTINUE + OK, []],
    [HINTS + CONTINUE + OK, [103]],
    [CONTINUE + HINTS + OK, [103]],
    ['HTTP/1.1 100 Continue\r\nX-A: b\r\nContent-Length: 5\r\n\r\n' + OK, []],
    ['HTTP/1.0 100 \r\n\r\n' + OK, []],
    ['\r\n' + CONTINUE + OK, []]
  ] as ReadonlyArray<readonly [string, number[]]>) {
    for (const step of [bytes.length, 1, 7, 25]) {
      const { proxy, upstream } = await pair(t, async ({ send }) => {
        for (let at = 0; at < bytes.length; at += step) {
          send(bytes.slice(at, at + step))
          await new Promise((resolve) => { setImmediate(resolve) })
        }
        return undefined
      })
      for (let turn = 0; turn < 2; turn++) {
        for (const request of [get(proxy), message('POST / HTTP/1.1', [host(proxy), 'Content-Length: 1'], 'x')]) {
          const response = await rawRequest(proxy.port, request)
          t.match(response, { statusCode: 200, text: 'ok', complete: true }, `${JSON.stringify(bytes)} by ${step}`)
          t.same(response.interim, interim)
        }
      }
      t.equal(upstream.exchanges.length, 4, 'sent once each')
    }
  }
})

t.test('a 100 in front of a 101 is dropped', async (t) => {
  const { proxy } = await pair(t, () => `${CONTINUE}HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello`)
  const client = await connectRaw(proxy.port)
  client.send(message('GET / HTTP/1.1', [host(proxy), 'Connection: Upgrade', 'Upgrade: echo']))
  await client.until((unread) => unread.toString('latin1').endsWith('\r\n\r\nhello'))
  t.match(client.unread.toString('latin1'), /^HTTP\/1\.1 101 /)
  client.destroy()
})

t.test('a response that is none fails at once, however short it is and though the connection stays open', async (t) => {
  for (const text of ['n', 'nonsense\r\n\r\n', 'HTTQ', 'HTTP/1.1 x', 'HTTP/1.1 20\r\n\r\n']) {
    const { proxy } = await pair(t, () => text)
    t.match(await rawRequest(proxy.port, get(proxy)), { statusCode: 502, text: /CS_UPSTREAM_UNREACHABLE/ }, JSON.stringify(text))
  }
})

t.test('a flood of 100 ends', async (t) => {
  const { proxy, upstream } = await pair(t, () => CONTINUE.repeat(1000))
  t.match(await rawRequest(proxy.port, get(proxy)), { statusCode: 502, text: /CS_UPSTREAM_UNREACHABLE/ })
  await upstream.last.connection.closed
})

t.test('a refusal while the upload runs reaches the client, also where the upstream closes at once', async (t) => {
  for (const status of ['413 Payload Too Large', '401 Unauthorized']) {
    for (const end of ['end', 'destroy'] as const) {
      for (const tls of [false, true]) {
        const { proxy, upstream } = await pair(t, () => undefined, {}, tls)
        upstream.early = ({ connection: { socket } }) => {
          socket.pause()
          socket.write(respondWith(status, ['Connection: close'], 'no'), () => { socket[end]() })
          return undefined
        }
        for (let turn = 0; turn < 3; turn++) {
          const client = await connectRaw(proxy.port)
          client.send(message('POST / HTTP/1.1', [host(proxy), 'Content-Length: 30000000']))
          client.send(Buffer.alloc(6_000_000))
          client.send(Buffer.alloc(6_000_000))
          t.match(
            await client.response(),
            { statusCode: Number(status.slice(0, 3)), text: 'no', complete: true },
            `${status}, ${end}, ${tls ? 'TLS' : 'plain'}`
          )
          client.destroy()
        }
      }
    }
  }
})

t.test('a reset in the middle of a body that ends with its connection breaks the client\'s transfer', async (t) => {
  for (const version of ['1.1', '1.0']) {
    const { proxy, upstream } = await pair(t, () => `HTTP/${version} 200 OK\r\n\r\nhalf`)
    const client = await connectRaw(proxy.port)
    client.send(get(proxy))
    await client.until((unread) => unread.includes('half'))
    upstream.last.connection.socket.resetAndDestroy()
    const received = (await client.rest()).toString('latin1')
    t.notOk(received.endsWith('0\r\n\r\n'), version)
    client.destroy()
  }
})

t.test('a reset in one breath with such a body breaks the transfer as well', async (t) => {
  for (const body of ['', 'half', 'x'.repeat(100_000)]) {
    const { proxy } = await pair(t, ({ connection: { socket } }) => {
      socket.write(`HTTP/1.1 200 OK\r\n\r\n${body}`)
      socket.resetAndDestroy()
      return undefined
    })
    const client = await connectRaw(proxy.port)
    client.send(get(proxy))
    await client.closed()
    t.notOk(client.unread.toString('latin1').endsWith('0\r\n\r\n'), `${body.length}`)
    client.destroy()
  }
})

t.test('a body that ends with its connection, in order, is whole', async (t) => {
  for (const tls of [false, true]) {
    const { proxy } = await pair(t, ({ connection }) => {
      connection.socket.end('HTTP/1.1 200 OK\r\n\r\nwhole')
      return undefined
    }, {}, tls)
    t.match(await rawRequest(proxy.port, get(proxy)), { statusCode: 200, text: 'whole', complete: true })
  }
})

t.test('a body that ends with its TLS connection is whole only with close_notify', async (t) => {
  const { proxy, upstream } = await pair(t, () => 'HTTP/1.1 200 OK\r\n\r\nhalf', {}, true)
  const client = await connectRaw(proxy.port)
  client.send(get(proxy))
  await client.until((unread) => unread.includes('half'))
  upstream.last.connection.socket.destroy()
  t.equal((await client.response()).complete, false, 'no end')
  client.destroy()
})

t.test('header sections of responses pass up to 32,768 bytes, whatever they are made of', async (t) => {
  const line = 'HTTP/1.1 200 OK\r\n'
  const rest = 'Content-Length: 2\r\n\r\n'
  const fill = (size: number, field: string): string => {
    const fields = field.repeat(Math.floor((size - rest.length - 100) / field.length))
    const last = size - rest.length - fields.length - 'X-Last: \r\n'.length
    return `${line}${fields}X-Last: ${'z'.repeat(last)}\r\n${rest}ok`
  }
  for (const field of [`X-Long: ${'y'.repeat(4000)}\r\n`, `X-Some: ${'y'.repeat(50)}\r\n`]) {
    const { proxy, upstream } = await pair(t)
    for (const [size, statusCode] of [[20_000, 200], [32_768, 200], [32_769, 502], [40_000, 502]] as const) {
      upstream.respond = () => fill(size, field)
      const response = await rawRequest(proxy.port, get(proxy))
      t.equal(response.statusCode, statusCode, `${size} bytes of ${field.slice(0, 6)}`)
      if (statusCode === 502) {
        t.match(
          [response.text, response.header('proxy-status')],
          [/CS_UPSTREAM_UNREACHABLE/, 'countersign; error=http_response_header_section_size']
        )
      }
    }
  }
  const upstream = await startUpstream(t, { respond: () => fill(1000, 'X-A: b\r\n') })
  for (const [headerBytes, passes] of [[1000, true], [999, false]] as const) {
    const dispatcher = connectUpstream({ origin: upstream.origin, timeoutMs: 60_000, idleTimeoutMs: 60_000, proxies: {}, headerBytes })
    const response = ask(dispatcher).then(({ head }) => head.statusCode === 200, () => false)
    t.equal(await response, passes, `${headerBytes}`)
    await dispatcher.destroy()
  }
})

const authority = createAuthority()
const certificate = authority.issue({ names: ['127.0.0.1'] })

async function pair (
  t: Test,
  respond: ScriptedResponse = () => OK,
  route: Partial<TestRoute> = {},
  tls = false
): Promise<{ readonly proxy: TestProxy, readonly upstream: RecordingUpstream }> {
  const options: UpstreamOptions = { respond, ...(tls && { tls: certificate }) }
  const upstream = await startUpstream(t, options)
  return {
    upstream,
    proxy: await startProxy(t, {
      routes: [{ bindings: [BEARER], ...route, ...(tls && { tls: { ca: authority.cert } }), upstream: upstream.origin }]
    })
  }
}

function get (proxy: TestProxy): string {
  return message('GET / HTTP/1.1', [host(proxy)])
}

function host (proxy: TestProxy): string {
  return `Host: localhost:${proxy.port}`
}
