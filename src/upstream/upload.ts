import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { ProxyError } from '../errors.ts'
import type { BodySource } from '../http/body-source.ts'

export interface UploadOptions {
  /** Longest wait for the client's next bytes, in milliseconds. */
  readonly idleTimeoutMs: number
  /**
   * A longer body is broken off with `CS_BODY_TOO_LARGE`: the upstream then sees a broken request, never a shortened one that
   * looks whole.
   */
  readonly maxBodyBytes?: number
}

/**
 * A request body on its way to the upstream. Emits what streams emit: `data` (once {@link resume} was called), and last `end`, or
 * `error` and `close`.
 *
 * Not the message itself: the body of a request that fails or gets an early response is destroyed, and destroying an
 * IncomingMessage destroys the client's socket, with the response that is still to be written (nodejs/node
 * `IncomingMessage._destroy`). And not a stream: it keeps nothing, and a second buffer with its bookkeeping would cost half as
 * much as all the rest.
 */
export class Upload extends EventEmitter implements BodySource {
  destroyed = false
  errored: Error | null = null
  readonly #source: IncomingMessage
  readonly #maxBytes: number
  readonly #timer: NodeJS.Timeout
  #bytes = 0
  #wanted = false
  #over = false

  constructor (source: IncomingMessage, { idleTimeoutMs, maxBodyBytes = Infinity }: UploadOptions) {
    super()
    this.#source = source
    this.#maxBytes = maxBodyBytes
    this.#timer = setTimeout(() => { this.#idle() }, idleTimeoutMs).unref()
    source.pause()
    source.on('data', this.#take).on('end', this.#end).on('error', this.#lose).on('close', this.#lose)
  }

  /** Lets the bytes come. */
  resume (): void {
    if (this.#over) return
    if (!this.#wanted) this.#timer.refresh()
    this.#wanted = true
    this.#source.resume()
  }

  /** Keeps the bytes from coming. */
  pause (): void {
    if (this.#over) return
    this.#wanted = false
    this.#source.pause()
  }

  /** Ends the upload. Reads and drops what the client still sends, since a client that sends all before it reads would wait for ever. */
  destroy (error?: Error): void {
    if (!this.#leave()) return
    this.destroyed = true
    this.errored = error ?? null
    this.#source.resume()
    if (error !== undefined) this.emit('error', error)
    this.emit('close')
  }

  /** @returns false where it was over already */
  #leave (): boolean {
    if (this.#over) return false
    this.#over = true
    clearTimeout(this.#timer)
    this.#source.off('data', this.#take).off('end', this.#end).off('error', this.#lose).off('close', this.#lose)
    return true
  }

  readonly #take = (chunk: Buffer): void => {
    this.#bytes += chunk.length
    if (this.#bytes > this.#maxBytes) {
      this.destroy(new ProxyError('CS_BODY_TOO_LARGE', { close: true }))
      return
    }
    this.#timer.refresh()
    this.emit('data', chunk)
  }

  readonly #end = (): void => { if (this.#leave()) this.emit('end') }

  readonly #lose = (error?: Error): void => {
    if (!this.#source.readableEnded) this.destroy(error ?? new Error('the client went away'))
  }

  // While the upload is paused the upstream is slow, and not the client.
  #idle (): void {
    if (this.#wanted) {
      this.destroy(
        new ProxyError('CS_BAD_REQUEST', {
          status: 408,
          message: 'The rest of the request body did not arrive within idleTimeoutMs of this route; send it again.',
          close: true
        })
      )
    }
  }
}
