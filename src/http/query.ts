import { decodeLeniently } from './decode.ts'

/**
 * Removes the parameters of the given names from a raw query and appends ours; every other byte stays.
 * A name is compared after decoding, so `%61pi_key` is `api_key`; `+` is a space in a form-encoded name, `;` may separate.
 *
 * @param query with its `?`, or empty
 * @param fields name and value, both unencoded
 * @param removed names to take off; by default those of the fields
 * @returns with its `?`, or empty
 */
export function setQuery (query: string, fields: ReadonlyArray<readonly [name: string, value: string]>, removed: readonly string[] = fields.map(([name]) => name)): string {
  const names = new Set(removed.map((name) => name.trim()))
  const kept = query.length > 1 ? query.slice(1).split('&').flatMap((part) => withoutNames(part, names)) : []
  for (const [name, value] of fields) kept.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
  return kept.length === 0 ? '' : `?${kept.join('&')}`
}

/** A part between two `&`, less what readers find in it that take `;` for a separator as well (CVE-2021-23336). */
function withoutNames (part: string, names: ReadonlySet<string>): string[] {
  if (names.has(parameterName(part))) return []
  if (!part.includes(';')) return [part]
  const kept = part.split(';').filter((piece) => !names.has(parameterName(piece)))
  return [kept.join(';')]
}

// Blanks around a name: PHP drops those in front of it.
function parameterName (part: string): string {
  const end = part.indexOf('=')
  return decodeLeniently((end === -1 ? part : part.slice(0, end)).replaceAll('+', ' ')).trim()
}
