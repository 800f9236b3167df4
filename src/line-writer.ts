/** How much a line matters: lines of requests are the first to be left out, and urgent ones leave at once. */
export type Weight = 'request' | 'usual' | 'urgent'

/** Lines that were left out. */
export interface Loss {
  readonly requestLines: number
  readonly otherLines: number
}

/** Writes what can be written without waiting. @returns how many bytes that was @throws an error with a `code` where it was none */
export type WriteBytes = (bytes: Uint8Array) => number

// Characters that wait for a reader. Lines of requests must not take the place of warnings, which come when things go wrong.
const MOST_OF_REQUESTS = 1024 * 1024
const MOST = 2 * MOST_OF_REQUESTS

const SHORTEST_RETRY_MS = 10
const LONGEST_RETRY_MS = 1_000

/**
 * Writes lines to a reader that may stand still (a log driver that blocks, a terminal that is stopped, a disk that is full),
 * without ever waiting for it and with bounded memory: what exceeds that is left out, counted, and told once all else is out.
 *
 * Lines of one turn of the event loop are written together, at its end: under load a write for each costs more than all the
 * rest of the line. Urgent ones are written at once, with what waits in front of them.
 */
export class LineWriter {
  readonly #write: WriteBytes
  #tell: (loss: Loss) => void = () => {}
  /** What the reader has not taken of the last write. */
  #rest: Uint8Array = new Uint8Array()
  #lines: string[] = []
  #length = 0
  #requestLines = 0
  #otherLines = 0
  #turnEnd: NodeJS.Immediate | undefined
  #retry: NodeJS.Timeout | undefined
  #retryMs = SHORTEST_RETRY_MS
  /** Whether the last write failed for another reason than a reader that stands still. */
  #broken = false

  constructor (write: WriteBytes) {
    this.#write = write
  }

  /** Calls `listener` once a reader that stood still has everything but what was left out. It may write. */
  onLoss (listener: (loss: Loss) => void): void {
    this.#tell = listener
  }

  /** Writes a line at the end of the turn, an urgent one at once; leaves it out where too much waits already. */
  write (line: string, weight: Weight): void {
    const most = weight === 'request' ? MOST_OF_REQUESTS : MOST
    if (this.#rest.length + this.#length + line.length > most && this.#retry === undefined) this.flush()
    if (this.#rest.length + this.#length + line.length > most) {
      if (weight === 'request') this.#requestLines++
      else this.#otherLines++
      return
    }
    this.#lines.push(line)
    this.#length += line.length
    if (this.#retry !== undefined) return
    if (weight === 'urgent') this.flush()
    else this.#turnEnd ??= setImmediate(() => { this.flush() })
  }

  /** Writes what can be written now. */
  flush (): void {
    clearImmediate(this.#turnEnd)
    clearTimeout(this.#retry)
    this.#turnEnd = undefined
    this.#retry = undefined
    do {
      this.#take()
      if (!this.#pass()) {
        this.#retry = setTimeout(() => { this.flush() }, this.#retryMs).unref()
        this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS)
        return
      }
    } while (this.#lines.length > 0)
    this.#retryMs = SHORTEST_RETRY_MS
    this.#tellLoss()
  }

  /** Resolves once everything is out, nobody reads any more, or `timeoutMs` are over. */
  async end (timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs
    this.flush()
    while (this.#retry !== undefined && !this.#broken && performance.now() < end) {
      await new Promise((resolve) => { setTimeout(resolve, SHORTEST_RETRY_MS) })
      this.flush()
    }
  }

  #take (): void {
    if (this.#rest.length > 0) return
    this.#rest = Buffer.from(this.#lines.join(''))
    this.#lines = []
    this.#length = 0
  }

  /** @returns whether all of it is out */
  #pass (): boolean {
    try {
      this.#broken = false
      while (this.#rest.length > 0) {
        const written = this.#write(this.#rest)
        if (written === 0) return false
        this.#rest = this.#rest.subarray(written)
        this.#retryMs = SHORTEST_RETRY_MS
      }
      return true
    } catch (error) {
      this.#broken = !(error instanceof Error && 'code' in error && error.code === 'EAGAIN')
      return false
    }
  }

  #tellLoss (): void {
    if (this.#requestLines + this.#otherLines === 0) return
    const loss = { requestLines: this.#requestLines, otherLines: this.#otherLines }
    this.#requestLines = 0
    this.#otherLines = 0
    this.#tell(loss)
  }
}
