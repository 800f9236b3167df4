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
  if (segments.some((segment, index) => segment === '**' ? index !== segments.length - 1 : segment !== '*' && segment.includes('*'))) return undefined
  return { method, segments }
}

/**
 * Whether a rule of the list holds a request. The path is matched in the very bytes that will be sent behind the
 * upstream's base path, so nothing is decoded: an unusual spelling of an allowed path is refused, never let through.
 *
 * @param path below the prefix; begins with `/`
 */
export function isAllowed (rules: readonly AllowRule[], method: string, path: string): boolean {
  const segments = path.slice(1).split('/')
  return rules.some((rule) => (rule.method === 'ANY' || rule.method === method) && matches(rule.segments, segments))
}

function matches (pattern: readonly string[], segments: readonly string[]): boolean {
  const open = pattern.at(-1) === '**'
  if (open ? segments.length < pattern.length - 1 : segments.length !== pattern.length) return false
  const fixed = open ? pattern.length - 1 : pattern.length
  for (let index = 0; index < fixed; index++) {
    const wanted = pattern[index]
    const given = segments[index]
    if (given === undefined) return false
    // `%2F` is a slash to some upstreams, `%252F` to those that decode twice: one segment must stay one for every reader.
    if (wanted === '*' ? given === '' || /%(?:25)*2f/i.test(given) : wanted !== given) return false
  }
  return true
}
