import { parseAllow } from '../auth/allow.ts'
import { readBaseUrl } from './base-url.ts'
import { resolveBindings, type Credentials } from './bindings.ts'
import type { RouteConfig } from './config.ts'
import { formatPath, type Path, type Reporter } from './problem.ts'
import type { RouteShape } from './schema.ts'

/** A route whose shape is sound, with its place. */
export interface RouteEntry {
  readonly shape: RouteShape
  readonly path: Path
}

/**
 * Checks routes and works out what each of them sends where.
 *
 * @param template the text of a string before interpolation, where it held a secret
 */
export function resolveRoutes (entries: readonly RouteEntry[], credentials: Credentials, template: (path: Path) => string | undefined, reporter: Reporter): RouteConfig[] {
  const prefixes = new Map<string, Path>()
  return entries.flatMap(({ shape, path }) => {
    const prefixPath = [...path, 'prefix']
    const prefixFault = faultOfPrefix(shape.prefix)
    if (prefixFault !== undefined) reporter.error(prefixPath, prefixFault)
    if (template(prefixPath) !== undefined) reporter.warning(prefixPath, 'holds an interpolated value, and prefixes stand in logs, metrics and the status; write it out if that is a secret')
    const first = prefixes.get(shape.prefix)
    if (first !== undefined) reporter.error(prefixPath, `is the prefix of ${formatPath(first)} too; give each route its own`)
    else prefixes.set(shape.prefix, path)
    const bindings = resolveBindings(shape, path, credentials, reporter)
    const upstream = resolveUpstream(shape, path, credentials, reporter)
    checkAllow(shape.allow, path, reporter)
    if (upstream === undefined) return []
    return [{
      prefix: shape.prefix,
      upstream,
      upstreamLabel: template([...path, 'upstream']) ?? upstream,
      ...(shape.credential !== undefined && { credential: shape.credential }),
      bindings,
      ...(shape.allow !== undefined && { allow: shape.allow }),
      timeoutMs: shape.timeoutMs,
      idleTimeoutMs: shape.idleTimeoutMs,
      ...(shape.maxBodyBytes !== undefined && { maxBodyBytes: shape.maxBodyBytes })
    }]
  })
}

function resolveUpstream (shape: RouteShape, path: Path, { byName, used }: Credentials, reporter: Reporter): string | undefined {
  if (shape.upstream !== undefined) {
    const result = readBaseUrl(shape.upstream, shape.allowInsecureUpstream, 'allowInsecureUpstream')
    if (!result.ok) reporter.error([...path, 'upstream'], result.fault)
    return result.ok ? result.url : undefined
  }
  const { credential = '' } = shape
  const upstream = byName.get(credential)?.upstream
  // Of a credential that has errors of its own nobody knows whether it would have brought an upstream along.
  const unknown = byName.has(credential) && byName.get(credential) === undefined
  if (upstream === undefined && !unknown) reporter.error([...path, 'upstream'], 'is missing; add it (only the Defender presets bring one along)')
  if (upstream !== undefined) used.add(credential)
  return upstream
}

// Unreserved characters only (RFC 3986 section 2.3): every reader, and the router, takes them for what they are.
function faultOfPrefix (prefix: string): string | undefined {
  if (prefix === '/') return undefined
  const form = 'write / or /name (letters, digits, -, ., _ and ~; no slash at the end)'
  if (!/^(?:\/[\w.~-]+)+$/.test(prefix)) return `is no prefix; ${form}`
  return /\/\.{1,2}(?:\/|$)/.test(prefix) ? `holds a dot segment; ${form}` : undefined
}

function checkAllow (allow: readonly string[] | undefined, path: Path, reporter: Reporter): void {
  if (allow?.length === 0) reporter.warning([...path, 'allow'], 'is empty, so every request is refused; add METHOD /path, or leave allow out')
  for (const [index, text] of (allow ?? []).entries()) {
    const fault = faultOfAllow(text)
    if (fault !== undefined) reporter.error([...path, 'allow', index], fault)
  }
}

function faultOfAllow (text: string): string | undefined {
  const rule = parseAllow(text)
  if (rule === undefined) return 'is no METHOD /path; write one blank between them, no query, * only as a whole segment and ** only as the last'
  if (rule.method !== rule.method.toUpperCase()) return 'has a method in lower case, and methods are case-sensitive (RFC 9110 section 9.1); write it in upper case, or ANY'
  if (rule.method === 'TRACE' || rule.method === 'CONNECT') return 'has a method that is never forwarded; remove the line'
  if (/[^\x21-\x7e]/.test(text.replace(' ', ''))) return 'holds characters that no request can send; percent-encode them'
  if (rule.segments.some((segment) => segment === '.' || segment === '..')) return 'holds a dot segment, and no such request is forwarded; write the resolved path'
  return undefined
}
