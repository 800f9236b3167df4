import { HEADER_BYTES } from './headers.ts'

/**
 * The longest value that goes into a header. A whole header section of this length is refused by default, by this proxy
 * (`limits.headerBytes`) and by nearly every server, so a longer value would arrive nowhere.
 */
export const LONGEST_HEADER_VALUE = HEADER_BYTES

/**
 * Says why a text cannot be the value of a header: Node would refuse it only when the first request is sent (RFC 9110 section
 * 5.5). Blanks at its ends would not arrive.
 *
 * @returns what is wrong and what to do, without the text; undefined where nothing is
 */
export function problemOfHeaderValue (text: string): string | undefined {
  if (text.length > LONGEST_HEADER_VALUE) {
    return `is longer than ${LONGEST_HEADER_VALUE} characters, which servers take in no header; correct it`
  }
  if (/[\r\n\0]/.test(text)) return 'holds a line break or NUL, which no header can carry; remove it'
  // eslint-disable-next-line no-control-regex -- the very thing to find
  if (/[\x01-\x08\x0b-\x1f\x7f]/.test(text)) return 'holds a control character, which no header can carry; remove it'
  if (/[^\0-\xff]/.test(text)) return 'holds a character beyond ISO 8859-1, which no header can carry; remove or encode it'
  if (/^[\t ]|[\t ]$/.test(text)) return 'begins or ends with a blank, which no header can carry; remove it'
  return undefined
}

/**
 * What an identity provider's token must be to be sent as one: a line of visible ASCII (RFC 6750 section 2.1 allows less), so
 * that every header carries it as it is, whatever reads that header.
 */
export const SENDABLE_TOKEN = new RegExp(`^[\\x21-\\x7e]{1,${LONGEST_HEADER_VALUE}}$`)
