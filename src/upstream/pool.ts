import type { Socket } from 'node:net'
import { Client, DecoratorHandler, Dispatcher, type buildConnector } from 'undici'
import { Attempt, isRepeatable, type Lane } from './attempt.ts'
import type { Sender } from './exchange.ts'
import { IdleLimit } from './idle-limit.ts'
import { Wire } from './wire.ts'

export interface PoolOptions {
  readonly origin: string
  readonly connect: buildConnector.connector
  /** Longest wait for response headers, in milliseconds. */
  readonly timeoutMs: number
  /** Longest silence within a response body, in milliseconds. */
  readonly idleTimeoutMs: number
  /** The longest header section of an answer, in bytes. */
  readonly headerBytes: number
  /** How long connections are taken for new requests, in milliseconds. */
  readonly renewAfterMs: number
  /** Called before everything is torn down. */
  readonly onDestroy?: () => void
}

// Where the upstream says and shows nothing else: undici's own.
const KEEP_ALIVE_MS = 4000
// A connection that is one client's own has what that client proved of itself, so it stays for longer.
const BOUND_KEEP_ALIVE_MS = 60_000

/**
 * The connections to one upstream, each an undici Client of its own, so that it is known of each how long it was idle and
 * whether it was used before. After a while all new requests go over new connections, so that a changed address is noticed.
 */
export class Pool extends Dispatcher {
  readonly #options: PoolOptions
  readonly #limit = new IdleLimit()
  readonly #lanes = new Set<Lane>()
  /** The one that was used last is the last. */
  readonly #idle: Lane[] = []
  readonly #bound = new WeakMap<object, Lane>()
  #closed = false

  constructor (options: PoolOptions) {
    super()
    this.#options = options
  }

  override dispatch (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    // undici's own `request` still makes handlers of an older kind.
    const current = handler.onRequestStart === undefined ? new DecoratorHandler(handler) : handler
    return this.#send(this.#take(), options, current, () => this.#open())
  }

  /**
   * What sends the requests of one client connection, for routes on which clients bring their own `Authorization`.
   *
   * @param binds this request carries what proves its sender for the whole connection (NTLM, Negotiate): from now on the
   *   client connection has one to the upstream that nobody else uses, and that ends with it
   */
  senderOf (owner: Socket, binds: boolean): Sender {
    const lane = this.#bound.get(owner) ?? (binds ? this.#bind(owner) : undefined)
    // The Client of a lane connects anew where its connection is gone.
    return lane === undefined ? this : { dispatch: (options, handler) => this.#send(lane, options, handler, () => lane) }
  }

  /** Ends when everything under way has ended. */
  override async close (): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#lanes].map(({ client }) => client.close()))
  }

  override async destroy (): Promise<void> {
    this.#closed = true
    this.#options.onDestroy?.()
    await Promise.all([...this.#lanes].map(({ client }) => client.destroy()))
  }

  #send (lane: Lane, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler, another?: () => Lane): boolean {
    const repeat = another !== undefined && isRepeatable(options) ? () => { this.#send(another(), options, handler) } : undefined
    const attempt = new Attempt(handler, lane, (idleMs) => { this.#limit.closedAfter(idleMs) }, repeat)
    // undici ends the connection behind HEAD and behind bodies of methods that rarely have one, unless it is told not to.
    const busy = lane.client.dispatch(options.upgrade === undefined || options.upgrade === null ? { ...options, reset: false } : options, attempt)
    // Refused before it was ever under way, so nothing will tell of its end.
    if (attempt.over && lane.client.stats.size === 0) this.#release(lane)
    return busy
  }

  #take (): Lane {
    const now = performance.now()
    for (let lane = this.#idle.at(-1); lane?.wire !== undefined; lane = this.#idle.at(-1)) {
      const { wire } = lane
      if (now - wire.since <= this.#options.renewAfterMs) {
        if (!this.#limit.allows(now - wire.idleSince)) {
          this.#probe(now)
          break
        }
        this.#idle.pop()
        lane.idle = false
        return lane
      }
      this.#idle.pop()
      this.#end(lane)
    }
    return this.#open()
  }

  /** None may be used again. The one that is idle for longest stays, to show how long the upstream really keeps it. */
  #probe (now: number): void {
    for (const lane of this.#idle.splice(1)) this.#end(lane)
    const { wire } = this.#idle[0] ?? {}
    if (wire !== undefined) this.#limit.keptFor(now - wire.idleSince)
  }

  #open (keepAliveTimeout: number = KEEP_ALIVE_MS): Lane {
    const { origin, connect, timeoutMs, idleTimeoutMs, headerBytes } = this.#options
    const client = new Client(origin, {
      headersTimeout: timeoutMs,
      bodyTimeout: idleTimeoutMs,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout,
      // The wire counts all of the section; undici, which counts a part of it, has to stay silent.
      maxHeaderSize: headerBytes + 1,
      connect: (options, callback) => {
        connect(options, (...result) => {
          if (result[0] === null) lane.wire = new Wire(result[1], headerBytes)
          callback(...result)
        })
      }
    })
    const lane: Lane = { client, wire: undefined, idle: false, bound: false }
    this.#lanes.add(lane)
    client.on('drain', () => { this.#release(lane) })
    client.on('disconnect', (_origin, _targets, error) => { this.#lose(lane, error) })
    return lane
  }

  #bind (owner: Socket): Lane {
    const lane = this.#open(BOUND_KEEP_ALIVE_MS)
    lane.bound = true
    this.#bound.set(owner, lane)
    owner.once('close', () => { this.#end(lane) })
    return lane
  }

  #release (lane: Lane): void {
    if (lane.bound || lane.idle || lane.client.destroyed) return
    if (lane.wire === undefined || this.#closed || performance.now() - lane.wire.since > this.#options.renewAfterMs) {
      this.#end(lane)
      return
    }
    lane.wire.idleSince = performance.now()
    lane.idle = true
    this.#idle.push(lane)
  }

  #lose (lane: Lane, error: Error & { readonly code?: string }): void {
    const { wire } = lane
    lane.wire = undefined
    if (!lane.idle) return
    this.#idle.splice(this.#idle.indexOf(lane), 1)
    lane.idle = false
    // An end that was announced with the answer tells nothing of idle times.
    if (wire?.closing === false) {
      if (error.code === 'UND_ERR_INFO') this.#limit.keptFor(performance.now() - wire.idleSince)
      else this.#limit.closedAfter(performance.now() - wire.idleSince)
    }
    this.#end(lane)
  }

  /** Whatever is under way there still ends, but by a client that went away. */
  #end (lane: Lane): void {
    this.#lanes.delete(lane)
    lane.idle = false
    const ended = lane.bound ? lane.client.destroy() : lane.client.close()
    ended.catch(() => {}) // it is over already
  }
}
