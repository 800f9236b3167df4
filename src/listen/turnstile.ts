import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/** Bytes that several turnstiles hold together. */
interface HeldBytes {
  bytes: number
}

export interface TurnstileOptions {
  /** The longest header of a request, start line and empty line included. */
  readonly headerBytes: () => number
  /** Called once, when a header is longer; the turnstile lets nothing through from then on. */
  readonly onTooLarge: () => void
  readonly held: HeldBytes
}

/** Bytes that are held back: so many each connection may always hold, so many at most, and so many all connections together. */
const [LEAST_HELD, MOST_HELD, MOST_HELD_BY_ALL] = [16_384, 262_144, 67_108_864]
/** Added to the length of each chunk for the objects around it: a client that sends single bytes must not cost more than another. */
const CHUNK_COST = 256

/** Requests of one packet that are served before other connections get a turn: thousands that are refused at once would take seconds. */
const LONGEST_RUN = 16

const EMPTY_LINE = Buffer.from('\r\n\r\n')

/**
 * Stands between a connection and Node's parser, and lets one request through at a time: the next one is not parsed before the
 * response to this one has finished (contract, section 4).
 *
 * Node's own server parses whatever a read has brought and queues the responses. A queued response has no socket: on Node 20 it
 * is never closed when the socket goes away, and an upgrade that is parsed after it takes the socket from it.
 *
 * The parser gets bytes in pieces that end no later than a request does: where an empty line ends a header or a chunked body, and
 * by Content-Length. The turnstile goes on reading while it holds bytes back, up to a limit: only a reader hears that the client
 * has left.
 */
export class Turnstile {
  readonly #socket: Socket
  readonly #options: TurnstileOptions
  /** Node's own reader of the connection. */
  readonly #parse: (bytes: Buffer) => void
  #chunks: Buffer[] = []
  #held = 0
  #passing = false
  #paused = false
  #over = false
  /** The request that is served, or whose body is still coming. */
  #message: IncomingMessage | undefined
  #responded = false
  /** Served since the last pause, while more were here already. */
  #run = 0
  /** Bytes of the body that are still to come, where its length is known. */
  #bodyLeft = 0
  /** Bytes of the header so far, and when its first byte came, in monotonic milliseconds. */
  #headerBytes = 0
  #headerSince = performance.now()
  /** The last bytes that were let through, where an empty line may have begun. */
  #tail = ''

  /** @param socket one that Node's HTTP server has taken, and that has not sent anything yet */
  constructor (socket: Socket, options: TurnstileOptions) {
    const [parse, ...others] = socket.listeners('data') as Array<(bytes: Buffer) => void>
    if (parse === undefined || others.length > 0) throw new TypeError('this version of Node reads its HTTP connections in another way')
    this.#socket = socket
    this.#options = options
    this.#parse = parse
    socket.on('data', this.#take).off('data', parse).once('close', this.#drop)
  }

  /** A request has come out of the parser. */
  begin (message: IncomingMessage): void {
    this.#message = message
    this.#responded = false
    this.#headerBytes = 0
    this.#bodyLeft = message.headers['transfer-encoding'] === undefined ? Number(message.headers['content-length'] ?? 0) : 0
  }

  /** The header that is not whole yet: when it began, in monotonic milliseconds, and how many bytes have arrived. */
  get unread (): { readonly since: number, readonly bytes: number } {
    return { since: this.#headerSince, bytes: this.#chunks.reduce((bytes, chunk) => bytes + chunk.length, this.#headerBytes) }
  }

  /**
   * The response has finished: lets the next request through.
   *
   * @param atOnce not in the next turn of the event loop, even where this connection has had its share of this turn
   */
  next (atOnce: boolean): void {
    this.#responded = true
    if (atOnce || this.#chunks.length === 0 || ++this.#run < LONGEST_RUN) {
      this.pass()
      return
    }
    this.#run = 0
    setImmediate(() => { this.pass() })
  }

  /** Lets the next request through if it has arrived and may pass. */
  pass (): void {
    // A response that is ready at once calls this from within the parser, which must not be entered again.
    if (this.#passing) return
    this.#passing = true
    for (let piece = this.#nextPiece(); piece !== undefined; piece = this.#nextPiece()) this.#parse(piece)
    this.#passing = false
    if (!this.#isFull()) this.#resume()
  }

  /** Reads and drops whatever still comes: none of it is a request. */
  end (): void {
    this.#over = true
    this.#drop()
    this.#resume()
  }

  /** Leaves the connection to another reader. Returns the bytes that the parser has not had. */
  release (): Buffer {
    const rest = Buffer.concat(this.#chunks)
    this.#over = true
    this.#drop()
    this.#socket.off('data', this.#take).off('close', this.#drop)
    return rest
  }

  readonly #take = (chunk: Buffer): void => {
    if (this.#over) return
    this.#chunks.push(chunk)
    this.#hold(chunk.length + CHUNK_COST)
    this.pass()
    if (!this.#over && this.#isFull()) {
      this.#paused = true
      this.#socket.pause()
    }
  }

  readonly #drop = (): void => {
    this.#chunks = []
    this.#hold(-this.#held)
  }

  #hold (bytes: number): void {
    this.#held += bytes
    this.#options.held.bytes += bytes
  }

  #isFull (): boolean {
    return this.#held > LEAST_HELD && (this.#held > MOST_HELD || this.#options.held.bytes > MOST_HELD_BY_ALL)
  }

  #resume (): void {
    if (!this.#paused) return
    this.#paused = false
    this.#socket.resume()
  }

  #nextPiece (): Buffer | undefined {
    if (this.#message?.complete === true && this.#responded) this.#message = undefined
    const [chunk] = this.#chunks
    if (chunk === undefined || this.#over || !this.#socket.writable || this.#message?.complete === true) return undefined
    const end = this.#endOfPiece(chunk)
    if (this.#message === undefined) {
      if (this.#headerBytes === 0) this.#headerSince = performance.now()
      this.#headerBytes += end
      if (this.#headerBytes > this.#options.headerBytes()) {
        this.end()
        this.#options.onTooLarge()
        return undefined
      }
    }
    if (end === chunk.length) {
      this.#chunks.shift()
      this.#hold(-end - CHUNK_COST)
      return chunk
    }
    this.#chunks[0] = chunk.subarray(end)
    this.#hold(-end)
    return chunk.subarray(0, end)
  }

  #endOfPiece (chunk: Buffer): number {
    if (this.#bodyLeft > 0) {
      const end = Math.min(chunk.length, this.#bodyLeft)
      this.#bodyLeft -= end
      return end
    }
    // An empty line that began in the bytes before, or else one in these.
    const seam = this.#tail === '' ? -1 : (this.#tail + chunk.toString('latin1', 0, 3)).indexOf('\r\n\r\n')
    const inside = seam === -1 ? chunk.indexOf(EMPTY_LINE) : -1
    if (seam !== -1 || inside !== -1) {
      const end = EMPTY_LINE.length + (seam === -1 ? inside : seam - this.#tail.length)
      this.#tail = ''
      return end
    }
    this.#tail = (this.#tail + chunk.toString('latin1', Math.max(chunk.length - 3, 0))).slice(-3)
    return chunk.length
  }
}
