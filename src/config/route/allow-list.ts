import { parseAllow } from '../../auth/allow.ts'
import { isKnownMethod } from '../../http/request-line.ts'

/** The problem of a text that is no line of an allow list, `METHOD /path`; undefined where it is one. */
export function problemOfAllow (text: string): string | undefined {
  const rule = parseAllow(text)
  if (rule === undefined) {
    return 'is no METHOD /path; write one blank between them, no query, * only as a whole segment and ** only as the last'
  }
  if (rule.method !== rule.method.toUpperCase()) {
    return 'has a method in lower case, and methods are case-sensitive (RFC 9110 section 9.1); write it in upper case, or ANY'
  }
  if (rule.method === 'TRACE' || rule.method === 'CONNECT') return 'has a method that is never forwarded; remove the line'
  if (rule.method !== 'ANY' && !isKnownMethod(rule.method)) {
    return 'has a method that no request can have, since the parser of this version of Node does not know it; write a registered one, or ANY'
  }
  if (/[^\x21-\x7e]/.test(text.replace(' ', ''))) return 'holds characters that no request can send; percent-encode them'
  if (rule.segments.some((segment) => segment === '.' || segment === '..')) {
    return 'holds a dot segment, and no such request is forwarded; write the resolved path'
  }
  return undefined
}
