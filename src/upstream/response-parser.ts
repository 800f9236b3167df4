import { ChunkedBody, type ChunkedEvents } from './chunked-body.ts'
import { incomplete } from './connection-errors.ts'
import { HeadPieces } from './head-pieces.ts'
import { MOST_INTERIM_RESPONSES } from './interim.ts'
import { malformed, tooLong } from './malformed.ts'
import { readHead, type ResponseHead } from './response-head.ts'

/** What a parser tells, in this order; nothing after `onEnd` and `onSwitch`, or once it was stopped. */
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

type State = 'idle' | 'head' | 'length' | 'chunked' | 'close' | 'over'

/**
 * Reads one response after the other out of the bytes of a connection, strictly (docs/decisions/0015-upstream-client.md): what
 * two readers could read differently is an error. Knows no socket. Its work is linear in the bytes, however they are cut.
 */
export class ResponseParser {
  readonly #events: ParserEvents
  readonly #headerBytes: number
  #state: State = 'idle'
  #method = ''
  #upgrade = false
  #responded = false
  #interims = 0
  /** A head that is not whole yet. */
  readonly #pieces: HeadPieces
  /** Body bytes that are still to come, by Content-Length. */
  #left = 0
  #chunks: ChunkedBody | undefined
  readonly #going = (): boolean => this.#state === 'chunked'

  /** @param headerBytes the longest header section, and the longest section of trailers */
  constructor (events: ParserEvents, headerBytes: number) {
    this.#events = events
    this.#headerBytes = headerBytes
    this.#pieces = new HeadPieces({
      onEmptyLine: () => { this.#skipLine() },
      onWhole: (text) => { this.#take(text) }
    }, headerBytes)
  }

  /** Whether any byte came since the request. */
  get responded (): boolean {
    return this.#responded
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
    this.#responded = false
    this.#interims = 0
  }

  /** Tells nothing any more. */
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
    if (chunk.length > 0) this.#responded = true
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
    throw incomplete(this.#responded)
  }

  #readHead (chunk: Buffer, start: number): number {
    // Nearly always: a whole head in one piece.
    if (this.#pieces.empty && chunk[start] !== CR) {
      const end = chunk.indexOf(END_OF_HEAD, start)
      if (end !== -1) {
        this.#take(chunk.toString('latin1', start, end + 2))
        return end + END_OF_HEAD.length
      }
    }
    return this.#pieces.read(chunk, start)
  }

  #skipLine (): void {
    // An empty line costs as much as an interim response, and counts as one.
    if (++this.#interims > MOST_INTERIM_RESPONSES) throw malformed('too many empty lines in front of a response')
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
      // Behind a head that ends the connection (every one of HTTP/1.0 does) comes no final response.
      if (statusCode !== 100 && !head.keepAlive) throw malformed('an interim response behind which the connection ends')
      // No request from here asks for a 100, so it is ignored (RFC 9110 section 15.2).
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

  /** Whether no event handler has stopped it. */
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
