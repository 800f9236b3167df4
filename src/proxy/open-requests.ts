import type { Context } from './context.ts'

/**
 * The requests that are open, in no order.
 *
 * An array and no Set: whenever a Set that lives long is rehashed, V8 links its old table to the new one, and a table that
 * was moved to the old generation keeps those behind it alive, with all that they ever held, until the next full garbage
 * collection (V8, `OrderedHashTable`). Measured: a third more CPU time per request, in some processes and not in others.
 */
export class OpenRequests {
  readonly #open: Context[] = []
  #onEmpty = (): void => {}

  /** Keeps a request until its response is closed, for whatever reason, and then tells the observer. */
  add (context: Context): void {
    const { response, proxy: { inFlight } } = context
    context.place = this.#open.push(context) - 1
    inFlight.requests++
    response.once('close', () => { this.#end(context) })
  }

  /** Resolves once none is open, upgraded connections included. */
  async whenNone (): Promise<void> {
    if (this.#open.length > 0) await new Promise<void>((resolve) => { this.#onEmpty = resolve })
  }

  /** Ends the client connections that requests are still open on. */
  abort (): void {
    for (const { message } of [...this.#open]) message.socket.destroy()
  }

  #end (context: Context): void {
    const { response, switched, attempt, proxy: { inFlight, observer } } = context
    context.ended = true
    if (!switched) inFlight.requests--
    this.#remove(context)
    if (!switched && !response.writableFinished) attempt?.exchange?.abort()
    observer.ended(context)
    if (this.#open.length === 0) this.#onEmpty()
  }

  /** Removes a request; the last one moves to its place. */
  #remove (context: Context): void {
    const last = this.#open.pop()
    if (last === undefined || last === context) return
    last.place = context.place
    this.#open[context.place] = last
  }
}
