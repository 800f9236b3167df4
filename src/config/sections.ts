import type { Path } from './problem.ts'

/**
 * Top-level sections of configurations that hold an OIS and more: Airnode's (`config.json`), airnode-feed's and its
 * predecessors', airkeeper's and Airseeker's. They are neither read nor interpolated. Any other unknown key stays an error, since it may be
 * a typo.
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

/** Whether the value at a path is read at all. A value that is not read is not interpolated either, since its secrets are not ours. */
export function isRead (path: Path): boolean {
  // Called for every value, so it copies nothing.
  if (path.length === 1) return !isSection(path[0])
  if (path[0] !== 'ois') return true
  if (path.length === 3) return path[2] === 'title' || path[2] === 'oisFormat' || path[2] === 'apiSpecifications'
  return !(path.length === 7 && path[3] === 'paths' && (path[5] === 'get' || path[5] === 'post'))
}
