import { createNameTest } from './alike.ts'
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
  const isAlike = createNameTest(fields.map(([name]) => name), { anyCase: true })
  const isOurs = (raw: string): boolean => isAlike(raw.replace(/^[\s"]+/, '').split('"', 1)[0] ?? '')
  const kept = header.split(';').flatMap((part) => {
    const pair = part.trim()
    if (pair.startsWith('=')) return isOurs(nameOf(pair.replace(/^[=\s]+/, ''))) ? [] : [pair]
    return pair === '' ? [] : filterParts(pair, ',', isOurs) ?? []
  })
  for (const [name, value] of fields) kept.push(`${name}=${encodeURIComponent(value)}`)
  return kept.join('; ')
}

function nameOf (pair: string): string {
  const end = pair.search(/[=,]/)
  return end === -1 ? pair : pair.slice(0, end)
}
