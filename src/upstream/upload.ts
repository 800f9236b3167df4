import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { ProxyError } from '../errors.ts'

export interface UploadOptions {
  /** Longest wait for the client's next bytes, in milliseconds. */
  readonly idleTimeoutMs: number
  /** More is broken off with `CS_BODY_TOO_LARGE`: the upstream then sees a broken request, never a shortened one that looks whole. */
  readonly maxBodyBytes?: number
}

/**
 * A request body on its way to the upstream.
 *
 * A stream of its own: the body of a request that fails or is answered early is destroyed, and destroying an
 * IncomingMessage destroys the client's socket, with the answer that is still to be written (nodejs/node `IncomingMessage._destroy`).
 */
export class Upload extends Readable {
  readonly #source: IncomingMessage
  readonly #maxBytes: number
  readonly #timer: NodeJS.Timeout
  #bytes = 0
  #wanted = false

  constructor (source: IncomingMessage, { idleTimeoutMs, maxBodyBytes = Infinity }: UploadOptions) {
    super()
    this.#source = source
    this.#maxBytes = maxBodyBytes
    this.#timer = setTimeout(() => { this.#idle() }, idleTimeoutMs).unref()
    source.pause()
    source.on('data', this.#take).on('end', this.#end).on('error', this.#lose).on('close', this.#lose)
  }

  override _read (): void {
    if (!this.#wanted) this.#timer.refresh()
    this.#wanted = true
    this.#source.resume()
  }

  override _destroy (error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#timer)
    this.#source.off('data', this.#take).off('end', this.#end).off('error', this.#lose).off('close', this.#lose)
    // What is left is read and dropped: a client that sends all before it reads would wait for ever.
    this.#source.resume()
    done(error)
  }

  readonly #take = (chunk: Buffer): void => {
    this.#bytes += chunk.length
    if (this.#bytes > this.#maxBytes) {
      this.destroy(new ProxyError('CS_BODY_TOO_LARGE', { close: true }))
      return
    }
    this.#timer.refresh()
    this.#wanted = this.push(chunk)
    if (!this.#wanted) this.#source.pause()
  }

  readonly #end = (): void => { this.push(null) }

  readonly #lose = (error?: Error): void => {
    if (!this.#source.readableEnded) this.destroy(error ?? new Error('the client went away'))
  }

  // While nothing is wanted it is the upstream that waits, and that is not the client's fault.
  #idle (): void {
    if (this.#wanted) this.destroy(new ProxyError('CS_BAD_REQUEST', { status: 408, message: 'The rest of the request body did not arrive within idleTimeoutMs of this route; send it again.', close: true }))
  }
}
