import { problemOfHeaderValue } from '../http/header-value.ts'

// White space of every kind, control characters, and what no editor shows: zero-width and bidirectional marks, a byte order mark.
// eslint-disable-next-line no-control-regex -- the very things to find
const INVISIBLE = /[\s\0-\x1f\x7f-\xa0\xad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/

/**
 * Finds blanks and invisible characters that a copy, an editor or a shell leaves around a secret: no user name, password or client
 * secret begins or ends with one (Cognito's own patterns want `[\S]`), and each login with one counts towards a lockout.
 *
 * @returns the problem and its remedy, without the text; undefined where the text is good
 */
export function problemOfEnds (text: string): string | undefined {
  const ends = [INVISIBLE.test(text.slice(0, 1)) && 'begins', INVISIBLE.test(text.slice(-1)) && 'ends'].filter((end) => end !== false)
  if (ends.length === 0) return undefined
  const what = text.endsWith('\r')
    ? 'a carriage return, as files of Windows have it at the end of each line'
    : 'white space or a control character'
  return `${ends.join(' and ')} with ${what}; remove it`
}

/** Whether a text stands in quotes: where they were meant for a reader of the file, the text is another with them. */
function isQuoted (text: string): boolean {
  return /^(?:(["'`])[^]*\1|[\u2018\u201c\u201e][^]*[\u2018\u2019\u201c\u201d])$/.test(text)
}

/** Finds likely mistakes around a value that may be meant so all the same: quotes, and invisible characters at its ends. */
export function oddities (text: string): string[] {
  const problem = text.trim() === '' ? undefined : problemOfEnds(text)
  return [
    ...(problem === undefined ? [] : [`${problem} if it is no part of the value`]),
    ...(isQuoted(text) ? ['stands in quotes, which count as part of it; remove them if they are none'] : [])
  ]
}

/**
 * The problem of a text that cannot be the credentials of `Authorization: Bearer` (RFC 6750 section 2.1; in practice wider than
 * its grammar).
 */
export function problemOfBearer (text: string): string | undefined {
  if (/^bearer\s/i.test(text)) return 'begins with "Bearer ", which is added anyway; remove that word'
  return problemOfHeaderValue(text)
}

/**
 * The problem of a text that cannot be the credentials of `Authorization: Basic`, which are base64 of `user:password` (RFC 7617 section 2).
 *
 * @param remedy the advice for a value that is none
 */
export function problemOfBasic (text: string, remedy = 'give the credential "username" and "password" instead'): string | undefined {
  if (/^basic\s/i.test(text)) return 'begins with "Basic ", which is added anyway; remove that word'
  if (text.includes(':')) return `holds a colon, so it is not the base64 of user:password; ${remedy}`
  if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(text)) return `is not base64; ${remedy}`
  return problemOfHeaderValue(text)
}

/** The problem of a text that a query or a cookie cannot hold, where it is percent-encoded as UTF-8. */
export function problemOfEncodable (text: string): string | undefined {
  return /[\uD800-\uDFFF]/u.test(text) ? 'holds half of a surrogate pair, which has no encoding; correct it' : undefined
}

/** A name of a header or a cookie (RFC 9110 section 5.6.2). */
export function isToken (text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text)
}
