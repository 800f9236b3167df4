import { Secret } from '../secret.ts'

/** A field of an identity. Each item of a list or a map is a field of its own. */
export type IdentityField = readonly [name: string, value: string | Secret]

/**
 * Who a credential is, field by field: never a joined string, in which ("a", "bc") and ("ab", "c") would be one. Its name in the
 * configuration is no part of it, for that may change while the credential stays.
 */
export interface CredentialIdentity {
  /** Whose tokens, and which: everything that the identity provider is told, and how, but the proof. */
  readonly who: readonly IdentityField[]
  /** What proves it: the same user, or the same client, with another secret has another. */
  readonly proof: readonly IdentityField[]
}

/**
 * How a credential differs from the one that had its name before: not at all (`same`), in its secret only (`rotated`), or in its
 * identity (`other`).
 */
export type IdentityChange = 'same' | 'rotated' | 'other'

/** What a field of a credential may hold. */
type FieldValue = string | number | Secret | readonly string[] | ReadonlyMap<string, Secret> | undefined

/** The fields that change with a rotation. The value of a static credential is none of them, because it has no other identity. */
const PROOFS: ReadonlySet<string> = new Set(['password', 'clientSecret'])

/**
 * Makes the identity of a credential, for reloads and caches alike. It has all fields, so that one that is added later cannot be
 * forgotten. A token of one identity must never serve in place of another's.
 */
export function identityOf<Credential extends Readonly<Record<keyof Credential, FieldValue>>> (credential: Credential): CredentialIdentity {
  const entries = Object.entries<FieldValue>(credential).sort(byName)
  const fields = (isProof: boolean): IdentityField[] =>
    entries.filter(([name]) => PROOFS.has(name) === isProof).flatMap(([name, value]) => fieldsOf(name, value))
  return { who: fields(false), proof: fields(true) }
}

/** Compares a credential with the one that had its name before. */
export function identityChangeOf (before: CredentialIdentity, now: CredentialIdentity): IdentityChange {
  if (!equal(before.who, now.who)) return 'other'
  return equal(before.proof, now.proof) ? 'same' : 'rotated'
}

function fieldsOf (name: string, value: FieldValue): IdentityField[] {
  if (value === undefined) return []
  if (typeof value === 'string' || value instanceof Secret) return [[name, value]]
  if (typeof value === 'number') return [[name, String(value)]]
  // The order of a list may mean something to the provider, that of a map means nothing to anybody.
  if (isList(value)) return value.map((item) => [name, item])
  return [...value].sort(byName).map(([key, item]) => [`${name}.${key}`, item])
}

function isList (value: readonly string[] | ReadonlyMap<string, Secret>): value is readonly string[] {
  return Array.isArray(value)
}

function byName ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}

function equal (some: readonly IdentityField[], others: readonly IdentityField[]): boolean {
  return some.length === others.length && some.every(([name, value], index) => {
    const [otherName, other] = others[index] ?? []
    return name === otherName && (value instanceof Secret ? other instanceof Secret && value.equals(other) : value === other)
  })
}
