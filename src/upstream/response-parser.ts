import { Bytes } from '../http/bytes.ts'
import { ProxyError } from '../errors.ts'
import { ChunkedBody, type ChunkedEvents } from './chunked-body.ts'
import { MOST_INTERIM_RESPONSES } from './interim.ts'
import { malformed, tooLong } from './malformed.ts'
import { hasControls, readHead, type ResponseHead } from './response-head.ts'

/** What a parser tells, in this order; nothing behind `onEnd` and `onSwitch`, or once it was stopped. */
export interface ParserEvents extends ChunkedEvents {
  /** An interim response (1xx) other than 100 and 101. */
  readonly onInterim: (head: ResponseHead) => void
  readonly onHead: (head: ResponseHead) => void
  readonly onEnd: (trailers: string[]) => void
  /** A 101 that was asked for: what follows is another protocol. */
  readonly onSwitch: (head: ResponseHead) => void
}

const END_OF_HEAD = Buffer.from('\r\n\r\n')
const CR = 0x0d
const LF = 0x0a
// The limit of a header section counts no status line (RFC 9112 section 2.1): what is kept of a reason, and what is read of it.
const LONGEST_KEPT_LINE = 4096
const LONGEST_LINE = 4 * 2 ** 20
// `HTTP/1.1 200`: what does not begin so will never be a response, and is no reason to wait for more.
const BEGINNING = 'HTTP/1.d ddd'

type State = 'idle' | 'head' | 'length' | 'chunked' | 'close' | 'over'

/**
 * Reads one response after the other out of the bytes of a connection, strictly (docs/decisions/0015-upstream-client.md): what
 * two readers could read differently is an error. Knows no socket. Work grows with the bytes, however they are cut.
 */
export class ResponseParser {
  readonly #events: ParserEvents
  readonly #headerBytes: number
  #state: State = 'idle'
  #method = ''
  #upgrade = false
  #answered = false
  #interims = 0
  /** A head that is not whole yet. */
  #head = new Bytes()
  /** Where the section begins behind the status line that is held; 0 where that is not whole. */
  #sectionAt = 0
  /** Bytes of the status line that were not kept. */
  #skipped = 0
  /** Body bytes that are still to come, by Content-Length. */
  #left = 0
  #chunks: ChunkedBody | undefined
  readonly #going = (): boolean => this.#state === 'chunked'

  /** @param headerBytes the longest header section, and the longest section of trailers */
  constructor (events: ParserEvents, headerBytes: number) {
    this.#events = events
    this.#headerBytes = headerBytes
  }

  /** Whether any byte came since the request. */
  get answered (): boolean {
    return this.#answered
  }

  /** Whether nothing is being read: there was no request, or its response has ended. */
  get idle (): boolean {
    return this.#state === 'idle'
  }

  /** A request is being sent: its response is read next. */
  begin (method: string, upgrade: boolean): void {
    this.#state = 'head'
    this.#method = method
    this.#upgrade = upgrade
    this.#answered = false
    this.#interims = 0
  }

  /** Nothing is told any more. */
  stop (): void {
    this.#state = 'over'
  }

  /**
   * Reads on.
   *
   * @returns how many bytes belong to the response; fewer than there are where it has ended
   * @throws ProxyError where it is malformed
   */
  push (chunk: Buffer): number {
    if (chunk.length > 0) this.#answered = true
    let at = 0
    while (at < chunk.length) {
      switch (this.#state) {
        case 'head': at = this.#readHead(chunk, at); break
        case 'length': at = this.#readLength(chunk, at); break
        case 'chunked': at = this.#readChunks(chunk, at); break
        case 'close':
          this.#events.onBody(at === 0 ? chunk : chunk.subarray(at))
          return chunk.length
        case 'idle': case 'over': return at
        default: return this.#state satisfies never
      }
    }
    return at
  }

  /**
   * The connection has ended.
   *
   * @param whole whether that ends a body that has no other end
   * @throws ProxyError where the response is not whole
   */
  end (whole: boolean): void {
    if (this.#state === 'close' && whole) {
      this.#finish([])
      return
    }
    throw incomplete(this.#answered)
  }

  #readHead (chunk: Buffer, start: number): number {
    // Nearly always: a whole head in one piece.
    if (this.#head.length === 0 && chunk[start] !== CR) {
      const end = chunk.indexOf(END_OF_HEAD, start)
      if (end !== -1) {
        this.#take(chunk.toString('latin1', start, end + 2))
        return end + END_OF_HEAD.length
      }
    }
    return this.#readSlowly(chunk, start)
  }

  /** Reads a head in pieces, line by line, so that what can be no head is told at once. */
  #readSlowly (chunk: Buffer, start: number): number {
    const found = chunk.indexOf(LF, start)
    const end = found === -1 ? chunk.length : found + 1
    const head = this.#head
    head.add(chunk.subarray(start, end))
    if (found !== -1 && head.bytes[head.length - 2] !== CR) throw malformed('a bare LF in the head')
    if (this.#sectionAt === 0) {
      // Empty lines in front of a response are met, and skipped by parsers (RFC 9112 section 2.2 has it of requests).
      if (found !== -1 && head.length === 2) {
        this.#skipLine()
        return end
      }
      judgeBeginning(head.bytes)
      this.#boundLine(found !== -1)
      return end
    }
    if (head.length - this.#sectionAt > this.#headerBytes) throw tooLong()
    if (found === -1 || !endsWithEmptyLine(head.bytes)) return end
    const text = head.bytes.toString('latin1', 0, head.length - 2)
    this.#forget()
    this.#take(text)
    return end
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

  #skipLine (): void {
    this.#head = new Bytes()
    // Each counts as a whole response that is none.
    if (++this.#interims > MOST_INTERIM_RESPONSES) throw malformed('too many empty lines in front of a response')
  }

  #forget (): void {
    this.#head = new Bytes()
    this.#sectionAt = 0
    this.#skipped = 0
  }

  /** @param text up to the empty line, which counts in the section */
  #take (text: string): void {
    const line = text.indexOf('\n') + 1
    if (text.length + 2 - line > this.#headerBytes) throw tooLong()
    const head = readHead(text)
    const { statusCode } = head
    if (statusCode === 101) {
      if (!this.#upgrade || !head.upgrade) throw malformed('a 101 that nobody asked for')
      this.#state = 'over'
      this.#events.onSwitch(head)
    } else if (statusCode < 200) {
      if (++this.#interims > MOST_INTERIM_RESPONSES) throw malformed('too many interim responses')
      // What says that it is the last on its connection has no response behind it, HTTP/1.0 among them.
      if (statusCode !== 100 && !head.keepAlive) throw malformed('an interim response behind which the connection ends')
      // Nothing that leaves here asks for a 100 (RFC 9110 section 15.2: to be ignored then).
      if (statusCode !== 100) this.#events.onInterim(head)
    } else {
      this.#begin(head)
    }
  }

  #begin (head: ResponseHead): void {
    const { statusCode, length } = head
    // RFC 9112 section 6.3, in its order.
    const bodiless = this.#method === 'HEAD' || statusCode === 204 || statusCode === 304 || length === 0
    if (head.chunked) {
      this.#chunks = new ChunkedBody(this.#events, this.#headerBytes)
      this.#state = 'chunked'
    } else if (length !== undefined) {
      this.#left = length
      this.#state = 'length'
    } else {
      this.#state = 'close'
    }
    this.#events.onHead(head)
    if (bodiless && this.#reading()) this.#finish([])
  }

  /** Whether it was not stopped from within what it told. */
  #reading (): boolean {
    return this.#state !== 'over'
  }

  #readLength (chunk: Buffer, start: number): number {
    const end = Math.min(chunk.length, start + this.#left)
    this.#left -= end - start
    this.#events.onBody(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end))
    if (this.#left === 0 && this.#reading()) this.#finish([])
    return end
  }

  #readChunks (chunk: Buffer, start: number): number {
    const chunks = this.#chunks
    if (chunks === undefined) return chunk.length
    const end = chunks.read(chunk, start, this.#going)
    if (chunks.over && this.#reading()) this.#finish(chunks.trailers)
    return end
  }

  #finish (trailers: string[]): void {
    this.#state = 'idle'
    this.#chunks = undefined
    this.#events.onEnd(trailers)
  }
}

/** The connection itself failed. `connection_terminated` is for responses of which nothing came (RFC 9209 section 2.3.9). */
export function incomplete (answered: boolean, cause?: Error): ProxyError {
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', {
    proxyStatus: answered ? 'http_response_incomplete' : 'connection_terminated',
    cause: cause ?? new Error('the upstream closed the connection before its response was whole')
  })
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
