import type { Duplex } from 'node:stream'
import { errorAnswer, ProxyError } from '../errors.ts'

const LINGER_MS = 1000

/** What a request's header may take. */
export interface ParserLimits {
  readonly headersMs: number
  readonly headerBytes: number
}

/** The answer to what Node's HTTP parser (llhttp) or its timeouts give up on; undefined where nobody is there to be answered. */
export function parserRefusal (error: NodeJS.ErrnoException, { headersMs, headerBytes }: ParserLimits): ProxyError | undefined {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW': return new ProxyError('CS_BAD_REQUEST', { status: 431, message: `The request's header is larger than ${headerBytes} bytes; send less.`, close: true })
    case 'ERR_HTTP_REQUEST_TIMEOUT': return new ProxyError('CS_BAD_REQUEST', { status: 408, message: `The request's header did not arrive within ${headersMs / 1000} s; send it again.`, close: true })
    case 'ECONNRESET': case 'EPIPE': return undefined
    default: return new ProxyError('CS_BAD_REQUEST', { message: 'The request is no well-formed HTTP/1.1 message (RFC 9112); this port speaks plain HTTP.', close: true })
  }
}

/**
 * Writes an error where there is no response object, and ends the connection: no byte behind it is read as a request.
 * What still comes is read and dropped for a moment, since closing on unread bytes would take the answer back (RFC 9112 section 9.6).
 */
export function answerRaw (socket: Duplex, refusal: ProxyError | undefined, lingerMs = LINGER_MS, withBody = true): void {
  if (socket.writableEnded) return
  if (refusal === undefined || !socket.writable) {
    socket.destroy()
    return
  }
  const { statusCode, headers, body } = errorAnswer(refusal)
  const reason = (JSON.parse(body) as { error: string }).error // of our own making
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.end(`HTTP/1.1 ${statusCode} ${reason}\r\n${head}\r\n${withBody ? body : ''}`, () => { if (lingerMs === 0) socket.destroy() })
  if (lingerMs === 0) return
  const timer = setTimeout(() => { socket.destroy() }, lingerMs).unref()
  socket.once('end', () => { socket.destroy() }).once('close', () => { clearTimeout(timer) }).on('error', () => {}).resume()
}
