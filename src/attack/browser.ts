import { passed, refused, type Attack } from './attack.ts'
import { absoluteTargets, foreignHosts, foreignOrigins, malformedHosts } from './foreign-names.ts'
import { EVIL_HOST, ownHost, request, WEBSOCKET } from './request.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS', 'PROPFIND']

/** Requests that a web page in the user's browser can send to a local port. */
export const BROWSER: readonly Attack[] = [
  {
    id: 'B1',
    name: 'a rebound DNS name as Host',
    advisory: 'CVE-2025-66414, CVE-2025-66416, CVE-2026-11624',
    why: 'A page lets its own name resolve to 127.0.0.1 and is then of the same origin as the proxy: no Origin, no preflight. Only Host still tells.',
    variants: (target) =>
      METHODS.flatMap((method) =>
        [`${EVIL_HOST}:${target.port}`, EVIL_HOST].map((host) => {
          return { what: `${method}, Host: ${host}`, bytes: request(target, { method, host }), must: refused(421, 'CS_HOST_NOT_ALLOWED') }
        })
      )
  },
  {
    id: 'B2',
    name: 'the Host guard talked out of it by forwarding headers',
    why: 'Proxies that believe X-Forwarded-Host judge a name that the page has chosen.',
    variants: (target) =>
      ['X-Forwarded-Host', 'X-Host', 'X-Original-Host', 'X-HTTP-Host-Override', 'Forwarded'].map((name) => {
        const line = name === 'Forwarded' ? `Forwarded: host=${ownHost(target)}` : `${name}: ${ownHost(target)}`
        return { what: line, bytes: request(target, { host: EVIL_HOST, lines: [line] }), must: refused(421, 'CS_HOST_NOT_ALLOWED') }
      })
  },
  {
    id: 'B3',
    name: "look-alikes of this listener's own names",
    advisory: 'CVE-2026-55602',
    why: 'Guards that compare the beginning or the end of Host, or parse it generously, take names that somebody can rebind.',
    variants: (target) => [...foreignHosts(target), ...malformedHosts(target)]
  },
  {
    id: 'B4',
    name: 'absolute form, with another host than Host',
    why: 'RFC 9112 section 3.2.2 lets the target win over Host; a guard that reads the other one is bypassed.',
    variants: (target) =>
      absoluteTargets(target).map(([to, host]) => ({
        what: `${to}, Host: ${host}`,
        bytes: request(target, { target: to, host }),
        must: refused(400)
      }))
  },
  {
    id: 'B5',
    name: 'simple requests of another site',
    advisory: 'CVE-2025-49596',
    why: 'A form or fetch() with text/plain needs no preflight; the page cannot read the response, but the transaction was sent.',
    variants: (target) =>
      crossed(foreignOrigins(target)).map(([method, origin]) => {
        return {
          what: `${method}, Origin: ${origin}`,
          bytes: request(target, { method, lines: [`Origin: ${origin}`, 'Content-Type: text/plain'] }),
          must: refused(403, 'CS_ORIGIN_NOT_ALLOWED')
        }
      })
  },
  {
    id: 'B6',
    name: 'several origins, or an own one beside a foreign Sec-Fetch-Site',
    why: 'A guard that reads the first of two headers can be fed the one it likes.',
    variants: (target) => {
      const own = `Origin: http://${ownHost(target)}`
      return [
        [own, `Origin: https://${EVIL_HOST}`],
        [`Origin: https://${EVIL_HOST}`, own],
        [own, own],
        [own, 'Sec-Fetch-Site: cross-site'],
        ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site'],
        [`${own}, https://${EVIL_HOST}`],
        [`${own} https://${EVIL_HOST}`],
        [`Origin: https://${EVIL_HOST}`, 'Sec-Fetch-Site: same-origin'],
        [`Origin: https://${EVIL_HOST}`, 'Sec-Fetch-Site: none'],
        [own, `ORIGIN: https://${EVIL_HOST}`],
        [`Origin: https://${EVIL_HOST}`, `X-Forwarded-Host: ${EVIL_HOST}`],
        [`oRiGiN: https://${EVIL_HOST}`],
        [`Origin: https://${EVIL_HOST}`, 'Connection: origin']
      ].map((lines) => ({ what: lines.join(', '), bytes: request(target, { lines }), must: refused(403, 'CS_ORIGIN_NOT_ALLOWED') }))
    }
  },
  {
    id: 'B7',
    name: 'script and image tags of another site',
    advisory: 'CVE-2025-30359',
    why: 'Tags send no Origin with GET; Sec-Fetch-Site is what tells that another site sent it.',
    variants: (target) =>
      crossed(['cross-site', 'same-site', 'CROSS-SITE', 'cross-site, none', '', 'null', '?1', 'none;a=b', 'same-originx']).map(
        ([method, site]) => {
          return {
            what: `${method}, Sec-Fetch-Site: ${site}`,
            bytes: request(target, { method, lines: [`Sec-Fetch-Site: ${site}`, 'Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: script'] }),
            must: refused(403, 'CS_ORIGIN_NOT_ALLOWED')
          }
        }
      )
  },
  {
    id: 'B8',
    name: 'preflights of another site, and an upstream that allows every origin',
    advisory: 'CVE-2025-24010, GHSA-67mh-4wv8-2f99',
    why: 'One answered preflight, or one CORS header of the upstream that is passed on, opens the whole API to every page.',
    variants: (target) => [
      ...foreignOrigins(target).flatMap((origin, index) =>
        [
          [],
          ['Access-Control-Request-Private-Network: true'],
          ['Access-Control-Request-Local-Network: true'],
          ['Access-Control-Request-Headers: authorization, x-countersign-token']
        ]
          .slice(0, index === 0 ? 4 : 1)
          .map((more) => {
            const lines = [`Origin: ${origin}`, 'Access-Control-Request-Method: POST', ...more]
            return {
              what: lines.join(', '),
              bytes: request(target, { method: 'OPTIONS', lines }),
              must: refused(403, 'CS_ORIGIN_NOT_ALLOWED')
            }
          })
      ),
      // The stand-in for the upstream allows every origin; the response must not.
      { what: 'no Origin, an upstream with Access-Control-Allow-Origin: *', bytes: request(target), must: passed() }
    ]
  },
  {
    id: 'B9',
    name: 'upgrades of another site',
    advisory: 'CVE-2026-112085, CVE-2018-14732',
    why: 'WebSocket knows no same-origin policy: a page may open one to every host, and the server alone can refuse.',
    variants: (target) => [
      ...foreignOrigins(target).map((origin) => ({
        what: `Origin: ${origin}`,
        bytes: request(target, { method: 'GET', lines: [...WEBSOCKET, `Origin: ${origin}`] }),
        must: refused(403, 'CS_ORIGIN_NOT_ALLOWED')
      })),
      ...['cross-site', 'same-site'].map((site) => ({
        what: `Sec-Fetch-Site: ${site}`,
        bytes: request(target, { method: 'GET', lines: [...WEBSOCKET, `Sec-Fetch-Site: ${site}`] }),
        must: refused(403, 'CS_ORIGIN_NOT_ALLOWED')
      })),
      ...foreignHosts(target).map(({ what }) => ({
        what,
        bytes: request(target, { method: 'GET', host: what.slice('Host: '.length), lines: WEBSOCKET }),
        must: refused([400, 421])
      })),
      ...malformedHosts(target, WEBSOCKET)
    ]
  }
]

/** Pairs every spelling with a reading and a writing method, and the first one with every method. */
function crossed (spellings: readonly string[]): Array<readonly [method: string, spelling: string]> {
  return spellings.flatMap((spelling, index) => (index === 0 ? METHODS : ['GET', 'POST']).map((method) => [method, spelling] as const))
}
