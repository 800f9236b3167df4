import { beginnings, follow, mayBegin, type Pending, type Spelled } from './spelled.ts'

/** What stands in place of every masked byte: text in every charset that extends ASCII, in JSON, in HTML and in a header. */
const STAR = 0x2a

/**
 * The beginning of a pattern that is searched for natively, in bytes; shorter beginnings at the end of a chunk are compared one
 * by one.
 */
const HEAD_BYTES = 8

/** A text to mask, made ready once. */
export interface Pattern {
  readonly bytes: Buffer
  readonly head: Buffer
}

/** Makes texts ready to be masked; empty ones and repetitions are left out. */
export function patternsOf (texts: readonly Buffer[]): Pattern[] {
  const distinct = new Map(texts.filter(({ length }) => length > 0).map((bytes) => [bytes.toString('latin1'), bytes]))
  return [...distinct.values()].map((bytes) => ({ bytes, head: bytes.subarray(0, HEAD_BYTES) }))
}

/**
 * Replaces, in a stream of bytes, each byte of each occurrence of some patterns by `*`. Lengths stay, so Content-Length,
 * offsets and whatever counts bytes stay right (docs/decisions/0009-scrub.md). However the stream is cut into chunks, the
 * bytes that come out are the same, and what is kept back is only the longest end that may still become an occurrence.
 *
 * Built on the native search of `Buffer.indexOf`: an automaton over tokens of kilobytes would need megabytes for each.
 */
export class Mask {
  readonly #patterns: readonly Pattern[]
  /** The end of what came that may be the beginning of an occurrence, as it came. */
  #held: Buffer = Buffer.alloc(0)
  /** The parts of `#held` that are known to be masked. */
  #runs: readonly Run[] = []
  #count = 0
  readonly #beginnings: ReadonlyArray<readonly Spelled[]> | undefined
  #pending: Pending[] = []

  /** @param texts what is masked in every mixture of spellings */
  constructor (patterns: readonly Pattern[], texts: readonly Spelled[] = []) {
    this.#patterns = patterns
    this.#beginnings = texts.length === 0 ? undefined : beginnings(texts)
  }

  /** How many occurrences were masked in what came out so far; those that overlap count as one. */
  get count (): number {
    return this.#count
  }

  /** Takes the next bytes, which are not changed. @returns what can go on; may be empty, and may be the chunk itself */
  push (chunk: Buffer): Buffer {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    const runs = merge([...this.#runs, ...this.#find(bytes, this.#held.length), ...this.#follow(bytes, this.#held.length, false)])
    const kept = Math.max(0, ...this.#patterns.map((pattern) => overhang(bytes, pattern)))
    return this.#release(bytes, runs, this.#pending.reduce((end, { start }) => Math.min(end, start), bytes.length - kept))
  }

  /** Ends the stream. @returns what was kept back */
  end (): Buffer {
    const runs = merge([...this.#runs, ...this.#follow(this.#held, this.#held.length, true)])
    return this.#release(this.#held, runs, this.#held.length)
  }

  // Occurrences that begin in the old bytes are pending already.
  #follow (bytes: Buffer, old: number, final: boolean): Run[] {
    if (this.#beginnings === undefined) return []
    const found: Run[] = []
    const left: Pending[] = []
    const go = (pending: Pending): void => {
      const { start } = pending
      const rest = follow(bytes, pending, final, (end) => { found.push({ start, end }) })
      if (rest !== undefined) left.push(rest)
    }
    for (const pending of this.#pending) go(pending)
    for (let start = old; start < bytes.length; start++) {
      const texts = this.#beginnings[bytes[start] ?? 0]
      if (texts === undefined || texts.length === 0) continue
      for (const text of texts) if (mayBegin(bytes, text, start)) go({ text, start, states: [start, 0] })
    }
    this.#pending = left
    return found
  }

  // Occurrences that end in the old bytes are known.
  #find (bytes: Buffer, old: number): Run[] {
    const found: Run[] = []
    for (const { bytes: pattern } of this.#patterns) {
      let start = bytes.indexOf(pattern, Math.max(0, old - pattern.length + 1))
      while (start !== -1) {
        found.push({ start, end: start + pattern.length })
        start = bytes.indexOf(pattern, start + 1)
      }
    }
    return found
  }

  #release (bytes: Buffer, runs: readonly Run[], end: number): Buffer {
    // A copy, so that a few bytes do not keep a whole chunk in memory.
    this.#held = Buffer.from(bytes.subarray(end))
    this.#runs = runs.flatMap((run) => run.end > end ? [{ start: Math.max(0, run.start - end), end: run.end - end }] : [])
    this.#pending = this.#pending.map(({ text, start, states }) => ({
      text,
      start: start - end,
      states: states.map((state, index) => (index % 2 === 0 ? state - end : state))
    }))
    this.#count += runs.length - this.#runs.length
    const out = bytes.subarray(0, end)
    if (!runs.some(({ start }) => start < end)) return out
    const masked = Buffer.from(out)
    for (const run of runs) masked.fill(STAR, Math.min(run.start, end), Math.min(run.end, end))
    return masked
  }
}

/** Masks a whole text of Latin-1 characters, as header values are. @returns the text, and how many occurrences it had */
export function maskText (
  text: string,
  patterns: readonly Pattern[],
  texts: readonly Spelled[] = []
): { readonly text: string, readonly count: number } {
  const mask = new Mask(patterns, texts)
  const masked = Buffer.concat([mask.push(Buffer.from(text, 'latin1')), mask.end()])
  return mask.count === 0 ? { text, count: 0 } : { text: masked.toString('latin1'), count: mask.count }
}

/** A part of the stream that is masked, from `start` up to before `end`. */
interface Run {
  readonly start: number
  readonly end: number
}

function merge (runs: readonly Run[]): Run[] {
  if (runs.length < 2) return [...runs]
  const merged: Run[] = []
  for (const run of [...runs].sort((one, other) => one.start - other.start)) {
    const last = merged.at(-1)
    if (last === undefined || run.start >= last.end) merged.push(run)
    else if (run.end > last.end) merged[merged.length - 1] = { start: last.start, end: run.end }
  }
  return merged
}

/** The length of the longest end of some bytes that is a beginning of a pattern, and not all of it. */
function overhang (bytes: Buffer, { bytes: pattern, head }: Pattern): number {
  const { length } = bytes
  const beginsAt = (start: number): boolean => bytes.compare(pattern, 0, length - start, start, length) === 0
  let start = bytes.indexOf(head, Math.max(0, length - pattern.length + 1))
  while (start !== -1) {
    if (beginsAt(start)) return length - start
    start = bytes.indexOf(head, start + 1)
  }
  for (start = Math.max(0, length - head.length + 1); start < length; start++) {
    if (beginsAt(start)) return length - start
  }
  return 0
}
