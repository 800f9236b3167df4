import { decodeLeniently } from './decode.ts'

/**
 * Merges cookies into a client's `Cookie` header: those of our names are removed, ours are appended
 * (RFC 6265 section 5.4: `a=1; b=2`, no trailing `;`). Names are compared decoded as well, since some readers decode them
 * (CVE-2020-7070). Values go through `encodeURIComponent`, as Airnode writes them.
 *
 * @param header the client's cookies, several headers already joined with `; `; empty where there are none
 * @param fields name and value, both unencoded
 */
export function setCookies (header: string, fields: ReadonlyArray<readonly [name: string, value: string]>): string {
  const names = new Set(fields.map(([name]) => name))
  const kept = header.split(';').map((part) => part.trim()).filter((part) => part !== '' && !names.has(cookieName(part)) && !names.has(decodeLeniently(cookieName(part))))
  for (const [name, value] of fields) kept.push(`${name}=${encodeURIComponent(value)}`)
  return kept.join('; ')
}

function cookieName (pair: string): string {
  const end = pair.indexOf('=')
  return (end === -1 ? pair : pair.slice(0, end)).trim()
}
