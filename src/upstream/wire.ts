import type { Socket } from 'node:net'
import { ProxyError } from '../errors.ts'
import { MOST_INTERIM_ANSWERS } from './interim.ts'

const END_OF_HEAD = Buffer.from('\r\n\r\n')
const NOTHING = Buffer.alloc(0)
// `HTTP/1.1 100 `: what tells which kind of answer begins here.
const INTERIM = 'HTTP/1.1 100 '
const DIGITS = [7, 10, 11]
const CR = 0x0d
const LF = 0x0a

/**
 * One connection to an upstream, between the socket and undici's parser: knows how often and since when it is used, reads
 * the heads of answers first, and keeps the socket alive behind a failed write for as long as there is something to read.
 *
 * undici takes a socket and calls `read` and `write` of it, so these are replaced on this one socket: it destroys the
 * connection at a `100 Continue` that it did not ask for (RFC 9110 section 15.2: to be ignored), and counts header bytes
 * without what stands between them.
 */
export class Wire {
  readonly socket: Socket
  /** Monotonic milliseconds. */
  readonly since = performance.now()
  /** Monotonic milliseconds; when the last answer ended. */
  idleSince = 0
  /** An answer has said that the upstream closes the connection behind it. */
  closing = false
  readonly #headerBytes: number
  #requests = 0
  /** `start`: nothing of a head is here; `drop`: within a 100; `interim`, `head`: within another one; `body`: behind the last. */
  #state: 'start' | 'drop' | 'interim' | 'head' | 'body' = 'body'
  /** Bytes that are too few to tell anything. */
  #held: Buffer = NOTHING
  /** The last bytes of the head so far, where its end may have begun. */
  #tail: Buffer = NOTHING
  /** Bytes of the header section, or of empty lines in front of it. */
  #size = 0
  /** The status line is behind us. */
  #lined = false
  #dropped = 0
  #answered = false

  constructor (socket: Socket, headerBytes: number) {
    this.socket = socket
    this.#headerBytes = headerBytes
    const read = socket.read.bind(socket)
    socket.read = (size?: number) => {
      for (;;) {
        const chunk = read(size) as Buffer | null // bytes, since no encoding is set
        if (chunk === null || this.#state === 'body') return chunk
        const passed = this.#look(chunk)
        if (passed.length > 0) return passed
        if (socket.destroyed) return null
      }
    }
    surviveFailedWrites(socket)
  }

  /** A request is about to be written. */
  begin (): void {
    this.#requests++
    this.#state = 'start'
    this.#held = NOTHING
    this.#size = 0
    this.#dropped = 0
    this.#answered = false
  }

  /** Whether the request under way is not the first one here. */
  get reused (): boolean {
    return this.#requests > 1
  }

  /** Whether any byte came since the request under way began. */
  get answered (): boolean {
    return this.#answered
  }

  #look (chunk: Buffer): Buffer {
    this.#answered = true
    const passed: Buffer[] = []
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    this.#held = NOTHING
    while (rest.length > 0 && this.#state !== 'body' && !this.socket.destroyed) {
      if (this.#state === 'start' && !this.#begun(rest)) {
        this.#held = rest
        rest = NOTHING
        break
      }
      const dropped = this.#state === 'drop'
      const end = this.#endOfHead(rest)
      if (!dropped) passed.push(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
    if (rest.length > 0) passed.push(rest)
    if (this.socket.destroyed) return NOTHING
    return passed.length === 1 ? passed[0] ?? NOTHING : Buffer.concat(passed)
  }

  /** Tells what kind of head begins; false where there are too few bytes to know. */
  #begun (bytes: Buffer): boolean {
    const first = bytes[0]
    // Empty lines in front of a status line, which parsers skip.
    if (first !== CR && first !== LF) {
      const line = bytes.toString('latin1', 0, INTERIM.length)
      if (line.length < INTERIM.length && mayBecomeInterim(line)) return false
      const [, status] = /^HTTP\/1\.\d (1\d\d)[ \r]$/.exec(line) ?? []
      if (status === '100') this.#state = 'drop'
      else this.#state = status === undefined || status === '101' ? 'head' : 'interim'
      this.#tail = NOTHING
      this.#size = 0
      this.#lined = false
    }
    return true
  }

  /** How many of the bytes belong to the head that is being read; all of them where it goes on behind them. */
  #endOfHead (bytes: Buffer): number {
    if (this.#state === 'start') {
      let blanks = 0
      while (bytes[blanks] === CR || bytes[blanks] === LF) blanks++
      this.#count(blanks)
      return blanks
    }
    const seam = Buffer.concat([this.#tail, bytes.subarray(0, END_OF_HEAD.length - 1)])
    const early = seam.indexOf(END_OF_HEAD)
    const late = early === -1 ? bytes.indexOf(END_OF_HEAD) : early - this.#tail.length
    const found = early !== -1 || late !== -1
    const end = found ? late + END_OF_HEAD.length : bytes.length
    this.#count(end - this.#lineIn(bytes.subarray(0, end)))
    if (found) this.#finishHead()
    else this.#tail = Buffer.concat([this.#tail, bytes.subarray(1 - END_OF_HEAD.length)]).subarray(1 - END_OF_HEAD.length)
    return end
  }

  /** How many of the bytes belong to the status line, which is no part of the header section (RFC 9112 section 2.1). */
  #lineIn (bytes: Buffer): number {
    if (this.#lined) return 0
    const end = bytes.indexOf(LF) + 1
    this.#lined = end !== 0
    return this.#lined ? end : bytes.length
  }

  #finishHead (): void {
    this.#size = 0
    // The others are counted where they are passed on.
    if (this.#state === 'drop' && ++this.#dropped > MOST_INTERIM_ANSWERS) this.#refuse('http_protocol_error')
    this.#state = this.#state === 'head' ? 'body' : 'start'
  }

  #count (bytes: number): void {
    this.#size += bytes
    if (this.#size > this.#headerBytes) this.#refuse('http_response_header_section_size')
  }

  #refuse (proxyStatus: string): void {
    this.socket.destroy(new ProxyError('CS_UPSTREAM_UNREACHABLE', { proxyStatus }))
  }
}

/** Whether an interim response may begin so: what cannot is passed on at once, since nothing may come behind it. */
function mayBecomeInterim (line: string): boolean {
  return [...line].every((char, index) => DIGITS.includes(index) ? char >= '0' && char <= '9' : char === INTERIM[index])
}

/** How long what an upstream said before it closed may take to be read, in milliseconds. */
const LAST_WORDS_MS = 5000

/**
 * Keeps a failed write from destroying a socket that still has an answer in it: an upstream that refuses an upload says so
 * and closes, and the write that meets that tells less than what it has said. The side that reads ends by itself.
 */
function surviveFailedWrites (socket: Socket): void {
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
