import { ProxyError } from '../errors.ts'

/** A request target that every reader reads alike. Both parts are the client's very bytes. */
export interface Target {
  /** Begins with `/`. */
  readonly path: string
  /** With its `?`; empty where there is none. Visible ASCII without `#`, and otherwise never judged: the query is data. */
  readonly query: string
}

// Neither an escape, nor a parameter, nor a character that some reader treats as one: the common case, decided at once.
const PLAIN = /^[\w\-.~!$&'()*+,=:@/]*$/
const PRINTABLE = /^[\x21-\x7e]*$/
// Only what hides something is encoded more often than this.
const DEEPEST_ENCODING = 8

/**
 * Splits a raw request target and refuses every target that two readers could read differently: dot segments in any
 * encoding, backslashes, control characters, malformed or non-UTF-8 escapes, a leading `//`, bytes that are not ASCII, `#`, and the
 * absolute, authority and asterisk forms (RFC 9112 section 3.2). Refused rather than repaired: what is judged is what is sent.
 *
 * @throws ProxyError `CS_BAD_REQUEST`
 */
export function parseTarget (raw: string): Target {
  checkForm(raw)
  if (!raw.startsWith('/')) throw rejection('The target `*` addresses no route; name a path.')
  checkBytes(raw)
  const mark = raw.indexOf('?')
  const path = mark === -1 ? raw : raw.slice(0, mark)
  judgePath(path)
  return { path, query: mark === -1 ? '' : raw.slice(mark) }
}

/**
 * Refuses a target with a scheme or a host.
 *
 * @throws ProxyError `CS_BAD_REQUEST`, which says that this is no forward proxy
 */
export function checkForm (raw: string): void {
  if (!raw.startsWith('/') && raw !== '*') {
    throw rejection(
      'The target has a scheme or a host: this is no forward proxy. Send the path alone (origin form), and set this address as the base URL, not as the HTTP proxy.'
    )
  }
}

/**
 * Refuses bytes that no target holds as they are, in path and query alike; Node's parser refuses most of them (RFC 9112 section
 * 3.2, RFC 3986 section 2).
 */
function checkBytes (raw: string): void {
  if (PRINTABLE.test(raw)) {
    if (raw.includes('#')) throw rejection('The target holds a `#`, which some readers take for its end; encode it as %23.')
    return
  }
  if (/[^\0-\x7f]/.test(raw)) {
    throw rejection('The target holds bytes that are not ASCII; percent-encode them as UTF-8 (RFC 3986 section 2.5).')
  }
  throw rejection('The target holds a blank or a control character; percent-encode it (RFC 3986 section 2.1).')
}

/**
 * Refuses an ambiguous path, as {@link parseTarget} does.
 *
 * @throws ProxyError `CS_BAD_REQUEST`
 */
export function judgePath (path: string): void {
  if (path.startsWith('//')) throw rejection('The path begins with `//`, which some readers take for a host; send one slash.')
  if (PLAIN.test(path)) {
    if (path.includes('/.') && hasDotSegment(path)) throw rejection(DOT_SEGMENTS)
    return
  }
  if (path.includes('\\') || /%5c/i.test(path)) {
    throw rejection('The path holds a backslash, which some readers take for a slash; leave it out.')
  }
  const decoded = decode(path)
  if (decoded === undefined) {
    throw rejection('The path holds a malformed or non-UTF-8 percent escape; encode it again (RFC 3986 section 2.1).')
  }
  if (hasControl(decoded)) throw rejection('The path holds a control character; leave it out.')
  if (hasDotSegment(asPlain(decoded))) throw rejection(DOT_SEGMENTS)
  judgeNested(path)
}

/** Follows escapes within escapes, which are data to us, to see a traversal that a reader who decodes more than once would take. */
function judgeNested (path: string): void {
  let text = path
  for (let depth = 0; depth <= DEEPEST_ENCODING; depth++) {
    if (hasDotSegment(text)) throw rejection(DOT_SEGMENTS)
    const next = decodeLeniently(text)
    if (next === text) return
    text = next
  }
  throw rejection('The path is percent-encoded many times over; encode it once (RFC 3986 section 2.4).')
}

const DOT_SEGMENTS =
  'The path holds a dot segment (`.` or `..`, in some encoding), which readers resolve differently; send the resolved path.'

// `/..;/` counts: servlet containers cut the parameter off before they resolve (RFC 3986 section 3.3 allows it). So does
// `/..%20/`: Windows drops blanks at the end of a name. And `/..%3F`, where what was decoded is read as a URL again.
function hasDotSegment (path: string): boolean {
  for (const segment of path.split(/[/\\]/)) {
    const end = segment.search(/[;?#]/)
    const name = (end === -1 ? segment : segment.slice(0, end)).trim()
    if (name === '.' || name === '..') return true
  }
  return false
}

// Dots and slashes that compatibility normalisation (Unicode NFKC) and Windows' best fit turn into the plain ones.
function asPlain (text: string): string {
  return text.normalize('NFKC').replace(/[\u2044\u2215]/g, '/').replace(/\u2216/g, '\\')
}

function decode (text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

// As readers do that skip what they cannot decode; only ASCII matters for what is looked for.
function decodeLeniently (text: string): string {
  return text.replace(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
}

function hasControl (text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}

function rejection (message: string): ProxyError {
  return new ProxyError('CS_BAD_REQUEST', { message })
}
