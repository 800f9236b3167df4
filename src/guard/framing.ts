import type { IncomingMessage } from 'node:http'
import { ProxyError } from '../errors.ts'
import { isNamed } from '../http/raw-headers.ts'

/**
 * Refuses framing that two readers could read differently.
 *
 * Node's parser refuses most of it. Requests of HTTP/0.9 and 2.0 in the form of HTTP/1.1 pass the parser, and so do `identity`,
 * repeated codings, and a coding in HTTP/1.0, whose readers know none (RFC 9112 section 6.1).
 *
 * @throws ProxyError `CS_BAD_REQUEST`
 */
export function checkFraming ({ rawHeaders, httpVersion }: Pick<IncomingMessage, 'rawHeaders' | 'httpVersion'>): void {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') {
    throw new ProxyError('CS_BAD_REQUEST', {
      message: 'This port speaks HTTP/1.1 and HTTP/1.0 (RFC 9112); send one of the two.',
      close: true
    })
  }
  let seen = httpVersion === '1.0'
  // One pass for both names.
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    // Beyond it numbers are no longer told apart, and the upstream would get another one.
    if (isNamed(name, 'content-length') && Number(rawHeaders[index + 1]) > Number.MAX_SAFE_INTEGER) {
      throw new ProxyError('CS_BAD_REQUEST', { message: 'Content-Length is larger than any body can be; send the real one.', close: true })
    }
    if (!isNamed(name, 'transfer-encoding')) continue
    if (seen || rawHeaders[index + 1]?.toLowerCase() !== 'chunked') {
      throw new ProxyError('CS_BAD_REQUEST', {
        message: 'Transfer-Encoding is something else than one `chunked` of HTTP/1.1; send that, or a Content-Length.',
        close: true
      })
    }
    seen = true
  }
}
