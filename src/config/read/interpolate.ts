/* eslint-disable no-template-curly-in-string -- ${NAME} is what this file is about */
import { formatPath, type Path } from '../problem.ts'

/** What a lookup knows about a secret: its value, or why there is none. */
export type SecretResult =
  | { readonly ok: true, readonly value: string }
  | { readonly ok: false, readonly reason: string }

/** A place where interpolation failed. */
interface InterpolationProblem {
  readonly path: Path
  readonly at: 'key' | 'value'
  readonly message: string
  /** The further places that use the same missing secret. */
  readonly alsoAt: readonly Path[]
}

export interface Interpolation {
  /** The values with every `${NAME}` replaced, copied as far as anything is; a string that could not be is left as it was. */
  readonly value: unknown
  /** Formatted paths of the strings that hold secret text. */
  readonly secretPaths: ReadonlySet<string>
  /** Formatted paths of the strings that could not be interpolated. */
  readonly brokenPaths: ReadonlySet<string>
  readonly problems: readonly InterpolationProblem[]
}

/** The names that a secret may have. */
const SECRET_NAME = /^[A-Z][A-Z0-9_]*$/

/**
 * Replaces `${NAME}` in every string value by a secret, byte for byte. Nothing is evaluated, and what a secret holds is
 * never looked at again. `\${` is a literal `${`.
 *
 * @param value plain values, as {@link parseJsonc} returns them
 * @param lookup finds a secret; called once for each name that is used
 * @param isRead whether what stands at a path is wanted; what is not stays as it is, and nothing is said about it
 */
export function interpolate (
  value: unknown,
  lookup: (name: string) => SecretResult,
  isRead: (path: Path) => boolean = () => true
): Interpolation {
  const secretPaths = new Set<string>()
  const brokenPaths = new Set<string>()
  const problems: InterpolationProblem[] = []
  const found = new Map<string, SecretResult>()
  const missing = new Map<string, { reason: string, paths: Path[] }>()
  // Of the value that is being looked at; copied where something is said about it.
  const path: Array<string | number> = []
  const result = walk(value)
  for (const {
    reason,
    paths: [first = [], ...alsoAt]
  } of missing.values()) { problems.push({ path: first, at: 'value', message: reason, alsoAt }) }
  return { value: result, secretPaths, brokenPaths, problems }

  function walk (node: unknown): unknown {
    if (path.length > 0 && !isRead(path)) return node
    if (typeof node === 'string') return node.includes('${') ? replace(node, [...path]) : node
    if (Array.isArray(node)) {
      const items: unknown[] = node.map((item, index) => within(index, item))
      return items.some((item, index) => item !== node[index]) ? items : node
    }
    if (typeof node !== 'object' || node === null) return node
    let copy: Record<string, unknown> | undefined
    for (const [key, item] of Object.entries(node)) {
      const replaced = within(key, item)
      if (replaced === item) continue
      copy ??= Object.assign(Object.create(null) as Record<string, unknown>, node)
      copy[key] = replaced
    }
    return copy ?? node
  }

  function within (step: string | number, item: unknown): unknown {
    path.push(step)
    if (typeof step === 'string' && step.includes('${') && isRead(path)) {
      problems.push({
        path: [...path],
        at: 'key',
        message: 'a key holds ${; only values are interpolated, so write the key out',
        alsoAt: []
      })
    }
    const value = walk(item)
    path.pop()
    return value
  }

  function replace (text: string, path: Path): string {
    const { parts, problems: malformed } = splitTemplate(text)
    for (const message of malformed) problems.push({ path, at: 'value', message, alsoAt: [] })
    let broken = malformed.length > 0
    let result = ''
    for (const part of parts) {
      if (part.type === 'text') {
        result += part.text
        continue
      }
      const secret = find(part.name)
      if (secret.ok) {
        result += secret.value
        secretPaths.add(formatPath(path))
        continue
      }
      broken = true
      const use = missing.get(part.name)
      if (use === undefined) missing.set(part.name, { reason: secret.reason, paths: [path] })
      else if (use.paths.at(-1) !== path) use.paths.push(path)
    }
    if (!broken) return result
    brokenPaths.add(formatPath(path))
    return text
  }

  function find (name: string): SecretResult {
    const known = found.get(name)
    if (known !== undefined) return known
    const secret = lookup(name)
    found.set(name, secret)
    return secret
  }
}

type TemplatePart = { readonly type: 'text', readonly text: string } | { readonly type: 'secret', readonly name: string }

/** Takes a string apart into literal text and the names of secrets. Messages hold only what was checked to be a name. */
export function splitTemplate (text: string): { readonly parts: readonly TemplatePart[], readonly problems: readonly string[] } {
  const parts: TemplatePart[] = []
  const problems: string[] = []
  let rest = text
  for (let start = rest.indexOf('${'); start !== -1; start = rest.indexOf('${')) {
    if (rest[start - 1] === '\\') {
      parts.push({ type: 'text', text: `${rest.slice(0, start - 1)}\${` })
      rest = rest.slice(start + 2)
      continue
    }
    const end = rest.indexOf('}', start)
    if (end === -1) {
      problems.push('${ has no closing }; write ${NAME}, or \\${ for a literal ${ (in JSON the backslash is doubled)')
      return { parts, problems }
    }
    parts.push({ type: 'text', text: rest.slice(0, start) })
    const name = rest.slice(start + 2, end)
    if (SECRET_NAME.test(name)) parts.push({ type: 'secret', name })
    else problems.push(problemOfName(name))
    rest = rest.slice(end + 1)
  }
  parts.push({ type: 'text', text: rest })
  return { parts, problems }
}

function problemOfName (name: string): string {
  const trimmed = name.trim()
  if (trimmed === '') return '${} names no secret; write ${NAME}'
  if (SECRET_NAME.test(trimmed)) return `\${ … } holds white space; write \${${trimmed}}`
  if (SECRET_NAME.test(trimmed.toUpperCase())) return '${…} holds lower-case letters; the names of secrets are upper case, write ${NAME}'
  return '${…} holds something else than a name, and nothing is evaluated; write ${NAME} (A to Z, 0 to 9 and _, a letter first)'
}
