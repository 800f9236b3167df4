import { generateRequestId, isRelayValue, RELAY_EXAMPLES, type RelayKind } from '../auth/relay.ts'
import { ProxyError } from '../errors.ts'
import { foldName } from '../http/headers.ts'
import { pairs, type RawHeaders } from '../http/raw-headers.ts'
import { Secret } from '../secret.ts'
import type { Route } from './route.ts'

/**
 * The relayed values of one request. What a header says is what the local caller asserts: it is checked for its format
 * alone, as Airnode's validator does.
 *
 * @throws ProxyError 400 where a header is missing, doubled or malformed: a value is never left out in silence
 */
export function readRelayed (route: Route, headers: RawHeaders): ReadonlyMap<RelayKind, Secret> {
  const values = new Map<RelayKind, Secret>()
  for (const { value } of route.bindings) {
    if (value.type !== 'relay' || values.has(value.kind)) continue
    const { kind, source } = value
    switch (source.type) {
      case 'fixed': values.set(kind, new Secret(source.value)); break
      case 'generate': values.set(kind, new Secret(generateRequestId())); break
      case 'header': values.set(kind, new Secret(readHeader(headers, source.name, kind))); break
      default: source satisfies never
    }
  }
  return values
}

function readHeader (headers: RawHeaders, name: string, kind: RelayKind): string {
  const wanted = foldName(name)
  const values = pairs(headers).flatMap(([given, value]) => foldName(given) === wanted ? [value] : [])
  const [value] = values
  if (value === undefined) throw rejection(`is missing the header ${name}`, kind)
  if (values.length > 1) throw rejection(`has the header ${name} more than once`, kind)
  if (!isRelayValue(kind, value)) throw rejection(`has a malformed header ${name}`, kind)
  return value
}

function rejection (what: string, kind: RelayKind): ProxyError {
  return new ProxyError('CS_BAD_REQUEST', {
    message: `The request ${what}, from which this route takes ${kind}; send it once, as ${RELAY_EXAMPLES[kind]}.`
  })
}
