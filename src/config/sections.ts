import type { Path } from './problem.ts'

/**
 * Top-level sections of configurations that hold an OIS and more: Airnode's (`config.json`), airnode-feed's and its
 * predecessors', airkeeper's and Airseeker's. They are neither read nor interpolated. Any other unknown key stays an error, since it may be a typo.
 */
export const AIRNODE_SECTIONS = [
  'chains', 'nodeSettings', 'triggers', 'templates', 'environment', 'id',
  'endpoints', 'signedApis', 'beaconSets', 'gateways', 'rateLimiting', 'walletMnemonic', 'airnodeWalletMnemonic',
  // Older feeds; airkeeper; Airseeker, which had an OIS until its second version.
  'stage', 'deploymentId', 'subscriptions', 'templatesV1', 'airnodeAddress', 'airnodeXpub', 'beacons', 'log', 'sponsorWalletMnemonic'
] as const

/** Whether a top-level key is one of {@link AIRNODE_SECTIONS}. */
export function isSection (key: unknown): boolean {
  return AIRNODE_SECTIONS.some((section) => section === key)
}

/** Whether what stands at a path is read at all; what is not is not interpolated either, for its secrets are not ours. */
export function isRead (path: Path): boolean {
  const [top, , key, part, , method] = path
  if (path.length === 1) return !isSection(top)
  if (top !== 'ois') return true
  if (path.length === 3) return key === 'title' || key === 'oisFormat' || key === 'apiSpecifications'
  return !(path.length === 7 && part === 'paths' && (method === 'get' || method === 'post'))
}
