import { foldName } from '../http/headers.ts'
import type { Injected, Target } from './attack.ts'
import type { Field } from './http-reader.ts'

/**
 * Whether exactly one of each injected field arrived, with our value, under every reading of its name (contract section 4).
 *
 * @param sent the request target
 * @returns the problems
 */
export function fieldProblems (target: Target, method: string, sent: string, fields: readonly Field[], body: string): string[] {
  const problems = target.injected.flatMap((injected) => {
    const where = injected.inBody && method === 'POST' ? 'body' : injected.in
    const found = where === 'body' ? inBody(body, injected.name) : valuesIn(where, injected.name, sent, fields)
    const stray = where === 'body' ? valuesIn('query', injected.name, sent, fields) : []
    return [
      ...countProblems(injected, where, found),
      ...(stray.length > 0 ? [`the upstream got ${injected.name} in the query as well`] : [])
    ]
  })
  const ours = target.injected.some((injected) => injected.in === 'header' && foldName(injected.name) === 'authorization')
  if (target.injected.length > 0 && !ours && valuesIn('header', 'authorization', sent, fields).length > 0) {
    problems.push("the upstream got the client's Authorization")
  }
  return problems
}

function countProblems ({ name, value }: Injected, where: string, found: readonly string[]): string[] {
  if (found.length !== 1) return [`the upstream got ${found.length} times ${where} ${name}, not once`]
  return value !== undefined && found[0] !== value ? [`the upstream got a ${where} ${name} that is not ours`] : []
}

function valuesIn (place: 'header' | 'query' | 'cookie', name: string, sent: string, fields: readonly Field[]): string[] {
  switch (place) {
    case 'header': return fields.filter(([given]) => foldName(given) === foldName(name)).map(([, value]) => value)
    // Some readers take `;` for a separator as well (CVE-2021-23336).
    case 'query': return pairs(sent.slice(sent.indexOf('?') + 1 || sent.length), /[&;]/, name)
    case 'cookie': return fields.filter(([given]) => given.toLowerCase() === 'cookie').flatMap(([, value]) => pairs(value, /;/, name))
    default: return place satisfies never
  }
}

/** The values of a member, of a JSON object or of a form; a JSON member counts as often as it stands there. */
function inBody (body: string, name: string): string[] {
  // A byte order mark is no part of the text (RFC 8259 section 8.1).
  if (!body.replace('\xef\xbb\xbf', '').trimStart().startsWith('{')) return pairs(body, /[&;]/, name)
  const members = [...body.matchAll(/("(?:[^"\\]|\\.)*")\s*:\s*("(?:[^"\\]|\\.)*")?/g)]
  return members.filter(([, key = '""']) => JSON.parse(key) === name).map(([, , value = '""']) => JSON.parse(value) as string) // JSON strings, by the pattern
}

function pairs (text: string, separator: RegExp, name: string): string[] {
  return text.split(separator).flatMap((part) => {
    const end = part.indexOf('=')
    return decode(end === -1 ? part : part.slice(0, end)).trim() === name ? [end === -1 ? '' : decode(part.slice(end + 1))] : []
  })
}

// Decodes as lenient readers do: malformed escapes stay.
function decode (text: string): string {
  const spaced = text.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  }
}
