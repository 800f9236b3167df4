import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'

/**
 * Ends a connection so that nobody takes what broke off for an end: by a reset. Node has it for TCP alone; TLS tells by a
 * missing close_notify (RFC 8446 section 6.1). A connection that is being shut down already (its client has half-closed)
 * libuv does not reset, and Node then never closes it, which would keep its place among limits.connections.
 */
export function breakOff (connection: Duplex | null): void {
  const plain = connection instanceof Socket && !(connection instanceof TLSSocket) && connection.remoteFamily !== undefined
  if (plain && !connection.writableEnded) connection.resetAndDestroy()
  else connection?.destroy()
}
