import fc from 'fast-check'

/** A request of a pipeline: its bytes with `PORT` for the listener's port, and what becomes of it where its turn comes. */
interface PipelinedRequest {
  readonly bytes: string
  /**
   * `served`: reaches the upstream, which answers it as it is told to; `refused`: hears so, and the next one is read; `last`: nothing
   * behind it is read; `half`: its end never comes.
   */
  readonly kind: 'served' | 'refused' | 'last' | 'half'
  readonly method: string
}

/** A client that sends some requests at once or in pieces, and leaves somewhere on the way. */
export interface Pipeline {
  readonly requests: readonly PipelinedRequest[]
  /** Where the bytes are cut, as shares of their length. */
  readonly cuts: readonly number[]
  /** How many responses it waits for before it leaves; more than there are requests: all that come. */
  readonly responses: number
  readonly end: 'reset' | 'destroy' | 'half-close'
}

const HOST = 'Host: localhost:PORT'
const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13']

function of (kind: PipelinedRequest['kind'], line: string, lines: readonly string[], body = ''): PipelinedRequest {
  return { kind, method: line.split(' ')[0] ?? '', bytes: [line, ...lines, '', body].join('\r\n') }
}

/** `ID` becomes the number of the request. The upstream responses as the path says. */
const SERVED = [
  ...['/now', '/later', '/large', '/chunked', '/empty', '/interim'].map((path) => of('served', `GET /open${path}?ID HTTP/1.1`, [HOST])),
  of('served', 'HEAD /open/now?ID HTTP/1.1', [HOST]),
  of('served', 'POST /open/later?ID HTTP/1.1', [HOST, 'Content-Length: 5'], 'a\r\n\r\n'),
  of('served', 'POST /open/now?ID HTTP/1.1', [HOST, 'Transfer-Encoding: chunked'], '4\r\n\r\n\r\n\r\n0\r\n\r\n'),
  of('served', 'PUT /open/now?ID HTTP/1.1', [HOST, 'Transfer-Encoding: chunked'], '3;a=b\r\nabc\r\n0\r\nX-T: 1\r\n\r\n'),
  of('served', 'POST /open/now?ID HTTP/1.1', [HOST, 'Expect: 100-continue', 'Content-Length: 18'], 'GET / HTTP/1.1\r\n\r\n'),
  of('served', 'GET /open/now?ID HTTP/1.0', [HOST, 'Connection: keep-alive'])
]
const REFUSED = [
  of('refused', 'GET /open/x?ID HTTP/1.1', ['Host: evil.example']),
  of('refused', 'POST /open/x?ID HTTP/1.1', ['Host: evil.example', 'Content-Length: 3'], 'abc'),
  of('refused', 'GET /nowhere?ID HTTP/1.1', [HOST]),
  of('refused', 'GET /open/../x?ID HTTP/1.1', [HOST]),
  of('refused', 'GET /open/x?ID HTTP/1.1', [HOST, 'Origin: https://evil.example'])
]
const LAST = [
  of('last', 'GET /open/x?ID HTTP/1.1', []),
  of('last', 'GET /nowhere?ID HTTP/1.1', [HOST, 'Connection: close']),
  of('last', 'GET /open/x?ID HTTP/1.1', ['Host: evil.example', ...UPGRADE]),
  of('last', 'CONNECT evil.example:443 HTTP/1.1', [HOST]),
  of('last', 'nonsense', []),
  of('last', 'LIST /open/x?ID HTTP/1.1', [HOST]),
  of('last', 'POST /open/x?ID HTTP/1.1', [HOST, 'Content-Length: 1', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
  of('last', 'POST /open/x?ID HTTP/1.1', [HOST, 'Content-Length: 9007199254740993'])
]
const HALF = [
  of('half', 'POST /open/later?ID HTTP/1.1', [HOST, 'Content-Length: 1000000'], 'abc'),
  of('half', 'POST /open/later?ID HTTP/1.1', [HOST, 'Transfer-Encoding: chunked'], '5\r\nab'),
  of('half', 'GET /open/never?ID HTTP/1.1', [HOST]),
  of('half', 'GET /open/broken?ID HTTP/1.1', [HOST]),
  of('half', 'GET /open/now?ID HTTP/1.1', [HOST, ...UPGRADE]),
  of('half', 'GET /open/never?ID HTTP/1.1', [HOST, ...UPGRADE]),
  { kind: 'half', method: 'GET', bytes: 'GET /open/x?ID HTTP/1.1\r\nHost: loc' } as const
]

const request = fc.oneof(
  { arbitrary: fc.constantFrom(...SERVED), weight: 8 },
  { arbitrary: fc.constantFrom(...REFUSED), weight: 4 },
  { arbitrary: fc.constantFrom(...LAST), weight: 1 },
  { arbitrary: fc.constantFrom(...HALF), weight: 1 }
)

export const pipeline: fc.Arbitrary<Pipeline> = fc.record({
  requests: fc.array(request, { minLength: 1, maxLength: 12, size: 'max' }),
  cuts: fc.oneof(
    { arbitrary: fc.constant([]), weight: 2 },
    { arbitrary: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }), weight: 1 }
  ),
  responses: fc.oneof({ arbitrary: fc.constant(99), weight: 2 }, { arbitrary: fc.nat({ max: 6 }), weight: 1 }),
  end: fc.constantFrom('reset' as const, 'destroy' as const, 'half-close' as const)
})
