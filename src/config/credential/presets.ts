/** A hosted service behind a Cognito user pool that is known by name. */
export interface Preset {
  readonly userPoolId: string
  readonly clientId: string
  readonly upstream: string
}

/** OpenZeppelin Defender (OpenZeppelin/defender-sdk, `packages` → `src/api/index.ts`): the pools are public constants of its clients. */
export const PRESETS = {
  'defender-relayer': {
    userPoolId: 'us-west-2_iLmIggsiy',
    clientId: '1bpd19lcr33qvg5cr3oi79rdap',
    upstream: 'https://api.defender.openzeppelin.com'
  },
  'defender-admin': {
    userPoolId: 'us-west-2_94f3puJWv',
    clientId: '40e58hbc7pktmnp9i26hh5nsav',
    upstream: 'https://defender-api.openzeppelin.com'
  }
} as const satisfies Record<string, Preset>
