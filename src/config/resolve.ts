import { isLocal, parseAddress } from '../http/address.ts'
import { problemOfHeaderValue } from '../http/header-value.ts'
import { Secret } from '../secret.ts'
import type { Config, Problem } from './config.ts'
import { isCredentialName, resolveCredential, resolveCustom, type ResolvedCredential } from './credential/credentials.ts'
import { CredentialSchema } from './credential/schema.ts'
import type { ConfigDocument } from './read/document.ts'
import { doubtsOfCallerToken, type Settings } from './environment/env.ts'
import { hostProblem, originProblem } from './hosts.ts'
import { checkSections } from './ois/airnode.ts'
import type { Context, Files } from './context.ts'
import { checkRouteListeners, resolveListeners, type ListenOptions } from './listeners.ts'
import { resolveOises } from './ois/ois.ts'
import { createReporter, type Path, type Reporter } from './problem.ts'
import { resolveRoutes, type RouteEntry } from './route/routes.ts'
import { RouteSchema } from './route/schema.ts'
import { FileSchema } from './schema.ts'
import { checkShape, isObject, PARSING, readPart, valueAt } from './shape.ts'
import { resolveTokenCache } from './credential/token-cache.ts'

export interface Resolution {
  /** Whole only where no problem is an error. */
  readonly config: Config
  readonly problems: readonly Problem[]
}

/** Validates a document together with the environment's settings and the command line's options, and makes the configuration of them. */
export function resolveConfig (document: ConfigDocument, settings: Settings, options: ListenOptions, files: Files): Resolution {
  const { shape } = FileSchema
  const reporter = createReporter(document.place, document.broken)
  checkShape(document.value, reporter)
  checkSections(document.value, reporter)
  const listeners = resolveListeners(document, settings, options, reporter)
  const callerToken = settings.callerToken ?? resolveCallerToken(readPart(shape.callerToken, part('callerToken')), reporter)
  // An unsound part was reported and reads as its default, so that the others are checked too.
  const defaults = FileSchema.parse({}, PARSING)
  const accessLog = readPart(shape.accessLog, part('accessLog')) ?? defaults.accessLog
  const fileHosts = checkList('allowedHosts', hostProblem)
  const credentials = { byName: resolveCredentials(document, reporter), used: new Set<string>() }
  const context = { document, credentials, reporter, readFile: files.read }
  const tokenCache = resolveTokenCache(readPart(shape.tokenCache, part('tokenCache')), files.locate, reporter)
  const routes = readRoutes(document.value)
  const oises = resolveOises(context)
  const config: Config = {
    ...listeners,
    allowedHosts: settings.allowedHosts ?? fileHosts.map((host) => host.toLowerCase()),
    allowedOrigins: checkList('allowedOrigins', originProblem),
    ...(callerToken !== undefined && { callerToken }),
    credentials: new Map(
      [...credentials.byName].flatMap(([name, credential]) => (credential === undefined ? [] : [[name, credential.config] as const]))
    ),
    routes: resolveRoutes(routes.sound, oises, context),
    accessLog: accessLog === true ? 1 : accessLog && accessLog.sample,
    shutdownTimeoutMs: readPart(shape.shutdownTimeoutMs, part('shutdownTimeoutMs')) ?? defaults.shutdownTimeoutMs,
    limits: readPart(shape.limits, part('limits')) ?? defaults.limits,
    logins: readPart(shape.logins, part('logins')) ?? defaults.logins,
    ...(tokenCache !== undefined && { tokenCache }),
    logLevel: settings.logLevel ?? 'info'
  }
  checkRouteListeners(routes.sound, config, reporter)
  // The credentials that an unsound route or OIS uses are not known.
  if (routes.count === routes.sound.length && oises.count === oises.list.length) warnOfUnused(credentials, reporter)
  if (routes.count === 0 && oises.count === 0) reporter.warning(['routes'], 'there are no routes, so every request gets 404; add one')
  if (config.allowExternal && callerToken === undefined) warnOfExposure(config, routes.sound, reporter)
  return { config, problems: reporter.problems }

  function part (key: keyof typeof shape): unknown {
    return valueAt(document.value, [key])
  }

  function checkList (key: 'allowedHosts' | 'allowedOrigins', problemOf: (text: string) => string | undefined): readonly string[] {
    const list = readPart(shape[key], part(key)) ?? []
    for (const [index, entry] of list.entries()) {
      const problem = problemOf(entry)
      if (problem !== undefined) reporter.error([key, index], problem)
    }
    return list
  }
}

/** Warns of credentials that no route uses. */
function warnOfUnused ({ byName, used }: Context['credentials'], reporter: Reporter): void {
  for (const name of byName.keys()) {
    if (!used.has(name)) reporter.warning(['credentials', name], 'no route uses this credential; name it in a route, or remove it', 'key')
  }
}

/** Warns of each address that other machines can reach. */
function warnOfExposure ({ listen }: Config, routes: readonly RouteEntry[], reporter: Reporter): void {
  if (!isLocal(listen)) reporter.warning(['listen'], EXPOSED)
  for (const { shape, path } of routes) {
    const address = shape.listen === undefined ? undefined : parseAddress(shape.listen)
    if (address !== undefined && !isLocal(address)) reporter.warning([...path, 'listen'], EXPOSED)
  }
}

const EXPOSED = 'other machines can reach the proxy, and it asks callers for nothing; set callerToken or COUNTERSIGN_CALLER_TOKEN'

function resolveCallerToken (text: string | undefined, reporter: Reporter): Secret | undefined {
  if (text === undefined) return undefined
  const path: Path = ['callerToken']
  const problem = text.trim() === '' ? 'is empty; write a token, or remove the key' : problemOfHeaderValue(text)
  if (problem !== undefined) reporter.error(path, problem)
  else for (const doubt of doubtsOfCallerToken(text)) reporter.warning(path, doubt)
  return new Secret(text)
}

function resolveCredentials (
  { value, custom = new Map() }: ConfigDocument,
  reporter: Reporter
): Map<string, ResolvedCredential | undefined> {
  const credentials = new Map<string, ResolvedCredential | undefined>()
  const parts = valueAt(value, ['credentials'])
  for (const [name, part] of isObject(parts) ? Object.entries(parts) : []) {
    checkName(name, reporter)
    const shape = readPart(CredentialSchema, part)
    credentials.set(name, shape === undefined ? undefined : resolveCredential(shape, ['credentials', name], reporter))
  }
  for (const [name, credential] of custom) {
    checkName(name, reporter)
    credentials.set(name, credential && resolveCustom(credential))
  }
  return credentials
}

function checkName (name: string, reporter: Reporter): void {
  if (isCredentialName(name)) return
  const message = 'is no name of a credential; use letters, digits, _ . and -, a letter or digit first, at most 64'
  reporter.error(['credentials', name], message, 'key')
}

function readRoutes (document: unknown): { readonly sound: readonly RouteEntry[], readonly count: number } {
  const list = valueAt(document, ['routes'])
  const parts = Array.isArray(list) ? list as unknown[] : []
  const sound = parts.flatMap((part, index) => {
    const shape = readPart(RouteSchema, part)
    return shape === undefined ? [] : [{ shape, path: ['routes', index] }]
  })
  return { sound, count: parts.length }
}
