/** One line of an allow list, taken apart. */
export interface AllowRule {
  /** `ANY` or a method, compared exactly: methods are case-sensitive (RFC 9110 section 9.1). */
  readonly method: string
  /** Segments behind the first slash; `*` is one segment, a last `**` any rest. */
  readonly segments: readonly string[]
}

/**
 * Reads `METHOD /path`.
 *
 * @returns the rule, or undefined where the text is none
 */
export function parseAllow (text: string): AllowRule | undefined {
  const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (\/[^\s?#]*)$/.exec(text)
  if (match === null) return undefined
  const [, method = '', path = ''] = match
  const segments = path.slice(1).split('/')
  if (segments.some((segment, index) => (segment === '**' ? index !== segments.length - 1 : segment !== '*' && segment.includes('*')))) {
    return undefined
  }
  return { method, segments }
}

/**
 * Whether a rule of the list allows a request. The path is matched in the very bytes that will be sent behind the upstream's base
 * path, so nothing is decoded: an unusual spelling of an allowed path is refused, never let through.
 *
 * @param path below the prefix; begins with `/`
 */
export function isAllowed (rules: readonly AllowRule[], method: string, path: string): boolean {
  const segments = path.slice(1).split('/')
  // Each segment is judged once, however many rules have a star there.
  const judged: boolean[] = []
  const isOne = (index: number): boolean => {
    const segment = segments[index] ?? ''
    judged[index] ??= segment !== '' && !hidesSlash(segment)
    return judged[index]
  }
  return rules.some((rule) => (rule.method === 'ANY' || rule.method === method) && matches(rule.segments, segments, isOne))
}

/** @param isOne whether the segment at an index is one to every reader */
function matches (pattern: readonly string[], segments: readonly string[], isOne: (index: number) => boolean): boolean {
  const open = pattern.at(-1) === '**'
  if (open ? segments.length < pattern.length - 1 : segments.length !== pattern.length) return false
  const fixed = open ? pattern.length - 1 : pattern.length
  for (let index = 0; index < fixed; index++) {
    const wanted = pattern[index]
    const given = segments[index]
    if (given === undefined) return false
    if (wanted === '*' ? !isOne(index) : wanted !== given) return false
  }
  return true
}

// No honest reader decodes more often than this.
const DEEPEST_ENCODING = 8
// Where some reader finds a slash: backslashes, and what compatibility normalisation (Unicode NFKC) or Windows' best fit make one.
const SLASHES = /[/\\\u2044\u2215\u2216\u29f8\u29f9\ufe68\uff0f\uff3c]/
// The bytes of a slash and a backslash in overlong UTF-8, which lenient decoders take.
// eslint-disable-next-line no-control-regex -- the very bytes to find
const OVERLONG = /(?:\xc0[\x2f\xaf]|\xc1[\x1c\x9c]|\xe0\x80\xaf|\xe0\x81\x9c|\xf0\x80\x80\xaf|\xf0\x80\x81\x9c)/

/**
 * Whether a segment holds a slash to any reader, however often and in whatever mixture it is encoded (`%252f`,
 * `%25%32%66`, `%u2215`, `%EF%BC%8F`): one segment must stay one for every upstream.
 */
function hidesSlash (segment: string): boolean {
  let text = segment
  for (let depth = 0; depth <= DEEPEST_ENCODING; depth++) {
    if (SLASHES.test(text) || OVERLONG.test(text) || SLASHES.test(Buffer.from(text, 'latin1').toString('utf8'))) return true
    const next = decodeBytes(text)
    if (next === text) return false
    text = next
  }
  return true
}

/** Decodes each escape that there is, to bytes as Latin-1 characters; IIS knows `%uXXXX` as well. */
function decodeBytes (text: string): string {
  return text.replace(/%(?:u([0-9a-f]{4})|([0-9a-f]{2}))/gi, (_, unit: string | undefined, byte: string) => {
    return unit === undefined
      ? String.fromCharCode(parseInt(byte, 16))
      : Buffer.from(String.fromCharCode(parseInt(unit, 16))).toString('latin1')
  })
}
