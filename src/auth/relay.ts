import { randomBytes } from 'node:crypto'

/** The metadata of an Airnode request that an OIS may relay to the API (`apiSpecifications.components.securitySchemes`). */
export type RelayKind =
  'relayRequesterAddress' | 'relayChainId' | 'relayChainType' | 'relaySponsorAddress' | 'relaySponsorWalletAddress' | 'relayRequestId'

/** Where a relayed value comes from. A local caller asserts it; nobody verifies it. */
export type RelaySource =
  | { readonly type: 'fixed', readonly value: string }
  /** A request header, which is taken off before forwarding. */
  | { readonly type: 'header', readonly name: string }
  /** A fresh value per request; for `relayRequestId` only. */
  | { readonly type: 'generate' }

const ADDRESS = /^0x[a-fA-F0-9]{40}$/

/** The formats as Airnode's own validator has them (`packages/airnode-validator`). */
const FORMATS: Readonly<Record<RelayKind, RegExp>> = {
  relayRequesterAddress: ADDRESS,
  relaySponsorAddress: ADDRESS,
  relaySponsorWalletAddress: ADDRESS,
  relayChainId: /^\d+$/,
  relayChainType: /^evm$/,
  relayRequestId: /^0x[a-fA-F0-9]{64}$/
}

/** All kinds, in the order of the OIS documentation. */
export const RELAY_KINDS: readonly RelayKind[] = [
  'relayRequesterAddress',
  'relayChainId',
  'relayChainType',
  'relaySponsorAddress',
  'relaySponsorWalletAddress',
  'relayRequestId'
]

/** What a value of a kind looks like, for messages. */
export const RELAY_EXAMPLES: Readonly<Record<RelayKind, string>> = {
  relayRequesterAddress: '0x and 40 hex digits',
  relaySponsorAddress: '0x and 40 hex digits',
  relaySponsorWalletAddress: '0x and 40 hex digits',
  relayChainId: 'decimal digits',
  relayChainType: 'evm',
  relayRequestId: '0x and 64 hex digits'
}

/** Whether a value has the format that Airnode gives values of its kind. */
export function isRelayValue (kind: RelayKind, value: string): boolean {
  return FORMATS[kind].test(value)
}

/** A fresh request id: `0x` and 64 lower-case hex digits. */
export function generateRequestId (): string {
  return `0x${randomBytes(32).toString('hex')}`
}
