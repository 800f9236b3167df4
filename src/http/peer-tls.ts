import type { Secret } from '../secret.ts'

/** The trusted authorities and the client certificate of a TLS connection, where they are not the usual ones. */
export interface PeerTls {
  /** PEM of the authorities that are trusted instead of the usual ones. */
  readonly ca?: string
  /** The client certificate, in PEM. */
  readonly client?: { readonly cert: string, readonly key: Secret }
  /** Sent as SNI, and the name that the certificate must have; default: the host. */
  readonly serverName?: string
}
