import type { IncomingMessage } from 'node:http'
import { Bytes } from '../http/bytes.ts'

/** The most that is held of a request body while it streams (contract section 4). */
export const LARGEST_HELD_BODY = 65_536

/** The longest wait for the rest of a body that is wanted whole: a local client sends it at once, or waits for its response first. */
const PATIENCE_MS = 1000

/**
 * Holds a small request body while an Upload streams it, so that the request can be sent once more. It only listens: the Upload
 * alone decides when the client's bytes flow, and goes on reading them where the upstream responded early. A body over the limit
 * is let go.
 */
export class ReplayBuffer {
  readonly #source: IncomingMessage
  readonly #limit: number
  #held = new Bytes()
  #state: 'filling' | 'whole' | 'released' = 'filling'
  #settle = (): void => {}

  /** @param source paused, or the first bytes are missed */
  constructor (source: IncomingMessage, limit: number = LARGEST_HELD_BODY) {
    this.#source = source
    this.#limit = limit
    source.on('data', this.#take).on('end', this.#end).on('close', this.#lose)
  }

  /** Bytes that are held now. */
  get bytes (): number {
    return this.#held.length
  }

  /** Whether nothing is held any more. */
  get released (): boolean {
    return this.#state === 'released'
  }

  /** Resolves to the whole body once it has arrived; undefined where it was larger, broke off, or did not come for a while. */
  async whole (): Promise<Buffer | undefined> {
    if (this.#state === 'filling') {
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        this.#settle = resolve
        timer = setTimeout(resolve, PATIENCE_MS)
      })
      clearTimeout(timer)
    }
    const body = this.#state === 'whole' ? this.#held.bytes : undefined
    this.release()
    return body
  }

  /** Lets go of what is held. */
  release (): void {
    if (this.#state === 'released') return
    this.#state = 'released'
    this.#forget()
    this.#held = new Bytes()
    this.#settle()
  }

  #forget (): void {
    this.#source.off('data', this.#take).off('end', this.#end).off('close', this.#lose)
  }

  readonly #take = (chunk: Buffer): void => {
    if (this.#held.length + chunk.length > this.#limit) this.release()
    else this.#held.add(chunk)
  }

  readonly #end = (): void => {
    this.#state = 'whole'
    this.#forget()
    this.#settle()
  }

  readonly #lose = (): void => { this.release() }
}
