import type { ServerResponse } from 'node:http'
import { Bytes } from '../http/bytes.ts'
import type { RawHeaders } from '../http/raw-headers.ts'
import type { Transfer } from './sender.ts'

/** The most that is read of a held response, in bytes; the rest waits in the upstream's socket. */
const LARGEST_HELD_RESPONSE = 65_536

/**
 * Holds the body of a response until it is decided whether to pass it on. The body is read rather than left waiting, since most
 * are small: then the connection is free for the next request, and an upstream that closes it takes nothing back.
 */
export class HeldResponse {
  readonly #held = new Bytes()
  #end: 'open' | 'whole' | 'broken' = 'open'
  #trailers: RawHeaders = []

  /** Whether the upstream ended the response, well or not. */
  get over (): boolean {
    return this.#end !== 'open'
  }

  /** Whether the upstream broke the response off. */
  get broken (): boolean {
    return this.#end === 'broken'
  }

  /** Keeps a chunk. @returns whether it is full, so that the rest has to wait */
  add (chunk: Buffer): boolean {
    this.#held.add(chunk)
    return this.#held.length >= LARGEST_HELD_RESPONSE
  }

  /** The response is whole. */
  finish (trailers: RawHeaders): void {
    this.#end = 'whole'
    this.#trailers = trailers
  }

  /** The upstream broke the response off. */
  break (): void {
    this.#end = 'broken'
  }

  /**
   * Writes the held bytes to the client, whose head is written already, and lets the rest come.
   *
   * @param finish called with the trailers where the response is whole
   */
  pour (transfer: Pick<Transfer, 'resume'>, client: ServerResponse, finish: (trailers: RawHeaders) => void): void {
    const writable = this.#held.length === 0 || client.write(this.#held.bytes)
    if (this.#end === 'whole') finish(this.#trailers)
    else if (writable) transfer.resume()
    else client.once('drain', () => { transfer.resume() })
  }
}
