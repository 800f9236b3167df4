import { STATUS_CODES, validateHeaderName, validateHeaderValue, type ServerResponse } from 'node:http'
import { isNamed, pairs, type RawHeaders } from '../http/raw-headers.ts'

/** The most interim responses that one request may get; an upstream that sends more is broken or hostile. */
export const MOST_INTERIM_RESPONSES = 64

/**
 * Writes an interim response (1xx) to a client, header bytes as they came.
 *
 * To the socket rather than by `writeEarlyHints`, which refuses Link values that RFC 8288 allows, several in one header
 * among them, and knows 103 alone. None goes to a client of HTTP/1.0 (RFC 9110 section 15.2), or to one that pipelines and
 * whose turn it is not: they are hints.
 *
 * @param headers without hop-by-hop ones
 */
export function writeInterim (client: ServerResponse, statusCode: number, headers: RawHeaders): void {
  const { socket, req } = client
  if (socket === null || !socket.writable || client.headersSent || req.httpVersionMajor < 1 || req.httpVersion === '1.0') return
  const lines = [`HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode] ?? 'Interim'}`]
  for (const [name, value] of pairs(headers)) {
    // RFC 9110 section 8.6: a 1xx has no content and must not announce any.
    if (isNamed(name, 'content-length') || isNamed(name, 'trailer')) continue
    if (!isValid(name, value)) return
    lines.push(`${name}: ${value}`)
  }
  socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

// No byte of an upstream may end a line early, whatever a parser let through.
function isValid (name: string, value: string): boolean {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    return true
  } catch {
    return false
  }
}
