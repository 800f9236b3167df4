import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { parseAddress } from '../../http/address.ts'
import { isIP } from 'node:net'
import type { PeerTls } from '../../http/peer-tls.ts'
import { Secret } from '../../secret.ts'
import type { Context } from '../context.ts'
import type { Path, Reporter } from '../problem.ts'
import type { TlsShape } from './schema.ts'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/**
 * Reads the files that a route's `tls` names, and checks what the first request would otherwise fail on: that they are PEM,
 * and that key and certificate belong together.
 *
 * @returns the sound parts; every other part was reported
 */
export function resolveTls (shape: TlsShape, path: Path, context: Context): PeerTls {
  const { reporter } = context
  const part: TlsPart = { shape, path, context }
  const ca = readPem('ca', 'the authority\'s certificate', part)
  const cert = readPem('cert', 'the client certificate', part)
  const key = readKey(part)
  if (cert !== undefined && shape.key === undefined) {
    reporter.error([...path, 'cert'], 'has no key beside it; add key, the file of its private key')
  }
  if (shape.key !== undefined && shape.cert === undefined) {
    reporter.error([...path, 'key'], 'has no cert beside it; add cert, the file of the client certificate')
  }
  const { serverName } = shape
  if (serverName !== undefined && !isServerName(serverName)) {
    reporter.error(
      [...path, 'serverName'],
      'is no host name; write one as it stands in the certificate, api.example.com (RFC 6066 section 3: no address, no port)'
    )
  }
  if (cert !== undefined && key !== undefined && !cert.first.checkPrivateKey(key.object)) {
    reporter.error([...path, 'key'], 'is not the key of the certificate in cert; name the file that belongs to it')
  }
  if (cert !== undefined) checkDates(cert.first, path, reporter)
  return {
    ...(ca !== undefined && { ca: ca.text }),
    ...(cert !== undefined && key !== undefined && { client: { cert: cert.text, key: key.secret } }),
    ...(serverName !== undefined && { serverName })
  }
}

/** The `tls` of a route, where it stands, and what checking it needs. */
interface TlsPart {
  readonly shape: TlsShape
  readonly path: Path
  readonly context: Context
}

function readFile (name: 'ca' | 'cert' | 'key', { shape, path, context }: TlsPart): string | undefined {
  const { reporter } = context
  const file = shape[name]
  if (file === undefined) return undefined
  if (file.trim() === '') {
    reporter.error([...path, name], 'is empty; name a file, or remove the key')
    return undefined
  }
  const content = context.readFile(file)
  if (content.ok) return content.text
  reporter.error([...path, name], `the file that it names ${content.reason}; correct the path or the file`)
  return undefined
}

function readPem (name: 'ca' | 'cert', what: string, part: TlsPart): { readonly text: string, readonly first: X509Certificate } | undefined {
  const text = readFile(name, part)
  if (text === undefined) return undefined
  const blocks = text.match(CERTIFICATE) ?? []
  const certificates = blocks.flatMap((block) => parseCertificate(block) ?? [])
  const [first] = certificates
  // OpenSSL would take the sound ones in silence, and leave the others out.
  if (first !== undefined && certificates.length === blocks.length) return { text, first }
  part.context.reporter.error(
    [...part.path, name],
    first === undefined
      ? `the file that it names holds no certificate in PEM; write ${what} into it, from -----BEGIN CERTIFICATE----- on`
      : 'the file that it names holds a certificate that cannot be read; write it anew'
  )
  return undefined
}

function readKey (part: TlsPart): { readonly secret: Secret, readonly object: KeyObject } | undefined {
  const text = readFile('key', part)
  if (text === undefined) return undefined
  try {
    return { secret: new Secret(text), object: createPrivateKey(text) }
  } catch {
    // OpenSSL's own words are left out: nothing of the file may be shown.
    part.context.reporter.error(
      [...part.path, 'key'],
      /^-----BEGIN ENCRYPTED |^Proc-Type: 4,ENCRYPTED/m.test(text)
        ? 'the file that it names holds an encrypted key, which nobody could open at a start; store it decrypted, readable for this user alone'
        : 'the file that it names holds no private key in PEM; write it there, from -----BEGIN PRIVATE KEY----- on'
    )
    return undefined
  }
}

function checkDates ({ validFrom, validTo }: X509Certificate, path: Path, reporter: Reporter): void {
  const now = Date.now()
  if (now > Date.parse(validTo)) {
    reporter.warning([...path, 'cert'], 'the client certificate has expired, so upstreams will refuse it; put a new one there')
  } else if (now < Date.parse(validFrom)) {
    reporter.warning([...path, 'cert'], 'the client certificate is not valid yet, so upstreams will refuse it; check the clock, or wait')
  }
}

function parseCertificate (block: string): X509Certificate | undefined {
  try {
    return new X509Certificate(block)
  } catch {
    return undefined
  }
}

function isServerName (text: string): boolean {
  const address = parseAddress(`${text}:1`)
  return address?.type === 'tcp' && isIP(address.host) === 0
}
