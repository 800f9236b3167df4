import { scanObject } from './json-members.ts'
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
  const names = new Set(fields.map(([name]) => name))
  let kept = ''
  let run = -1
  /** Ends of the last member that stays, and of the last one. */
  let end = -1
  let last = -1
  const place = scanObject(json, ({ start, name, nameEnd, valueEnd }) => {
    last = valueEnd
    if (!names.has(nameOf(json.slice(name, nameEnd)))) {
      if (run === -1) {
        if (end !== -1) kept += ','
        run = start
      }
      end = valueEnd
      return
    }
    // Up to the comma in front of it.
    if (run !== -1) kept += json.slice(run, start - 1)
    run = -1
  })
  if (place === undefined) return undefined
  const { open } = place
  if (run !== -1) kept += json.slice(run, end)
  else if (end !== -1) kept = kept.trimEnd()
  const ours = fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  // White space that stood before the closing brace stays there.
  return (
    text.slice(0, mark) + json.slice(0, open) + [...(end === -1 ? [] : [kept]), ...ours].join(',') + json.slice(last === -1 ? open : last)
  )
}

/** Puts fields into a form (`application/x-www-form-urlencoded`); fields of the same decoded name are taken out first. */
export function spliceForm (text: string, fields: readonly Field[]): string {
  return setQuery(`?${text}`, fields).slice(1)
}

function nameOf (literal: string): string {
  return literal.includes('\\') ? JSON.parse(literal) as string : literal.slice(1, -1) // a JSON string literal
}
