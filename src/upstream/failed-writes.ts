import type { Socket } from 'node:net'

/** How long the last bytes of an upstream that has closed may take to be read, in milliseconds. */
const LAST_WORDS_MS = 5000

/**
 * Keeps a failed write from destroying a socket that still has a response to read: an upstream that refuses an upload responds
 * and closes, and its response tells more than the failed write. The reading side ends by itself.
 */
export function surviveFailedWrites (socket: Socket): void {
  type Done = (error?: Error | null) => void
  const outlive = (done: Done): Done => (error) => {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    // The failure is not told yet: the write stays under way until the connection has been read to its end, or was silent for too
    // long.
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
