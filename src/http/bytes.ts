const SMALLEST = 1024

/** Collects bytes in one buffer that grows by doubling: a body of single bytes costs no object for each of them. */
export class Bytes {
  #buffer: Buffer = Buffer.alloc(0)
  #length = 0

  /** How many bytes were collected. */
  get length (): number {
    return this.#length
  }

  /** The chunk is copied: it may be a view of a read that is much larger. */
  add (chunk: Buffer): void {
    const needed = this.#length + chunk.length
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length, SMALLEST))
      this.#buffer.copy(grown, 0, 0, this.#length)
      this.#buffer = grown
    }
    chunk.copy(this.#buffer, this.#length)
    this.#length = needed
  }

  /** What was collected; a view. */
  get bytes (): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }
}
