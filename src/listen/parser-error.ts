import { ProxyError } from '../errors.ts'

/** An error of Node's HTTP parser (llhttp), or of the timeouts around it. */
export interface ParserError extends Error {
  readonly code?: string | undefined
  readonly reason?: string
  /** The bytes that the parser was reading. */
  readonly rawPacket?: Buffer
}

const METHOD = 'The method is none that this port knows; methods are written in capitals (IANA HTTP Method Registry).'
const NO_HTTP = 'This is no request of HTTP/1.1 (RFC 9112 section 3), which is all that this port speaks.'
const VERSION = 'The request line names a version that is none; this port speaks HTTP/1.1 and HTTP/1.0 (RFC 9112 section 2.3).'
const LINE_END = 'A line of the request ends with a bare CR or LF; end each with CR LF (RFC 9112 section 2.2).'
const LENGTH = 'Content-Length is no number, too large, or there more than once; send one number in digits (RFC 9112 section 6.3).'
const FIELD =
  'A header of the request is malformed: a name is a token with the colon right behind it, a value holds no control character and is not folded (RFC 9112 section 5).'
const CHUNK = 'The chunks of the request body are malformed (RFC 9112 section 7.1).'

/** Says what is wrong with a request, by the code of the parser: llhttp's own words are for those who know it. */
const MESSAGES: Readonly<Record<string, string>> = {
  HPE_INVALID_VERSION: VERSION,
  HPE_PAUSED_H2_UPGRADE: 'This is HTTP/2; this port speaks HTTP/1.1 (RFC 9112).',
  HPE_CR_EXPECTED: LINE_END,
  HPE_LF_EXPECTED: LINE_END,
  HPE_STRICT: LINE_END,
  HPE_INVALID_CONTENT_LENGTH: LENGTH,
  HPE_UNEXPECTED_CONTENT_LENGTH: LENGTH,
  HPE_INVALID_TRANSFER_ENCODING:
    'Transfer-Encoding stands beside a Content-Length, or is something else than `chunked`; send one of the two (RFC 9112 section 6.1).',
  HPE_INVALID_HEADER_TOKEN: FIELD,
  HPE_UNEXPECTED_SPACE: FIELD,
  HPE_INVALID_CHUNK_SIZE: CHUNK,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: CHUNK,
  HPE_INVALID_EOF_STATE: 'The connection ended in the middle of a request.'
}

/** The error for a request that Node's parser, or one of its timeouts, gave up on; undefined where the client has gone. */
export function parserError (error: ParserError, headersMs: number, headerBytes: number): ProxyError | undefined {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return tooLargeError(headerBytes)
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ProxyError('CS_BAD_REQUEST', {
        status: 408,
        message: `The request's header did not arrive within ${headersMs / 1000} s; send it again.`,
        close: true
      })
    case 'ECONNRESET':
    case 'EPIPE':
      return undefined
    default:
      return new ProxyError('CS_BAD_REQUEST', { message: messageOf(error), close: true })
  }
}

/** The error for a header over the limit, whichever part of it is so long. */
export function tooLargeError (headerBytes: number): ProxyError {
  return new ProxyError('CS_HEADERS_TOO_LARGE', {
    message: `The request's header is longer than ${headerBytes} bytes; send less, or raise limits.headerBytes.`,
    close: true
  })
}

/** The error for CONNECT. */
export function tunnelError (): ProxyError {
  return new ProxyError('CS_METHOD_NOT_ALLOWED', {
    message: 'CONNECT asks for a tunnel, and this is no forward proxy. Set this address as the base URL, not as the HTTP proxy.',
    close: true
  })
}

function messageOf (error: ParserError): string {
  const { code = '', reason = '', rawPacket = Buffer.alloc(0) } = error
  const [line = ''] = rawPacket.toString('latin1').trimStart().split(/[\r\n]/, 1)
  switch (code) {
    case 'HPE_INVALID_METHOD':
      return methodMessage(line)
    case 'HPE_INVALID_URL':
      return targetMessage(line)
    // `Expected HTTP/`: there is more behind the target than one blank and a version.
    case 'HPE_INVALID_CONSTANT':
      return /method/i.test(reason)
        ? METHOD
        : 'Behind the target of the request line stands no HTTP version; encode blanks of the target as %20 (RFC 9112 section 3).'
    default:
      return MESSAGES[code] ?? NO_HTTP
  }
}

function methodMessage (line: string): string {
  if (line.startsWith('\x16\x03')) return 'This is TLS, and this port speaks plain HTTP; call it by http:// instead of https://.'
  return /^[!#$%&'*+\-.^_`|~\w]+ \S/.test(line) ? METHOD : NO_HTTP
}

function targetMessage (line: string): string {
  const [odd] = /[^\x20-\x7e]/.exec(line) ?? []
  if (odd !== undefined && odd > '\x7f') {
    return 'The target holds bytes that are not ASCII; percent-encode them as UTF-8 (RFC 3986 section 2.1).'
  }
  if (odd !== undefined) return 'The target holds a control character; leave it out, or percent-encode it (RFC 3986 section 2.1).'
  return 'The target is no path: it begins with something else than `/`. This is no forward proxy; send the path alone (RFC 9112 section 3.2.1).'
}
