import { parseAddress } from '../../http/address.ts'
import { problemOfAllow } from './allow-list.ts'
import { resolveBindings, type Credentials } from './bindings.ts'
import type { RouteConfig } from '../config.ts'
import type { Context } from '../context.ts'
import { automaticRoutes, resolveOisRoute, type FromOis } from '../ois/routes.ts'
import type { Oises } from '../ois/ois.ts'
import { formatPath, quoteAll, type Path, type Reporter } from '../problem.ts'
import type { RouteShape } from './schema.ts'
import { checkScrub } from './scrub.ts'
import { resolveTls } from './tls.ts'
import { readUpstream, type Upstream } from './upstream.ts'

/** A route whose shape is sound, with its place. */
export interface RouteEntry {
  readonly shape: RouteShape
  readonly path: Path
}

/** Checks routes, adds the automatic ones of OIS objects, and works out the upstream and the injections of each. */
export function resolveRoutes (entries: readonly RouteEntry[], oises: Oises, context: Context): RouteConfig[] {
  const { reporter } = context
  const prefixes = new Map<string, Path>()
  const written = entries.flatMap(({ shape, path }) => {
    checkPrefix(shape, path, prefixes, context)
    if (shape.allow !== 'ois') checkAllow(shape.allow, path, reporter)
    const rest = shape.ois === undefined ? resolveOwn(shape, path, context) : resolveNamed(shape, path, shape.ois, oises, context)
    if (shape.scrub && rest !== undefined) checkScrub(rest.bindings, path, context)
    return routeOf(shape, withTls(shape, path, rest, context))
  })
  const automatic = automaticRoutes(oises, prefixes, context)
  return [...written, ...automatic.flatMap(({ shape, ois }) => routeOf(shape, resolveOisRoute(shape, undefined, ois, context)))]
}

function checkPrefix ({ prefix, listen }: RouteShape, path: Path, prefixes: Map<string, Path>, { document, reporter }: Context): void {
  if (prefix === undefined) {
    if (listen === undefined) reporter.error(path, 'has neither prefix nor listen, so no request reaches it; add one of them')
    return
  }
  const prefixPath = [...path, 'prefix']
  const problem = problemOfPrefix(prefix)
  if (problem !== undefined) reporter.error(prefixPath, problem)
  if (document.template(prefixPath) !== undefined) {
    reporter.warning(
      prefixPath,
      'holds an interpolated value, and prefixes stand in logs, metrics and the status; write it out if that is a secret'
    )
  }
  const first = prefixes.get(prefix)
  if (first !== undefined) reporter.error(prefixPath, `is the prefix of ${formatPath(first)} too; give each route its own`)
  else prefixes.set(prefix, path)
}

/** The parts of a route that come from its credential or its OIS. */
type Origin = FromOis & Pick<RouteConfig, 'socketPath' | 'tls'>

function withTls (shape: RouteShape, path: Path, rest: Origin | undefined, context: Context): Origin | undefined {
  if (shape.tls === undefined) return rest
  const tlsPath = [...path, 'tls']
  if (rest !== undefined && !rest.upstream.startsWith('https:')) {
    context.reporter.error(tlsPath, 'has a meaning only for an https: upstream; remove it, or write https:')
  }
  const tls = resolveTls(shape.tls, tlsPath, context)
  return rest === undefined ? undefined : { ...rest, tls }
}

function routeOf (shape: RouteShape, rest: Origin | undefined): RouteConfig[] {
  if (rest === undefined) return []
  const { prefix, timeoutMs, idleTimeoutMs, maxBodyBytes, websocket, scrub } = shape
  const listen = shape.listen === undefined ? undefined : parseAddress(shape.listen)
  return [{
    ...(prefix !== undefined && { prefix }),
    ...(listen !== undefined && { listen }),
    ...rest,
    timeoutMs,
    idleTimeoutMs,
    websocket,
    scrub,
    ...(maxBodyBytes !== undefined && { maxBodyBytes })
  }]
}

function resolveOwn (shape: RouteShape, path: Path, { document, credentials, reporter }: Context): Origin | undefined {
  if (shape.allow === 'ois') reporter.error([...path, 'allow'], 'has a meaning only beside ois; write the list out')
  for (const key of ['relay', 'postQuery'] as const) {
    if (shape[key] !== undefined) {
      reporter.error(
        [...path, key],
        `has a meaning only beside ois; remove it${key === 'postQuery' ? ', or write it into the scheme in inject' : ''}`
      )
    }
  }
  const bindings = resolveBindings(shape, path, credentials, reporter)
  const upstream = resolveUpstream(shape, path, credentials, reporter)
  if (upstream === undefined) return undefined
  return {
    ...upstream,
    upstreamLabel:
      document.template([...path, 'upstream']) ?? (upstream.socketPath === undefined ? upstream.upstream : (shape.upstream ?? '')),
    ...(shape.credential !== undefined && { credential: shape.credential }),
    bindings,
    ...(shape.allow !== undefined && shape.allow !== 'ois' && { allow: shape.allow })
  }
}

function resolveNamed (shape: RouteShape, path: Path, title: string, { byTitle, complete }: Oises, context: Context): FromOis | undefined {
  const ois = byTitle.get(title)
  if (ois !== undefined) return resolveOisRoute(shape, path, ois, context)
  if (!complete || byTitle.has(title)) return undefined
  const titles = [...byTitle].flatMap(([, one]) => one === undefined ? [] : [one.shownTitle])
  context.reporter.error(
    [...path, 'ois'],
    `names no OIS; ${titles.length === 0 ? 'add it to ois' : `write one of ${quoteAll(titles)}, or add it to ois`}`
  )
  return undefined
}

function resolveUpstream (shape: RouteShape, path: Path, { byName, used }: Credentials, reporter: Reporter): Upstream | undefined {
  if (shape.upstream !== undefined) {
    const result = readUpstream(shape.upstream, shape.allowInsecureUpstream)
    if (!result.ok) reporter.error([...path, 'upstream'], result.problem)
    return result.ok ? result.value : undefined
  }
  const { credential = '' } = shape
  const upstream = byName.get(credential)?.upstream
  // A credential with errors might have brought an upstream along.
  const unknown = byName.has(credential) && byName.get(credential) === undefined
  if (upstream === undefined && !unknown) {
    reporter.error([...path, 'upstream'], 'is missing; add it (only the Defender presets bring one along)')
  }
  if (upstream === undefined) return undefined
  used.add(credential)
  return { upstream }
}

// Unreserved characters only (RFC 3986 section 2.3): every reader, and the router, takes them for what they are.
function problemOfPrefix (prefix: string): string | undefined {
  if (prefix === '/') return undefined
  const form = 'write / or /name (letters, digits, -, ., _ and ~; no slash at the end)'
  if (!/^(?:\/[\w.~-]+)+$/.test(prefix)) return `is no prefix; ${form}`
  return /\/\.{1,2}(?:\/|$)/.test(prefix) ? `holds a dot segment; ${form}` : undefined
}

function checkAllow (allow: readonly string[] | undefined, path: Path, reporter: Reporter): void {
  if (allow?.length === 0) {
    reporter.warning([...path, 'allow'], 'is empty, so every request is refused; add METHOD /path, or leave allow out')
  }
  for (const [index, text] of (allow ?? []).entries()) {
    const problem = problemOfAllow(text)
    if (problem !== undefined) reporter.error([...path, 'allow', index], problem)
  }
}
