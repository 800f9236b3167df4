import type { Duplex } from 'node:stream'
import { errorAnswer, type ProxyError } from '../errors.ts'

const LINGER_MS = 1000

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
