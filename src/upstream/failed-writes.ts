import type { Socket } from 'node:net'

/** How long what an upstream said before it closed may take to be read, in milliseconds. */
const LAST_WORDS_MS = 5000

/**
 * Keeps a failed write from destroying a socket that still has a response in it: an upstream that refuses an upload says so
 * and closes, and the write that meets that tells less than what it has said. The side that reads ends by itself.
 */
export function surviveFailedWrites (socket: Socket): void {
  type Done = (error?: Error | null) => void
  const outlive = (done: Done): Done => (error) => {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    // Not told: the write stays under way until the connection has been read to its end, or was silent for too long.
    if ((code !== 'EPIPE' && code !== 'ECONNRESET') || socket.readableEnded) {
      done(error)
      return
    }
    const timer = setTimeout(() => { done(error) }, LAST_WORDS_MS).unref()
    socket.once('close', () => { clearTimeout(timer) })
  }
  const write = socket._write.bind(socket)
  socket._write = (chunk: unknown, encoding, done) => { write(chunk, encoding, outlive(done)) }
  const writev = socket._writev?.bind(socket)
  if (writev !== undefined) socket._writev = (chunks, done) => { writev(chunks, outlive(done)) }
}
