import { Secret } from '../secret.ts'
import type { CredentialConfig } from './config.ts'

/**
 * What a credential is to the one that had its name in an earlier configuration: `same` in every field; `rotated`, the same
 * identity with another secret; or `other`.
 *
 * The identity is whatever decides what a token is good for, compared field by field (joined strings have crossed tokens
 * elsewhere): a token of one identity must never serve in place of another's. What only proves the identity is its
 * secret. A static value is both.
 */
export function kinshipOf (before: CredentialConfig, now: CredentialConfig): 'same' | 'rotated' | 'other' {
  if (!equal(identityOf(before), identityOf(now))) return 'other'
  return equal(proofOf(before), proofOf(now)) ? 'same' : 'rotated'
}

function identityOf (credential: CredentialConfig): readonly unknown[] {
  const { type } = credential
  switch (type) {
    case 'static': return [type, credential.value]
    case 'oauth2': {
      const { tokenUrl, clientId, scope, audience, resource, extra } = credential
      // Further form fields may name an organization or a tenant.
      return [type, tokenUrl, clientId, scope, audience, resource, ...[...extra].sort(([a], [b]) => a < b ? -1 : 1).flat()]
    }
    case 'cognito': case 'defender-relayer': case 'defender-admin': {
      const { userPoolId, clientId, username, tokenUse, endpoint } = credential
      return [type, userPoolId, clientId, username, tokenUse, endpoint]
    }
    default: return type satisfies never
  }
}

function proofOf (credential: CredentialConfig): readonly unknown[] {
  switch (credential.type) {
    case 'static': return []
    case 'oauth2': return [credential.clientSecret, credential.clientAuth]
    case 'cognito': case 'defender-relayer': case 'defender-admin': return [credential.password, credential.clientSecret, credential.authFlow]
    default: return credential satisfies never
  }
}

function equal (some: readonly unknown[], others: readonly unknown[]): boolean {
  return some.length === others.length && some.every((one, index) => {
    const other = others[index]
    return one instanceof Secret && other instanceof Secret ? one.equals(other) : one === other
  })
}
