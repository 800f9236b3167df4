import { isRelayValue, RELAY_EXAMPLES, RELAY_KINDS, type RelayKind, type RelaySource } from '../../auth/relay.ts'
import { isToken } from '../checks.ts'
import type { RelayShape } from './schema.ts'
import type { Path, Reporter } from '../problem.ts'
import { isReservedHeader } from '../route/targets.ts'

/**
 * Reads where a route takes relayed metadata from.
 *
 * @param wanted the kinds that the route's OIS turns on
 */
export function resolveRelay (
  shape: RelayShape,
  path: Path,
  wanted: ReadonlySet<RelayKind>,
  reporter: Reporter
): Map<RelayKind, RelaySource> {
  const sources = new Map<RelayKind, RelaySource>()
  for (const kind of RELAY_KINDS) {
    const given = shape[kind]
    if (given === undefined) continue
    const source = sourceOf(given)
    const kindPath = [...path, kind]
    if (!wanted.has(kind)) reporter.warning(kindPath, 'is of no use, since the OIS turns no such scheme on; remove it', 'key')
    if (source.type === 'fixed' && !isRelayValue(kind, source.value)) {
      reporter.error(kindPath, `has another format than Airnode gives such a value; write ${RELAY_EXAMPLES[kind]}`)
    }
    if (source.type === 'header') checkHeader(source.name, [...kindPath, 'header'], reporter)
    sources.set(kind, source)
  }
  return sources
}

/** The lines to add for kinds that have no source, as a legacy client most likely can serve them. */
export function exampleOfRelay (kinds: readonly RelayKind[]): string {
  return `"relay": { ${kinds.map((kind) => `"${kind}": ${EXAMPLES[kind]}`).join(', ')} }`
}

const EXAMPLES: Readonly<Record<RelayKind, string>> = {
  relayRequesterAddress: '{ "header": "X-Requester-Address" }',
  relayChainId: '"1"',
  relayChainType: '"evm"',
  relaySponsorAddress: '{ "header": "X-Sponsor-Address" }',
  relaySponsorWalletAddress: '{ "header": "X-Sponsor-Wallet-Address" }',
  relayRequestId: '{ "generate": true }'
}

function sourceOf (given: NonNullable<RelayShape[RelayKind]>): RelaySource {
  if (typeof given === 'string') return { type: 'fixed', value: given }
  return 'header' in given ? { type: 'header', name: given.header } : { type: 'generate' }
}

function checkHeader (name: string, path: Path, reporter: Reporter): void {
  if (!isToken(name)) reporter.error(path, 'is no header name; write letters, digits and - (RFC 9110 section 5.6.2)')
  else if (isReservedHeader(name) || name.toLowerCase() === 'cookie') {
    reporter.error(path, 'is a header that HTTP, this proxy or a browser uses itself; choose another')
  }
}
