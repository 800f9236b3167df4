import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Incoming } from '../http/incoming.ts'
import type { ParserError } from './parser-error.ts'

/** What a server tells of its connections. */
export interface ServerEvents {
  /** A connection is open. Called after Node's own listener, which has made the parser by then. */
  readonly onConnection: (socket: Socket, server: Server) => void
  readonly onRequest: (message: IncomingMessage, response: ServerResponse) => void
  /** @param head what the client has sent behind the request */
  readonly onUpgrade: (message: IncomingMessage, head: Buffer) => void
  readonly onConnect: (message: IncomingMessage) => void
  /** Node's parser, or a timeout of Node's, gave up on a connection. */
  readonly onClientError: (error: ParserError, socket: Socket) => void
}

/** The limits that Node itself enforces. */
export interface ServerLimits {
  /** The longest header of a request, in bytes. */
  readonly headerBytes: number
  /** How long a header may take, in milliseconds. */
  readonly headersMs: number
}

const KEEP_ALIVE_TIMEOUT_MS = 72_000

/** Makes a server of Node's with the settings of all our listeners; it does not listen yet. */
export function createHttpServer ({ headerBytes, headersMs }: ServerLimits, events: ServerEvents): Server {
  const server = createServer({
    // Our own guard refuses a missing Host, in our own format.
    requireHostHeader: false,
    // Else NODE_OPTIONS could loosen the parser, and with it what counts as one request.
    insecureHTTPParser: false,
    IncomingMessage: Incoming,
    maxHeaderSize: headerBytes,
    headersTimeout: headersMs,
    // How often Node checks headersTimeout.
    connectionsCheckingInterval: headersMs / 5,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    // An upload may take for ever as long as it moves.
    requestTimeout: 0
  })
  // Node drops what is beyond its default of 1,000 in silence: the guards would not see a second Host there.
  server.maxHeadersCount = 0
  return server
    .on('connection', (socket) => { events.onConnection(socket, server) })
    .on('request', events.onRequest)
    // `100 Continue` is sent once the body is wanted, so that a refused upload is never sent (RFC 9110 section 10.1.1).
    .on('checkContinue', events.onRequest)
    .on('checkExpectation', events.onRequest)
    .on('upgrade', (message, _socket, head) => { events.onUpgrade(message, head) })
    .on('connect', (message) => { events.onConnect(message) })
    .on('clientError', (error: ParserError, socket: Socket) => { events.onClientError(error, socket) })
}
