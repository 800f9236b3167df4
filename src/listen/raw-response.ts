import type { Duplex } from 'node:stream'
import { errorResponse, type ProxyError } from '../errors.ts'
import { endGently, type Patience } from './linger.ts'

export interface RawResponseOptions {
  /** How long the client may go on sending; default as after every other response. */
  readonly patience?: Patience
  /** False for HEAD. */
  readonly withBody?: boolean
}

/**
 * Writes an error where there is no response object, and ends the connection: no later byte is read as a request.
 *
 * @param rejection undefined: the connection is closed without a response
 * @returns whether a response was written
 */
export function respondRaw (
  socket: Duplex,
  rejection: ProxyError | undefined,
  { patience, withBody = true }: RawResponseOptions = {}
): boolean {
  if (socket.writableEnded) return false
  if (rejection === undefined || !socket.writable) {
    socket.destroy()
    return false
  }
  const { statusCode, headers, body } = errorResponse(rejection)
  const reason = (JSON.parse(body) as { error: string }).error // of our own making
  const head = Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
  socket.on('error', () => {}).write(`HTTP/1.1 ${statusCode} ${reason}\r\n${head}\r\n${withBody ? body : ''}`)
  endGently(socket, patience)
  return true
}
