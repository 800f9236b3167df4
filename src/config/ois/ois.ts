import { readApiCredentials, type ApiCredentials, type SchemeState } from './api-credentials.ts'
import type { Context } from '../context.ts'
import { OisSchema } from './schema.ts'
import { readSchemes, resolveSecurity, type OisScheme } from './security.ts'
import { resolveServer, type OisServer } from './server.ts'
import { problemOfOisPath, type OisPath } from './paths.ts'
import { formatPath, type Path, type Reporter } from '../problem.ts'
import { isObject, readPart, valueAt } from '../shape.ts'

/** An OIS as routes use it. */
export interface Ois extends OisServer {
  readonly path: Path
  readonly title: string
  /** The title as messages and labels show it: with `${NAME}` where a secret stands in it. */
  readonly shownTitle: string
  /** The schemes that are turned on, with values of `apiCredentials`; a relay scheme gets its value from the route. */
  readonly schemes: readonly OisScheme[]
  /** Where `security` stands. */
  readonly securityPath: Path
  readonly pathsPath: Path
  readonly paths: readonly OisPath[]
}

export interface Oises {
  readonly list: readonly Ois[]
  /** Undefined for a title that is there, of an OIS that cannot be read. */
  readonly byTitle: ReadonlyMap<string, Ois | undefined>
  /** How many there are, unsound ones included. */
  readonly count: number
  /** Whether every title is known, so that a route that names another one is wrong. */
  readonly complete: boolean
}

/** Reads the list of OIS objects together with `apiCredentials`, and reports all their problems. */
export function resolveOises (context: Context): Oises {
  const { document, reporter } = context
  const parts = valueAt(document.value, ['ois'])
  const credentials = readApiCredentials(context)
  const byTitle = new Map<string, Ois | undefined>()
  const firsts = new Map<string, Path>()
  const known = new Map<string, Map<string, SchemeState> | undefined>()
  const list: Ois[] = []
  let complete = true
  for (const [index, part] of Array.isArray(parts) ? (parts as unknown[]).entries() : []) {
    const path: Path = ['ois', index]
    const title = valueAt(part, ['title'])
    const titlePath = [...path, 'title']
    if (typeof title !== 'string' || document.broken.has(formatPath(titlePath))) {
      complete = false
      continue
    }
    checkTitle(title, titlePath, context)
    const first = firsts.get(title)
    if (first !== undefined) {
      reporter.error(
        titlePath,
        `is the title of ${formatPath(first)} too, and titles tell whose credential is whose; give each OIS its own`
      )
      continue
    }
    firsts.set(title, path)
    const states = new Map<string, SchemeState>()
    const ois = resolveOis(part, path, title, states, credentials, context)
    if (ois !== undefined) list.push(ois)
    known.set(title, ois === undefined ? undefined : states)
    byTitle.set(title, ois)
  }
  if (complete) credentials.warnOfUnused(known)
  return { list, byTitle, count: Array.isArray(parts) ? parts.length : 0, complete }
}

/** A title as messages and labels show it. */
function showTitle (title: string, path: Path, { document }: Context): string {
  return (document.template([...path, 'title']) ?? title).replace(/[^\x20-\x7e]/gu, ' ')
}

// The rule of `@api3/ois`: a title holds nothing that a label or a prefix could not.
function checkTitle (title: string, path: Path, { document, reporter }: Context): void {
  if (!/^[\s\w-]{1,64}$/.test(title)) reporter.error(path, 'is no title of an OIS; write at most 64 letters, digits, blanks, _ and -')
  else if (title.trim() === '') reporter.error(path, 'is blank; write a title')
  if (document.template(path) !== undefined) {
    reporter.warning(path, 'holds an interpolated value, and titles stand in logs, metrics and prefixes; write it out if that is a secret')
  }
}

function resolveOis (
  part: unknown,
  path: Path,
  title: string,
  states: Map<string, SchemeState>,
  credentials: ApiCredentials,
  context: Context
): Ois | undefined {
  const { reporter } = context
  const shownTitle = showTitle(title, path, context)
  const format = valueAt(part, ['oisFormat'])
  if (typeof format === 'string' && !/^[123](?:\.\d+){0,2}$/.test(format)) {
    reporter.error([...path, 'oisFormat'], 'is no version of OIS that this program knows; convert the OIS to 1.x.x, 2.x.x or 3.x.x')
  }
  const specification = valueAt(part, ['apiSpecifications'])
  if (!isObject(specification)) return undefined
  const specificationPath: Path = [...path, 'apiSpecifications']
  const securityPath = [...specificationPath, 'security']
  const server = resolveServer(specification, specificationPath, reporter)
  const defined = readSchemes(specification, specificationPath, title, states, credentials, reporter)
  const schemes = resolveSecurity(specification, securityPath, { title, shownTitle }, defined, credentials, reporter)
  const paths = resolvePaths(specification, specificationPath, reporter)
  // Unsound parts were reported by their shape; a route that names the OIS shall not add consequences of them.
  if (readPart(OisSchema, part) === undefined) return undefined
  return {
    path,
    title,
    shownTitle,
    ...server,
    schemes,
    securityPath,
    pathsPath: [...specificationPath, 'paths'],
    paths
  }
}

function resolvePaths (specification: object, path: Path, reporter: Reporter): OisPath[] {
  const paths = valueAt(specification, ['paths'])
  return (isObject(paths) ? Object.entries(paths) : []).map(([name, methods]) => {
    const problem = problemOfOisPath(name)
    if (problem !== undefined) reporter.error([...path, 'paths', name], problem, 'key')
    return { path: name, methods: isObject(methods) ? Object.keys(methods) : [] }
  })
}
