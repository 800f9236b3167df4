import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIPv4 } from 'node:net'

/** A certificate with its private key, in PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

export interface CertificateOptions {
  /** DNS names and IPv4 addresses. */
  readonly names: readonly string[]
  readonly notBefore?: Date
  readonly notAfter?: Date
}

/** A private authority: what signs is not known to anybody who was not told. */
export interface Authority extends Certificate {
  readonly issue: (options: CertificateOptions) => Certificate
}

export function createAuthority (commonName = 'Test Authority'): Authority {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subject = name(commonName)
  const cert = certificate({ subject, issuer: subject, publicKey: pair.publicKey, signer: pair.privateKey, extensions: [CA_ONLY] })
  return {
    ...pem(cert, pair.privateKey),
    issue: (options) => {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      return pem(
        certificate({
          subject: name(options.names[0] ?? ''),
          issuer: subject,
          publicKey,
          signer: pair.privateKey,
          extensions: [alternativeNames(options.names)],
          ...options
        }),
        privateKey
      )
    }
  }
}

export function createSelfSigned (options: CertificateOptions): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subject = name(options.names[0] ?? '')
  return pem(
    certificate({ subject, issuer: subject, publicKey, signer: privateKey, extensions: [alternativeNames(options.names)], ...options }),
    privateKey
  )
}

interface Contents {
  readonly subject: Buffer
  readonly issuer: Buffer
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly extensions: readonly Buffer[]
  readonly notBefore?: Date
  readonly notAfter?: Date
}

const DAY_MS = 86_400_000
const ECDSA_WITH_SHA256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
// basicConstraints, critical, cA TRUE
const CA_ONLY = sequence(oid(0x55, 0x1d, 0x13), der(0x01, Buffer.from([0xff])), octets(sequence(der(0x01, Buffer.from([0xff])))))

// RFC 5280 section 4.1, as much of it as TLS looks at.
function certificate ({
  subject,
  issuer,
  publicKey,
  signer,
  extensions,
  notBefore = new Date(Date.now() - DAY_MS),
  notAfter = new Date(Date.now() + DAY_MS)
}: Contents): Buffer {
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(8)])
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ECDSA_WITH_SHA256,
    issuer,
    sequence(time(notBefore), time(notAfter)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions))
  )
  return sequence(toBeSigned, ECDSA_WITH_SHA256, der(0x03, Buffer.from([0]), sign('sha256', toBeSigned, signer)))
}

function pem (cert: Buffer, key: KeyObject): Certificate {
  const lines = cert.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString()
  }
}

function name (commonName: string): Buffer {
  return sequence(der(0x31, sequence(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from(commonName, 'utf8')))))
}

function alternativeNames (names: readonly string[]): Buffer {
  const entries = names.map((entry) =>
    isIPv4(entry) ? der(0x87, Buffer.from(entry.split('.').map(Number))) : der(0x82, Buffer.from(entry, 'ascii'))
  )
  return sequence(oid(0x55, 0x1d, 0x11), octets(sequence(...entries)))
}

// GeneralizedTime reads alike before and after 2050; verifiers take it for both.
function time (instant: Date): Buffer {
  return der(0x18, Buffer.from(`${instant.toISOString().replace(/\D/g, '').slice(0, 14)}Z`, 'ascii'))
}

function sequence (...parts: readonly Buffer[]): Buffer {
  return der(0x30, ...parts)
}

function octets (content: Buffer): Buffer {
  return der(0x04, content)
}

function oid (...bytes: readonly number[]): Buffer {
  return der(0x06, Buffer.from(bytes))
}

function der (tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content])
  const digits = length < 0x100 ? [length] : [length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, 0x80 | digits.length, ...digits]), content])
}
