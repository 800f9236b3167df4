import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'

/** How long a client may go on sending once its connection ends, in milliseconds. */
export interface Patience {
  /** Without sending anything. */
  readonly idleMs: number
  /** In all. */
  readonly mostMs: number
}

/** As nginx has them: `lingering_timeout` and `lingering_time`. */
const PATIENCE: Patience = { idleMs: 5000, mostMs: 30_000 }

/**
 * Ends a connection without a reset, even while its client is still sending: reads and drops what comes until the client ends
 * too. To close while bytes are unread would send a reset, which takes back a response that the client has not read yet (RFC 9112
 * section 9.6).
 */
export function endGently (socket: Socket | Duplex, { idleMs, mostMs }: Patience = PATIENCE): void {
  const destroy = (): void => { socket.destroy() }
  const timer = setTimeout(destroy, mostMs).unref()
  if ('setTimeout' in socket) socket.setTimeout(idleMs, destroy)
  socket.once('end', destroy).once('close', () => { clearTimeout(timer) }).resume().end()
}

/**
 * Makes `destroySoon`, by which Node's server ends a connection after a response, end it gently while its client is still
 * sending.
 *
 * @param isSending asked at that moment: whether the client still owes bytes
 */
export function lingerAtEnd (socket: Socket, isSending: () => boolean): void {
  const destroySoon = socket.destroySoon.bind(socket)
  socket.destroySoon = () => {
    if (isSending() && !socket.destroyed) endGently(socket)
    else destroySoon()
  }
}
