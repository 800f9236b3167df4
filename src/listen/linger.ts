import type { Socket } from 'node:net'

/** As nginx has them: `lingering_timeout` and `lingering_time`. */
const [IDLE_MS, MOST_MS] = [5000, 30_000]

/**
 * Makes a connection end without a reset where its client is still sending: what comes is read and dropped until the client
 * ends too, since closing on unread bytes would take back the response that it has not read yet (RFC 9112 section 9.6).
 *
 * @param isSending whether the client still owes bytes, asked when Node's server ends the connection behind a response
 */
export function lingerAtEnd (socket: Socket, isSending: () => boolean): void {
  const destroySoon = socket.destroySoon.bind(socket)
  socket.destroySoon = () => {
    if (!isSending() || socket.destroyed) {
      destroySoon()
      return
    }
    const timer = setTimeout(() => { socket.destroy() }, MOST_MS).unref()
    socket.setTimeout(IDLE_MS, () => { socket.destroy() })
    socket.once('end', () => { socket.destroy() }).once('close', () => { clearTimeout(timer) }).resume().end()
  }
}
