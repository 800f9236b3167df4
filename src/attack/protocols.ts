import { held } from './allowed.ts'
import { cutOff, either, refused, type Attack } from './attack.ts'
import { EVIL, request, WEBSOCKET, type RequestParts } from './request.ts'

/** Attacks by upgrades and versions of HTTP that a route does not have. */
export const PROTOCOLS: readonly Attack[] = [
  {
    id: 'V1',
    name: 'upgrades where the route has none, or where the allow list does not hold them',
    why: 'An upgraded connection is seen by no guard any more, so the handshake is the one place to refuse.',
    variants: (target) => [
      ...(target.websocket
        ? []
        : ['websocket', 'WebSocket', 'foo/1', 'websocket, h2c'].map((protocol) => ({
            what: `Upgrade: ${protocol}`,
            bytes: request(target, { method: 'GET', lines: ['Connection: Upgrade', `Upgrade: ${protocol}`] }),
            must: either([400, 403], { without: ['Upgrade:'] })
          }))),
      ...(target.allow === undefined ? [] : held(target, `/${EVIL}`, 'GET')).map((path) => ({
        what: path,
        bytes: request(target, { method: 'GET', path, lines: WEBSOCKET }),
        must: refused(403, 'CS_NOT_ALLOWED')
      })),
      ...['/../x', '/%2e%2e/x', '/..;/x', '/%00', '/\\x', '/%'].map((path) => ({
        what: path,
        bytes: request(target, { method: 'GET', path, lines: WEBSOCKET }),
        must: refused([400])
      })),
      ...['http://169.254.169.254/', '*', `//${EVIL}.example/`].map((to) => ({
        what: to,
        bytes: request(target, { method: 'GET', target: to, lines: WEBSOCKET }),
        must: refused([400, 421])
      }))
    ]
  },
  {
    id: 'V3',
    name: 'a handshake with look-alikes, doubles and Connection lists',
    advisory: 'CVE-2026-33805, CVE-2025-64484',
    why: 'Upgrades often take another way through a proxy than requests do, and what is injected and removed there is forgotten.',
    variants: (target) =>
      !target.websocket
        ? []
        : target.injected
          .flatMap(({ in: place, name }): ReadonlyArray<RequestParts> => {
            switch (place) {
              case 'header':
                return [
                  [`${name}: ${EVIL}`],
                  [`${name.replaceAll('-', '_')}: ${EVIL}`],
                  [`Connection: ${name}`],
                  [`Authorization: Bearer ${EVIL}`, `authorization: ${EVIL}`],
                  [`X-Forwarded-For: ${EVIL}`]
                ].map((lines) => ({ lines }))
              case 'query':
                return [`?${name}=${EVIL}`, `?a=1;${name}=${EVIL}`].map((query) => ({ path: target.plain.path + query }))
              case 'cookie':
                return [{ lines: [`Cookie: ${name}=${EVIL}`] }]
              default:
                return place satisfies never
            }
          })
          .map((parts) => ({
            what: parts.path ?? parts.lines?.join(', ') ?? '',
            bytes: request(target, { ...parts, lines: [...WEBSOCKET, ...(parts.lines ?? [])] }),
            must: either([415], { without: [`: ${EVIL}`, `=${EVIL}`, `Bearer ${EVIL}`] })
          }))
  },
  {
    id: 'V2',
    name: 'versions of HTTP that this is not',
    why: 'What a parser takes for HTTP/1.1 and another for something else is framed differently by the two.',
    variants: (target) => [
      ...[
        'HTTP/1.2',
        'HTTP/2.0',
        'HTTP/2',
        'HTTP/3',
        'HTTP/0.9',
        'HTTP/9.9',
        'HTTP/1',
        'HTTP/1.',
        'HTTP/1.1.1',
        'HTTP/11',
        'HTTP/ 1.1',
        'http/1.1',
        'HTTP/1.1 x',
        'HTTP/1.1\t',
        'HTTPS/1.1',
        'ICE/1.0',
        'HTTP/-1.1',
        'HTTP/01.1',
        'HTTP/1.10',
        '',
        'HTTP\\1.1'
      ].map((version) => ({ what: JSON.stringify(version), bytes: request(target, { version }), must: cutOff() })),
      // Node's parser takes the name of a protocol with the same grammar for that of HTTP; it is framed like HTTP/1.0.
      { what: 'RTSP/1.0', bytes: request(target, { version: 'RTSP/1.0' }), must: either([400]) },
      { what: 'HTTP/0.9, a line alone', bytes: `GET ${target.prefix}${target.plain.path}\r\n\r\n`, must: cutOff() },
      { what: 'the preface of HTTP/2', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', must: cutOff([400, 405]) },
      { what: 'HTTP/1.0 without Host', bytes: request(target, { version: 'HTTP/1.0', host: null }), must: cutOff() },
      { what: 'a TLS handshake', bytes: '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03', must: cutOff(), cut: true },
      { what: 'SSH', bytes: 'SSH-2.0-OpenSSH_9.6\r\n', must: cutOff() }
    ]
  }
]
