import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { ProxyError } from '../errors.ts'
import { Handshake } from '../http/handshake.ts'
import { HEADER_BYTES } from '../http/headers.ts'
import { endGently, lingerAtEnd, type Patience } from './linger.ts'
import { parserError, tooLargeError, tunnelError, type ParserError } from './parser-error.ts'
import { respondRaw, type RawResponseOptions } from './raw-response.ts'
import type { ConnectionCount, Refused, Service } from './service.ts'
import { Turnstile } from './turnstile.ts'

/** What is known of an open connection. */
interface Connection {
  readonly server: Server
  readonly turnstile: Turnstile
  /** The response that is not finished. */
  current: ServerResponse | undefined
  /**
   * The request that got its response before all of it had arrived. No other request is kept here: an object that outlives its
   * request costs the garbage collector more than the request.
   */
  owed: IncomingMessage | undefined
  /** Its server takes no more connections: this one ends as soon as it has nothing to do. */
  leaving: boolean
}

export interface ConnectionsOptions {
  /** Counts the open connections, for listeners that share one limit. */
  readonly open: ConnectionCount
  /** How long a header may take, in milliseconds; for the message of the 408. */
  readonly headersMs: number
  /** At the limit the oldest connection that has nothing to do makes room for a new one. */
  readonly dropsIdle: boolean
}

/** Connections over the limit that are being told so; more are closed without a word, since each costs a descriptor. */
const MOST_REJECTIONS = 64
/** Shorter than for others: they hold places that the next one over the limit would need to be told. */
const REFUSAL_PATIENCE: Patience = { idleMs: 1000, mostMs: 1000 }

/** The client connections of one listener: admits them, serves their requests one at a time, refuses what is no request. */
export class ClientConnections {
  readonly #options: ConnectionsOptions
  /** In the order in which they came. */
  readonly #connections = new Map<Socket, Connection>()
  #service: Service
  /** How many connections over the limit are being told so. */
  #rejections = 0

  constructor (service: Service, options: ConnectionsOptions) {
    this.#service = service
    this.#options = options
  }

  /** The open connections, the oldest first. */
  get all (): ReadonlyMap<Socket, Connection> {
    return this.#connections
  }

  /** The longest header of a request, in bytes. */
  get headerBytes (): number {
    return this.#service.headerBytes ?? HEADER_BYTES
  }

  /** Hands every request from now on to another service, also those on connections that are open. */
  change (service: Service): void {
    this.#service = service
  }

  /** Takes a new connection, or refuses it where there are too many. Node has made its parser already. */
  admit (socket: Socket, server: Server): void {
    const { open, dropsIdle } = this.#options
    // Stays: a reset may be told at any time, also once the connection belongs to nobody any more.
    socket.on('error', ignore)
    lingerAtEnd(socket, () => this.#isSending(socket))
    const full = open.served >= this.#service.maxConnections && !(dropsIdle && this.#dropIdle())
    if (full) this.#rejections++
    else open.served++
    const turnstile = new Turnstile(socket, {
      headerBytes: () => this.headerBytes,
      held: open,
      onTooLarge: () => { this.#refuse(socket, tooLargeError(this.headerBytes)) }
    })
    // A connection may have been in the queue of the kernel when its server was closed.
    this.#connections.set(socket, { server, turnstile, current: undefined, owed: undefined, leaving: !server.listening })
    socket.once('close', () => {
      this.#connections.delete(socket)
      if (full) this.#rejections--
      else open.served--
    })
    if (!full) return
    turnstile.end()
    if (this.#rejections > MOST_REJECTIONS) socket.destroy()
    else this.#respond(socket, new ProxyError('CS_OVERLOADED', { retryAfter: 1, close: true }), {}, { patience: REFUSAL_PATIENCE })
  }

  /** Hands a request to the service, and lets the next one through once its response has finished. */
  readonly serve = (message: IncomingMessage, response: ServerResponse): void => {
    const { socket } = message
    // Stay: what Node tells of a request whose client has gone may come once nobody listens to it any more.
    message.on('error', ignore)
    response.on('error', ignore)
    const connection = this.#connections.get(socket)
    // Two at a time would mean that the parser has found an end where the turnstile has not.
    if (connection === undefined || connection.current !== undefined || !socket.writable) {
      socket.destroy()
      return
    }
    const { turnstile } = connection
    connection.current = response
    turnstile.begin(message)
    response.once('close', () => {
      connection.current = undefined
      connection.owed = message.complete ? undefined : message
      // A response that closes the connection is the last one (RFC 9112 section 9.6); where Node decides that, the socket alone tells.
      if (response.shouldKeepAlive && socket.writable) turnstile.next(connection.leaving)
      else turnstile.end()
      if (connection.leaving && connection.current === undefined) socket.destroySoon()
    })
    if (connection.leaving) response.shouldKeepAlive = false
    this.#service.handle(message, response)
  }

  /** Serves a request that asks for another protocol, with a response that can hand the socket over. */
  upgrade (message: IncomingMessage, head: Buffer): void {
    const rest = this.#connections.get(message.socket)?.turnstile.release()
    this.serve(message, new Handshake(message, rest === undefined ? head : Buffer.concat([head, rest])))
  }

  /** Refuses a CONNECT. */
  refuseTunnel (message: IncomingMessage): void {
    message.on('error', ignore)
    this.#respond(message.socket, tunnelError(), { method: 'CONNECT' })
    this.#connections.get(message.socket)?.turnstile.release()
  }

  /** Refuses what Node's parser cannot read, or took too long. */
  refuseMalformed (error: ParserError, socket: Socket): void {
    this.#refuse(socket, parserError(error, this.#options.headersMs, this.headerBytes), error.code === 'HPE_INVALID_EOF_STATE')
  }

  /** Ends the connections of a server as soon as they have nothing to do. */
  leave (server: Server): void {
    const own = [...this.#connections].filter(([, connection]) => connection.server === server)
    for (const [, connection] of own) {
      connection.leaving = true
      if (connection.current === undefined) connection.turnstile.pass()
      if (connection.current?.headersSent === false) connection.current.shouldKeepAlive = false
    }
    // Once more round the loop: a request that is in a buffer of the kernel already is in flight to whoever sent it.
    setImmediate(() => {
      for (const [socket, { current }] of own) if (current === undefined) socket.destroySoon()
    })
  }

  /** Ends all connections at once. */
  destroy (): void {
    for (const socket of this.#connections.keys()) socket.destroy()
  }

  /** Resolves once every connection that is open now is closed. */
  async closed (): Promise<void> {
    await Promise.all(Array.from(this.#connections.keys(), (socket) => new Promise((resolve) => { socket.once('close', resolve) })))
  }

  /** Whether a client may still send, now that its connection ends: the rest of a body, or what follows a refused upgrade. */
  #isSending (socket: Socket): boolean {
    const current = this.#connections.get(socket)?.current
    return current !== undefined && (current instanceof Handshake || !current.req.complete)
  }

  /** Closes the connection that has had nothing to do for longest, or else one whose client takes nothing. */
  #dropIdle (): boolean {
    const oldest = [...this.#connections].filter(([socket]) => !socket.destroyed)
    const [victim] = oldest.find(([, { current }]) => current === undefined) ?? oldest.find(([socket]) => socket.writableLength > 0) ?? []
    victim?.destroy()
    return victim !== undefined
  }

  /**
   * Refuses what the parser cannot read, or will not read on from.
   *
   * @param hasEnded the client has ended the connection: in the middle of a body that means, to the log, that it has left
   */
  #refuse (socket: Socket, rejection: ProxyError | undefined, hasEnded = false): void {
    const connection = this.#connections.get(socket)
    const current = connection?.current
    if (connection?.owed?.complete === false) {
      // The rest of a request that has its response: a second one would be taken for that of the next.
      connection.turnstile.end()
      endGently(socket)
      return
    }
    if (current === undefined || rejection === undefined) {
      this.#respond(socket, rejection)
      connection?.turnstile.end()
      return
    }
    connection?.turnstile.end()
    // The body of that very request is malformed, so this is its response, unless one has begun.
    if (current.headersSent) {
      socket.destroy()
      return
    }
    const options = { withBody: current.req.method !== 'HEAD' }
    if (hasEnded) respondRaw(socket, rejection, options)
    else this.#respond(socket, rejection, { current: current.req }, options)
    // The end of its socket would say so too late: the upstream would get the bytes in front of the error until then.
    current.emit('close')
  }

  /** Responds where Node makes no response object, and tells the service of it. */
  #respond (
    socket: Socket,
    rejection: ProxyError | undefined,
    known: Pick<Refused, 'current' | 'method'> = {},
    options: RawResponseOptions = {}
  ): void {
    const { since, bytes } = this.#connections.get(socket)?.turnstile.unread ?? { since: performance.now(), bytes: 0 }
    const client = socket.remoteAddress
    if (!respondRaw(socket, rejection, options) || rejection === undefined) return
    this.#service.onRefused?.({ ...known, rejection, client, bytes, durationMs: performance.now() - since })
  }
}

// What has to end ends with `close`.
function ignore (): void {}
