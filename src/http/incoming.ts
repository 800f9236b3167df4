import { IncomingMessage } from 'node:http'

// HTTP/2 in the clear, which RFC 9113 section 3.1 gave up (the Java HTTP client still asks for it with every first
// request, bodies included), and TLS within HTTP (RFC 2817): a proxy between the two sides can do neither.
const NEVER_SWITCHED = /^(?:h2c?|tls)(?:\/|$)/

/**
 * A request as Node's parser makes it, which decides for itself whether it is an upgrade. Node takes every request with
 * an `Upgrade` header for one as soon as somebody listens for upgrades, and then responds to none of them; the header is an
 * offer that a server may ignore (RFC 9110 section 7.8), and what is no upgrade here goes on as the request that it also is.
 */
export class Incoming extends IncomingMessage {
  /** What Node's parser found. No initial value: it would overwrite what the base class has set. */
  declare private asked: unknown

  /** Whether Node treats the request as an upgrade. */
  get upgrade (): boolean {
    return this.asked === true && (this.method === 'CONNECT' || isSwitch(this))
  }

  set upgrade (value: unknown) {
    this.asked = value
  }
}

/** The protocols that an `Upgrade` header names, in lower case. */
export function protocolsOf (upgrade: string | undefined): string[] {
  return (upgrade ?? '').split(',').map((protocol) => protocol.trim().toLowerCase()).filter((protocol) => protocol !== '')
}

/**
 * Whether a request that offers another protocol is an upgrade here. One with a body is not: every reader would have to tell the
 * body from the first bytes of the other protocol. HTTP/1.0 must not be upgraded (RFC 9110 section 7.8).
 */
export function isSwitch ({ method, httpVersion, headers }: Pick<IncomingMessage, 'method' | 'httpVersion' | 'headers'>): boolean {
  const protocols = protocolsOf(headers.upgrade)
  return (method === 'GET' || method === 'POST') &&
    httpVersion === '1.1' &&
    headers['transfer-encoding'] === undefined &&
    Number(headers['content-length'] ?? 0) === 0 &&
    protocols.length > 0 && !protocols.some((protocol) => NEVER_SWITCHED.test(protocol))
}

/** How many bytes of body a request announces; undefined where it comes in chunks. */
export function announcedLength ({ headers }: Pick<IncomingMessage, 'headers'>): number | undefined {
  return headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : undefined
}
