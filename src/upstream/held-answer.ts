import type { ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { Bytes } from '../http/bytes.ts'
import type { RawHeaders } from '../http/headers.ts'

/** What is read of an answer that is held back; more waits in the upstream's socket. */
const LARGEST_HELD_ANSWER = 65_536

type Controller = Pick<Dispatcher.DispatchController, 'pause' | 'resume'>

/**
 * The body of an answer whose fate is not decided yet. Read rather than left waiting, since most such answers are small:
 * their connection is free for the next request then, and an upstream that closes it takes nothing back.
 */
export class HeldAnswer {
  readonly #held = new Bytes()
  #end: 'open' | 'whole' | 'broken' = 'open'
  #trailers: RawHeaders = []

  /** Whether the upstream ended the answer, well or not. */
  get over (): boolean {
    return this.#end !== 'open'
  }

  /** Whether the upstream broke the answer off. */
  get broken (): boolean {
    return this.#end === 'broken'
  }

  add (controller: Controller, chunk: Buffer): void {
    this.#held.add(chunk)
    if (this.#held.length >= LARGEST_HELD_ANSWER) controller.pause()
  }

  finish (trailers: RawHeaders): void {
    this.#end = 'whole'
    this.#trailers = trailers
  }

  break (): void {
    this.#end = 'broken'
  }

  /**
   * Writes what is here to the client, whose headers are written, and lets the rest come.
   *
   * @param finish called with the trailers where there is no rest
   */
  pour (controller: Controller, client: ServerResponse, finish: (trailers: RawHeaders) => void): void {
    const writable = this.#held.length === 0 || client.write(this.#held.bytes)
    if (this.#end === 'whole') finish(this.#trailers)
    else if (writable) controller.resume()
    else client.once('drain', () => { controller.resume() })
  }
}
