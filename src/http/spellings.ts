import { spelled, type Spelled } from './spelled.ts'

/** A shorter secret is not masked: it would be found in texts that have nothing to do with it. GitLab draws the line at the same length. */
export const SHORTEST_MASKED = 8

/**
 * The bytes in which a text comes back where somebody echoes it: as it is, percent-encoded, inside JSON, HTML or base64,
 * each in the dialects that are about. For most tokens and keys, being letters and digits, nearly all of them are one.
 *
 * @returns repetitions among them; none for a text shorter than {@link SHORTEST_MASKED} characters
 */
export function spellingsOf (text: string): Buffer[] {
  if (text.length < SHORTEST_MASKED) return []
  const texts = [text, ...percentEncoded(text), ...jsonEscaped(text), ...htmlEscaped(text), ...base64Of(Buffer.from(text))]
  // Headers carry Latin-1 (RFC 9110 section 5.5), and a header is echoed as it was.
  return [...texts.map((one) => Buffer.from(one)), ...(isLatin1(text) ? [Buffer.from(text, 'latin1')] : [])]
}

/** The texts that {@link spellingsOf} does not hold in every mixture of escapes: the text itself, and its base64. None for a short one. */
export function textsOf (text: string): Spelled[] {
  if (text.length < SHORTEST_MASKED) return []
  return [spelled(text), ...new Set(base64Of(Buffer.from(text)))].map((one) => typeof one === 'string' ? spelled(one, true) : one)
}

/** encodeURIComponent, RFC 3986, forms, and Python's `quote`, which leaves slashes; with either case of hex digits. */
function percentEncoded (text: string): string[] {
  // By way of bytes, since half a surrogate pair has no encoding.
  const component = encodeURIComponent(Buffer.from(text).toString())
  const strict = component.replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
  const form = strict.replaceAll('%20', '+').replaceAll('~', '%7E').replaceAll('%2A', '*')
  const all = [component, strict, form, strict.replaceAll('%2F', '/')]
  return [...all, ...all.map((one) => one.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase()))]
}

/** What stands between the quotes in JSON of JavaScript, PHP, Python, Go and .NET, in this order. */
function jsonEscaped (text: string): string[] {
  const plain = JSON.stringify(text).slice(1, -1)
  const ascii = plain.replace(/[^\0-\x7f]/g, hexEscape)
  return [
    plain,
    ascii.replaceAll('/', '\\/'),
    ascii,
    plain.replace(/[<>&\u2028\u2029]/g, hexEscape),
    ascii
      .replaceAll('\\"', '\\u0022')
      .replace(/[<>&'+`]/g, hexEscape)
      .replace(/\\u[0-9a-f]{4}/g, (escape) => `\\u${escape.slice(2).toUpperCase()}`)
  ]
}

function hexEscape (character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** With the quotes as PHP, Go and Python write them. */
function htmlEscaped (text: string): string[] {
  const plain = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  return [
    ['&quot;', '&#039;'],
    ['&#34;', '&#39;'],
    ['&quot;', '&#x27;'],
    ['&quot;', '&#39;']
  ].map(([double = '', single = '']) => plain.replaceAll('"', double).replaceAll("'", single))
}

/** The characters of base64 that hold nothing but the text, wherever in a group of three bytes it begins (RFC 4648 sections 4 and 5). */
function base64Of (bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const first = Math.ceil(offset * 8 / 6)
    const end = Math.floor((offset + bytes.length) * 8 / 6)
    const padded = Buffer.concat([Buffer.alloc(offset), bytes])
    return (['base64', 'base64url'] as const).map((encoding) => padded.toString(encoding).slice(first, end))
  })
}

function isLatin1 (text: string): boolean {
  return !/[^\0-\xff]/.test(text)
}
