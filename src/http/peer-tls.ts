import type { Secret } from '../secret.ts'

/** Whom to trust and who to be on a TLS connection, where that is not the usual. */
export interface PeerTls {
  /** PEM of the authorities that are trusted instead of the usual ones. */
  readonly ca?: string
  /** The client certificate, in PEM. */
  readonly client?: { readonly cert: string, readonly key: Secret }
  /** Sent as SNI, and the name that the certificate must have; default: the host. */
  readonly serverName?: string
}
