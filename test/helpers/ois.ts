import { loadConfig } from '#src/config/load.ts'
import type { Problem, RouteConfig } from '#src/config/config.ts'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A value of an Airnode's `apiCredentials`, without the title where there is one OIS only. */
export interface OisCredential {
  readonly securitySchemeName: string
  readonly securitySchemeValue: string
}

/** What an Airnode knows of the request that it serves. */
export type Metadata = Readonly<
  Partial<Record<'requesterAddress' | 'sponsorAddress' | 'sponsorWalletAddress' | 'requestId' | 'chainId' | 'chainType', string>>
>

/** The relay kinds with the metadata that Airnode relays for them, and a header that carries them here. */
export const RELAYED = [
  ['relayRequesterAddress', 'requesterAddress', 'X-Requester'],
  ['relaySponsorAddress', 'sponsorAddress', 'X-Sponsor'],
  ['relaySponsorWalletAddress', 'sponsorWalletAddress', 'X-Sponsor-Wallet'],
  ['relayRequestId', 'requestId', 'X-Request'],
  ['relayChainId', 'chainId', 'X-Chain'],
  ['relayChainType', 'chainType', 'X-Chain-Type']
] as const

/** The routes of a configuration with one OIS at `/ois`, every relay scheme fed by a header; or what is wrong with it. */
export function loadOis (
  folder: string,
  apiSpecifications: object,
  credentials: readonly OisCredential[]
): { readonly routes: readonly RouteConfig[], readonly problems: readonly Problem[] } {
  const title = 'Test API'
  const file = join(folder, 'countersign.json')
  writeFileSync(
    file,
    JSON.stringify({
      ois: [{ title, apiSpecifications }],
      apiCredentials: credentials.map((credential) => ({ oisTitle: title, ...credential })),
      routes: [{ prefix: '/ois', ois: title, relay: Object.fromEntries(RELAYED.map(([kind, , header]) => [kind, { header }])) }]
    }).replaceAll('${', '\\\\${')
  )
  const loaded = loadConfig({ env: {}, cwd: folder, options: { config: file } })
  return loaded.ok ? { routes: loaded.config.routes, problems: loaded.warnings } : { routes: [], problems: loaded.problems }
}

/** The headers that carry metadata to a route of {@link loadOis}. */
export function metadataHeaders (metadata: Metadata | null): string[] {
  return RELAYED.flatMap(([, name, header]) => metadata?.[name] === undefined ? [] : [header, metadata[name]])
}
