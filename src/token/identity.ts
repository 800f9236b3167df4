import type { Secret } from '../secret.ts'
import type { CognitoCredential } from './cognito.ts'
import type { OAuth2Credential } from './oauth2.ts'

/** A field of an identity. */
export type IdentityField = readonly [name: string, value: string | Secret]

/**
 * Who a credential is, field by field: never a joined string, in which ("a", "bc") and ("ab", "c") would be one. Its name in the
 * configuration is no part of it, for that may change while the credential stays.
 */
export interface CredentialIdentity {
  /** Whose tokens, and which: everything that the identity provider is told, but the proof. */
  readonly who: readonly IdentityField[]
  /** What proves it. With another proof it is another credential, be it of the same user. */
  readonly proof: readonly IdentityField[]
}

export function cognitoIdentity (type: string, credential: CognitoCredential): CredentialIdentity {
  const { endpoint, userPoolId, clientId, username, tokenUse, authFlow = 'srp', password, clientSecret } = credential
  return {
    who: [['type', type], ...named({ endpoint, userPoolId, clientId, username, tokenUse, authFlow })],
    proof: named({ password, clientSecret })
  }
}

export function oauth2Identity (credential: OAuth2Credential): CredentialIdentity {
  const { tokenUrl, clientId, scope, audience, resource, clientAuth, extra, clientSecret } = credential
  // Some providers want secrets in further fields.
  const further = [...extra].map(([name, value]): IdentityField => [`extra.${name}`, value])
  return {
    who: [['type', 'oauth2'], ...named({ tokenUrl, clientId, scope, audience, resource, clientAuth })],
    proof: [...named({ clientSecret }), ...further.sort(([a], [b]) => a < b ? -1 : 1)]
  }
}

function named (fields: Readonly<Record<string, string | Secret | undefined>>): IdentityField[] {
  return Object.entries(fields).flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const])
}
