import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { ProxyError } from '../errors.ts'
import type { Address } from '../http/address.ts'
import { Incoming } from '../http/incoming.ts'
import { Handshake } from '../plugins/handshake.ts'
import { bind } from './bind.ts'
import { answerRaw, parserRefusal } from './raw-answer.ts'
import { watchSlowClients } from './slow-clients.ts'

export type Handler = (message: IncomingMessage, response: ServerResponse) => void

/** What becomes of what comes in. */
export interface Service {
  readonly handle: Handler
  /** Open connections; one more is told so and closed. */
  readonly maxConnections: number
}

export interface ListenerOptions extends Service {
  readonly address: Address
  /** Counts the open connections, for listeners that share one limit. */
  readonly open?: ConnectionCount
  /** Other than the usual ones. */
  readonly timeouts?: Partial<ClientTimeouts>
}

/** How long a client may take, in milliseconds. */
export interface ClientTimeouts {
  /** Until the header of a request is here. */
  readonly headersMs: number
  /** Without taking a byte of what is written, or sending one of a body that is owed. */
  readonly stillMs: number
}

/** How many connections are served. */
export interface ConnectionCount {
  served: number
}

/** A server that listens. */
export interface Listener {
  /** With the real port where 0 was asked for. */
  readonly address: Address
  /** Hands every request from now on to another one, also those on connections that are open. */
  readonly change: (service: Service) => void
  /**
   * Takes no new connections and lets the requests in flight finish, at most `timeoutMs`; then closes what is left.
   * May be called again, with a shorter time.
   */
  readonly drain: (timeoutMs: number) => Promise<void>
}

const TIMEOUTS: ClientTimeouts = { headersMs: 60_000, stillMs: 300_000 }
const KEEP_ALIVE_TIMEOUT_MS = 72_000
const MAX_HEADER_BYTES = 16_384
/** Connections over the limit that are being told so; more are closed without a word, since each costs a descriptor. */
const MOST_REFUSALS = 64

/**
 * Listens on a TCP address or a unix socket.
 *
 * @throws ListenError where the address cannot be taken
 */
export async function openListener ({ address, open = { served: 0 }, timeouts, ...options }: ListenerOptions): Promise<Listener> {
  const { headersMs, stillMs } = { ...TIMEOUTS, ...timeouts }
  let service: Service = options
  const server = createServer({
    // Our own guard answers a missing Host, in our own format.
    requireHostHeader: false,
    IncomingMessage: Incoming,
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: headersMs,
    // So often Node looks for them.
    connectionsCheckingInterval: headersMs / 2,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    // An upload may take for ever as long as it moves.
    requestTimeout: 0
  })
  // Node drops what is beyond its default of 1,000 in silence: the guards would not see a second Host there.
  server.maxHeadersCount = 0
  const connections = new Map<Socket, Connection>()
  let refusals = 0
  let draining = false

  server.prependListener('connection', (socket: Socket) => {
    const full = open.served >= service.maxConnections
    if (full) refusals++
    else open.served++
    connections.set(socket, { answers: [], owed: undefined, last: full })
    socket.once('close', () => {
      connections.delete(socket)
      if (full) refusals--
      else open.served--
    })
    if (!full) return
    if (refusals > MOST_REFUSALS) socket.destroy()
    else answerRaw(socket, new ProxyError('CS_OVERLOADED', { retryAfter: 1, close: true }))
  })
  const serve: Handler = (message, response) => {
    const connection = connections.get(message.socket)
    if (connection === undefined || isOver(connection)) return
    connection.answers.push(response)
    response.once('close', () => {
      connection.answers.splice(connection.answers.indexOf(response), 1)
      connection.last ||= !response.shouldKeepAlive
      connection.owed = message.complete ? undefined : message
      if (draining && connection.answers.length === 0) message.socket.destroySoon()
    })
    if (draining) response.shouldKeepAlive = false
    service.handle(message, response)
  }
  server.on('request', serve)
  // Answered once the body is wanted, so that a refused upload is never sent (RFC 9110 section 10.1.1).
  server.on('checkContinue', serve)
  server.on('checkExpectation', serve)
  server.on('upgrade', (message, _socket, head) => {
    const { socket } = message
    const begin = (): void => { if (!socket.destroyed) serve(message, new Handshake(message, head)) }
    const answers = [...connections.get(socket)?.answers ?? []]
    const previous = answers.at(-1)
    if (previous === undefined) {
      begin()
      return
    }
    // Pipelined behind requests that are not answered yet. Node has let go of the socket, so it drives their answers no more.
    const drained = (): void => { for (const answer of answers) answer.emit('drain') }
    socket.on('error', () => {}).on('drain', drained)
    previous.once('close', () => {
      socket.off('drain', drained)
      begin()
    })
  })
  server.on('connect', ({ socket }) => { refuseRest(socket, connections.get(socket), new ProxyError('CS_METHOD_NOT_ALLOWED', { close: true })) })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => { refuseRest(socket, connections.get(socket), parserRefusal(error, { headersMs, headerBytes: MAX_HEADER_BYTES })) })
  const real = await bind(server, address)
  const endWatch = watchSlowClients(connections, stillMs)

  return {
    address: real,
    change: (changed) => { service = changed },
    drain: async (timeoutMs) => {
      draining = true
      for (const { answers } of connections.values()) for (const answer of answers) if (!answer.headersSent) answer.shouldKeepAlive = false
      const closed = new Promise<void>((resolve) => { server.close(() => { resolve() }) })
      // Once more round the loop: a request that is in a buffer of the kernel already is in flight to whoever sent it.
      setImmediate(() => { for (const [socket, { answers }] of connections) if (answers.length === 0) socket.destroySoon() })
      const timer = timeoutMs === Infinity ? undefined : setTimeout(() => { for (const socket of connections.keys()) socket.destroy() }, timeoutMs)
      await closed
      clearTimeout(timer)
      endWatch()
    }
  }
}

/** What is known of an open connection. */
interface Connection {
  /** Requests that are not answered to the end, in their order. No Set: see OpenVisits. */
  readonly answers: ServerResponse[]
  /** The request that was answered before all of it was here. No other: what is kept between requests costs the garbage collector more than the request. */
  owed: IncomingMessage | undefined
  /** The last answer is out: nothing that still comes is a request. */
  last: boolean
}

// Node's parser goes on with what is behind a request, whatever its answer said (RFC 9112 section 9.6 forbids to take it up).
function isOver ({ answers, last }: Connection): boolean {
  if (last) return true
  for (const answer of answers) if (!answer.shouldKeepAlive) return true
  return false
}

/** Refuses what the parser cannot read, or will not read on from, behind the answers that are still on their way: bytes of a refusal must not get into one. */
function refuseRest (socket: Socket, connection: Connection | undefined, refusal: ProxyError | undefined): void {
  const current = connection?.answers.at(-1)
  if (connection === undefined || current === undefined || refusal === undefined) {
    answerRaw(socket, refusal)
    return
  }
  if (current.req.complete) {
    if (isOver(connection)) return
    connection.last = true
    current.once('close', () => { answerRaw(socket, refusal) })
    return
  }
  // It is the body of that very request that is malformed, so this is its answer.
  if (connection.answers.length > 1 || current.headersSent) {
    socket.destroy()
    return
  }
  answerRaw(socket, refusal, 0, current.req.method !== 'HEAD')
  // As the end of its socket will say in a moment: until then the upstream would get what came in front of the fault.
  current.emit('close')
}
