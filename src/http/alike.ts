import { decodeLeniently } from './decode.ts'

/** Tells whether a raw name, as it stands in a query, a form or a `Cookie` header, may be read as one of some names. */
export type NameTest = (raw: string) => boolean

/** How names are compared. */
export interface NameRules {
  /** Whether letters of either case are one, as in ASP.NET's cookies. */
  readonly anyCase?: boolean
}

// Neither an escape nor a character that a reader changes: the common case, decided at once.
const PLAIN = /^[\w-]*$/

/**
 * Makes a test for names that some reader takes for one of ours. Names are decoded; PHP makes `_` of `.`, blank and an
 * unclosed `[`, drops blanks in front, and ends a name at NUL; `name[…]` is a list or a map of that name to PHP, Rack and
 * qs, which skip brackets in front too (`[name]`).
 *
 * @param names ours, as plain text
 */
export function createNameTest (names: readonly string[], { anyCase = false }: NameRules = {}): NameTest {
  const cased = anyCase ? (name: string): string => name.toLowerCase() : (name: string): string => name
  const wanted = new Set(names.map((name) => cased(underscored(bare(name)))))
  return (raw) => {
    if (PLAIN.test(raw)) return wanted.has(cased(raw))
    // `+` is a blank in a form, and itself in any other part of a URL (RFC 3986).
    return isWanted(decodeLeniently(raw.replaceAll('+', ' '))) || (raw.includes('+') && isWanted(decodeLeniently(raw)))
  }

  function isWanted (decoded: string): boolean {
    const name = bare(decoded)
    const given = cased(underscored(name))
    for (const one of wanted) if (given === one || (given.startsWith(one) && isBracket(name[one.length]))) return true
    return false
  }
}

function bare (name: string): string {
  const end = name.indexOf('\0')
  return (end === -1 ? name : name.slice(0, end)).replace(/^[\s[\]]+/, '').trim()
}

function underscored (name: string): string {
  return name.replace(/[\s.[\]]/g, '_')
}

function isBracket (character: string | undefined): boolean {
  return character === '[' || character === ']'
}
