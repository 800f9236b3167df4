// A request needs several turns to get through, and may find a slice in each of them.
const SLICE_MS = 1
const SLICE_CHARACTERS = 32 * 1024

/** Lets long work of any number of callers go on one at a time, each time in a turn of the event loop of its own. */
export class Turns {
  readonly #waiting: Array<() => void> = []

  /** Resolves in a later turn, after what has come in meanwhile, in the order of the calls. */
  next (): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      if (this.#waiting.length === 1) setImmediate(() => { this.#give() })
    })
  }

  #give (): void {
    this.#waiting.shift()?.()
    if (this.#waiting.length > 0) setImmediate(() => { this.#give() })
  }
}

/** Joins pieces of text to larger ones. What it takes to make them is done in short slices, each in a turn of its own. */
export async function * inSlices (pieces: Iterable<string>, turns: Turns): AsyncGenerator<string> {
  await turns.next()
  let text = ''
  let end = performance.now() + SLICE_MS
  for (const piece of pieces) {
    text += piece
    if (text.length < SLICE_CHARACTERS && performance.now() < end) continue
    if (text !== '') yield text
    text = ''
    await turns.next()
    end = performance.now() + SLICE_MS
  }
  if (text !== '') yield text
}
