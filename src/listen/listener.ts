import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { ProxyError } from '../errors.ts'
import { formatAddress, type Address } from '../http/address.ts'
import { HEADER_BYTES } from '../http/headers.ts'
import { Handshake } from '../http/handshake.ts'
import { Incoming } from '../http/incoming.ts'
import { addressesFor, bind, type Bound } from './bind.ts'
import { endGently, lingerAtEnd, type Patience } from './linger.ts'
import { parserError, tooLargeError, tunnelError } from './parser-error.ts'
import { respondRaw, type RawResponseOptions } from './raw-response.ts'
import { watchSlowClients } from './slow-clients.ts'
import { Turnstile } from './turnstile.ts'

export type Handler = (message: IncomingMessage, response: ServerResponse) => void

/** What becomes of what comes in. */
interface Service {
  readonly handle: Handler
  /** Open connections; one more is told so and closed. */
  readonly maxConnections: number
  /** The longest header of a request, in bytes; default {@link HEADER_BYTES}. */
  readonly headerBytes?: number
  /** Hears of every request that is answered here, in place of `handle` or of the response that it was given. */
  readonly onRefused?: (refused: Refused) => void
}

/** A request that the listener has refused by itself, and what is known of it. */
export interface Refused {
  readonly rejection: ProxyError
  /** The one that `handle` has, where its body was refused. */
  readonly current?: IncomingMessage
  /** Where the parser got so far. */
  readonly method?: string
  /** The address that it came from; undefined for a unix socket. */
  readonly client: string | undefined
  /** Of the request, as far as it was here. */
  readonly bytes: number
  /** Since its first byte. */
  readonly durationMs: number
}

export interface ListenerOptions extends Service {
  readonly address: Address
  /** Counts the open connections, for listeners that share one limit. */
  readonly open?: ConnectionCount
  /** Other than the usual ones. */
  readonly timeouts?: Partial<ClientTimeouts>
  /** At the limit the oldest connection that has nothing to do makes room for a new one. */
  readonly dropsIdle?: boolean
}

/** How long a client may take, in milliseconds. */
export interface ClientTimeouts {
  /** Until the header of a request is here. */
  readonly headersMs: number
  /** Without taking a byte of what is written, or sending one of a body that is owed. */
  readonly stillMs: number
}

/** How many connections are served, and how much is held for them while they wait. */
export interface ConnectionCount {
  served: number
  /** See {@link Turnstile}. */
  bytes: number
}

/** A server that listens. */
export interface Listener {
  /** With the real port where 0 was asked for. */
  readonly address: Address
  /** Hands every request from now on to another one, also those on connections that are open. */
  readonly change: (service: Service) => void
  /** Whether it listens on an address, or on a part of it (`localhost` is two). */
  readonly overlaps: (address: Address) => boolean
  /**
   * Prepares to listen on an address that it overlaps with: on what is missing of it at once, on no more than that from `commit` on.
   *
   * @throws ListenError where what is missing cannot be taken; nothing has changed then
   */
  readonly move: (address: Address) => Promise<Move>
  /**
   * Takes no new connections and lets the requests in flight finish, at most `timeoutMs`; then closes what is left.
   * May be called again, with a shorter time.
   */
  readonly drain: (timeoutMs: number) => Promise<void>
}

/** A change of the address of a listener, which can no longer fail. */
export interface Move {
  /** The real one. */
  readonly address: Address
  readonly commit: () => void
  /** Listens as before. */
  readonly abandon: () => Promise<void>
}

/** What is known of an open connection. */
interface Connection {
  readonly server: Server
  readonly turnstile: Turnstile
  /** The response that is not finished. */
  current: ServerResponse | undefined
  /**
   * The request that was answered before all of it was here. No other: what is kept between requests costs the garbage collector more than
   * the request.
   */
  owed: IncomingMessage | undefined
  /** Its server takes no more: it ends as soon as it has nothing to do. */
  leaving: boolean
}

const TIMEOUTS: ClientTimeouts = { headersMs: 60_000, stillMs: 300_000 }
const KEEP_ALIVE_TIMEOUT_MS = 72_000
/** Connections over the limit that are being told so; more are closed without a word, since each costs a descriptor. */
const MOST_REFUSALS = 64
/** Shorter than for others: they hold places that the next one over the limit would need to be told. */
const REFUSAL_PATIENCE: Patience = { idleMs: 1000, mostMs: 1000 }

/**
 * Listens on a TCP address or a unix socket. Serves the requests of a connection one at a time, in their order.
 *
 * @throws ListenError where the address cannot be taken
 */
export async function openListener ({
  address,
  open = { served: 0, bytes: 0 },
  timeouts,
  dropsIdle = false,
  ...options
}: ListenerOptions): Promise<Listener> {
  const { headersMs, stillMs } = { ...TIMEOUTS, ...timeouts }
  let service: Service = options
  // In the order in which they came.
  const connections = new Map<Socket, Connection>()
  let rejections = 0

  let bound = await bind(createHttpServer, address)
  const endWatch = watchSlowClients(connections, stillMs)
  return {
    get address () {
      return addressOf(bound)
    },
    overlaps: (other) => bound.some((one) => isPartOf(one, other)),
    change: (changed) => {
      service = changed
      for (const { server } of bound) Object.assign(server, { maxHeaderSize: headerBytes() })
    },
    move: async (wanted) => {
      const staying = bound.filter((one) => isPartOf(one, wanted))
      const next = await bind(createHttpServer, wanted, staying)
      return {
        address: addressOf(next),
        commit: () => {
          for (const one of bound) if (!next.includes(one)) close(one).catch(() => {})
          bound = next
        },
        abandon: async () => {
          await Promise.all(next.filter((one) => !bound.includes(one)).map(close))
        }
      }
    },
    drain: async (timeoutMs) => {
      const closed = Promise.all(bound.map(close))
      const timer =
        timeoutMs === Infinity
          ? undefined
          : setTimeout(() => {
            for (const socket of connections.keys()) socket.destroy()
          }, timeoutMs)
      await closed
      // Node says so before the connections that it destroyed have told their own end, and with it that of their requests.
      await Promise.all(
        Array.from(
          connections.keys(),
          (socket) =>
            new Promise((resolve) => {
              socket.once('close', resolve)
            })
        )
      )
      clearTimeout(timer)
      endWatch()
    }
  }

  /** Takes no new connections there, and ends those that are open as soon as they have nothing to do. */
  async function close ({ server }: Bound): Promise<void> {
    const own = [...connections].filter(([, connection]) => connection.server === server)
    for (const [, connection] of own) {
      connection.leaving = true
      if (connection.current === undefined) connection.turnstile.pass()
      if (connection.current?.headersSent === false) connection.current.shouldKeepAlive = false
    }
    // Once more round the loop: a request that is in a buffer of the kernel already is in flight to whoever sent it.
    setImmediate(() => {
      for (const [socket, { current }] of own) if (current === undefined) socket.destroySoon()
    })
    await new Promise<void>((resolve) => {
      server.close(() => {
        resolve()
      })
    })
  }

  function headerBytes (): number {
    return service.headerBytes ?? HEADER_BYTES
  }

  function createHttpServer (): Server {
    const server = createServer({
      // Our own guard answers a missing Host, in our own format.
      requireHostHeader: false,
      // Else NODE_OPTIONS could loosen the parser, and with it what counts as one request.
      insecureHTTPParser: false,
      IncomingMessage: Incoming,
      maxHeaderSize: headerBytes(),
      headersTimeout: headersMs,
      // So often Node looks for them.
      connectionsCheckingInterval: headersMs / 5,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      // An upload may take for ever as long as it moves.
      requestTimeout: 0
    })
    // Node drops what is beyond its default of 1,000 in silence: the guards would not see a second Host there.
    server.maxHeadersCount = 0
    return (
      server
        .on('connection', (socket) => {
          admit(socket, server)
        })
        .on('request', serve)
        // Answered once the body is wanted, so that a refused upload is never sent (RFC 9110 section 10.1.1).
        .on('checkContinue', serve)
        .on('checkExpectation', serve)
        .on('upgrade', (message, _socket, head) => {
          const rest = connections.get(message.socket)?.turnstile.release()
          serve(message, new Handshake(message, rest === undefined ? head : Buffer.concat([head, rest])))
        })
        .on('connect', (message) => {
          message.on('error', ignore)
          respond(message.socket, tunnelError(), { method: 'CONNECT' })
          connections.get(message.socket)?.turnstile.release()
        })
        .on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
          refuse(socket, parserError(error, headersMs, headerBytes()), error.code === 'HPE_INVALID_EOF_STATE')
        })
    )
  }

  /** Runs behind Node's own listener, which has made the parser by then. */
  function admit (socket: Socket, server: Server): void {
    // Stays: a reset may be told at any time, also once the connection belongs to nobody any more.
    socket.on('error', ignore)
    lingerAtEnd(socket, () => isSending(socket))
    const full = open.served >= service.maxConnections && !(dropsIdle && dropIdle())
    if (full) rejections++
    else open.served++
    const turnstile = new Turnstile(socket, {
      headerBytes,
      held: open,
      onTooLarge: () => {
        refuse(socket, tooLargeError(headerBytes()))
      }
    })
    // A connection may have been in the queue of the kernel when its server was closed.
    connections.set(socket, { server, turnstile, current: undefined, owed: undefined, leaving: !server.listening })
    socket.once('close', () => {
      connections.delete(socket)
      if (full) rejections--
      else open.served--
    })
    if (!full) return
    turnstile.end()
    if (rejections > MOST_REFUSALS) socket.destroy()
    else respond(socket, new ProxyError('CS_OVERLOADED', { retryAfter: 1, close: true }), {}, { patience: REFUSAL_PATIENCE })
  }

  /** Whether a client may still send, now that its connection ends: the rest of a body, or what follows a refused upgrade. */
  function isSending (socket: Socket): boolean {
    const current = connections.get(socket)?.current
    return current !== undefined && (current instanceof Handshake || !current.req.complete)
  }

  /** Closes the connection that has had nothing to do for longest, or else one whose client takes nothing. */
  function dropIdle (): boolean {
    const oldest = [...connections].filter(([socket]) => !socket.destroyed)
    const [victim] = oldest.find(([, { current }]) => current === undefined) ?? oldest.find(([socket]) => socket.writableLength > 0) ?? []
    victim?.destroy()
    return victim !== undefined
  }

  function serve (message: IncomingMessage, response: ServerResponse): void {
    const { socket } = message
    // Stay: what Node tells of a request whose client has gone may come once nobody listens to it any more.
    message.on('error', ignore)
    response.on('error', ignore)
    const connection = connections.get(socket)
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
    service.handle(message, response)
  }

  /**
   * Refuses what the parser cannot read, or will not read on from.
   *
   * @param hasEnded the client has ended the connection: in the middle of a body that means, to the log, that it has left
   */
  function refuse (socket: Socket, rejection: ProxyError | undefined, hasEnded = false): void {
    const connection = connections.get(socket)
    const current = connection?.current
    if (connection?.owed?.complete === false) {
      // The rest of a request that has its response: a second one would be taken for that of the next.
      connection.turnstile.end()
      endGently(socket)
      return
    }
    if (current === undefined || rejection === undefined) {
      respond(socket, rejection)
      connection?.turnstile.end()
      return
    }
    connection?.turnstile.end()
    // It is the body of that very request that is malformed, so this is its response, unless one has begun.
    if (current.headersSent) {
      socket.destroy()
      return
    }
    const options = { withBody: current.req.method !== 'HEAD' }
    if (hasEnded) respondRaw(socket, rejection, options)
    else respond(socket, rejection, { current: current.req }, options)
    // As the end of its socket will say: until then the upstream would get what came in front of the fault.
    current.emit('close')
  }

  /** Answers what gets no response of Node's, and tells of it. */
  function respond (
    socket: Socket,
    rejection: ProxyError | undefined,
    known: Pick<Refused, 'current' | 'method'> = {},
    options: RawResponseOptions = {}
  ): void {
    const { since, bytes } = connections.get(socket)?.turnstile.unread ?? { since: performance.now(), bytes: 0 }
    const client = socket.remoteAddress
    if (!respondRaw(socket, rejection, options) || rejection === undefined) return
    service.onRefused?.({ ...known, rejection, client, bytes, durationMs: performance.now() - since })
  }
}

function addressOf ([first]: readonly Bound[]): Address {
  if (first === undefined) throw new TypeError('a listener listens nowhere')
  return first.address
}

function isPartOf ({ address }: Bound, whole: Address): boolean {
  return addressesFor(whole).some((one) => formatAddress(one) === formatAddress(address))
}

// What has to end ends with `close`.
function ignore (): void {}
