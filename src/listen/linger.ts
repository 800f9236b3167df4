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
 * Ends a connection without a reset, whoever is still sending: what comes is read and dropped until the client ends too, since
 * closing on unread bytes would take back the response that it has not read yet (RFC 9112 section 9.6).
 */
export function endGently (socket: Socket | Duplex, { idleMs, mostMs }: Patience = PATIENCE): void {
  const destroy = (): void => { socket.destroy() }
  const timer = setTimeout(destroy, mostMs).unref()
  if ('setTimeout' in socket) socket.setTimeout(idleMs, destroy)
  socket.once('end', destroy).once('close', () => { clearTimeout(timer) }).resume().end()
}

/**
 * Makes a connection that Node's server ends behind a response end gently where its client is still sending.
 *
 * @param isSending whether the client still owes bytes, asked when that happens
 */
export function lingerAtEnd (socket: Socket, isSending: () => boolean): void {
  const destroySoon = socket.destroySoon.bind(socket)
  socket.destroySoon = () => {
    if (isSending() && !socket.destroyed) endGently(socket)
    else destroySoon()
  }
}
