import type { Socket } from 'node:net'
import { ProxyError } from '../errors.ts'
import type { Call, Carrier } from './call.ts'
import { incomplete, isBroken, silent } from './connection-errors.ts'
import type { Line } from './connector.ts'
import { surviveFailedWrites } from './failed-writes.ts'
import { hintedKeepAliveMs, keepAliveMs } from './keep-alive.ts'
import { RequestWriter } from './request-writer.ts'
import type { ResponseHead } from './response-head.ts'
import { ResponseParser } from './response-parser.ts'
import { Stillness } from './stillness.ts'

/** Hears what happens to connections, and sets their limits. */
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
   * @param unsent no byte of the request has left: it can be sent elsewhere as if for the first time
   * @returns whether the call goes on elsewhere
   */
  readonly onStale: (connection: Connection, call: Call, unsent: boolean) => boolean
  /** The other side ended an idle connection. */
  readonly onEndedIdle: (connection: Connection) => void
  /** It serves nobody any more; the socket may still be closing. */
  readonly onGone: (connection: Connection) => void
}

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
  readonly #writer: RequestWriter
  readonly #stillness = new Stillness()
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
  #headed = false
  #paused = false
  #reusable = false
  /** The trailers of a response that has ended; there may be bytes behind it. */
  #trailers: string[] | undefined
  #switched: ResponseHead | undefined
  #gone = false

  constructor (line: Line, owner: ConnectionOwner, bound: boolean) {
    this.#line = line
    this.#socket = line.socket
    this.#owner = owner
    this.bound = bound
    this.#keepAliveMs = keepAliveMs(bound)
    this.#writer = new RequestWriter(line.socket, {
      onMoved: () => { this.#stillness.note() },
      onBroken: (call, error) => { if (this.#call === call) this.fail(error) }
    })
    this.#parser = new ResponseParser({
      onInterim: (head) => { this.#call?.interim(head) },
      onHead: (head) => { this.#begin(head) },
      onBody: (chunk) => {
        this.#stillness.note()
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
    const { method, upgrade } = call.request
    this.#call = call
    call.carrier = this
    this.#uses++
    this.#headed = false
    this.#reusable = false
    this.#stillness.note()
    this.#parser.begin(method, upgrade !== undefined)
    this.#writer.write(call)
  }

  /** Stops reading. */
  pause (): void {
    this.#paused = true
    this.#socket.pause()
  }

  /** Reads on. */
  resume (): void {
    this.#paused = false
    this.#socket.resume()
  }

  /** Gives the call under way up; the call knows. */
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
   * Fails the call under way where nothing has moved for too long. Called now and then for all connections: a timer for each
   * request costs more than the rest of its bookkeeping.
   *
   * @param runMs how long the process has run, in milliseconds
   */
  look (runMs: number): void {
    if (this.#call === undefined) return
    const stillMs = this.#stillness.look(runMs, this.#mayBeStill())
    const { timeoutMs, idleTimeoutMs } = this.#owner
    if (stillMs < (this.#headed ? idleTimeoutMs : timeoutMs)) return
    this.fail(this.#headed ? silent() : new ProxyError('CS_UPSTREAM_TIMEOUT'))
  }

  /** It is the client's turn: to read, or to send more of its body. */
  #mayBeStill (): boolean {
    return this.#headed ? this.#paused : !this.#writer.sent && !this.#socket.writableNeedDrain
  }

  #begin (head: ResponseHead): void {
    this.#headed = true
    this.#stillness.note()
    if (head.keepAliveSeconds !== undefined) this.#keepAliveMs = hintedKeepAliveMs(head.keepAliveSeconds)
    this.#reusable = head.keepAlive && this.#keepAliveMs > 0 && this.#call?.request.upgrade === undefined
    this.#call?.begin(head)
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#call === undefined) {
      // Nobody asked for it, so it is no response to anybody.
      this.destroy()
      return
    }
    if (this.#uses > 1 && this.#writer.waiting) {
      // No byte of the request is on its way, so this is no response to it either.
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
    // Before any byte of a response the error is told as it is: a TLS alert, a reset.
    else this.#break(this.#parser.responded ? incomplete(true, error) : error)
  }

  readonly #onClose = (): void => {
    if (this.#call === undefined) this.#leave()
    else this.#break(incomplete(this.#parser.responded))
  }

  readonly #onDrain = (): void => {
    this.#stillness.note()
    this.#writer.resume()
  }

  /** The connection failed by itself. */
  #break (error: Error): void {
    const call = this.#call
    const unsent = this.#uses > 1 && call !== undefined && this.#writer.isAtHand(call.request)
    const stale = this.#uses > 1 && !this.#parser.responded && isBroken(error)
    // The body goes with its request, to another connection.
    if (unsent) this.#writer.leave()
    this.#release()
    this.destroy()
    if (call === undefined || ((unsent || stale) && this.#owner.onStale(this, call, unsent))) return
    call.fail(error)
  }

  #endIdle (): void {
    if (!this.#gone) this.#owner.onEndedIdle(this)
    this.destroy()
  }

  /**
   * The response has ended. The connection serves no further request where bytes follow the response, or where its own request is
   * not all written.
   */
  #complete (extra: boolean): void {
    const trailers = this.#trailers ?? []
    const free = this.#reusable && !extra && this.#writer.sent && this.#socket.writableLength === 0 && !this.#socket.destroyed
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
    this.#writer.stop()
    return call
  }

  #leave (): void {
    if (this.#gone) return
    this.#gone = true
    this.#owner.onGone(this)
  }
}
