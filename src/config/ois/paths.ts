import { ProxyError } from '../../errors.ts'
import { judgePath } from '../../http/target.ts'
import { problemOfAllow } from '../route/allow-list.ts'

/** A path of an OIS and its methods, both as written there. */
export interface OisPath {
  readonly path: string
  readonly methods: readonly string[]
}

/** The problem of a path of an OIS whose requests would be refused. A query or a fragment is no part of a path. */
export function problemOfOisPath (text: string): string | undefined {
  if (!/^\/\S*$/.test(text)) return 'is no path; begin it with / and write no blanks'
  try {
    judgePath(bare(text))
    return undefined
  } catch (error) {
    if (error instanceof ProxyError) {
      return 'is a path that readers take differently, so no request for it is forwarded (a leading //, a dot segment, a backslash, a malformed escape); correct it'
    }
    throw error
  }
}

/**
 * Makes the lines of an allow list that let through exactly the OIS's paths: `{id}` is one segment.
 * A parameter within a segment (`/a-{id}`) is refused, since a whole segment would let more through than the OIS says.
 *
 * @param report takes a path's problem and its remedy
 */
export function allowOfPaths (paths: readonly OisPath[], report: (path: string, problem: string) => void): string[] {
  const lines = paths.flatMap(({ path, methods }) => {
    const pattern = patternOf(bare(path))
    const problem = pattern === undefined ? PARTIAL : problemOfAllow(`GET ${pattern}`)
    if (problem !== undefined) report(path, problem)
    return methods.map((method) => `${method.toUpperCase()} ${pattern}`)
  })
  return [...new Set(lines)]
}

const PARTIAL =
  "cannot be a line of an allow list, which knows whole segments only: a parameter within a segment, a brace or a *; write the route's allow out"

function patternOf (path: string): string | undefined {
  const segments = path.split('/').map((segment) => /^\{[^{}]+\}$/.test(segment) ? '*' : /[{}*]/.test(segment) ? undefined : segment)
  return segments.includes(undefined) ? undefined : segments.join('/')
}

function bare (path: string): string {
  return path.replace(/[?#].*$/, '')
}
