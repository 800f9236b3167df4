import type { Socket } from 'node:net'
import { Call } from './call.ts'
import { Connection, type ConnectionOwner } from './connection.ts'
import { destroyed } from './connection-errors.ts'
import type { Line } from './connector.ts'
import { DeadlineClock } from './deadline-clock.ts'
import { IdleLimit } from './idle-limit.ts'
import { requestHead } from './request-head.ts'
import type { ResponseHandler, Sender, Transfer, UpstreamRequest } from './sender.ts'

export interface PoolOptions {
  /** The value of `Host`. */
  readonly host: string
  readonly connect: () => Promise<Line>
  /** Longest wait for response headers, in milliseconds. */
  readonly timeoutMs: number
  /** Longest silence within a response body, in milliseconds. */
  readonly idleTimeoutMs: number
  /** The longest header section of a response, in bytes. */
  readonly headerBytes: number
  /** How long connections are taken for new requests, in milliseconds. */
  readonly renewAfterMs: number
  /** Called before everything is torn down. */
  readonly onDestroy: () => void
}

/** One client connection's own connection to the upstream. */
interface Bond {
  connection: Connection | undefined
  /** The client connection is closed. */
  ended: boolean
}

/**
 * The connections to one upstream, as many as there are requests at a time. The pool knows of each how long it was idle and
 * whether it was used before. After a while all new requests go over new connections, so that a changed address is noticed.
 */
export class Pool implements Sender {
  readonly #options: PoolOptions
  readonly #owner: ConnectionOwner
  readonly #limit = new IdleLimit()
  /** All of them, in no order: see `OpenRequests` for why this is no Set. */
  readonly #connections: Connection[] = []
  /** The connection that was used last stands last. */
  readonly #idle: Connection[] = []
  readonly #bonds = new WeakMap<Socket, Bond>()
  readonly #bondOf = new WeakMap<Connection, Bond>()
  /** Calls that wait for their connection. */
  #waiting = 0
  /** Runs while there is a connection. */
  readonly #clock: DeadlineClock
  #closed = false
  #onEmpty = (): void => {}

  constructor (options: PoolOptions) {
    this.#options = options
    const { headerBytes, timeoutMs, idleTimeoutMs } = options
    this.#clock = new DeadlineClock(Math.min(timeoutMs, idleTimeoutMs), (now, runMs) => { this.#look(now, runMs) })
    this.#owner = {
      headerBytes,
      timeoutMs,
      idleTimeoutMs,
      onFree: (connection) => { this.#free(connection) },
      onStale: (connection, call, unsent) => this.#repeat(connection, call, unsent),
      onEndedIdle: (connection) => { if (!connection.bound) this.#limit.closedAfter(performance.now() - connection.idleSince) },
      onGone: (connection) => { this.#remove(connection) }
    }
  }

  /** Sends a request over any connection, or over a new one. */
  dispatch (request: UpstreamRequest, handler: ResponseHandler): Transfer {
    return this.#send(request, handler, undefined)
  }

  /**
   * The sender for the requests of one client connection, on routes where clients bring their own `Authorization`.
   *
   * @param binds this request carries what proves its sender for the whole connection (NTLM, Negotiate): from now on the client
   *   connection has one to the upstream that nobody else uses, and that ends with it
   */
  senderOf (owner: Socket, binds: boolean): Sender {
    const bond = this.#bonds.get(owner) ?? (binds ? this.#bind(owner) : undefined)
    return bond === undefined ? this : { dispatch: (request, handler) => this.#send(request, handler, bond) }
  }

  /** Takes no new requests. Resolves once all that are under way have ended. */
  async close (): Promise<void> {
    this.#closed = true
    for (const connection of [...this.#connections]) if (!connection.busy) connection.destroy()
    if (this.#waiting > 0 || this.#connections.length > 0) await new Promise<void>((resolve) => { this.#onEmpty = resolve })
  }

  /** Ends all connections with whatever is under way. Resolves once they are closed. */
  async destroy (): Promise<void> {
    this.#closed = true
    this.#options.onDestroy()
    const connections = [...this.#connections]
    const closed = connections.map((connection) => connection.closed())
    for (const connection of connections) connection.fail(destroyed())
    await Promise.all(closed)
  }

  #send (request: UpstreamRequest, handler: ResponseHandler, bond: Bond | undefined): Transfer {
    const call = new Call(request, handler)
    try {
      call.head = requestHead(request, this.#options.host)
      if (this.#closed) throw destroyed()
    } catch (error) {
      call.fail(error as Error) // nothing else is thrown here
      return call
    }
    const connection = bond === undefined ? this.#take() : bond.connection
    if (connection?.usable === true) {
      connection.idleMs = performance.now() - connection.idleSince
      connection.send(call)
    } else {
      this.#open(call, bond)
    }
    return call
  }

  #open (call: Call, bond: Bond | undefined): void {
    this.#waiting++
    this.#options.connect().then((line) => {
      this.#waiting--
      this.#add(line, call, bond)
    }, (error: Error) => {
      this.#waiting--
      call.fail(this.#closed ? destroyed() : error)
      this.#settle()
    })
  }

  #add (line: Line, call: Call, bond: Bond | undefined): void {
    // Nobody waits for it any more.
    if (call.over || (this.#closed && line.socket.destroyed) || bond?.ended === true) {
      line.socket.destroy()
      call.fail(destroyed())
      this.#settle()
      return
    }
    const connection = new Connection(line, this.#owner, bond !== undefined)
    connection.place = this.#connections.push(connection) - 1
    if (bond !== undefined) {
      bond.connection = connection
      this.#bondOf.set(connection, bond)
    }
    this.#clock.start()
    connection.send(call)
  }

  #take (): Connection | undefined {
    const now = performance.now()
    for (let connection = this.#idle.at(-1); connection !== undefined; connection = this.#idle.at(-1)) {
      if (now - connection.since <= this.#options.renewAfterMs) {
        if (!this.#limit.allows(now - connection.idleSince)) {
          this.#probe(now)
          return undefined
        }
        this.#idle.pop()
        return connection
      }
      connection.destroy()
    }
    return undefined
  }

  /**
   * No idle connection may be used again. Closes all but the one that is idle for longest, to see how long the upstream really
   * keeps it.
   */
  #probe (now: number): void {
    for (const connection of this.#idle.slice(1)) connection.destroy()
    const [oldest] = this.#idle
    if (oldest !== undefined) this.#limit.keptFor(now - oldest.idleSince)
  }

  #bind (owner: Socket): Bond {
    const bond: Bond = { connection: undefined, ended: false }
    this.#bonds.set(owner, bond)
    owner.once('close', () => {
      bond.ended = true
      // What is under way there ends with its client.
      bond.connection?.fail(destroyed())
    })
    return bond
  }

  #free (connection: Connection): void {
    const now = performance.now()
    connection.idleSince = now
    if (this.#closed || (!connection.bound && now - connection.since > this.#options.renewAfterMs)) connection.destroy()
    else if (!connection.bound) this.#idle.push(connection)
  }

  /**
   * A connection failed that was used before. Remembers after how long, and sends the call once more where that is safe (contract
   * section 4). A call of which no byte has left is sent for the first time.
   */
  #repeat (connection: Connection, call: Call, unsent: boolean): boolean {
    this.#limit.closedAfter(connection.idleMs)
    if (call.over || this.#closed || !(unsent || call.repeatable)) return false
    call.repeated = !unsent
    call.carrier = undefined
    this.#open(call, this.#bondOf.get(connection))
    return true
  }

  #remove (connection: Connection): void {
    const last = this.#connections.pop()
    if (last !== undefined && last !== connection) {
      last.place = connection.place
      this.#connections[connection.place] = last
    }
    const at = this.#idle.lastIndexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
    this.#settle()
  }

  #settle (): void {
    if (this.#connections.length > 0) return
    this.#clock.stop()
    if (this.#waiting === 0) this.#onEmpty()
  }

  /** Fails what has been still for too long, and closes what has been idle for too long. */
  #look (now: number, runMs: number): void {
    // From the end, since connections that are ended leave the list.
    for (let index = this.#connections.length - 1; index >= 0; index--) {
      const connection = this.#connections[index]
      if (connection === undefined) continue
      if (connection.busy) {
        connection.look(runMs)
      } else if (now - connection.idleSince >= connection.keepAliveMs) {
        this.#limit.keptFor(now - connection.idleSince)
        connection.destroy()
      }
    }
  }
}
