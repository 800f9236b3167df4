// C0, DEL and C1 drive terminals (0x9b alone begins an escape sequence), line and paragraph separators break lines, and
// bidirectional marks reorder what is read (Unicode Technical Report 36, section 3.2; CVE-2021-42574).
// eslint-disable-next-line no-control-regex -- the very thing to find
const UNPRINTABLE = /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/

/**
 * A text of anybody's making as it may stand in a line for people or programs: what could act on a terminal or a log reader is written as
 * `\uXXXX`.
 */
export function printable (text: string): string {
  if (!UNPRINTABLE.test(text)) return text
  return text.replace(new RegExp(UNPRINTABLE, 'g'), (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
