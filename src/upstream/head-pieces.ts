import { Bytes } from '../http/bytes.ts'
import { malformed, tooLong } from './malformed.ts'
import { hasControls } from './response-head.ts'

/** What pieces of a head become. */
export interface HeadEvents {
  /** An empty line in front of a response, which was skipped. */
  readonly onEmptyLine: () => void
  /** @param text Latin-1, from the status line to the end of the last line in front of the empty one */
  readonly onWhole: (text: string) => void
}

const CR = 0x0d
const LF = 0x0a
// The limit of a header section counts no status line (RFC 9112 section 2.1): what is kept of a reason, and what is read of it.
const LONGEST_KEPT_LINE = 4096
const LONGEST_LINE = 4 * 2 ** 20
// `HTTP/1.1 200`: what does not begin so will never be a response, and is no reason to wait for more.
const BEGINNING = 'HTTP/1.d ddd'

/** Collects a head that comes in pieces. Looks at it line by line, so that what can be no head fails at once. */
export class HeadPieces {
  readonly #events: HeadEvents
  readonly #headerBytes: number
  #head = new Bytes()
  /** Where the header section begins behind the status line that is held; 0 while the status line is not whole. */
  #sectionAt = 0
  /** Bytes of the status line that were not kept. */
  #skipped = 0

  /** @param headerBytes the longest header section */
  constructor (events: HeadEvents, headerBytes: number) {
    this.#events = events
    this.#headerBytes = headerBytes
  }

  /** Whether nothing is held. */
  get empty (): boolean {
    return this.#head.length === 0
  }

  /**
   * Reads to the end of a line, or of the chunk.
   *
   * @returns the index behind what was read
   * @throws ProxyError
   */
  read (chunk: Buffer, start: number): number {
    const found = chunk.indexOf(LF, start)
    const end = found === -1 ? chunk.length : found + 1
    const head = this.#head
    head.add(chunk.subarray(start, end))
    if (found !== -1 && head.bytes[head.length - 2] !== CR) throw malformed('a bare LF in the head')
    if (this.#sectionAt === 0) {
      this.#readStatusLine(found !== -1)
      return end
    }
    if (head.length - this.#sectionAt > this.#headerBytes) throw tooLong()
    if (found === -1 || !endsWithEmptyLine(head.bytes)) return end
    const text = head.bytes.toString('latin1', 0, head.length - 2)
    this.#forget()
    this.#events.onWhole(text)
    return end
  }

  #readStatusLine (whole: boolean): void {
    // Empty lines in front of a response are met, and skipped by parsers (RFC 9112 section 2.2 has it of requests).
    if (whole && this.#head.length === 2) {
      this.#forget()
      this.#events.onEmptyLine()
      return
    }
    judgeBeginning(this.#head.bytes)
    this.#boundLine(whole)
  }

  /** Keeps the beginning of a status line that is too long for anybody: a reason has no meaning. */
  #boundLine (whole: boolean): void {
    const head = this.#head
    // Not with each byte, but whenever there is twice as much.
    if (head.length > 2 * LONGEST_KEPT_LINE) {
      const { bytes } = head
      const bare = bytes.indexOf(CR)
      if ((bare !== -1 && bare !== bytes.length - (whole ? 2 : 1)) || hasControls(bytes.toString('latin1'))) {
        throw malformed('control characters in the head')
      }
      this.#skipped += bytes.length - LONGEST_KEPT_LINE
      if (this.#skipped > LONGEST_LINE) throw tooLong()
      this.#head = new Bytes()
      this.#head.add(bytes.subarray(0, LONGEST_KEPT_LINE - 2))
      // The end of it, where a CR may wait for its LF.
      this.#head.add(bytes.subarray(-2))
    }
    if (whole) this.#sectionAt = this.#head.length
  }

  #forget (): void {
    this.#head = new Bytes()
    this.#sectionAt = 0
    this.#skipped = 0
  }
}

function judgeBeginning (bytes: Buffer): void {
  const line = bytes.toString('latin1', 0, Math.min(bytes.length, BEGINNING.length))
  for (let index = 0; index < line.length; index++) {
    const wanted = BEGINNING[index]
    const char = line[index] ?? ''
    // A CR may begin an empty line.
    if (wanted === 'd' ? char < '0' || char > '9' : char !== wanted && !(index === 0 && line === '\r')) {
      throw malformed('no status line of HTTP/1.1')
    }
  }
}

function endsWithEmptyLine (bytes: Buffer): boolean {
  const { length } = bytes
  return length >= 4 && bytes[length - 4] === CR && bytes[length - 3] === LF && bytes[length - 2] === CR && bytes[length - 1] === LF
}
