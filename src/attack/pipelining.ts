import { passed, refused, type Attack, type Target, type Variant } from './attack.ts'
import { EVIL, EVIL_HOST, request, WEBSOCKET } from './request.ts'

/** More than one connection may have places for (`limits.requests`, by default 2,000). */
const MANY = 2100

/** Attacks between two requests of one connection: on their order, on places among the limits, by clients that leave. */
export const PIPELINING: readonly Attack[] = [
  {
    id: 'R9',
    name: 'pipelines, and clients that leave in the middle of one',
    why: 'A server that reads on behind a request has responses without a socket: an upgrade behind them can end the process, and those that never close keep their places until nobody is served any more.',
    variants: (target) => [
      ...followers(target).flatMap(([what, behind]) => [
        several(`a request, and behind it ${what}`, request(target) + behind, passed({ without: [EVIL] })),
        several(`a refused request, and behind it ${what}`, foreignHost(target) + behind, refused(421, 'CS_HOST_NOT_ALLOWED')),
        left(`a refused request, behind it ${what}, and a reset`, foreignHost(target) + behind)
      ]),
      left('half a refused request, and a reset', foreignHost(target).slice(0, -2)),
      left('a refused request with half a body, and a reset', foreignHost(target, ['Content-Length: 100']) + 'abc')
    ]
  },
  {
    id: 'R10',
    name: 'more requests on one connection than all may have in flight',
    why: 'One connection must not take every place, and gives back those that it had when it leaves.',
    scope: 'proxy',
    variants: (target) => [
      several('refused ones', foreignHost(target).repeat(MANY), refused(421, 'CS_HOST_NOT_ALLOWED')),
      several('refused ones behind a request', request(target) + foreignHost(target).repeat(MANY), passed({ without: [EVIL] })),
      left('refused ones, and a reset', foreignHost(target).repeat(MANY)),
      left('refused upgrades behind a refused request, and a reset', foreignHost(target) + foreignHost(target, WEBSOCKET).repeat(MANY))
    ]
  }
]

/** Requests that are refused wherever they stand. */
function followers (target: Target): Array<readonly [what: string, bytes: string]> {
  return [
    ['a foreign Host', foreignHost(target)],
    ['an upgrade of a foreign Host', foreignHost(target, WEBSOCKET)],
    ['two of them', foreignHost(target, WEBSOCKET).repeat(2)],
    ['half a POST', foreignHost(target, ['Content-Length: 100']) + 'abc'],
    ['half a chunked POST', foreignHost(target, ['Transfer-Encoding: chunked']) + '5\r\nab'],
    ['one that waits for its body', foreignHost(target, ['Content-Length: 100', 'Expect: 100-continue'])],
    ['CONNECT', request(target, { method: 'CONNECT', target: `${EVIL_HOST}:443` })],
    ['nonsense', `${EVIL}\r\n\r\n`]
  ]
}

function foreignHost (target: Target, lines: readonly string[] = []): string {
  return request(target, { method: 'GET', path: `${target.plain.path}?${EVIL}`, host: EVIL_HOST, lines })
}

function several (what: string, bytes: string, must: Variant['must']): Variant {
  return { what, bytes, must, several: true }
}

function left (what: string, bytes: string): Variant {
  return { what, bytes, must: refused(421), several: true, leaves: true }
}
