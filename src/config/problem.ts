import { printable } from '../http/printable.ts'
import type { Problem } from './config.ts'

/** A place inside the configuration: keys and list indices from the top. */
export type Path = ReadonlyArray<string | number>

/** The place of a problem, as far as it is known: a file with its line and column, a variable, an option. */
export type Place = Pick<Problem, 'source' | 'line' | 'column' | 'path'>

/** Whether a problem is shown where a key stands or where its value begins. */
export type At = 'key' | 'value'

/** Collects the problems of one document; problems under a path whose value is not known are dropped as mere consequences. */
export interface Reporter {
  readonly problems: readonly Problem[]
  error (path: Path, message: string, at?: At): void
  warning (path: Path, message: string, at?: At): void
  /** For a problem of something beside the document: a variable, an option. */
  add (severity: Problem['severity'], place: Place, message: string): void
}

/** Formats a path as `routes[0].prefix`; a key that is no plain word is quoted, escaped and cut, since a file may hold anything. */
export function formatPath (path: Path): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (/^[\w$-]{1,64}$/.test(part)) text += text === '' ? part : `.${part}`
    else text += `[${quote(part)}]`
  }
  return text
}

/**
 * Quotes text of a file for a message: in quotes, escaped (terminal controls and bidirectional marks too), at most 40 characters
 * unless told otherwise.
 */
export function quote (text: string, longest = 40): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}…` : text
  return JSON.stringify(cut).replace(/[^\x20-\x7e…]/gu, (character) => {
    return [...character].map((one) => `\\u{${(one.codePointAt(0) ?? 0).toString(16)}}`).join('')
  })
}

/** Lists names for a message. */
export function quoteAll (texts: readonly string[]): string {
  return texts.map((text) => quote(text)).join(', ')
}

/**
 * Formats a problem as one line for people: `FILE:LINE:COLUMN  path.to.key  what is wrong; what to do`, without the parts that
 * the problem lacks.
 *
 * @example
 * for (const problem of error.problems) console.error(formatProblem(problem))
 */
export function formatProblem (problem: Problem): string {
  const { source, line, column, path, message } = problem
  const place = line === undefined ? source : `${source}:${line}:${column ?? 1}`
  return [printable(place), path, message].filter((part) => part !== undefined && part !== '').join('  ')
}

/**
 * Sorts problems as a person works through them: variables and options first, then each file from its top. Leaves exact
 * repetitions out.
 */
export function sortProblems (problems: readonly Problem[], files: readonly string[]): Problem[] {
  const rank = (problem: Problem): number => problem.line === undefined ? -1 : files.indexOf(problem.source)
  const seen = new Set<string>()
  return problems
    .filter((problem) => {
      const text = `${problem.severity}  ${formatProblem(problem)}`
      return !seen.has(text) && seen.add(text)
    })
    .sort((a, b) => rank(a) - rank(b) || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
}

/**
 * Creates a reporter for one document.
 *
 * @param locate gives the place of a path
 * @param broken formatted paths whose value is not known (a missing secret): a problem of them would mislead
 */
export function createReporter (locate: (path: Path, at: At) => Place, broken: ReadonlySet<string>): Reporter {
  const problems: Problem[] = []
  const report = (severity: Problem['severity'], path: Path, message: string, at: At): void => {
    // The name of a key is known, even where its value is not.
    const known = at === 'key' ? path.slice(0, -1) : path
    if (known.some((_, index) => broken.has(formatPath(known.slice(0, index + 1))))) return
    problems.push({ severity, ...locate(path, at), message })
  }
  return {
    problems,
    error: (path, message, at = 'value') => report('error', path, message, at),
    warning: (path, message, at = 'value') => report('warning', path, message, at),
    add: (severity, place, message) => { problems.push({ severity, ...place, message }) }
  }
}
