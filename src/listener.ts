import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { errorAnswer, ProxyError } from './errors.ts'
import { formatAddress, type Address } from './http/address.ts'
import { Incoming } from './http/incoming.ts'
import { Handshake } from './plugins/handshake.ts'
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

/** An address could not be taken. The message says which, why, and what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

const TIMEOUTS: ClientTimeouts = { headersMs: 60_000, stillMs: 300_000 }
const KEEP_ALIVE_TIMEOUT_MS = 72_000
const MAX_HEADER_BYTES = 16_384
const LONGEST_SOCKET_PATH = 103
const LINGER_MS = 1000
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
    connections.set(socket, { answers: new Set(), last: full })
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
    connection.message = message
    connection.answers.add(response)
    response.once('close', () => {
      connection.answers.delete(response)
      connection.last ||= !response.shouldKeepAlive
      if (draining && connection.answers.size === 0) message.socket.destroySoon()
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
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => { refuseRest(socket, connections.get(socket), parserRefusal(error, headersMs)) })
  await listen(server, address)
  const endWatch = watchSlowClients(connections, stillMs)

  return {
    address: realAddress(server, address),
    change: (changed) => { service = changed },
    drain: async (timeoutMs) => {
      draining = true
      for (const { answers } of connections.values()) for (const answer of answers) if (!answer.headersSent) answer.shouldKeepAlive = false
      const closed = new Promise<void>((resolve) => { server.close(() => { resolve() }) })
      // Once more round the loop: a request that is in a buffer of the kernel already is in flight to whoever sent it.
      setImmediate(() => { for (const [socket, { answers }] of connections) if (answers.size === 0) socket.destroySoon() })
      const timer = timeoutMs === Infinity ? undefined : setTimeout(() => { for (const socket of connections.keys()) socket.destroy() }, timeoutMs)
      await closed
      clearTimeout(timer)
      endWatch()
    }
  }
}

/** What is known of an open connection. */
interface Connection {
  /** Requests that are not answered to the end. */
  readonly answers: Set<ServerResponse>
  /** The newest request. */
  message?: IncomingMessage
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
  const current = [...connection?.answers ?? []].at(-1)
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
  if (connection.answers.size > 1 || current.headersSent) {
    socket.destroy()
    return
  }
  answerRaw(socket, refusal, 0, current.req.method !== 'HEAD')
  // As the end of its socket will say in a moment: until then the upstream would get what came in front of the fault.
  current.emit('close')
}

async function listen (server: Server, address: Address): Promise<void> {
  if (address.type === 'unix') {
    // Longer paths are cut off without an error (unix(7): sun_path has 108 bytes on Linux, 104 on macOS).
    if (Buffer.byteLength(address.path) > LONGEST_SOCKET_PATH) throw new ListenError(`cannot listen on ${formatAddress(address)}: the path is longer than ${LONGEST_SOCKET_PATH} bytes; choose a shorter one`)
    await removeStaleSocket(address.path)
  }
  await new Promise<void>((resolve, reject) => {
    // Stays: an error of a later accept() would end the process otherwise, and costs no more than that connection.
    server.on('error', (error: NodeJS.ErrnoException) => { reject(new ListenError(describeFailure(address, error), { cause: error })) })
    if (address.type === 'tcp') {
      // A hosts file may say otherwise, but `localhost` is loopback by definition (RFC 6761 section 6.3).
      server.listen({ host: address.host === 'localhost' ? '127.0.0.1' : address.host, port: address.port, ipv6Only: false }, resolve)
      return
    }
    // bind() runs within listen(), so nobody can connect before the mode is right.
    const umask = process.umask(0o177)
    try {
      server.listen(address.path, resolve)
    } finally {
      process.umask(umask)
    }
  })
  if (address.type === 'unix') chmodSync(address.path, 0o600)
}

/** A socket file that nobody listens on is left over from a crash; one that answers belongs to somebody. */
async function removeStaleSocket (path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => { resolve(false) })
  })
  if (!alive) unlinkSync(path)
}

function describeFailure (address: Address, error: NodeJS.ErrnoException): string {
  const place = `cannot listen on ${formatAddress(address)}`
  switch (error.code) {
    case 'EADDRINUSE': return `${place}: something else listens there; stop that, or choose another address with --listen, --admin or the route's listen (port 0 takes a free one)`
    case 'EACCES': return `${place}: this user may not; choose a port above 1023 or a folder that it may write`
    case 'EADDRNOTAVAIL': return `${place}: this machine has no such address; choose 127.0.0.1 or one that it has`
    case 'ENOTFOUND': return `${place}: the name does not resolve; choose 127.0.0.1 or localhost`
    default: return `${place}: ${error.code ?? 'unknown error'}; choose another address with --listen, --admin or the route's listen`
  }
}

function realAddress (server: Server, asked: Address): Address {
  const bound = server.address()
  if (asked.type === 'unix' || bound === null || typeof bound === 'string') return asked
  return { type: 'tcp', host: bound.address, port: bound.port }
}

// Codes of Node's HTTP parser (llhttp) and of its own timeouts.
function parserRefusal (error: NodeJS.ErrnoException, headersMs: number): ProxyError | undefined {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW': return new ProxyError('CS_BAD_REQUEST', { status: 431, message: `The request's header is larger than ${MAX_HEADER_BYTES} bytes; send less.`, close: true })
    case 'ERR_HTTP_REQUEST_TIMEOUT': return new ProxyError('CS_BAD_REQUEST', { status: 408, message: `The request's header did not arrive within ${headersMs / 1000} s; send it again.`, close: true })
    case 'ECONNRESET': case 'EPIPE': return undefined
    default: return new ProxyError('CS_BAD_REQUEST', { message: 'The request is no well-formed HTTP/1.1 message (RFC 9112); this port speaks plain HTTP.', close: true })
  }
}

/**
 * Writes an error where there is no response object, and ends the connection: no byte behind it is read as a request.
 * What still comes is read and dropped for a moment, since closing on unread bytes would take the answer back (RFC 9112 section 9.6).
 */
function answerRaw (socket: Duplex, refusal: ProxyError | undefined, lingerMs = LINGER_MS, withBody = true): void {
  if (socket.writableEnded) return
  if (refusal === undefined || !socket.writable) {
    socket.destroy()
    return
  }
  const { statusCode, headers, body } = errorAnswer(refusal)
  const reason = (JSON.parse(body) as { error: string }).error // of our own making
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.end(`HTTP/1.1 ${statusCode} ${reason}\r\n${head}\r\n${withBody ? body : ''}`, () => { if (lingerMs === 0) socket.destroy() })
  if (lingerMs === 0) return
  const timer = setTimeout(() => { socket.destroy() }, lingerMs).unref()
  socket.once('end', () => { socket.destroy() }).once('close', () => { clearTimeout(timer) }).on('error', () => {}).resume()
}
