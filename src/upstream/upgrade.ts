import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { breakOff } from './break-off.ts'

// Long enough to cost nothing, short enough for the tables of NAT routers; a quiet connection may last for ever.
const KEEP_ALIVE_MS = 60_000

/**
 * Makes one connection of two: bytes go both ways as they come, as fast as the slower side takes them, each end passes
 * on by itself (half-close), and one that breaks breaks the other. No timeout: what runs over it may be quiet for hours.
 */
export function joinSockets (client: Socket, upstream: Duplex): void {
  // Must be set before the stream ends, or the connection to the upstream would close as a whole.
  upstream.allowHalfOpen = true
  for (const socket of [client, upstream]) {
    if (socket instanceof Socket) socket.setTimeout(0).setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS)
  }
  tie(client, upstream)
  tie(upstream, client)
  client.pipe(upstream)
  upstream.pipe(client)
}

function tie (one: Duplex, other: Duplex): void {
  one.on('error', () => {}) // `close` follows
  one.once('close', () => {
    // What was ended on both sides is still flushed to the slower one.
    if (one.readableEnded && one.writableFinished) return
    breakOff(other)
  })
}
