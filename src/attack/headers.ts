import { cutOff, either, passed, refused, type Attack, type Target, type Variant } from './attack.ts'
import { headerNames, INJECTED } from './injected.ts'
import { EVIL, EVIL_HOST, request, WEBSOCKET } from './request.ts'

/** Names of properties that every object has; values kept by name in an object meet them (CVE-2022-24999 and its kin). */
const PROTOTYPE = ['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'valueOf', 'prototype', '__defineGetter__']

/** Attacks by header fields that strip, forge or smuggle something past the proxy. */
export const HEADERS: readonly Attack[] = [
  ...INJECTED,
  {
    id: 'H4',
    name: 'headers that claim to come from a proxy in front',
    advisory: 'CVE-2026-3635',
    why: "Who believes them takes the client's word for its address, its protocol, or the path and host that it is to be judged by.",
    variants: (target) =>
      [
        'Forwarded',
        'X-Forwarded-For',
        'X-Forwarded-Host',
        'X-Forwarded-Proto',
        'X-Forwarded-Port',
        'X-Forwarded-Prefix',
        'X-Forwarded-Uri',
        'X-Forwarded-Path',
        'X-Forwarded-User',
        'X-Forwarded-Access-Token',
        'X_Forwarded_For',
        'x-forwarded_host',
        'X-FORWARDED-SERVER',
        'X-Original-URL',
        'X-Rewrite-URL',
        'X_Original_URL',
        'x-rewrite_url'
      ].map((name) => {
        return { what: `${name}: /${EVIL}`, bytes: request(target, { lines: [`${name}: /${EVIL}`] }), must: passed({ without: [EVIL] }) }
      })
  },
  {
    id: 'H5',
    name: 'folded and malformed header lines',
    advisory: 'CVE-2022-35256, RFC 9112 section 5.2',
    why: 'A line that one reader takes for the end of the line before, and another for a header of its own.',
    variants: (target) =>
      [...headerNames(target), 'Host', 'Transfer-Encoding'].flatMap((name) =>
        [
          `X-A: 1\r\n ${name}: ${EVIL}`,
          `X-A: 1\r\n\t${name}: ${EVIL}`,
          `X-A:\r\n ${name}: ${EVIL}`,
          `${name} : ${EVIL}`,
          `${name}\t: ${EVIL}`,
          ` ${name}: ${EVIL}`,
          `\t${name}: ${EVIL}`,
          `X-A: 1\n${name}: ${EVIL}`,
          `X-A: 1\r${name}: ${EVIL}`,
          `X-A: 1\r\r\n${name}: ${EVIL}`,
          `X-A: 1\n\r\n${name}: ${EVIL}`,
          `X-A: 1\0\r\n${name}: ${EVIL}`,
          `X-\0A: 1\r\n${name}: ${EVIL}`,
          `${name}\0: ${EVIL}`,
          `${name}`,
          `: ${EVIL}`,
          `${name}\x0b: ${EVIL}`,
          `(${name}): ${EVIL}`,
          `X A: 1\r\n${name}: ${EVIL}`,
          `X-A: \x01\r\n${name}: ${EVIL}`,
          `X-A: \x7f\r\n${name}: ${EVIL}`,
          `"${name}": ${EVIL}`,
          `\xa0${name}: ${EVIL}`
        ].map((line) => ({ what: JSON.stringify(line), bytes: request(target, { lines: [line] }), must: cutOff() }))
      )
  },
  {
    id: 'H6',
    name: 'hop-by-hop headers, and a credential as a trailer',
    advisory: 'RFC 9110 section 7.6.1',
    why: "What is between this client and the proxy is nobody else's business, and a trailer would come behind every check.",
    variants: (target) => [
      ...[
        'TE: trailers, gzip',
        'TE: trailers',
        'Trailer: Authorization',
        'Keep-Alive: timeout=5',
        'Proxy-Connection: keep-alive',
        'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
        'Expect: 100-continue',
        'Expect: 200-ok',
        'Proxy-Authenticate: Basic',
        'Upgrade: ',
        'Upgrade: h2c',
        'Connection: HTTP2-Settings',
        'Accept-Encoding: gzip\r\nTE: gzip;q=0.5'
      ]
        .filter((line) => target.callerToken === undefined || !line.startsWith('Proxy-Authorization'))
        .map((line) => ({ what: line, bytes: request(target, { lines: [line] }), must: passed() })),
      ...(target.callerToken === undefined ? ['Basic', 'Bearer', 'Digest'] : []).map((scheme) => ({
        what: `Proxy-Authorization: ${scheme}`,
        bytes: request(target, { lines: [`Proxy-Authorization: ${scheme} ${EVIL}`] }),
        must: passed({ without: [EVIL] })
      })),
      ...[...headerNames(target), 'Content-Length', 'Transfer-Encoding', 'Host', '__proto__'].map((name) => trailer(target, name))
    ]
  },
  {
    id: 'H8',
    name: 'names that are properties of every object',
    advisory: 'CVE-2022-24999',
    why: 'Headers kept by name in an object meet its prototype: a crash, or a check that finds what nobody sent.',
    variants: (target) =>
      PROTOTYPE.flatMap((name) => [
        [`${name}: ${EVIL}`],
        [`${name}: ${EVIL}`, `${name}: ${EVIL}`],
        [`Connection: ${name}`],
        [`Cookie: ${name}=${EVIL}`],
        [`X-Forwarded-${name}: 1`]
      ])
        .map((lines) => ({ what: lines.join(', '), bytes: request(target, { lines }), must: passed() }))
        .concat(
          PROTOTYPE.map((name) => ({
            what: `query ${name}`,
            bytes: request(target, { path: `${target.plain.path}?${name}=1&${name}[x]=2&${name}` }),
            must: passed({ holds: [`?${name}=1&${name}[x]=2&${name}`] })
          }))
        )
  },
  {
    id: 'H9',
    name: 'headers of absurd number and size',
    advisory: 'GHSA-3h5v-q93c-6h6q',
    why: "What is beyond a parser's limit may be dropped in silence, and what is not limited costs memory.",
    variants: (target) =>
      [[], WEBSOCKET].flatMap((more) =>
        [
          {
            what: '2,000 headers',
            bytes: request(target, { method: 'GET', lines: [...more, ...many(2000, 'X-Filler: abcdef')] }),
            must: cutOff(431)
          },
          {
            what: 'one header of 64 KiB',
            bytes: request(target, { method: 'GET', lines: [...more, `X-Filler: ${'a'.repeat(65_536)}`] }),
            must: cutOff(431)
          },
          {
            what: 'a header name of 64 KiB',
            bytes: request(target, { method: 'GET', lines: [...more, `${'a'.repeat(65_536)}: 1`] }),
            must: cutOff(431)
          },
          {
            what: '1,200 short headers in front of a second Host',
            bytes: request(target, { method: 'GET', lines: [...more, ...many(1200, 'a: b'), `Host: ${EVIL_HOST}`] }),
            must: cutOff()
          },
          {
            what: '1,200 short headers in front of a foreign Origin',
            bytes: request(target, { method: 'GET', lines: [...more, ...many(1200, 'a: b'), `Origin: https://${EVIL_HOST}`] }),
            must: refused(403)
          }
        ].map((variant) => (more.length === 0 ? variant : { ...variant, what: `upgrade, ${variant.what}` }))
      )
  },
  {
    id: 'H10',
    name: 'malformed values of headers that something may read',
    why: 'A cookie, a Referer or a content type that makes a parser throw must cost one request, not the process.',
    variants: (target) =>
      [
        'Referer: http://%',
        'Referer: \xff\xfe',
        'Cookie: =',
        'Cookie: ;;;=;',
        'Cookie: %',
        'Cookie: a="',
        `Cookie: ${'a;'.repeat(2000)}`,
        'Content-Type: ;;;',
        'Content-Type: \x80/\x80',
        'Accept: ,,,',
        'User-Agent: \x9b31m',
        'Authorization:',
        'Date: x',
        'Range: bytes=-',
        'If-Modified-Since: never',
        'Accept-Language: *;q=',
        'Content-Encoding: ,',
        `X-Long: ${'ä'.repeat(500)}`
      ].map((line) => ({ what: JSON.stringify(line.slice(0, 60)), bytes: request(target, { lines: [line] }), must: either([400, 415]) }))
  },
  {
    id: 'H11',
    name: 'offers to switch to another protocol',
    why: 'An h2c upgrade that is passed on turns the connection into a tunnel behind every guard.',
    variants: (target) =>
      ['h2c', 'H2C', 'h2c, websocket', 'h2', 'TLS/1.0', 'HTTP/2.0', ' h2c'].map((protocol) => ({
        what: `Upgrade: ${protocol}`,
        bytes: request(target, {
          lines: ['Connection: Upgrade, HTTP2-Settings', `Upgrade: ${protocol}`, 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA']
        }),
        must: either([400, 403, 415], { without: ['HTTP2-Settings', 'h2c', 'TLS/1.0'] })
      }))
  }
]

function trailer (target: Target, name: string): Variant {
  const lines = ['Transfer-Encoding: chunked', `Trailer: ${name}`, 'Content-Type: application/json']
  return {
    what: `trailer ${name}`,
    bytes: request(target, { lines, body: `2\r\n{}\r\n0\r\n${name}: ${EVIL}\r\n\r\n` }),
    must: either([400], { without: [EVIL] })
  }
}

function many (count: number, line: string): string[] {
  return Array.from({ length: count }, () => line)
}
