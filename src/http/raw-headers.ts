/**
 * Node's `rawHeaders`: name, value, name, value, …, with their case, order and multiplicity.
 *
 * Every request and response passes through the functions here, so they walk the list by its index and allocate nothing but what
 * they return.
 */
export type RawHeaders = readonly string[]

/** Whether a header name is one that is given in lower case. Compares lengths first: most names differ there. */
export function isNamed (name: string, lower: string): boolean {
  return name.length === lower.length && name.toLowerCase() === lower
}

/** Whether the list has a header. @param lower its name in lower case */
export function has (headers: RawHeaders, lower: string): boolean {
  for (let index = 0; index < headers.length; index += 2) if (isNamed(headers[index] ?? '', lower)) return true
  return false
}

/** All values of a header, in their order. @param lower its name in lower case */
export function valuesOf (headers: RawHeaders, lower: string): string[] {
  const values: string[] = []
  for (let index = 0; index < headers.length; index += 2) if (isNamed(headers[index] ?? '', lower)) values.push(headers[index + 1] ?? '')
  return values
}

/**
 * All values of a header as one list (RFC 9110 section 5.2).
 *
 * @param lower its name in lower case
 * @returns undefined where there is no such header
 */
export function valueOf (headers: RawHeaders, lower: string): string | undefined {
  let joined: string | undefined
  for (let index = 0; index < headers.length; index += 2) {
    if (!isNamed(headers[index] ?? '', lower)) continue
    const value = headers[index + 1] ?? ''
    joined = joined === undefined ? value : `${joined}, ${value}`
  }
  return joined
}

/** The names of all headers, as they are spelled and as often as they are there. */
export function namesOf (headers: RawHeaders): string[] {
  const names: string[] = []
  for (let index = 0; index < headers.length; index += 2) names.push(headers[index] ?? '')
  return names
}

/** The headers as pairs, for what takes them one by one. Allocates a pair for each: not for the way of every request. */
export function pairs (headers: RawHeaders): Array<[name: string, value: string]> {
  const list: Array<[string, string]> = []
  for (let index = 0; index < headers.length; index += 2) list.push([headers[index] ?? '', headers[index + 1] ?? ''])
  return list
}

/** A new list without one header. @param lower its name in lower case */
export function without (headers: RawHeaders, lower: string): string[] {
  const kept: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    if (!isNamed(name, lower)) kept.push(name, headers[index + 1] ?? '')
  }
  return kept
}
