import type { Socket } from 'node:net'

/** What large bodies consist of, over and over; it looks like framing where somebody reads bodies. Made once for all that is sent. */
const PART = Buffer.alloc(1_048_576, 'countersign \r\n0\r\n\r\n')

/** The first bytes of the pattern, at most a MiB of them. */
export function patternBytes (length = PART.length): Buffer {
  return PART.subarray(0, length)
}

/** Writes that many bytes of the pattern as fast as they are taken. */
export async function pumpPattern (socket: Socket, total: number, onSent: (bytes: number) => void = () => {}): Promise<void> {
  for (let sent = 0; sent < total && !socket.destroyed;) {
    const part = patternBytes(Math.min(PART.length, total - sent))
    sent += part.length
    const taken = socket.write(part)
    onSent(sent)
    if (!taken) await drained(socket)
  }
}

function drained (socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.on('drain', done).on('close', done)
  })
}

/** Compares what comes with the pattern, byte for byte: two hashes of a GiB would take longer than its way through the proxy. */
export class PatternReader {
  #bytes = 0
  #intact = 0

  take (chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      const start = this.#bytes % PART.length
      const length = Math.min(chunk.length - at, PART.length - start)
      if (this.#intact === this.#bytes && PART.compare(chunk, at, at + length, start, start + length) === 0) this.#intact += length
      this.#bytes += length
      at += length
    }
  }

  /** How many bytes came. */
  get bytes (): number {
    return this.#bytes
  }

  /** How many came as they were sent: all of them, or those in front of the first piece that differs. */
  get intact (): number {
    return this.#intact
  }
}
