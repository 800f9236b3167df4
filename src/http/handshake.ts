import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/** The most that is read of what a client sends before it has its response, in bytes. */
const MOST_EARLY_BYTES = 65_536

/**
 * The response to an upgrade. Node makes no response for one and lets go of its socket, so this does for the socket what Node's
 * server does for others. Whatever waits for, refuses or relays a response then needs no second form for upgrades.
 *
 * Ends in one of two ways: like every response, with the connection closed after it, or by {@link switch}.
 */
export class Handshake extends ServerResponse {
  readonly #socket: Socket
  readonly #early: Buffer[] = []
  #earlyBytes = 0

  /** @param head what the client has sent behind its request */
  constructor (message: IncomingMessage, head: Buffer) {
    super(message)
    const { socket } = message
    this.#socket = socket
    this.shouldKeepAlive = false
    socket.setTimeout(0)
    this.#keep(head)
    socket.on('error', ignore).on('end', this.#leave).on('drain', this.#drained).on('readable', this.#look)
    this.assignSocket(socket)
    this.once('finish', this.#close)
  }

  /**
   * Hands the socket over to another protocol; bytes that the client has sent for that are still in it. `close` is emitted once it is
   * closed.
   */
  switch (): Socket {
    const socket = this.#socket.off('end', this.#leave).off('drain', this.#drained).off('readable', this.#look)
    if (this.#earlyBytes > 0) socket.unshift(Buffer.concat(this.#early))
    return socket
  }

  // Reads and keeps bytes: a stream tells of its end only after its last byte is read, and a client that goes away must be
  // noticed before there is a response.
  readonly #look = (): void => {
    while (this.#earlyBytes < MOST_EARLY_BYTES) {
      const bytes = this.#socket.read() as Buffer | null // a stream of bytes
      if (bytes === null) return
      this.#keep(bytes)
    }
  }

  #keep (bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#early.push(bytes)
    this.#earlyBytes += bytes.length
  }

  // As Node's server does: an end before the response is a client that has gone.
  readonly #leave = (): void => {
    this.#socket.destroy()
  }

  readonly #drained = (): void => {
    this.emit('drain')
  }

  // As Node's server does after the last response of a connection: the request is over, whatever its client still sends.
  readonly #close = (): void => {
    const socket = this.#socket.off('end', this.#leave).off('drain', this.#drained).off('readable', this.#look)
    this.detachSocket(socket)
    socket.destroySoon()
    this.emit('close')
  }
}

// `close` follows, and ends what has to be ended.
function ignore (): void {}
