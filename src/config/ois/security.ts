import { RELAY_KINDS, type RelayKind } from '../../auth/relay.ts'
import type { Binding, PlacedScheme, Scheme } from '../../auth/scheme.ts'
import { quote, type Path, type Reporter } from '../problem.ts'
import { createTargets, problemOfTarget } from '../route/targets.ts'
import { checkPart, isObject, readPart, valueAt } from '../shape.ts'
import type { ApiCredentials, SchemeState } from './api-credentials.ts'
import { OisSchemeSchema, ScopesSchema, SecuritySchema } from './schema.ts'

/** A scheme that is turned on: with its value, or with one that the route relays. */
export type OisScheme =
  | { readonly type: 'bound', readonly binding: Binding }
  | { readonly type: 'relay', readonly scheme: RelayScheme }

/** A scheme whose value comes from the route's `relay`. */
type RelayScheme = PlacedScheme & { readonly type: RelayKind }

/** The schemes that an OIS defines, by name; undefined for one with errors. */
type Defined = ReadonlyMap<string, Scheme | undefined>

/**
 * Reads the schemes of an `apiSpecifications`.
 *
 * @param states gets the use that the OIS makes of each scheme
 */
export function readSchemes (
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
    // The value of a scheme that is off has a warning of its own.
    if (!isOn && sound && !credentials.has(title, name)) {
      reporter.warning(schemePath, `is not turned on, so it is not applied; add ${quote(name)}: [] to security, or remove it`, 'key')
    }
    states.set(name, scheme === undefined ? 'unknown' : isRelay(scheme) ? 'relay' : isOn ? 'on' : 'off')
  }
  return defined
}

/** Resolves the schemes that `security` turns on, with their values from `apiCredentials`. */
export function resolveSecurity (
  specification: object,
  path: Path,
  titles: { readonly title: string, readonly shownTitle: string },
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
