import type { RelayKind, RelaySource } from '../../auth/relay.ts'
import type { Binding } from '../../auth/scheme.ts'
import type { RouteConfig } from '../config.ts'
import type { Context } from '../context.ts'
import { allowOfPaths } from './paths.ts'
import type { Ois, Oises } from './ois.ts'
import { formatPath, quote, type Path } from '../problem.ts'
import { exampleOfRelay, resolveRelay } from './relay.ts'
import { RouteSchema, type RouteShape } from '../route/schema.ts'
import { PARSING, valueAt } from '../shape.ts'

/** The parts of a route that come from its OIS. */
export type FromOis = Pick<RouteConfig, 'upstream' | 'upstreamLabel' | 'ois' | 'bindings' | 'credential' | 'allow'>

/** The automatic route of an OIS that no route names. */
export interface AutomaticRoute {
  readonly shape: RouteShape
  readonly ois: Ois
}

/**
 * Works out the parts that a route takes from its OIS.
 *
 * @param path undefined for an automatic route, whose problems stand where the OIS does and show the route to write
 * @returns undefined where there is no upstream, which is reported
 */
export function resolveOisRoute (shape: RouteShape, path: Path | undefined, ois: Ois, context: Context): FromOis | undefined {
  const { document, reporter } = context
  if (path !== undefined) checkKeys(shape, path, ois, context)
  const sources = resolveSources(shape, path, ois, context)
  const missing = relayKinds(ois).filter((kind) => !sources.has(kind))
  checkUpstream(shape, path, ois, missing, context)
  if (missing.length > 0 && path === undefined) {
    reporter.error(
      ois.securityPath,
      `turns on ${missing.join(', ')}, and the automatic route has no source for ${missing.length === 1 ? 'it' : 'them'}; add to routes ${exampleOfRoute(ois, missing)}`
    )
  }
  if (missing.length > 0 && path !== undefined) {
    reporter.error([...path, 'relay'], `lacks a source for ${missing.join(', ')}, which the OIS turns on; add ${exampleOfRelay(missing)}`)
  }
  if (ois.upstream === undefined) return undefined
  const bindings = ois.schemes.flatMap((one): Binding[] => {
    if (one.type === 'bound') return [inUrl(one.binding, shape.postQuery)]
    const source = sources.get(one.scheme.type)
    return source === undefined
      ? []
      : [inUrl({ scheme: one.scheme, value: { type: 'relay', kind: one.scheme.type, source } }, shape.postQuery)]
  })
  const allow = resolveAllow(shape, path, ois, context)
  const [credential, ...others] = new Set(bindings.flatMap(({ value }) => value.type === 'relay' ? [] : [value.credential]))
  return {
    upstream: ois.upstream,
    upstreamLabel: document.template(ois.upstreamPath) ?? ois.upstream,
    ois: ois.shownTitle,
    bindings,
    ...(credential !== undefined && others.length === 0 && { credential }),
    ...(allow !== undefined && { allow })
  }
}

/**
 * The routes of every OIS that no route names.
 *
 * @param prefixes of the routes that are written, with their places
 */
export function automaticRoutes ({ list }: Oises, prefixes: ReadonlyMap<string, Path>, { document, reporter }: Context): AutomaticRoute[] {
  const routes = valueAt(document.value, ['routes'])
  const named = new Set<unknown>()
  for (const [index, route] of Array.isArray(routes) ? (routes as unknown[]).entries() : []) {
    // It is not known which OIS this route names, so it might be any.
    if (document.broken.has(formatPath(['routes', index, 'ois']))) return []
    named.add(valueAt(route, ['ois']))
  }
  const taken = new Map(prefixes)
  return list.filter(({ title }) => !named.has(title)).map((ois) => {
    const prefix = prefixOf(ois.title)
    const first = taken.get(prefix)
    if (first !== undefined) {
      reporter.error(
        [...ois.path, 'title'],
        `gets the automatic prefix${ois.shownTitle === ois.title ? ` ${prefix}` : ''}, which ${formatPath(first)} has too; add to routes ${exampleOfRoute(ois, [], '/another-prefix')}`
      )
    } else taken.set(prefix, ois.path)
    return { shape: RouteSchema.parse({ prefix, ois: ois.title }, PARSING), ois }
  })
}

/** Contract: the title in lower case, with `-` for everything but letters and digits. */
function prefixOf (title: string): string {
  return `/${title.toLowerCase().replace(/[^a-z0-9]/g, '-')}`
}

function exampleOfRoute (
  ois: Ois,
  missing: readonly RelayKind[],
  prefix = ois.shownTitle === ois.title ? prefixOf(ois.title) : '/name'
): string {
  const parts = [`"prefix": "${prefix}"`, `"ois": ${quote(ois.shownTitle, 64)}`]
  if (ois.insecure) parts.push('"allowInsecureUpstream": true')
  if (missing.length > 0) parts.push(exampleOfRelay(missing))
  return `{ ${parts.join(', ')} }`
}

function checkKeys (shape: RouteShape, path: Path, ois: Ois, { reporter }: Context): void {
  for (const key of ['upstream', 'credential', 'inject'] as const) {
    if (shape[key] !== undefined) reporter.error([...path, key], 'stands beside ois, which brings its own; remove one of the two')
  }
  const inQuery = ois.schemes.some((one) => {
    const scheme = one.type === 'bound' ? one.binding.scheme : one.scheme
    return scheme.type !== 'http' && scheme.in === 'query'
  })
  if (shape.postQuery !== undefined && !inQuery) {
    reporter.warning([...path, 'postQuery'], 'is of no use, since the OIS turns on no scheme with "in": "query"; remove it')
  }
}

function relayKinds ({ schemes }: Ois): RelayKind[] {
  return [...new Set(schemes.flatMap((one) => one.type === 'relay' ? [one.scheme.type] : []))]
}

function resolveSources (shape: RouteShape, path: Path | undefined, ois: Ois, { reporter }: Context): Map<RelayKind, RelaySource> {
  if (path === undefined || shape.relay === undefined) return new Map()
  return resolveRelay(shape.relay, [...path, 'relay'], new Set(relayKinds(ois)), reporter)
}

function checkUpstream (shape: RouteShape, path: Path | undefined, ois: Ois, missing: readonly RelayKind[], { reporter }: Context): void {
  if (!ois.insecure || shape.allowInsecureUpstream) return
  const permission =
    path === undefined ? `add to routes ${exampleOfRoute(ois, missing)}` : `set allowInsecureUpstream to true in ${formatPath(path)}`
  reporter.error(ois.upstreamPath, `is http: to another machine, which sends credentials in the clear; use https:, or ${permission}`)
}

function resolveAllow (shape: RouteShape, path: Path | undefined, ois: Ois, { reporter }: Context): readonly string[] | undefined {
  if (shape.allow !== 'ois') return shape.allow
  const lines = allowOfPaths(ois.paths, (name, problem) => reporter.error([...ois.pathsPath, name], problem, 'key'))
  if (lines.length === 0 && path !== undefined) {
    reporter.warning(
      [...path, 'allow'],
      'takes the paths of an OIS that has none, so every request is refused; add paths there, or leave allow out'
    )
  }
  return lines
}

function inUrl ({ scheme, value }: Binding, postQuery: 'url' | undefined): Binding {
  return postQuery === undefined || scheme.type === 'http' || scheme.in !== 'query'
    ? { scheme, value }
    : { scheme: { ...scheme, postQuery }, value }
}
