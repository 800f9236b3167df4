import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { surviveFailedWrites } from './failed-writes.ts'

/**
 * The socket below a TLS connection, as a stream that Node's TLS reads and writes.
 *
 * `node:tls` reports an end with close_notify (RFC 8446 section 6.1) and one without it, which anybody on the way can make,
 * alike. It decrypts at once what it is given, so the end of the socket is kept from it until it has taken all bytes: if the TLS
 * connection has ended by then, close_notify was among them; if not, the end that it reports next is only that of the socket.
 */
export class TlsCarrier extends Duplex {
  readonly #socket: Socket
  #encrypted: TLSSocket | undefined
  #told = false

  constructor (socket: Socket) {
    super({ highWaterMark: 65_536 })
    this.#socket = socket
    surviveFailedWrites(socket)
    // This side ends by itself, with a close_notify of its own.
    socket.allowHalfOpen = true
    socket.on('data', (chunk: Buffer) => { if (!this.push(chunk)) socket.pause() })
      .on('end', () => { this.#look() })
      .on('error', (error) => { this.destroy(error) })
      .on('close', () => { this.destroy() })
  }

  /** Whether the TLS connection ended by close_notify, and not merely with the socket below. */
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
    // Its reader has stopped, or has not begun: close_notify may be among the bytes that wait.
    else if (encrypted.readableFlowing !== true) {
      encrypted.once('resume', () => {
        setImmediate(this.#look)
      })
    } else if (encrypted.readableLength > 0 || this.readableLength > 0) setImmediate(this.#look)
    // A close_notify that was read has been reported by the next turn.
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
