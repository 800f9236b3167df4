import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { surviveFailedWrites } from './failed-writes.ts'

/**
 * What carries a TLS connection: the socket below it, as a stream that Node's TLS reads and writes.
 *
 * `node:tls` tells an end with close_notify (RFC 8446 section 6.1) and one without it, which anybody on the way can make, in the
 * same way. What it is given it decrypts at once, so the end of the socket below is kept from it until it has taken all
 * bytes: if its own end has come by then, close_notify was among them; if not, the end that it tells next is that of the socket.
 */
export class TlsCarrier extends Duplex {
  readonly #socket: Socket
  #encrypted: TLSSocket | undefined
  #told = false

  constructor (socket: Socket) {
    super({ highWaterMark: 65_536 })
    this.#socket = socket
    surviveFailedWrites(socket)
    // What this side has to say, close_notify too, it says when it wants to.
    socket.allowHalfOpen = true
    socket.on('data', (chunk: Buffer) => { if (!this.push(chunk)) socket.pause() })
      .on('end', () => { this.#look() })
      .on('error', (error) => { this.destroy(error) })
      .on('close', () => { this.destroy() })
  }

  /** Whether the end that the TLS connection has told is its own, and not merely that of the socket below. */
  get closedOrderly (): boolean {
    return !this.#told
  }

  /** @param encrypted the connection that is open now */
  carry (encrypted: TLSSocket): void {
    this.#encrypted = encrypted
  }

  override _read (): void {
    this.#socket.resume()
  }

  override _write (chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done)
  }

  override _writev (chunks: ReadonlyArray<{ readonly chunk: Buffer }>, done: (error?: Error | null) => void): void {
    this.#socket.cork()
    for (const [index, { chunk }] of chunks.entries()) {
      if (index === chunks.length - 1) this.#socket.write(chunk, done)
      else this.#socket.write(chunk)
    }
    this.#socket.uncork()
  }

  override _final (done: (error?: Error | null) => void): void {
    this.#socket.end(() => { done() })
  }

  override _destroy (error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }

  /** The socket below has ended: passes that on, as soon as it is known that nothing else ends the TLS connection. */
  readonly #look = (): void => {
    const encrypted = this.#encrypted
    if (encrypted === undefined || encrypted.destroyed || encrypted.readableEnded) this.#tell()
    // Its reader has stopped, or it has not begun: there may be an end behind what waits.
    else if (encrypted.readableFlowing !== true) {
      encrypted.once('resume', () => {
        setImmediate(this.#look)
      })
    } else if (encrypted.readableLength > 0 || this.readableLength > 0) setImmediate(this.#look)
    // An end that was found has been told by the next turn.
    else {
      setImmediate(() => {
        if (encrypted.readableFlowing === true && encrypted.readableLength === 0 && this.readableLength === 0) this.#tell()
        else this.#look()
      })
    }
  }

  #tell (): void {
    if (this.#encrypted?.readableEnded !== true) this.#told = true
    this.push(null)
  }
}
