import { createNameTest, type NameTest } from './alike.ts'
import { decodeLeniently } from './decode.ts'
import { filterParts } from './query.ts'

/**
 * Merges cookies into a client's `Cookie` header: those of our names are removed, ours are appended
 * (RFC 6265 section 5.4: `a=1; b=2`, no trailing `;`). Names are compared as readers read them: decoded (CVE-2020-7070),
 * in any case (ASP.NET), between quotes, behind a leading `=` (a cookie without a name), with a comma as a separator too
 * (RFC 2109). Values go through `encodeURIComponent`, as Airnode writes them.
 *
 * @param header the client's cookies, several headers already joined with `; `; empty where there are none
 * @param fields name and value, both unencoded
 */
export function setCookies (header: string, fields: ReadonlyArray<readonly [name: string, value: string]>): string {
  const isOurs = createCookieTest(fields.map(([name]) => name))
  const kept = header.split(';').flatMap((part) => {
    const pair = part.trim()
    if (pair.startsWith('=')) return isOurs(nameOf(pair.replace(/^[=\s]+/, ''))) ? [] : [pair]
    return pair === '' ? [] : filterParts(pair, ',', isOurs) ?? []
  })
  for (const [name, value] of fields) kept.push(`${name}=${encodeURIComponent(value)}`)
  return kept.join('; ')
}

/**
 * Makes a test for names in a `Cookie` header that some reader takes for one of ours. Names go out as they are, and are read
 * as they are or decoded; so are those of ours that hold an escape.
 */
export function createCookieTest (names: readonly string[]): NameTest {
  const isAlike = createNameTest(names.flatMap((name) => [name, decodeLeniently(name)]), { anyCase: true })
  return (raw) => {
    const name = raw.replace(/^[\s"]+/, '').split('"', 1)[0] ?? ''
    return isAlike(name) || (name.includes('%') && isAlike(name.replaceAll('%', '%25')))
  }
}

/** The names in a client's `Cookie` header, whichever reader splits it; for {@link createCookieTest}. */
export function cookieNames (header: string): string[] {
  return header.split(/[;,]/).map((pair) => nameOf(pair.replace(/^[=\s]+/, '')).trim())
}

function nameOf (pair: string): string {
  const end = pair.search(/[=,]/)
  return end === -1 ? pair : pair.slice(0, end)
}
