import { AMPERSAND, BACKSLASH, EQUALS, LONGEST_UNIT, PERCENT, PLUS, stepsFrom, type Reader } from './escapes.ts'

/** A text that is looked for in every spelling of every character, mixed as they may be. */
export interface Spelled {
  /** In UTF-8. */
  readonly bytes: Buffer
  /** By byte: the character that begins there, or -1 within one. */
  readonly characters: readonly number[]
  /** Whether the first character is looked for as it is alone: what is base64 already is escaped here and there at most. */
  readonly plainStart: boolean
}

/** A search that the end of the bytes has cut off. */
export interface Pending {
  readonly text: Spelled
  start: number
  /** Places that were reached: an offset into the bytes and one into the text, in turn. */
  readonly states: number[]
}

/** Makes a text ready to be looked for. */
export function spelled (text: string, plainStart = false): Spelled {
  const bytes = Buffer.from(text)
  const characters = new Array<number>(bytes.length).fill(-1)
  let at = 0
  for (const character of bytes.toString()) {
    characters[at] = character.codePointAt(0) ?? -1
    at += Buffer.byteLength(character)
  }
  return { bytes, characters, plainStart }
}

/** For each byte the texts whose spellings can begin with it. */
export function beginnings (texts: readonly Spelled[]): ReadonlyArray<readonly Spelled[]> {
  const table = Array.from({ length: 256 }, (): Spelled[] => [])
  for (const text of texts) {
    for (const byte of new Set([text.bytes[0] ?? 0, ...(text.plainStart ? [] : [PERCENT, AMPERSAND, EQUALS, BACKSLASH, PLUS])])) {
      table[byte]?.push(text)
    }
  }
  return table
}

/** Whether to {@link follow} a text from a place can lead anywhere; decided without an allocation. */
export function mayBegin (bytes: Buffer, text: Spelled, at: number): boolean {
  if (bytes[at] !== text.bytes[0] || text.bytes.length < 2) return !text.plainStart
  const next = bytes[at + 1]
  return (
    next === undefined ||
    next === text.bytes[1] ||
    next === PERCENT ||
    next === AMPERSAND ||
    next === EQUALS ||
    next === BACKSLASH ||
    next === PLUS
  )
}

/**
 * Follows a text from a place on, through percent escapes, HTML references, escapes of JSON, JavaScript, CSS, C and
 * shells, and quoted-printable, each also a few times over (`%252F`, `&amp;#47;`, `\\u002f`).
 *
 * @param final no bytes follow
 * @param found called with the end of each spelling of the whole text
 * @returns what is left to be followed once there are more bytes
 */
export function follow (bytes: Buffer, pending: Pending, final: boolean, found: (end: number) => void): Pending | undefined {
  const { text, start } = pending
  const stack = [...pending.states]
  const seen = new Set<number>()
  const left: number[] = []
  const longest = start + text.bytes.length * LONGEST_UNIT
  while (stack.length > 0) {
    const index = stack.pop() ?? 0
    const at = stack.pop() ?? 0
    const key = (at - start) * (text.bytes.length + 1) + index
    if (at > longest || seen.has(key)) continue
    seen.add(key)
    if (index === text.bytes.length) {
      found(at)
      continue
    }
    const reader: Reader = { bytes, short: false, final }
    stepsFrom(reader, at, index, text.bytes[index] ?? -1, text.characters[index] ?? -1, stack)
    if (reader.short) left.push(at, index)
  }
  return left.length === 0 ? undefined : { text, start, states: left }
}
