import { setQuery } from './query.ts'

/** Name and value, both as plain text. */
export type Field = readonly [name: string, value: string]

/**
 * Puts members into the text of a JSON object. Members of the same parsed name are taken out first (`"k\u0065y"` is
 * `key`); every other byte stays as the client wrote it: numbers, escapes, order, duplicates, white space.
 *
 * @param text JSON text, perhaps behind a byte order mark (RFC 8259 section 8.1)
 * @returns the new text; undefined where the text is no JSON object
 */
export function spliceJson (text: string, fields: readonly Field[]): string | undefined {
  const mark = text.startsWith('\uFEFF') ? 1 : 0
  const json = text.slice(mark)
  if (!isObjectText(json)) return undefined
  const open = json.indexOf('{')
  const close = json.lastIndexOf('}')
  const names = new Set(fields.map(([name]) => name))
  const members = splitMembers(json, open + 1, close)
  const kept = members.filter((member) => member.trim() !== '' && !names.has(nameOf(member)))
  // White space that stood before the closing brace stays there.
  const tail = /\s*$/.exec(members.at(-1) ?? '')?.[0] ?? ''
  const last = kept.pop()
  const ours = fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  const inside = [...kept, ...(last === undefined ? [] : [last.trimEnd()]), ...ours].join(',')
  return text.slice(0, mark) + json.slice(0, open + 1) + inside + tail + json.slice(close)
}

/** Puts fields into a form (`application/x-www-form-urlencoded`); fields of the same decoded name are taken out first. */
export function spliceForm (text: string, fields: readonly Field[]): string {
  return setQuery(`?${text}`, fields).slice(1)
}

function isObjectText (json: string): boolean {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

// The text is known to be valid JSON, so strings and brackets are all that has to be followed.
function splitMembers (json: string, from: number, to: number): string[] {
  const members: string[] = []
  let start = from
  let depth = 0
  for (let index = from; index < to; index++) {
    const character = json.charAt(index)
    if (character === '"') index = endOfString(json, index)
    else if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') depth--
    else if (character === ',' && depth === 0) {
      members.push(json.slice(start, index))
      start = index + 1
    }
  }
  members.push(json.slice(start, to))
  return members
}

function endOfString (json: string, quote: number): number {
  let index = quote + 1
  while (json[index] !== '"') index += json[index] === '\\' ? 2 : 1
  return index
}

function nameOf (member: string): string {
  const quote = member.indexOf('"')
  return JSON.parse(member.slice(quote, endOfString(member, quote) + 1)) as string // a JSON string literal
}
