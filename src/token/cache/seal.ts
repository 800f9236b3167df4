import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { Secret } from '../../secret.ts'
import type { CachedToken } from './cache.ts'
import type { CredentialIdentity, IdentityField } from '../identity.ts'

/** Turns tokens into bytes that tell nothing and cannot be changed, for one key. */
export interface CacheSeal {
  /** Tells keys apart, and nothing about them: 16 hex digits. */
  readonly keyId: string
  /** What a credential's entry is called: 64 hex digits. Another proof (a new password) does not change it. */
  readonly nameOf: (identity: CredentialIdentity) => string
  readonly seal: (identity: CredentialIdentity, token: CachedToken) => Buffer
  /** @returns undefined for bytes that this key did not seal for this very identity and proof, and for a format that is not known */
  readonly open: (identity: CredentialIdentity, bytes: Buffer) => CachedToken | undefined
}

/** The longest entry in bytes. A token goes into a header, and the largest headers that servers take are smaller. */
export const LONGEST_ENTRY = 256 * 1024

// The format: header, nonce, tag, ciphertext. A change of any of it, or of what is sealed, is another version.
const HEADER = Buffer.from('CSTC\x01', 'latin1')
const NONCE_BYTES = 12
const TAG_BYTES = 16
const OVERHEAD = HEADER.length + NONCE_BYTES + TAG_BYTES

/**
 * Makes the seal of a key: AES-256-GCM (NIST SP 800-38D) with a fresh random nonce for every entry, good for 2^32 of them, and
 * the header, the identity and a digest of the proof as additional authenticated data. Every purpose has a key of its own,
 * derived by HKDF (RFC 5869).
 *
 * @param key 32 bytes in hex
 */
export function createCacheSeal (key: Secret): CacheSeal {
  const master = Buffer.from(key.reveal(), 'hex')
  const derive = (purpose: string, length = 32): Buffer =>
    Buffer.from(hkdfSync('sha256', master, '', `countersign token cache 1: ${purpose}`, length))
  const contentKey = derive('content')
  const nameKey = derive('name')
  const proofKey = derive('proof')
  const digest = (macKey: Buffer, fields: readonly IdentityField[]): Buffer => createHmac('sha256', macKey).update(encode(fields)).digest()
  // Three parts of fixed length, so they cannot be read in two ways.
  const boundTo = ({ who, proof }: CredentialIdentity): Buffer => Buffer.concat([HEADER, digest(nameKey, who), digest(proofKey, proof)])

  return {
    keyId: derive('key id', 8).toString('hex'),
    nameOf: ({ who }) => digest(nameKey, who).toString('hex'),
    seal: (identity, token) => {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', contentKey, nonce, { authTagLength: TAG_BYTES }).setAAD(boundTo(identity))
      const text = Buffer.concat([cipher.update(write(token), 'utf8'), cipher.final()])
      return Buffer.concat([HEADER, nonce, cipher.getAuthTag(), text])
    },
    open: (identity, bytes) => {
      if (bytes.length <= OVERHEAD || bytes.length > LONGEST_ENTRY || !bytes.subarray(0, HEADER.length).equals(HEADER)) return undefined
      const nonce = bytes.subarray(HEADER.length, HEADER.length + NONCE_BYTES)
      const decipher = createDecipheriv('aes-256-gcm', contentKey, nonce, { authTagLength: TAG_BYTES })
        .setAAD(boundTo(identity))
        .setAuthTag(bytes.subarray(HEADER.length + NONCE_BYTES, OVERHEAD))
      try {
        return read(Buffer.concat([decipher.update(bytes.subarray(OVERHEAD)), decipher.final()]).toString('utf8'))
      } catch {
        return undefined
      }
    }
  }
}

// JSON keeps names and values apart, whatever they hold.
function encode (fields: readonly IdentityField[]): string {
  return JSON.stringify(fields.map(([name, value]) => [name, typeof value === 'string' ? value : value.reveal()]))
}

/** The text that is sealed. Only we can have written it, so reading it back needs no checks. */
interface Sealed {
  readonly value: string
  readonly issuedAt: number
  readonly lifetimeMs: number
  readonly refreshToken?: string
  readonly device?: { readonly key: string, readonly groupKey: string, readonly password: string }
}

function write ({ value, issuedAt, lifetimeMs, renewal }: CachedToken): string {
  const { refreshToken, device } = renewal ?? {}
  const sealed: Sealed = {
    value: value.reveal(),
    issuedAt,
    lifetimeMs,
    ...(refreshToken !== undefined && { refreshToken: refreshToken.reveal() }),
    ...(device !== undefined && { device: { ...device, password: device.password.reveal() } })
  }
  return JSON.stringify(sealed)
}

function read (text: string): CachedToken {
  const { value, issuedAt, lifetimeMs, refreshToken, device } = JSON.parse(text) as Sealed
  const token = { value: new Secret(value), issuedAt, lifetimeMs }
  if (refreshToken === undefined) return token
  return {
    ...token,
    renewal: {
      refreshToken: new Secret(refreshToken),
      ...(device !== undefined && { device: { ...device, password: new Secret(device.password) } })
    }
  }
}
