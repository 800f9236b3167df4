import type { Scheme } from '../../auth/scheme.ts'
import { createNameTest, type NameTest } from '../../http/alike.ts'
import { createCookieTest } from '../../http/cookie.ts'
import { problemOfHeaderValue } from '../../http/header-value.ts'
import { foldName, isDroppedFromRequest } from '../../http/headers.ts'
import { problemOfBasic, problemOfBearer, problemOfEncodable, isToken } from '../checks.ts'

// Beside the headers that are never passed on: those that describe the body or the connection, and those with rules of their own.
const FORBIDDEN: ReadonlySet<string> = new Set([
  'content-type',
  'content-encoding',
  'content-range',
  'proxy-authenticate',
  'proxy-authentication-info',
  'set-cookie',
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-extensions',
  'sec-websocket-accept'
])

/** The problem of a scheme that cannot write under its name; undefined where it can. */
export function problemOfTarget (scheme: Scheme): string | undefined {
  if (scheme.type === 'http') return undefined
  const { in: place, name } = scheme
  if (place === 'query') {
    // eslint-disable-next-line no-control-regex -- the very thing to find
    return name === '' || /[\0-\x1f\x7f]/.test(name) || problemOfEncodable(name) !== undefined
      ? 'is no parameter name; write one without control characters'
      : undefined
  }
  if (!isToken(name)) return `is no ${place} name; write letters, digits and - (RFC 9110 section 5.6.2)`
  if (place === 'cookie') return undefined
  if (foldName(name) === 'cookie') return 'would replace the client\'s cookies; write "in": "cookie" and the cookie\'s own name'
  return isReservedHeader(name) ? 'is a header that the proxy or HTTP itself writes; no credential can go there, choose another' : undefined
}

/** Whether HTTP, this proxy or a connection of theirs owns a header, so that no scheme can write it and no value comes from it. */
export function isReservedHeader (name: string): boolean {
  const folded = foldName(name)
  return FORBIDDEN.has(folded) || isDroppedFromRequest(folded)
}

/**
 * Finds schemes of one route that would overwrite each other: they write into one field, or into fields that some reader takes
 * for one.
 *
 * @returns a function that takes a scheme and its label, and returns the label of the first earlier scheme that writes the same field
 */
export function createTargets<Label> (): (scheme: Scheme, label: Label) => Label | undefined {
  const known: Array<{ readonly field: Field, readonly isAlike: NameTest, readonly label: Label }> = []
  return (scheme, label) => {
    const field = fieldOf(scheme)
    const isAlike = TESTS[field.in]([field.name])
    const first = known.find((one) => one.field.in === field.in && (one.isAlike(field.raw) || isAlike(one.field.raw)))
    if (first === undefined) known.push({ field, isAlike, label })
    return first?.label
  }
}

/** The place that a scheme writes to, and its name there. */
interface Field {
  readonly in: 'header' | 'query' | 'cookie'
  readonly name: string
  readonly raw: string
}

// The same comparison as for requests: a client's field under such a name gives way.
const TESTS: Readonly<Record<Field['in'], (names: readonly string[]) => NameTest>> = {
  header: (names) => (raw) => names.some((name) => foldName(name) === foldName(raw)),
  query: createNameTest,
  cookie: createCookieTest
}

function fieldOf (scheme: Scheme): Field {
  if (scheme.type === 'http') return { in: 'header', name: 'authorization', raw: 'authorization' }
  const { in: place, name } = scheme
  // Half of a surrogate pair has a message of its own.
  return { in: place, name, raw: place === 'query' ? encodeURIComponent(name.replace(/\p{Surrogate}/gu, '?')) : name }
}

/**
 * The problem of a value that a scheme cannot send; undefined where it can.
 *
 * @param basicRemedy the advice for a value that is no Basic credential
 */
export function problemOfValue (scheme: Scheme, value: string, basicRemedy?: string): string | undefined {
  if (scheme.type === 'http') return scheme.scheme === 'basic' ? problemOfBasic(value, basicRemedy) : problemOfBearer(value)
  return scheme.in === 'header' ? problemOfHeaderValue(value) : problemOfEncodable(value)
}

/** A scheme as messages name it. Kept apart from `describeScheme`: a name is text of the file, which may be long or hold anything. */
export function nameScheme (scheme: Scheme): string {
  return scheme.type === 'http' ? `http ${scheme.scheme}` : `${scheme.type} in ${scheme.in}`
}
