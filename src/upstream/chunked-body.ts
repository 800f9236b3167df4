import { Bytes } from '../http/bytes.ts'
import { malformed, tooLong } from './malformed.ts'
import { readTrailers } from './response-head.ts'

/** What the reader of a chunked body tells. */
export interface ChunkedEvents {
  readonly onBody: (bytes: Buffer) => void
}

/** The longest line in front of a chunk: a size and extensions, which nobody sends. */
const LONGEST_LINE = 1024
/** All extensions of one body together, as in Node: else endless bytes could pass without making a body (CVE-2024-22019). */
const MOST_EXTENSION_BYTES = 16_384

const CR = 0x0d
const LF = 0x0a

// RFC 9112 section 7.1; no blanks, as Node and undici have it. Thirteen digits hold every safe integer.
const SIZE_LINE =
  /^0{0,16}([0-9a-fA-F]{1,13})((?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"))?)*)$/

/** Reads a chunked body and its trailers (RFC 9112 section 7.1), in whatever pieces they come. */
export class ChunkedBody {
  readonly #events: ChunkedEvents
  readonly #trailerBytes: number
  #state: 'size' | 'data' | 'data end' | 'trailers' | 'over' = 'size'
  /** Bytes of the chunk that are still to come; of the CR LF behind it, where that is next. */
  #left = 0
  #extensionBytes = 0
  /** The beginning of a line. */
  #line = new Bytes()
  /** The trailer section so far. */
  #section = ''
  #trailers: string[] = []

  /** @param trailerBytes the longest trailer section */
  constructor (events: ChunkedEvents, trailerBytes: number) {
    this.#events = events
    this.#trailerBytes = trailerBytes
  }

  /** Whether the last byte was read. */
  get over (): boolean {
    return this.#state === 'over'
  }

  /** The trailers, once it is over. */
  get trailers (): string[] {
    return this.#trailers
  }

  /**
   * Reads on.
   *
   * @param going asked after each piece: whether anybody wants more
   * @returns the index behind the last byte that belongs to the body
   * @throws ProxyError
   */
  read (chunk: Buffer, start: number, going: () => boolean): number {
    let at = start
    while (at < chunk.length && this.#state !== 'over') {
      if (this.#state === 'data') {
        const end = Math.min(chunk.length, at + this.#left)
        this.#left -= end - at
        if (this.#left === 0) {
          this.#state = 'data end'
          this.#left = 2
        }
        this.#events.onBody(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end))
        at = end
        if (!going()) return at
      } else if (this.#state === 'data end') {
        if (chunk[at++] !== (this.#left-- === 2 ? CR : LF)) throw malformed('a chunk that does not end where it says')
        if (this.#left === 0) this.#state = 'size'
      } else {
        at = this.#readLine(chunk, at)
      }
    }
    return at
  }

  #readLine (chunk: Buffer, start: number): number {
    const found = chunk.indexOf(LF, start)
    const end = found === -1 ? chunk.length : found + 1
    const limit = this.#state === 'size' ? LONGEST_LINE : this.#trailerBytes - this.#section.length
    if (this.#line.length + end - start > limit) throw this.#state === 'size' ? malformed('a chunk size that is too long') : tooLong()
    if (found === -1) {
      this.#line.add(chunk.subarray(start, end))
      return end
    }
    let line = chunk.toString('latin1', start, end)
    if (this.#line.length > 0) {
      line = this.#line.bytes.toString('latin1') + line
      this.#line = new Bytes()
    }
    if (!line.endsWith('\r\n')) throw malformed('a bare LF in a chunked body')
    if (this.#state === 'size') this.#begin(line.slice(0, -2))
    else if (line.length > 2) this.#section += line
    else this.#finish()
    return end
  }

  #begin (line: string): void {
    const [, digits, extensions = ''] = SIZE_LINE.exec(line) ?? []
    if (digits === undefined) throw malformed('a chunk size that is no hexadecimal number')
    this.#extensionBytes += extensions.length
    if (this.#extensionBytes > MOST_EXTENSION_BYTES) throw malformed('too many chunk extensions')
    this.#left = Number.parseInt(digits, 16)
    this.#state = this.#left === 0 ? 'trailers' : 'data'
  }

  #finish (): void {
    this.#trailers = readTrailers(this.#section)
    this.#state = 'over'
  }
}
