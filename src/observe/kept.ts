interface Entry<T> {
  readonly numbers: T
  /** When it was asked for last. */
  round: number
}

/** Labels that are gone from the configuration and keep their series. */
const MOST_GONE = 1000

/**
 * Numbers by their label. The same label has the same numbers across reloads, and those of a label that is gone stay, since a
 * counter must not go backwards. Only the oldest of very many that are gone are forgotten; one that comes back then begins at
 * 0, as after a restart.
 */
export class Kept<T> {
  readonly #create: (label: string) => T
  /** In the order in which they were asked for last. */
  readonly #entries = new Map<string, Entry<T>>()
  #round = 0
  /** How many were asked for in this round. */
  #asked = 0

  constructor (create: (label: string) => T) {
    this.#create = create
  }

  /** The numbers of a label. Everybody asks once and keeps them: requests do not come here. */
  of (label: string): T {
    const entry = this.#entries.get(label) ?? { numbers: this.#create(label), round: -1 }
    if (entry.round === this.#round) return entry.numbers
    entry.round = this.#round
    this.#asked++
    this.#entries.delete(label)
    this.#entries.set(label, entry)
    return entry.numbers
  }

  /** A configuration has taken over, and all that it has was asked for since the last one did. */
  endRound (): void {
    let gone = this.#entries.size - this.#asked
    for (const label of this.#entries.keys()) {
      if (gone-- <= MOST_GONE) break
      this.#entries.delete(label)
    }
    this.#round++
    this.#asked = 0
  }

  /** All of them as they are now; later ones do not come in between. */
  all (): readonly T[] {
    return Array.from(this.#entries.values(), ({ numbers }) => numbers)
  }
}
