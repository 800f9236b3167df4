import type { Binding, Scheme, ValueSource } from '../../auth/scheme.ts'
import { Secret } from '../../secret.ts'
import { oddities } from '../checks.ts'
import type { ResolvedCredential } from '../credential/credentials.ts'
import { formatPath, quoteAll, type Path, type Reporter } from '../problem.ts'
import type { RouteShape, SchemeShape } from './schema.ts'
import { createTargets, problemOfTarget, problemOfValue, nameScheme } from './targets.ts'

/** The credentials of a configuration by name; undefined for one that is there but has errors. */
export interface Credentials {
  readonly byName: ReadonlyMap<string, ResolvedCredential | undefined>
  /** Names that some route takes something from; grows as routes are resolved. */
  readonly used: Set<string>
}

/** Works out the fields that a route injects, with their sources, and reports those that cannot be injected. */
export function resolveBindings (route: RouteShape, path: Path, credentials: Credentials, reporter: Reporter): Binding[] {
  const own = route.credential === undefined ? undefined : findCredential(route.credential, [...path, 'credential'], credentials, reporter)
  if (route.inject?.length === 0) reporter.error([...path, 'inject'], 'is empty; add a scheme, or leave inject out')
  const entries = route.inject?.map((entry, index) => ({ entry, entryPath: [...path, 'inject', index] })) ??
    own?.inject.map((entry) => ({ entry, entryPath: [...path, 'credential'] })) ?? []
  const take = createTargets<Path>()
  return entries.flatMap(({ entry, entryPath }) => {
    checkScheme(entry, entryPath, reporter)
    const scheme = schemeOf(entry)
    const first = take(scheme, entryPath)
    if (first !== undefined) reporter.error(entryPath, `writes the same field as ${formatPath(first)}; remove one of them`)
    const value = resolveValue(entry, entryPath, route.credential, credentials, reporter)
    return value === undefined ? [] : [{ scheme, value }]
  })
}

/** Finds a credential by its name, marks it as used, and reports an unknown name. */
export function findCredential (
  name: string,
  path: Path,
  { byName, used }: Credentials,
  reporter: Reporter
): ResolvedCredential | undefined {
  if (!byName.has(name)) {
    reporter.error(
      path,
      `names no credential; ${byName.size === 0 ? 'add it to credentials' : `write one of ${quoteAll([...byName.keys()])}, or add it to credentials`}`
    )
  } else used.add(name)
  return byName.get(name)
}

function resolveValue (
  entry: SchemeShape,
  path: Path,
  routeCredential: string | undefined,
  credentials: Credentials,
  reporter: Reporter
): ValueSource | undefined {
  const name = entry.credential ?? routeCredential
  if (name === undefined) {
    reporter.error(path, 'has no value, since neither it nor its route has a credential; add credential to one of them')
    return undefined
  }
  // The route's own name was looked up, and reported on, before.
  const credential =
    entry.credential === undefined ? credentials.byName.get(name) : findCredential(name, [...path, 'credential'], credentials, reporter)
  if (credential === undefined) return undefined
  if (entry.use !== undefined) {
    const value = credential.fields.get(entry.use)
    if (value === undefined) {
      reporter.error([...path, 'use'], `names no field of the credential; write one of ${[...credential.fields.keys()].join(', ')}`)
      return undefined
    }
    checkValue(schemeOf(entry), value, ['credentials', name, entry.use], path, reporter)
    return { type: 'fixed', credential: name, value: new Secret(value) }
  }
  const basic = entry.type === 'http' && entry.scheme === 'basic'
  if (credential.sends === 'token' && basic) {
    reporter.error(path, 'would send a token as Basic authentication; write "scheme": "bearer", or name a field with use')
  }
  if (credential.sends === 'basic' && !basic) {
    reporter.error(path, 'has username and password to choose from; name one with use, or write { "type": "http", "scheme": "basic" }')
  }
  if (credential.sends === 'value') {
    checkValue(schemeOf(entry), credential.fields.get('value') ?? '', ['credentials', name, 'value'], path, reporter)
  }
  return { type: 'token', credential: name }
}

function checkValue (scheme: Scheme, value: string, valuePath: Path, usedAt: Path, reporter: Reporter): void {
  const problem = problemOfValue(scheme, value)
  if (problem !== undefined) reporter.error(valuePath, `${problem} (${formatPath(usedAt)} sends it as ${nameScheme(scheme)})`)
  else for (const oddity of oddities(value)) reporter.warning(valuePath, oddity)
}

function checkScheme (entry: SchemeShape, path: Path, reporter: Reporter): void {
  if (entry.type === 'apiKey' && entry.postQuery !== undefined && entry.in !== 'query') {
    reporter.error([...path, 'postQuery'], 'has a meaning only with "in": "query"; remove it')
  }
  const problem = problemOfTarget(schemeOf(entry))
  if (problem !== undefined) reporter.error([...path, 'name'], problem)
}

function schemeOf (entry: SchemeShape): Scheme {
  if (entry.type === 'http') return { type: 'http', scheme: entry.scheme }
  return { type: 'apiKey', in: entry.in, name: entry.name, ...(entry.postQuery !== undefined && { postQuery: entry.postQuery }) }
}
