import * as z from 'zod'
import type { Binding, Scheme } from '../auth/scheme.ts'
import { Secret } from '../secret.ts'
import type { Problem } from './config.ts'
import { createReporter, formatPath, type Path, type Reporter } from './problem.ts'
import { readBaseUrl } from './route/base-url.ts'
import { createTargets, nameScheme, problemOfTarget, problemOfValue } from './route/targets.ts'
import { SCHEME_SHAPES } from './route/schema.ts'
import { checkPart, readPart } from './shape.ts'

const source = { credential: z.string().optional(), value: z.union([z.string(), z.instanceof(Secret)]).optional() }
const FetchSchemeSchema = z.discriminatedUnion('type', [
  SCHEME_SHAPES.apiKey.omit({ use: true, credential: true }).extend(source),
  SCHEME_SHAPES.http.omit({ use: true, credential: true }).extend(source)
])

type FetchSchemeShape = z.output<typeof FetchSchemeSchema>

/** Where a `fetch` goes with credentials, and with which. */
export interface FetchTarget {
  /** Without a trailing slash. */
  readonly base: string
  readonly bindings: readonly Binding[]
}

/**
 * Checks the schemes and the base URL of a `fetch` that carries credentials, by the rules of a route's `inject` and `upstream`.
 *
 * @param named whether each scheme must name its credential, since there may be several
 * @returns the target; absent where a problem is an error
 */
export function readFetchTarget (
  schemes: unknown,
  base: string,
  { allowInsecure, named }: { readonly allowInsecure: boolean, readonly named: boolean }
): { readonly target?: FetchTarget, readonly problems: readonly Problem[] } {
  const reporter = createReporter((path) => ({ source: 'createFetch', path: formatPath(path) }), new Set())
  const url = readBaseUrl(base, allowInsecure, 'allowInsecure')
  if (!url.ok) reporter.error(['base'], url.problem)
  const list: readonly unknown[] = Array.isArray(schemes) ? schemes : [schemes]
  if (list.length === 0) reporter.error(['scheme'], 'is empty; add a scheme')
  const take = createTargets<Path>()
  const bindings = list.flatMap((part, index) => {
    const path = Array.isArray(schemes) ? ['scheme', index] : ['scheme']
    checkPart(FetchSchemeSchema, part, path, reporter)
    const shape = readPart(FetchSchemeSchema, part)
    return shape === undefined ? [] : [bindingOf(shape, path, named, take, reporter)]
  })
  if (!url.ok || reporter.problems.length > 0) return { problems: reporter.problems }
  return { target: { base: url.url, bindings }, problems: [] }
}

function bindingOf (
  shape: FetchSchemeShape,
  path: Path,
  named: boolean,
  take: ReturnType<typeof createTargets<Path>>,
  reporter: Reporter
): Binding {
  const { credential, value } = shape
  const scheme = schemeOf(shape)
  const problem = problemOfTarget(scheme)
  if (problem !== undefined) reporter.error([...path, 'name'], problem)
  const first = take(scheme, path)
  if (first !== undefined) reporter.error(path, `writes the same field as ${formatPath(first)}; remove one of them`)
  if (value === undefined) {
    if (named && credential === undefined) reporter.error([...path, 'credential'], 'is missing; add it, the name of one of the store')
    return { scheme, value: { type: 'token', credential: credential ?? '' } }
  }
  const text = typeof value === 'string' ? value : value.reveal()
  const unsendable = problemOfValue(scheme, text)
  if (unsendable !== undefined) reporter.error([...path, 'value'], `${unsendable} (sent as ${nameScheme(scheme)})`)
  return { scheme, value: { type: 'fixed', credential: credential ?? '', value: new Secret(text) } }
}

function schemeOf (shape: FetchSchemeShape): Scheme {
  if (shape.type === 'http') return { type: 'http', scheme: shape.scheme }
  return { type: 'apiKey', in: shape.in, name: shape.name, ...(shape.postQuery !== undefined && { postQuery: shape.postQuery }) }
}
