import { cutOff, passed, type Attack, type Must, type Target, type Variant } from './attack.ts'
import { EVIL, ownHost, request } from './request.ts'

/** Requests whose end two readers see at different places. */
export const FRAMING: readonly Attack[] = [
  {
    id: 'S1',
    name: 'a length and a coding, or a coding that is none',
    advisory: 'CVE-2022-32213, CVE-2022-32215, RFC 9112 section 6.1',
    why: "CL.TE, TE.CL, TE.TE: what is body to one reader is the next request to the other, with this proxy's credential on it.",
    variants: (target) =>
      [
        ['Content-Length: 4', 'Transfer-Encoding: chunked'],
        ['Transfer-Encoding: chunked', 'Content-Length: 4'],
        ['Content-Length: 0', 'Transfer-Encoding: chunked'],
        ['Transfer-Encoding: chunked, identity'],
        ['Transfer-Encoding: identity, chunked'],
        ['Transfer-Encoding: identity'],
        ['Transfer-Encoding: xchunked'],
        ['Transfer-Encoding: chunkedx'],
        ['Transfer-Encoding: gzip, chunked'],
        ['Transfer-Encoding: chunked, gzip'],
        ['Transfer-Encoding: chunked, chunked'],
        ['Transfer-Encoding: gzip'],
        ['Transfer-Encoding: deflate'],
        ['Transfer-Encoding: x'],
        ['Transfer-Encoding:'],
        ['Transfer-Encoding: ,chunked'],
        ['Transfer-Encoding: chunked,'],
        ['Transfer-Encoding: chunked;a=b'],
        ['Transfer-Encoding: "chunked"'],
        ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
        ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
        ['Transfer-Encoding: identity', 'Transfer-Encoding: chunked'],
        ['Transfer-Encoding: chunked', 'transfer-encoding: x'],
        ['Transfer-Encoding: chunked\x0b'],
        ['Transfer-Encoding: \x0bchunked'],
        ['Transfer-Encoding: chunked\x0c'],
        ['Transfer-Encoding:\x00chunked'],
        ['Transfer-Encoding: chun\0ked'],
        ['Transfer-Encoding : chunked'],
        ['Transfer-Encoding\t: chunked'],
        [' Transfer-Encoding: chunked'],
        ['X: x\nTransfer-Encoding: chunked'],
        ['X: x\rTransfer-Encoding: chunked'],
        ['Transfer-Encoding:\r\n chunked'],
        ['Transfer-Encoding: chunked\r\n , identity'],
        ['Transfer-Encoding: chunked\n'],
        ['Transfer-Encoding: chunked\xa0'],
        ['Transfer-Encoding: \x85chunked'],
        ['Transfer-Encoding: ch\xfcnked']
      ].map((lines) => smuggled(target, lines.map((line) => JSON.stringify(line)).join(', '), lines, '0\r\n\r\n', cutOff()))
  },
  {
    id: 'S2',
    name: 'lengths that are none, or several',
    advisory: 'RFC 9112 section 6.3, RFC 9110 section 8.6',
    why: 'Readers differ in which of two lengths they take, and in what they make of signs, lists and hexadecimals.',
    variants: (target) =>
      [
        ['Content-Length: 4', 'Content-Length: 5'],
        ['Content-Length: 4', 'Content-Length: 4'],
        ['Content-Length: 4', 'content-length: 0'],
        ['Content-Length: 4, 4'],
        ['Content-Length: 4, 5'],
        ['Content-Length: 4,'],
        ['Content-Length: +4'],
        ['Content-Length: -4'],
        ['Content-Length: -0'],
        ['Content-Length: 0x4'],
        ['Content-Length: 4.0'],
        ['Content-Length: 4e0'],
        ['Content-Length: 4 4'],
        ['Content-Length: 4;'],
        ['Content-Length:'],
        ['Content-Length: '],
        ['Content-Length: x'],
        ['Content-Length: 18446744073709551616'],
        ['Content-Length: 18446744073709551620'],
        ['Content-Length: 99999999999999999999999999'],
        ['Content-Length: \x0b4'],
        ['Content-Length: 4\x0b'],
        ['Content-Length: 4\0'],
        ['Content-Length : 4'],
        ['Content-Length\t: 4'],
        ['Content-Length: \xb2'],
        ['Content-Length: "4"'],
        ['Content-Length: NaN'],
        ['Content-Length: Infinity'],
        ['Content-Length: 1_0'],
        ['Content-Length: 4\r\n 0']
      ].map((lines) => smuggled(target, lines.map((line) => JSON.stringify(line)).join(', '), lines, 'abcd', cutOff()))
  },
  {
    id: 'S3',
    name: 'chunks that are none',
    advisory: 'CVE-2022-32214, CVE-2023-30589, CVE-2022-35256',
    why: 'Sizes that overflow, line ends that are half ones and extensions that hold some: the end of the body is where the attacker says.',
    variants: (target) =>
      [
        'g\r\nabcd\r\n0\r\n\r\n',
        '-1\r\nabcd\r\n0\r\n\r\n',
        '+4\r\nabcd\r\n0\r\n\r\n',
        '0x4\r\nabcd\r\n0\r\n\r\n',
        ' 4\r\nabcd\r\n0\r\n\r\n',
        '\r\n0\r\n\r\n',
        '4.\r\nabcd\r\n0\r\n\r\n',
        '4_\r\nabcd\r\n0\r\n\r\n',
        '10000000000000000\r\nabcd\r\n0\r\n\r\n',
        'fffffffffffffffff\r\nabcd\r\n0\r\n\r\n',
        '10000000000000004\r\nabcd\r\n0\r\n\r\n',
        '4\nabcd\r\n0\r\n\r\n',
        '4\rabcd\r\n0\r\n\r\n',
        '4\r\nabcd\n0\r\n\r\n',
        '4\r\nabcd\r0\r\n\r\n',
        '4\r\nabcd0\r\n\r\n',
        '4\r\nabcde\r\n0\r\n\r\n',
        '4;a\nb\r\nabcd\r\n0\r\n\r\n',
        '4;\nabcd\r\n0\r\n\r\n',
        '4;a=b\n\r\nabcd\r\n0\r\n\r\n',
        '4;\x00\r\nabcd\r\n0\r\n\r\n',
        '4;a="\n"\r\nabcd\r\n0\r\n\r\n',
        '4 ;\0\r\nabcd\r\n0\r\n\r\n',
        '4\0\r\nabcd\r\n0\r\n\r\n',
        '4\x0b\r\nabcd\r\n0\r\n\r\n',
        '0\n\n',
        '0\r\n\n',
        '0\n\r\n',
        '0\r\r\n\r\n',
        `0\r\n${EVIL}\r\n\r\n`,
        `0\r\nX: y\n${EVIL}: z\r\n\r\n`,
        '0\r\n X: y\r\n\r\n',
        '0\r\nX : y\r\n\r\n',
        '0\r\nX: \0\r\n\r\n'
      ].map((body) => chunked(target, body))
  },
  {
    id: 'S4',
    name: 'half requests, and a further one behind a refused one',
    why: 'What stands behind a request that was refused is never a request: it was sent by whoever made the first one ambiguous.',
    variants: (target) => [
      ...[
        'GET',
        `GET ${target.prefix}/ HTTP/1.1`,
        `GET ${target.prefix}/ HTTP/1.1\r\n`,
        `GET ${target.prefix}/ HTTP/1.1\r\nHost: ${ownHost(target)}`,
        `GET ${target.prefix}/ HTTP/1.1\r\nHost: ${ownHost(target)}\r\n`,
        `GET ${target.prefix}/ HTTP/1.1\r\nHost: ${ownHost(target)}\r\nX`,
        `GET ${target.prefix}/ HTTP/1.1\r\nHost: ${ownHost(target)}\r\nX-A: 1`
      ].map((bytes) => ({ what: JSON.stringify(bytes), bytes, cut: true as const, must: cutOff() })),
      ...[
        'GET\t/ HTTP/1.1',
        'GET /\tHTTP/1.1',
        'GET / HTTP/1.1 ',
        'GET',
        'GET /',
        ' GET / HTTP/1.1',
        'GET\0 / HTTP/1.1',
        'GET / HTTP/1.1\n',
        'GET / HTTP/1.1\r',
        'GET\r\n/ HTTP/1.1',
        '\x00GET / HTTP/1.1',
        'GET /\0 HTTP/1.1',
        'GET / \0HTTP/1.1'
      ].map((line) => smuggle(target, JSON.stringify(line), `${line}\r\nHost: ${ownHost(target)}\r\n\r\n`, cutOff())),
      smuggle(target, 'no Host, and a request behind it', request(target, { host: null }), cutOff()),
      smuggle(
        target,
        'a coding that is none, and a request behind it',
        request(target, { lines: ['Transfer-Encoding: x'], body: '0\r\n\r\n' }),
        cutOff()
      ),
      smuggle(target, 'CONNECT, and a request behind it', request(target, { method: 'CONNECT', target: ownHost(target) }), cutOff(405))
    ]
  },
  {
    id: 'S8',
    name: 'HTTP/1.0 with a coding of HTTP/1.1',
    advisory: 'RFC 9112 section 6.1',
    why: 'A reader of HTTP/1.0 knows no chunks: to it they are the next request.',
    variants: (target) => [
      smuggle(
        target,
        'chunked',
        request(target, { version: 'HTTP/1.0', lines: ['Transfer-Encoding: chunked'], body: '0\r\n\r\n' }),
        cutOff()
      ),
      smuggle(
        target,
        'chunked, keep-alive',
        request(target, { version: 'HTTP/1.0', lines: ['Connection: keep-alive', 'Transfer-Encoding: chunked'], body: '0\r\n\r\n' }),
        cutOff()
      )
    ]
  },
  {
    id: 'S10',
    name: 'framing headers under other names',
    why: 'Content_Length is Content-Length to some upstreams: it must not reach them beside the real one.',
    variants: (target) =>
      [
        'Content_Length: 100',
        'Transfer_Encoding: chunked',
        'content-length_: 5',
        'X-Content-Length: 5',
        'Content-Lenght: 5',
        'Transfer-Encodin: chunked',
        'CONTENT_LENGTH: 0'
      ].map((line) => ({
        what: line,
        bytes: request(target, { lines: [line] }),
        must: passed({ without: ['content_length', 'transfer_encoding'] })
      }))
  }
]

/** A refused request with a second one behind it, which must never be read. */
function smuggle (target: Target, what: string, bytes: string, must: Must): Variant {
  return { what, bytes: bytes + request(target, { path: `${target.plain.path}?${EVIL}` }), must }
}

function smuggled (target: Target, what: string, lines: readonly string[], body: string, must: Must): Variant {
  return smuggle(target, what, request(target, { lines, body }), must)
}

// The head may have gone out when the malformed part of the body comes, so that only the end of the connection is sure; sent as one piece
// it has not.
function chunked (target: Target, body: string): Variant {
  return smuggled(target, JSON.stringify(body), ['Transfer-Encoding: chunked'], body, cutOff())
}
