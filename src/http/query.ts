/**
 * Removes the parameters of the given names from a raw query and appends ours; every other byte stays.
 * A name is compared after decoding, so `%61pi_key` is `api_key`; `+` is a space in a form-encoded name.
 *
 * @param query with its `?`, or empty
 * @param fields name and value, both unencoded
 * @param removed names to take off; by default those of the fields
 * @returns with its `?`, or empty
 */
export function setQuery (query: string, fields: ReadonlyArray<readonly [name: string, value: string]>, removed: readonly string[] = fields.map(([name]) => name)): string {
  const names = new Set(removed)
  const kept = query.length > 1 ? query.slice(1).split('&').filter((part) => !names.has(parameterName(part))) : []
  for (const [name, value] of fields) kept.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
  return kept.length === 0 ? '' : `?${kept.join('&')}`
}

function parameterName (part: string): string {
  const end = part.indexOf('=')
  const name = (end === -1 ? part : part.slice(0, end)).replaceAll('+', ' ')
  try {
    return decodeURIComponent(name)
  } catch {
    // Malformed escapes: lenient readers decode what they can, so that is what is compared.
    return name.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  }
}
