import type { CustomCredential, Problem } from '../config.ts'
import { interpolate } from './interpolate.ts'
import { splitTemplate } from './template.ts'
import { parseJsonc } from './jsonc.ts'
import type { Position } from './position.ts'
import { formatPath, type At, type Path, type Place } from '../problem.ts'
import { isRead } from '../sections.ts'
import type { SecretLookup } from './secrets.ts'
import { valueAt } from '../shape.ts'

/** Values in the shape of a configuration file, wherever they came from, with the way back to their places. */
export interface ConfigDocument {
  /** After interpolation. */
  readonly value: unknown
  place (path: Path, at: At): Place
  /** The text of a string before interpolation, where a secret went into it. */
  template (path: Path): string | undefined
  /** Formatted paths whose values are not known, since a secret is missing. */
  readonly broken: ReadonlySet<string>
  /** Credentials of a program's own, by name, which `value` has not; undefined for one that is malformed. */
  readonly custom?: ReadonlyMap<string, CustomCredential | undefined>
}

/** A document that says nothing. */
export const EMPTY_DOCUMENT: ConfigDocument = {
  value: {},
  place: () => ({ source: 'configuration' }),
  template: () => undefined,
  broken: new Set()
}

export interface DocumentResult {
  /** Absent where the text is no JSONC. */
  readonly document?: ConfigDocument
  /** The documents with the further values of duplicate keys, whose problems are reported as well. */
  readonly others: readonly OtherDocument[]
  readonly problems: readonly Problem[]
}

export interface OtherDocument {
  readonly document: ConfigDocument
  /** Whether a problem is within the value that the document was made for. */
  holds (problem: Problem): boolean
}

/**
 * Reads a configuration file's text: parses it, and puts the secrets in.
 *
 * @param source the file's name, as problems show it
 */
export function readDocument (text: string, source: string, secrets: SecretLookup): DocumentResult {
  const { document, others, problems: syntax } = parseJsonc(text)
  const problems: Problem[] = syntax.map(({ path, position, message }) => ({
    severity: 'error',
    source,
    ...position,
    ...named(path),
    message
  }))
  if (document === undefined) return { others: [], problems }
  const main = fill(document, source, secrets)
  const further = others.map((other) => {
    const filled = fill(other, source, secrets)
    const holds = ({ line, column }: Problem): boolean => line !== undefined && column !== undefined && other.holds({ line, column })
    problems.push(...filled.problems.filter(holds))
    return { document: filled.document, holds }
  })
  return { document: main.document, others: further, problems: [...problems, ...main.problems] }
}

/** Plain values, and where each of them stands, as far as they stand anywhere. */
interface Located {
  readonly value: unknown
  locate (path: Path, at?: At): Partial<Position>
}

/** Puts the secrets into a parsed file, or into an object of its shape. */
export function fill (
  document: Located,
  source: string,
  secrets: Pick<SecretLookup, 'find'>
): { readonly document: ConfigDocument, readonly problems: readonly Problem[] } {
  const problems: Problem[] = []
  const place = (path: Path, at: At): Place => ({ source, ...document.locate(path, at), ...named(path) })
  const { value, secretPaths, brokenPaths, problems: unresolved } = interpolate(document.value, secrets.find, isRead)
  for (const { path, at, message, alsoAt } of unresolved) {
    const others = alsoAt.map((other) => {
      const { line, column } = document.locate(other)
      return line === undefined ? formatPath(other) : `${formatPath(other)} at ${line}:${column ?? 1}`
    })
    const also = others.length === 0 ? '' : ` (used too by ${others.join(', ')})`
    problems.push({ severity: 'error', ...place(path, at), message: message + also })
  }
  return { document: { value, place, template, broken: brokenPaths }, problems }

  function template (path: Path): string | undefined {
    const text = valueAt(document.value, path)
    if (!secretPaths.has(formatPath(path)) || typeof text !== 'string') return undefined
    // The shown text reads like the file, an escaped ${ included.
    return splitTemplate(text)
      .parts.map((part) => (part.type === 'text' ? part.text : `\${${part.name}}`))
      .join('')
  }
}

function named (path: Path): Pick<Problem, 'path'> {
  return path.length === 0 ? {} : { path: formatPath(path) }
}
