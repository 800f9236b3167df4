import { type EventEmitter, once } from 'node:events'
import { createRequire } from 'node:module'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** As much of `ws` as tests use; the package brings no types along. */
export interface WsSocket extends EventEmitter {
  readonly protocol: string
  readonly extensions: string
  send (data: Buffer | string, options?: { readonly binary?: boolean, readonly fin?: boolean, readonly compress?: boolean }): void
  ping (data: Buffer): void
  pong (data: Buffer): void
  close (code?: number, reason?: string): void
  terminate (): void
}

interface WsServer extends EventEmitter {
  readonly clients: Set<WsSocket>
}

interface WsModule {
  readonly WebSocket: new (url: string, protocols?: readonly string[], options?: object) => WsSocket
  readonly WebSocketServer: new (options: object) => WsServer
}

const { WebSocket, WebSocketServer } = createRequire(import.meta.url)('ws') as WsModule // the package brings no types along

/** A real WebSocket server, and what it has seen. */
export interface WebSocketUpstream {
  readonly url: string
  readonly handshakes: IncomingMessage[]
  readonly sockets: WsSocket[]
}

interface Teardown {
  teardown (handler: () => unknown): void
}

/** Starts a WebSocket server on a free port that takes the first subprotocol but one, and sends every message back. */
export async function startWebSocketUpstream (t: Teardown, options: object = {}): Promise<WebSocketUpstream> {
  const http = createServer()
  const handshakes: IncomingMessage[] = []
  const sockets: WsSocket[] = []
  const server = new WebSocketServer({
    server: http,
    handleProtocols: (protocols: Set<string>) => [...protocols].at(-1) ?? false,
    ...options
  })
  server.on('connection', (socket: WsSocket, handshake: IncomingMessage) => {
    handshakes.push(handshake)
    sockets.push(socket)
    socket.on('message', (data: Buffer, binary: boolean) => { socket.send(data, { binary }) })
    socket.on('error', () => {})
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.teardown(async () => {
    for (const socket of server.clients) socket.terminate()
    http.closeAllConnections()
    await new Promise((resolve) => { http.close(resolve) })
  })
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, handshakes, sockets } // a TCP server that listens
}

/** A real WebSocket client. */
export function openWebSocket (url: string, protocols: readonly string[] = [], options: object = {}): WsSocket {
  const socket = new WebSocket(url, protocols, options)
  socket.on('error', () => {})
  return socket
}
