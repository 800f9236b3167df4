import type { Binding, Scheme, ValueSource } from '../auth/scheme.ts'
import { foldName, isDroppedFromRequest } from '../http/headers.ts'
import { Secret } from '../secret.ts'
import { faultOfBasic, faultOfBearer, faultOfEncodable, faultOfHeaderValue, isToken } from './checks.ts'
import type { ResolvedCredential } from './credentials.ts'
import { formatPath, quote, type Path, type Reporter } from './problem.ts'
import type { RouteShape, SchemeShape } from './schema.ts'

/** The credentials of a configuration by name; undefined for one that is there but has errors. */
export interface Credentials {
  readonly byName: ReadonlyMap<string, ResolvedCredential | undefined>
  /** Names that some route takes something from; grows as routes are resolved. */
  readonly used: Set<string>
}

/** Works out what a route injects, and from where, and reports what cannot be injected. */
export function resolveBindings (route: RouteShape, path: Path, credentials: Credentials, reporter: Reporter): Binding[] {
  const own = route.credential === undefined ? undefined : find(route.credential, [...path, 'credential'], credentials, reporter)
  if (route.inject?.length === 0) reporter.error([...path, 'inject'], 'is empty; add a scheme, or leave inject out')
  const entries = route.inject?.map((entry, index) => ({ entry, entryPath: [...path, 'inject', index] })) ??
    own?.inject.map((entry) => ({ entry, entryPath: [...path, 'credential'] })) ?? []
  const targets = new Map<string, Path>()
  return entries.flatMap(({ entry, entryPath }) => {
    checkScheme(entry, entryPath, reporter)
    const target = targetOf(entry)
    const first = targets.get(target)
    if (first !== undefined) reporter.error(entryPath, `writes the same field as ${formatPath(first)}; remove one of them`)
    else targets.set(target, entryPath)
    const value = resolveValue(entry, entryPath, route.credential, credentials, reporter)
    return value === undefined ? [] : [{ scheme: schemeOf(entry), value }]
  })
}

function find (name: string, path: Path, { byName, used }: Credentials, reporter: Reporter): ResolvedCredential | undefined {
  if (!byName.has(name)) reporter.error(path, `names no credential; ${byName.size === 0 ? 'add it to credentials' : `write one of ${[...byName.keys()].map(quote).join(', ')}, or add it to credentials`}`)
  else used.add(name)
  return byName.get(name)
}

function resolveValue (entry: SchemeShape, path: Path, routeCredential: string | undefined, credentials: Credentials, reporter: Reporter): ValueSource | undefined {
  const name = entry.credential ?? routeCredential
  if (name === undefined) {
    reporter.error(path, 'has no value, since neither it nor its route has a credential; add credential to one of them')
    return undefined
  }
  // The route's own name was looked up, and reported on, before.
  const credential = entry.credential === undefined ? credentials.byName.get(name) : find(name, [...path, 'credential'], credentials, reporter)
  if (credential === undefined) return undefined
  if (entry.use !== undefined) {
    const value = credential.fields.get(entry.use)
    if (value === undefined) {
      reporter.error([...path, 'use'], `names no field of the credential; write one of ${[...credential.fields.keys()].join(', ')}`)
      return undefined
    }
    checkValue(entry, value, ['credentials', name, entry.use], path, reporter)
    return { type: 'fixed', credential: name, value: new Secret(value) }
  }
  const basic = entry.type === 'http' && entry.scheme === 'basic'
  if (credential.sends === 'token' && basic) reporter.error(path, 'would send a token as Basic authentication; write "scheme": "bearer", or name a field with use')
  if (credential.sends === 'basic' && !basic) reporter.error(path, 'has username and password to choose from; name one with use, or write { "type": "http", "scheme": "basic" }')
  if (credential.sends === 'value') checkValue(entry, credential.fields.get('value') ?? '', ['credentials', name, 'value'], path, reporter)
  return { type: 'token', credential: name }
}

function checkValue (entry: SchemeShape, value: string, valuePath: Path, usedAt: Path, reporter: Reporter): void {
  const fault = faultOfValue(entry, value)
  if (fault !== undefined) reporter.error(valuePath, `${fault} (${formatPath(usedAt)} sends it as ${describe(entry)})`)
}

function faultOfValue (entry: SchemeShape, value: string): string | undefined {
  if (entry.type === 'http') return entry.scheme === 'basic' ? faultOfBasic(value) : faultOfBearer(value)
  return entry.in === 'header' ? faultOfHeaderValue(value) : faultOfEncodable(value)
}

// Kept apart from describeScheme: a name is text of the file, which may be long or hold anything.
function describe (entry: SchemeShape): string {
  return entry.type === 'http' ? `http ${entry.scheme}` : `apiKey in ${entry.in}`
}

// Beside what is never passed on: what describes the body or the connection, and what has a way of its own.
const FORBIDDEN: ReadonlySet<string> = new Set(['content-type', 'content-encoding', 'content-range', 'proxy-authenticate', 'proxy-authentication-info', 'set-cookie',
  'sec-websocket-key', 'sec-websocket-version', 'sec-websocket-extensions', 'sec-websocket-accept'])

function checkScheme (entry: SchemeShape, path: Path, reporter: Reporter): void {
  if (entry.type === 'http') return
  const namePath = [...path, 'name']
  if (entry.postQuery !== undefined && entry.in !== 'query') reporter.error([...path, 'postQuery'], 'has a meaning only with "in": "query"; remove it')
  if (entry.in === 'query') {
    // eslint-disable-next-line no-control-regex -- the very thing to find
    if (entry.name === '' || /[\0-\x1f\x7f]/.test(entry.name) || faultOfEncodable(entry.name) !== undefined) reporter.error(namePath, 'is no parameter name; write one without control characters')
    return
  }
  if (!isToken(entry.name)) {
    reporter.error(namePath, `is no ${entry.in} name; write letters, digits and - (RFC 9110 section 5.6.2)`)
    return
  }
  if (entry.in === 'cookie') return
  const folded = foldName(entry.name)
  if (folded === 'cookie') reporter.error(namePath, 'would replace the client\'s cookies; write "in": "cookie" and the cookie\'s own name')
  else if (FORBIDDEN.has(folded) || isDroppedFromRequest(folded)) reporter.error(namePath, 'is a header that the proxy or HTTP itself writes; no credential can go there, choose another')
}

function targetOf (entry: SchemeShape): string {
  if (entry.type === 'http') return 'header authorization'
  return `${entry.in} ${entry.in === 'header' ? foldName(entry.name) : entry.name}`
}

function schemeOf (entry: SchemeShape): Scheme {
  if (entry.type === 'http') return { type: 'http', scheme: entry.scheme }
  return { type: 'apiKey', in: entry.in, name: entry.name, ...(entry.postQuery !== undefined && { postQuery: entry.postQuery }) }
}
