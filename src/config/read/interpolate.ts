import { formatPath, type Path } from '../problem.ts'
import { fillTemplate, type SecretResult } from './template.ts'

/** A place where interpolation failed. */
interface InterpolationProblem {
  readonly path: Path
  readonly at: 'key' | 'value'
  readonly message: string
  /** The further places that use the same missing secret. */
  readonly alsoAt: readonly Path[]
}

export interface Interpolation {
  /** The values with every `${NAME}` replaced, copied only where something is replaced; a string that could not be is left as it was. */
  readonly value: unknown
  /** Formatted paths of the strings that hold secret text. */
  readonly secretPaths: ReadonlySet<string>
  /** Formatted paths of the strings that could not be interpolated. */
  readonly brokenPaths: ReadonlySet<string>
  readonly problems: readonly InterpolationProblem[]
}

/**
 * Replaces `${NAME}` in every string value by a secret, byte for byte. Nothing is evaluated, and a secret's own text is never
 * interpolated. `\${` is a literal `${`.
 *
 * @param value plain values, as {@link parseJsonc} returns them
 * @param lookup finds a secret; called once for each name that is used
 * @param isRead whether the value at a path is read; a value that is not stays as it is and causes no problem
 */
export function interpolate (
  value: unknown,
  lookup: (name: string) => SecretResult,
  isRead: (path: Path) => boolean = () => true
): Interpolation {
  const secretPaths = new Set<string>()
  const brokenPaths = new Set<string>()
  const problems: InterpolationProblem[] = []
  const find = remember(lookup)
  const missing = new Map<string, Missing>()
  // The path of the current value; copied for a problem or a secret.
  const path: Array<string | number> = []
  const result = walk(value)
  return { value: result, secretPaths, brokenPaths, problems: [...problems, ...[...missing.values()].map(problemOfMissing)] }

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
    const { filled, holdsSecret, malformed, absent } = fillTemplate(text, find)
    for (const message of malformed) problems.push({ path, at: 'value', message, alsoAt: [] })
    for (const { name, reason } of absent) missing.set(name, { reason, paths: (missing.get(name)?.paths ?? new Set()).add(path) })
    if (holdsSecret) secretPaths.add(formatPath(path))
    if (malformed.length === 0 && absent.length === 0) return filled
    brokenPaths.add(formatPath(path))
    return text
  }
}

/** A secret that could not be found, and every place that uses it. */
interface Missing {
  readonly reason: string
  readonly paths: Set<Path>
}

function problemOfMissing ({ reason, paths }: Missing): InterpolationProblem {
  const [first = [], ...alsoAt] = paths
  return { path: first, at: 'value', message: reason, alsoAt }
}

/** A lookup that asks for each name once. */
function remember (lookup: (name: string) => SecretResult): (name: string) => SecretResult {
  const found = new Map<string, SecretResult>()
  return (name) => {
    const secret = found.get(name) ?? lookup(name)
    found.set(name, secret)
    return secret
  }
}
