import { REFERENCE_NAMES } from './reference-names.ts'

export const [PERCENT, AMPERSAND, EQUALS, BACKSLASH, PLUS] = [0x25, 0x26, 0x3d, 0x5c, 0x2b]
const [BLANK, SEMICOLON] = [0x20, 0x3b]

/**
 * The longest spelling of one byte of a text, in bytes. No program writes a longer one, and a hostile response must not make us
 * follow one.
 */
export const LONGEST_UNIT = 48
const MOST_LAYERS = 4

/** Bytes to read, as far as they are here. */
export interface Reader {
  readonly bytes: Buffer
  readonly final: boolean
  /** Whether the result depends on bytes that are not here yet. */
  short: boolean
}

function byteAt (reader: Reader, at: number): number {
  const byte = reader.bytes[at]
  if (byte !== undefined) return byte
  if (!reader.final) reader.short = true
  return -1
}

/**
 * Finds every spelling of the next byte of a text, or of its next character, that stands at a place.
 *
 * @param index the place in the text
 * @param wanted its byte there; -1 behind the end
 * @param character the character that begins there; -1 within one
 * @param stack gets an offset into the bytes and one into the text for each spelling, behind it
 */
export function stepsFrom (reader: Reader, at: number, index: number, wanted: number, character: number, stack: number[]): void {
  const inside = index > 0
  const step = (end: number, length: number): void => { stack.push(end, index + length) }
  const whole = character === -1 ? 0 : utf8Length(character)
  const byte = byteAt(reader, at)
  if (byte === wanted || (byte === PLUS && wanted === BLANK)) step(at + 1, 1)
  switch (byte) {
    case PERCENT: percent(reader, at + 1, wanted, character, (end, isWhole) => { step(end, isWhole ? whole : 1) }); break
    case EQUALS: quoted(reader, at + 1, wanted, inside, step); break
    case BACKSLASH: backslash(reader, at + 1, wanted, character, inside, (end, isWhole) => { step(end, isWhole ? whole : 1) }, step); break
  }
  if (character === -1) return
  for (const end of ampersands(reader, at, byte)) reference(reader, end, character, (behind) => { step(behind, whole) })
}

type Found = (end: number, isCharacter: boolean) => void

function percent (reader: Reader, from: number, wanted: number, character: number, found: Found): void {
  let at = from
  for (let layer = 0; layer < MOST_LAYERS; layer++) {
    if (isByte(reader, at, 'u')) units(reader, at, '%', character, found)
    const value = hexAt(reader, at, 2)
    if (value === -1) return
    if (value === wanted) found(at + 2, false)
    if (value !== PERCENT) return
    at += 2
  }
}

function quoted (reader: Reader, at: number, wanted: number, inside: boolean, step: (end: number, length: number) => void): void {
  const behind = lineBreak(reader, at)
  if (behind !== -1) {
    if (inside) step(behind, 0)
  } else if (hexAt(reader, at, 2) === wanted) step(at + 2, 1)
}

const CONTROLS: ReadonlyMap<string, number> = new Map([['n', 10], ['t', 9], ['r', 13], ['b', 8], ['f', 12], ['v', 11], ['a', 7], ['e', 27]])

function backslash (
  reader: Reader,
  from: number,
  wanted: number,
  character: number,
  inside: boolean,
  found: Found,
  step: (end: number, length: number) => void
): void {
  let at = from
  for (let layer = 0; layer < 2 * MOST_LAYERS && byteAt(reader, at) === BACKSLASH; layer++) {
    at++
    if (wanted === BACKSLASH) step(at, 1)
  }
  const byte = byteAt(reader, at)
  if (byte === -1) return
  const letter = String.fromCharCode(byte)
  if (byte === wanted) step(at + 1, 1)
  if (CONTROLS.get(letter) === wanted) step(at + 1, 1)
  const behind = inside ? lineBreak(reader, at) : -1
  if (behind !== -1) step(behind, 0)
  if (letter === 'u') units(reader, at, '\\', character, found)
  if (letter === 'U' && hexAt(reader, at + 1, 8) === character) found(at + 9, true)
  if (letter === 'x') {
    const value = hexAt(reader, at + 1, 2)
    if (value === wanted) found(at + 3, false)
    else if (value === character) found(at + 3, true)
  }
  digits(reader, at, 8, 3, (value, end) => {
    if (value === wanted) found(end, false)
  })
  if (character !== -1) {
    digits(reader, at, 16, 6, (value, end) => {
      if (value !== character) return
      found(end, true)
      if (byteAt(reader, end) === BLANK) found(end + 1, true)
    })
  }
}

/** `uXXXX`, once for each half of a pair with the sign in front again, or `u{X…}`. */
function units (reader: Reader, at: number, sign: string, character: number, found: Found): void {
  if (character === -1) return
  if (isByte(reader, at + 1, '{')) {
    digits(reader, at + 2, 16, 8, (value, end) => { if (value === character && isByte(reader, end, '}')) found(end + 1, true) })
    return
  }
  let end = at
  for (const unit of String.fromCodePoint(character).split('')) {
    if (end !== at) {
      if (sign === '\\') while (isByte(reader, end, '\\') && isByte(reader, end + 1, '\\') && end - at < 2 * LONGEST_UNIT) end++
      if (!isByte(reader, end, sign) || !isByte(reader, end + 1, 'u')) return
      end++
    }
    if (hexAt(reader, end + 1, 4) !== unit.charCodeAt(0)) return
    end += 5
  }
  found(end, true)
}

/** Where an ampersand ends, as it is or escaped in turn; behind each `amp;` that follows too. */
function ampersands (reader: Reader, at: number, byte: number): number[] {
  let end = -1
  if (byte === AMPERSAND) end = at + 1
  else if (byte === PERCENT && isText(reader, at + 1, '26')) end = at + 3
  else if (byte === BACKSLASH && isText(reader, at + 1, 'u0026')) end = at + 6
  else if (byte === BACKSLASH && isText(reader, at + 1, 'x26')) end = at + 4
  if (end === -1) return []
  const ends = [end]
  while (ends.length < MOST_LAYERS && isText(reader, end, 'amp;')) ends.push(end += 4)
  return ends
}

/** The rest of a reference behind its ampersand; the semicolon may be missing. */
function reference (reader: Reader, at: number, character: number, found: (end: number) => void): void {
  const close = (end: number): void => { found(byteAt(reader, end) === SEMICOLON ? end + 1 : end) }
  if (isByte(reader, at, '#')) {
    const hex = isByte(reader, at + 1, 'x') || isByte(reader, at + 1, 'X')
    let last: readonly [value: number, end: number] | undefined
    digits(reader, at + (hex ? 2 : 1), hex ? 16 : 10, 10, (value, end) => { last = [value, end] })
    if (last !== undefined && last[0] === character) close(last[1])
    return
  }
  for (const name of REFERENCE_NAMES.get(String.fromCodePoint(character)) ?? []) if (isText(reader, at, name)) close(at + name.length)
}

function utf8Length (character: number): number {
  return character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4
}

function isByte (reader: Reader, at: number, letter: string): boolean {
  return byteAt(reader, at) === letter.charCodeAt(0)
}

function isText (reader: Reader, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) if (byteAt(reader, at + index) !== text.charCodeAt(index)) return false
  return true
}

/** The end of a line break; -1 where there is none. */
function lineBreak (reader: Reader, at: number): number {
  if (isByte(reader, at, '\n')) return at + 1
  return isByte(reader, at, '\r') && isByte(reader, at + 1, '\n') ? at + 2 : -1
}

function hexAt (reader: Reader, at: number, length: number): number {
  let value = 0
  for (let index = 0; index < length; index++) {
    const digit = digitOf(byteAt(reader, at + index))
    if (digit > 15) return -1
    value = value * 16 + digit
  }
  return value
}

/** Each number that the digits at a place begin with. */
function digits (reader: Reader, at: number, base: number, most: number, each: (value: number, end: number) => void): void {
  let value = 0
  for (let index = 0; index < most; index++) {
    const digit = digitOf(byteAt(reader, at + index))
    if (digit >= base) return
    value = value * base + digit
    each(value, at + index + 1)
  }
}

function digitOf (byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : 99
}
