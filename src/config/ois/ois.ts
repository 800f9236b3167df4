import { RELAY_KINDS, type RelayKind } from '../../auth/relay.ts'
import type { Binding, PlacedScheme, Scheme } from '../../auth/scheme.ts'
import { isLoopbackHost } from '../../http/address.ts'
import { readApiCredentials, type ApiCredentials, type SchemeState } from './api-credentials.ts'
import { readBaseUrl } from '../route/base-url.ts'
import type { Context } from '../context.ts'
import { ApiSpecificationsSchema, OisSchema, OisSchemeSchema, ScopesSchema, SecuritySchema, ServerSchema } from './schema.ts'
import { problemOfOisPath, type OisPath } from './paths.ts'
import { formatPath, quote, type Path, type Reporter } from '../problem.ts'
import { checkPart, isObject, readPart, valueAt } from '../shape.ts'
import { createTargets, problemOfTarget } from '../route/targets.ts'

/** An OIS as routes use it. */
export interface Ois {
  readonly path: Path
  readonly title: string
  /** The title as messages and labels show it: with `${NAME}` where a secret stands in it. */
  readonly shownTitle: string
  /** Its one server; undefined where that has errors. */
  readonly upstream: string | undefined
  readonly upstreamPath: Path
  /** Whether the upstream is `http:` to another machine, which a route has to allow. */
  readonly insecure: boolean
  /** The schemes that are turned on, with values of `apiCredentials`; a relay scheme gets its value from the route. */
  readonly schemes: readonly OisScheme[]
  /** Where `security` stands. */
  readonly securityPath: Path
  readonly pathsPath: Path
  readonly paths: readonly OisPath[]
}

type OisScheme =
  | { readonly type: 'bound', readonly binding: Binding }
  | { readonly type: 'relay', readonly scheme: RelayScheme }

/** A scheme whose value the route says. */
type RelayScheme = PlacedScheme & { readonly type: RelayKind }

export interface Oises {
  readonly list: readonly Ois[]
  /** Undefined for a title that is there, of an OIS that cannot be read. */
  readonly byTitle: ReadonlyMap<string, Ois | undefined>
  /** How many there are, unsound ones included. */
  readonly count: number
  /** Whether every title is known, so that another one is an unknown one. */
  readonly complete: boolean
}

/** Reads the list of OIS objects together with `apiCredentials`, and reports all that is wrong with them. */
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

// As `@api3/ois` has it; so a title holds nothing that a label or a prefix could not.
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
  // What is unsound was reported by its shape; a route that names the OIS shall not add consequences of it.
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

function resolveServer (specification: object, path: Path, reporter: Reporter): Pick<Ois, 'upstream' | 'upstreamPath' | 'insecure'> {
  const serversPath = [...path, 'servers']
  const upstreamPath = [...serversPath, 0, 'url']
  const none = { upstream: undefined, upstreamPath, insecure: false }
  const servers = readPart(ApiSpecificationsSchema.shape.servers, valueAt(specification, ['servers']))
  if (servers === undefined) {
    if (!Object.hasOwn(specification, 'servers')) {
      reporter.error(serversPath, 'is missing, so there is no upstream; add it, [{ "url": "https://…" }]')
    }
    return none
  }
  if (servers.length !== 1) {
    reporter.error(
      servers.length === 0 ? serversPath : [...serversPath, 1],
      servers.length === 0
        ? 'is empty, so there is no upstream; add one, { "url": "https://…" }'
        : 'is one server too many, since a route has one upstream; keep one, and write an OIS for each other'
    )
    return none
  }
  const server = readPart(ServerSchema, valueAt(specification, ['servers', 0]))
  if (server === undefined) return none
  const result = readBaseUrl(server.url, true, '')
  if (!result.ok) {
    reporter.error(upstreamPath, result.problem)
    return none
  }
  const { protocol, hostname } = new URL(result.url)
  return { upstream: result.url, upstreamPath, insecure: protocol === 'http:' && !isLoopbackHost(hostname) }
}

type Defined = ReadonlyMap<string, Scheme | undefined>

function readSchemes (
  specification: object,
  path: Path,
  title: string,
  states: Map<string, SchemeState>,
  credentials: ApiCredentials,
  reporter: Reporter
): Defined {
  const security = valueAt(specification, ['security'])
  const sound = security === undefined || readPart(SecuritySchema, security) !== undefined
  const parts = valueAt(specification, ['components', 'securitySchemes'])
  const defined = new Map<string, Scheme | undefined>()
  for (const [name, part] of isObject(parts) ? Object.entries(parts) : []) {
    const schemePath = [...path, 'components', 'securitySchemes', name]
    // The shape's check leaves this one name out.
    if (name === '__proto__') checkPart(OisSchemeSchema, part, schemePath, reporter)
    const scheme = readPart(OisSchemeSchema, part)
    const problem = scheme === undefined ? undefined : problemOfTarget(scheme)
    if (problem !== undefined) reporter.error([...schemePath, 'name'], problem)
    defined.set(name, scheme)
    const isOn = isObject(security) && Object.hasOwn(security, name)
    // A value for a scheme that is off says so itself.
    if (!isOn && sound && !credentials.has(title, name)) {
      reporter.warning(schemePath, `is not turned on, so it is not applied; add ${quote(name)}: [] to security, or remove it`, 'key')
    }
    states.set(name, scheme === undefined ? 'unknown' : isRelay(scheme) ? 'relay' : isOn ? 'on' : 'off')
  }
  return defined
}

function resolveSecurity (
  specification: object,
  path: Path,
  titles: Pick<Ois, 'title' | 'shownTitle'>,
  defined: Defined,
  credentials: ApiCredentials,
  reporter: Reporter
): OisScheme[] {
  const security = valueAt(specification, ['security'])
  if (Array.isArray(security) && security.length === 0) {
    reporter.warning(path, 'is a list, which is read as {}; write {}, or { "NAME": [] } to turn a scheme on')
  }
  const take = createTargets<string>()
  return (isObject(security) ? Object.entries(security) : []).flatMap(([name, scopes]): OisScheme[] => {
    const onPath = [...path, name]
    if (name === '__proto__') checkPart(ScopesSchema, scopes, onPath, reporter)
    const scheme = defined.get(name)
    if (!defined.has(name)) {
      reporter.error(onPath, 'is turned on and not defined; define it in components.securitySchemes, or remove it here', 'key')
    }
    if (scheme === undefined) return []
    const first = take(scheme, name)
    if (first !== undefined) {
      reporter.error(onPath, `writes the same field as ${quote(first)}, and one would overwrite the other; turn one of them off`, 'key')
    }
    if (isRelay(scheme)) return [{ type: 'relay', scheme }]
    const value = credentials.valueOf({ ...titles, name, scheme, onPath })
    return value === undefined ? [] : [{ type: 'bound', binding: { scheme, value } }]
  })
}

function isRelay (scheme: Scheme): scheme is RelayScheme {
  return RELAY_KINDS.some((kind) => kind === scheme.type)
}

function resolvePaths (specification: object, path: Path, reporter: Reporter): OisPath[] {
  const paths = valueAt(specification, ['paths'])
  return (isObject(paths) ? Object.entries(paths) : []).map(([name, methods]) => {
    const problem = problemOfOisPath(name)
    if (problem !== undefined) reporter.error([...path, 'paths', name], problem, 'key')
    return { path: name, methods: isObject(methods) ? Object.keys(methods) : [] }
  })
}
