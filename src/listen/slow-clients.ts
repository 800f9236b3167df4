import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** An open connection, as far as its slowness is concerned. */
export interface WatchedConnection {
  /** The response that is not finished. */
  readonly current: ServerResponse | undefined
  /** The request that was answered before all of it was here. */
  readonly owed: IncomingMessage | undefined
}

/**
 * Closes connections whose client takes nothing of what is written to it, or leaves out the rest of a body whose request
 * is answered: nothing moves there, and each would hold its place among `limits.connections` for ever (R1, slowloris).
 * Slow is not still: whoever takes or sends anything within `patienceMs` stays. A silent response (Server-Sent Events) and a
 * quiet WebSocket have nothing to be taken. Looked at once in that time, so it is twice as long at the most.
 *
 * @returns ends the watch
 */
export function watchSlowClients (connections: ReadonlyMap<Socket, WatchedConnection>, patienceMs: number): () => void {
  const still = new Map<Socket, number>()
  const timer = setInterval(() => {
    for (const socket of still.keys()) if (!connections.has(socket)) still.delete(socket)
    for (const [socket, { current, owed }] of connections) {
      const waits = (current === undefined && owed?.complete === false) || socket.writableLength > 0
      const moved = socket.bytesWritten - socket.writableLength + socket.bytesRead
      if (!waits) still.delete(socket)
      else if (still.get(socket) === moved) socket.destroy()
      else still.set(socket, moved)
    }
  }, patienceMs).unref()
  return () => { clearInterval(timer) }
}
