import { createNameTest, type NameTest } from './alike.ts'

/**
 * Removes the parameters of the given names from a raw query and appends ours; every other byte stays.
 * A name is compared as readers read it (`createNameTest`): decoded, so `%61pi_key` is `api_key`; `api.key` and
 * `api_key[]` are it too; `;` may separate.
 *
 * @param query with its `?`, or empty
 * @param fields name and value, both unencoded
 * @param removed names to take off; by default those of the fields
 * @returns with its `?`, or empty
 */
export function setQuery (
  query: string,
  fields: ReadonlyArray<readonly [name: string, value: string]>,
  removed: readonly string[] = fields.map(([name]) => name)
): string {
  const kept = query.length > 1 ? withoutNames(query.slice(1), removed) : undefined
  const ours = fields.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
  const all = kept === undefined ? ours : [kept, ...ours]
  return all.length === 0 ? '' : `?${all.join('&')}`
}

/** Some readers take `;` for a separator as well (CVE-2021-23336); to the others it may be part of a name. */
function withoutNames (text: string, names: readonly string[]): string | undefined {
  const isOurs = createNameTest(names)
  const kept = filterParts(text, '&;', isOurs)
  return kept !== undefined && names.some((name) => name.includes(';')) ? filterParts(kept, '&', isOurs) : kept
}

/**
 * Takes parts out of a list in one pass. What stays between two of them is copied as a whole, separators included.
 *
 * @param separators the first one is the stronger: it stays where both stood between two parts that are kept
 * @param isOut judges the name of a part, which ends at the first `=`
 * @returns undefined where nothing is left
 */
export function filterParts (text: string, separators: string, isOut: NameTest): string | undefined {
  const strong = separators.charCodeAt(0)
  const weak = separators.charCodeAt(separators.length - 1)
  let kept: string | undefined
  /** Where the kept text begins that is not copied yet; -1 where there is none. */
  let run = -1
  let start = 0
  let equals = -1
  let before = -1
  let strongGap = false
  for (let index = 0; index <= text.length; index++) {
    const code = index === text.length ? strong : text.charCodeAt(index)
    if (code === EQUALS && equals === -1) equals = index
    if (code !== strong && code !== weak) continue
    const out = isOut(text.slice(start, equals === -1 ? index : equals))
    if (out && run !== -1) {
      keep(start - 1)
      strongGap = false
    }
    strongGap ||= before === strong
    if (!out && run === -1) {
      if (kept !== undefined) kept += String.fromCharCode(strongGap ? strong : weak)
      run = start
    }
    start = index + 1
    equals = -1
    before = code
  }
  if (run !== -1) keep(text.length)
  return kept

  function keep (end: number): void {
    kept = (kept ?? '') + text.slice(run, end)
    run = -1
  }
}

const EQUALS = 0x3d
