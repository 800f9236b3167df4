/** A member of a JSON object, as offsets into its text. */
export interface Member {
  /** Behind the brace or comma in front of it. */
  readonly start: number
  /** Its name, with the quotes. */
  readonly name: number
  readonly nameEnd: number
  readonly valueEnd: number
}

/** Where a JSON object stands in a text. */
export interface ObjectPlace {
  /** Behind the opening brace. */
  readonly open: number
  /** Before the closing brace. */
  readonly close: number
}

/**
 * Finds the members of a JSON object (RFC 8259), in one pass and without making a value of it: `JSON.parse` of a hostile
 * mebibyte costs many times its bytes, and names that are numbers collide in V8's tables (CVE-2026-21717).
 *
 * @param visit called for each member of the object itself
 * @returns undefined where the text is no JSON object, or something stands behind it
 */
export function scanObject (text: string, visit: (member: Member) => void): ObjectPlace | undefined {
  const brace = skipBlank(text, 0)
  if (text[brace] !== '{') return undefined
  const open = brace + 1
  let start = open
  let index = skipBlank(text, open)
  let end = index
  while (text[index] !== '}' || start !== open) {
    const name = index
    const nameEnd = endOfString(text, name)
    const value = afterColon(text, nameEnd)
    const valueEnd = value === -1 ? -1 : endOfValue(text, value)
    if (valueEnd === -1) return undefined
    visit({ start, name, nameEnd, valueEnd })
    end = skipBlank(text, valueEnd)
    if (text[end] === '}') break
    if (text[end] !== ',') return undefined
    start = end + 1
    index = skipBlank(text, start)
  }
  return skipBlank(text, end + 1) === text.length ? { open, close: end } : undefined
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const CLOSERS: Readonly<Record<string, string>> = { '{': '}', '[': ']' }

/** Follows brackets with a list of those that are open: nesting as deep as the text is long must not overflow the stack. */
function endOfValue (text: string, from: number): number {
  const closers: string[] = []
  let index = from
  for (;;) {
    const closer = CLOSERS[text[index] ?? '']
    if (closer === undefined) index = endOfScalar(text, index)
    else {
      closers.push(closer)
      index = skipBlank(text, index + 1)
      if (text[index] !== closer) {
        if (closer === '}') index = afterName(text, index)
        if (index === -1) return -1
        continue
      }
    }
    if (index === -1) return -1
    for (;;) {
      const open = closers.at(-1)
      if (open === undefined) return index
      index = skipBlank(text, index)
      if (text[index] !== open) break
      closers.pop()
      index++
    }
    if (text[index] !== ',') return -1
    index = skipBlank(text, index + 1)
    if (closers.at(-1) === '}') index = afterName(text, index)
    if (index === -1) return -1
  }
}

function afterName (text: string, index: number): number {
  return afterColon(text, endOfString(text, index))
}

/** Where the value begins behind a name that ends at an offset. */
function afterColon (text: string, nameEnd: number): number {
  if (nameEnd === -1) return -1
  const colon = skipBlank(text, nameEnd)
  return text[colon] === ':' ? skipBlank(text, colon + 1) : -1
}

function endOfScalar (text: string, index: number): number {
  if (text[index] === '"') return endOfString(text, index)
  for (const literal of ['true', 'false', 'null']) if (text.startsWith(literal, index)) return index + literal.length
  NUMBER.lastIndex = index
  return NUMBER.test(text) ? NUMBER.lastIndex : -1
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

function endOfString (text: string, quote: number): number {
  if (text.charCodeAt(quote) !== QUOTE) return -1
  for (let index = quote + 1; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) return index + 1
    if (code < 0x20) return -1
    if (code !== BACKSLASH) continue
    const escaped = text[++index] ?? ''
    if (escaped === 'u' ? !/^[0-9a-fA-F]{4}$/.test(text.slice(index + 1, index + 5)) : !'"\\/bfnrt'.includes(escaped) || escaped === '') {
      return -1
    }
  }
  return -1
}

function skipBlank (text: string, from: number): number {
  let index = from
  for (;;) {
    const code = text.charCodeAt(index)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return index
    index++
  }
}
