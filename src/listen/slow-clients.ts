import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** What decides whether a connection is too slow. */
export interface WatchedConnection {
  /** The response that is not finished. */
  readonly current: ServerResponse | undefined
  /** The request that got its response before all of it had arrived. */
  readonly owed: IncomingMessage | undefined
}

/**
 * Closes connections on which nothing moves: the client reads nothing of what is written to it, or never sends the rest of a body
 * whose request has its response. Each would hold its place among `limits.connections` for ever (R1, slowloris). Slow is not
 * still: a client that takes or sends anything within `patienceMs` stays. A silent response (Server-Sent Events) and a quiet
 * WebSocket have nothing to be taken. Looks once in that time, so a still client has twice as long at the most.
 *
 * @returns a function that ends the watch
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
