import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'

/**
 * Resets a connection, so that nobody takes the break for an orderly end. Node can reset TCP alone; on TLS the missing
 * close_notify says the same (RFC 8446 section 6.1). libuv does not reset a connection that is being shut down already (its
 * client has half-closed), and Node would then never close it: it would keep its place among limits.connections.
 */
export function breakOff (connection: Duplex | null): void {
  const plain = connection instanceof Socket && !(connection instanceof TLSSocket) && connection.remoteFamily !== undefined
  if (plain && !connection.writableEnded) connection.resetAndDestroy()
  else connection?.destroy()
}
