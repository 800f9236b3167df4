import type { Socket } from 'node:net'
import { ProxyError } from '../errors.ts'
import type { Call, Carrier } from './call.ts'
import type { Line } from './connector.ts'
import { surviveFailedWrites } from './failed-writes.ts'
import { RequestBody, writeChunk } from './request-body.ts'
import type { ResponseHead } from './response-head.ts'
import { incomplete, ResponseParser } from './response-parser.ts'

/** What becomes of connections; they know nobody else. */
export interface ConnectionOwner {
  readonly headerBytes: number
  /** Longest wait for response headers, in milliseconds. */
  readonly timeoutMs: number
  /** Longest silence within a response body, in milliseconds. */
  readonly idleTimeoutMs: number
  /** A response has ended, and the connection may serve another request. */
  readonly onFree: (connection: Connection) => void
  /**
   * A connection that was used before failed before any byte of a response.
   *
   * @param unsent nothing of the request has left: it stands as if it had never had this connection
   * @returns whether the call goes on elsewhere
   */
  readonly onStale: (connection: Connection, call: Call, unsent: boolean) => boolean
  /** The other side ended an idle connection. */
  readonly onEndedIdle: (connection: Connection) => void
  /** It serves nobody any more; the socket may still be closing. */
  readonly onGone: (connection: Connection) => void
}

// Where the upstream says and shows nothing else.
const KEEP_ALIVE_MS = 4000
// A connection that is one client's own has what that client proved of itself, so it stays for longer.
const BOUND_KEEP_ALIVE_MS = 60_000
// A hint is believed but for the time that a request takes to get there, and not for ever.
const HINT_MARGIN_MS = 2000
const LONGEST_KEEP_ALIVE_MS = 600_000

/**
 * One connection to an upstream, and at most one exchange at a time on it. Reads strictly, reads a response to its end even
 * where the request cannot be written, and takes no byte that it has not asked for: whatever comes while it is idle, or behind
 * a response, ends it.
 */
export class Connection implements Carrier {
  readonly #line: Line
  readonly #socket: Socket
  readonly #owner: ConnectionOwner
  readonly #parser: ResponseParser
  /** Monotonic milliseconds. */
  readonly since = performance.now()
  /** Monotonic milliseconds; when the last response ended. */
  idleSince = 0
  /** How long it had been idle when the call under way took it. */
  idleMs = 0
  /** Place among the connections of its owner. */
  place = 0
  /** It is one client connection's own. */
  readonly bound: boolean
  /** How long it may be idle, in milliseconds. */
  #keepAliveMs: number
  #uses = 0
  #call: Call | undefined
  #body: RequestBody | undefined
  /** The request is written as far as it depends on us. */
  #sent = true
  /** What was written waits for the end of the turn. */
  #corked = false
  #headed = false
  #paused = false
  /** Something moved since the clock last looked. */
  #moved = true
  /** Since when nothing moved, on the clock of {@link look}. */
  #stillSince = 0
  #reusable = false
  /** The response has ended, with these; there may be bytes behind it. */
  #trailers: string[] | undefined
  #switched: ResponseHead | undefined
  #gone = false

  constructor (line: Line, owner: ConnectionOwner, bound: boolean) {
    this.#line = line
    this.#socket = line.socket
    this.#owner = owner
    this.bound = bound
    this.#keepAliveMs = bound ? BOUND_KEEP_ALIVE_MS : KEEP_ALIVE_MS
    this.#parser = new ResponseParser({
      onInterim: (head) => { this.#call?.interim(head) },
      onHead: (head) => { this.#begin(head) },
      onBody: (chunk) => {
        this.#moved = true
        this.#call?.body(chunk)
      },
      onEnd: (trailers) => { this.#trailers = trailers },
      onSwitch: (head) => { this.#switched = head }
    }, owner.headerBytes)
    surviveFailedWrites(line.socket)
    line.socket
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('error', this.#onError)
      .on('close', this.#onClose)
      .on('drain', this.#onDrain)
  }

  /** Whether a call is under way. */
  get busy (): boolean {
    return this.#call !== undefined
  }

  /** Whether it can take a call. */
  get usable (): boolean {
    return !this.#gone && this.#call === undefined
  }

  /** How long it may be idle, by what the upstream said last. */
  get keepAliveMs (): number {
    return this.#keepAliveMs
  }

  /** Sends the request of a call; only while nothing is under way. */
  send (call: Call): void {
    const { request: { method, upgrade, body, length } } = call
    this.#call = call
    call.carrier = this
    this.#uses++
    this.#headed = false
    this.#reusable = false
    this.#moved = true
    this.#sent = true
    this.#parser.begin(method, upgrade !== undefined)
    if (body !== null && !Buffer.isBuffer(body)) {
      this.#stream(call, body, length)
      return
    }
    this.#cork()
    this.#socket.write(call.head, 'latin1')
    if (body !== null && length === undefined) this.#writeChunked(body)
    else if (body !== null) this.#socket.write(body)
  }

  /**
   * What is written leaves in one write, along with those of other requests of this turn of the event loop: to wake the other
   * side up for each of them costs more than all that is done for a request here.
   */
  #cork (): void {
    this.#corked = true
    this.#socket.cork()
    setImmediate(this.#uncork)
  }

  readonly #uncork = (): void => {
    this.#corked = false
    this.#socket.uncork()
  }

  pause (): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume (): void {
    this.#paused = false
    this.#socket.resume()
  }

  /** The call under way is not wanted any more, and has been told. */
  abandon (): void {
    this.#release()
    this.destroy()
  }

  /** Ends it, with whatever is under way. */
  fail (error: Error): void {
    const call = this.#release()
    this.destroy()
    call?.fail(error)
  }

  /** Closes it; nothing is under way. */
  destroy (): void {
    this.#leave()
    this.#socket.destroy()
  }

  /** Resolves once the socket is closed. */
  async closed (): Promise<void> {
    if (!this.#socket.closed) await new Promise<void>((resolve) => { this.#socket.once('close', () => { resolve() }) })
  }

  /**
   * Looks whether what is under way has been still for too long. Called now and then for all connections: a timer for each
   * request costs more than the rest of its bookkeeping.
   *
   * @param runMs how long the process has run, in milliseconds
   */
  look (runMs: number): void {
    if (this.#call === undefined) return
    if (this.#moved || this.#mayBeStill()) {
      this.#moved = false
      this.#stillSince = runMs
      return
    }
    const { timeoutMs, idleTimeoutMs } = this.#owner
    if (runMs - this.#stillSince < (this.#headed ? idleTimeoutMs : timeoutMs)) return
    this.fail(
      this.#headed
        ? new ProxyError('CS_UPSTREAM_UNREACHABLE', {
          proxyStatus: 'connection_read_timeout',
          cause: new Error('the response fell silent for idleTimeoutMs')
        })
        : new ProxyError('CS_UPSTREAM_TIMEOUT')
    )
  }

  /** No byte of the request under way has left, and all of it is still at hand. */
  #isAtHand ({ request: { body } }: Call): boolean {
    return body === null || Buffer.isBuffer(body) ? this.#corked : this.#body?.begun === false
  }

  /** It is the client's turn: to read, or to send more of its body. */
  #mayBeStill (): boolean {
    return this.#headed ? this.#paused : !this.#sent && !this.#socket.writableNeedDrain
  }

  #stream (call: Call, source: Exclude<Call['request']['body'], Buffer | null>, length: number | undefined): void {
    this.#sent = false
    this.#body = new RequestBody(call.head, source, this.#socket, length, {
      onBegin: () => { this.#cork() },
      onMoved: () => { this.#moved = true },
      onSent: () => {
        this.#sent = true
        this.#body = undefined
      },
      onBroken: (error) => { if (this.#call === call) this.fail(error) }
    })
  }

  #writeChunked (body: Buffer): void {
    if (body.length > 0) writeChunk(this.#socket, body)
    this.#socket.write('0\r\n\r\n', 'latin1')
  }

  #begin (head: ResponseHead): void {
    this.#headed = true
    this.#moved = true
    if (head.keepAliveSeconds !== undefined) {
      this.#keepAliveMs = Math.min(head.keepAliveSeconds * 1000 - HINT_MARGIN_MS, LONGEST_KEEP_ALIVE_MS)
    }
    this.#reusable = head.keepAlive && this.#keepAliveMs > 0 && this.#call?.request.upgrade === undefined
    this.#call?.begin(head)
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#call === undefined) {
      // Nobody asked for it, so it is no response to anybody.
      this.destroy()
      return
    }
    if (this.#uses > 1 && (this.#corked || this.#body?.begun === false)) {
      // No byte of the request is on its way: this responses nothing either.
      this.#break(incomplete(false))
      return
    }
    let read = 0
    try {
      read = this.#parser.push(chunk)
    } catch (error) {
      this.fail(error as Error) // the parser throws nothing else
      return
    }
    if (this.#trailers !== undefined) this.#complete(read < chunk.length)
    else if (this.#switched !== undefined) this.#switch(this.#switched, chunk.subarray(read))
  }

  readonly #onEnd = (): void => {
    if (this.#call === undefined) {
      this.#endIdle()
      return
    }
    this.#reusable = false
    try {
      this.#parser.end(this.#line.whole())
    } catch (error) {
      this.#break(error as Error) // the parser throws nothing else
      return
    }
    this.#complete(true)
  }

  readonly #onError = (error: Error): void => {
    if (this.#call === undefined) this.#endIdle()
    // What failed is told as it is where there is nothing of a response: a TLS alert, a reset.
    else this.#break(this.#parser.answered ? incomplete(true, error) : error)
  }

  readonly #onClose = (): void => {
    if (this.#call === undefined) this.#leave()
    else this.#break(incomplete(this.#parser.answered))
  }

  readonly #onDrain = (): void => {
    this.#moved = true
    this.#body?.resume()
  }

  /** The connection failed by itself. */
  #break (error: Error): void {
    const call = this.#call
    const unsent = this.#uses > 1 && call !== undefined && this.#isAtHand(call)
    const stale = this.#uses > 1 && !this.#parser.answered && isBroken(error)
    if (unsent) this.#leaveBody()
    this.#release()
    this.destroy()
    if (call === undefined || ((unsent || stale) && this.#owner.onStale(this, call, unsent))) return
    call.fail(error)
  }

  #endIdle (): void {
    if (!this.#gone) this.#owner.onEndedIdle(this)
    this.destroy()
  }

  /** The response has ended. A connection with anything behind it, or with a request that is not all out, serves no other. */
  #complete (extra: boolean): void {
    const trailers = this.#trailers ?? []
    const free = this.#reusable && !extra && this.#sent && this.#socket.writableLength === 0 && !this.#socket.destroyed
    const call = this.#release()
    if (free) {
      if (this.#paused) this.resume()
      this.#owner.onFree(this)
    } else {
      this.destroy()
    }
    call?.end(trailers)
  }

  #switch (head: ResponseHead, rest: Buffer): void {
    const socket = this.#socket
    socket
      .pause()
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('error', this.#onError)
      .off('close', this.#onClose)
      .off('drain', this.#onDrain)
    if (rest.length > 0) socket.unshift(rest)
    const call = this.#release()
    this.#leave()
    call?.switch(head, socket)
  }

  #release (): Call | undefined {
    const call = this.#call
    this.#call = undefined
    this.#trailers = undefined
    this.#parser.stop()
    this.#body?.stop()
    this.#body = undefined
    return call
  }

  /** The body goes with its request, to another connection. */
  #leaveBody (): void {
    this.#body?.leave()
    this.#body = undefined
  }

  #leave (): void {
    if (this.#gone) return
    this.#gone = true
    this.#owner.onGone(this)
  }
}

// The connection itself, and neither a deadline of ours nor what was said over it.
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ETIMEDOUT'])

function isBroken (error: Error): boolean {
  if (error instanceof ProxyError) return error.proxyStatus === 'connection_terminated'
  return 'code' in error && typeof error.code === 'string' && BROKEN.has(error.code)
}
