import type { Secret } from '../secret.ts'
import type { Injection } from './injection.ts'
import type { RelayKind, RelaySource } from './relay.ts'

/** A security scheme, named as OIS (and, but for `relay*`, OpenAPI) spell it. */
export type Scheme =
  | { readonly type: 'http', readonly scheme: 'bearer' | 'basic' }
  | PlacedScheme

/** A scheme that names its place. */
export interface PlacedScheme {
  readonly type: 'apiKey' | RelayKind
  readonly in: 'header' | 'query' | 'cookie'
  readonly name: string
  /** For `in: query`: a POST too has it in the URL, where Airnode and we put it into the body. */
  readonly postQuery?: 'url'
}

/**
 * Where a scheme's value comes from: the current token of a credential, a fixed secret, or what the caller asserts (OIS relay metadata).
 */
export type ValueSource =
  | { readonly type: 'token', readonly credential: string }
  | { readonly type: 'fixed', readonly credential: string, readonly value: Secret }
  | { readonly type: 'relay', readonly kind: RelayKind, readonly source: RelaySource }

/** A scheme of a route with the source of its value. */
export interface Binding {
  readonly scheme: Scheme
  readonly value: ValueSource
}

/** One line that names a scheme to a person: `apiKey header X-Api-Key`, `http bearer`, `relayChainId query chain`. */
export function describeScheme (scheme: Scheme): string {
  return scheme.type === 'http' ? `http ${scheme.scheme}` : `${scheme.type} ${scheme.in} ${scheme.name}`
}

/**
 * The injection by which a scheme writes a value into a request (OpenAPI 3.0 security schemes as Airnode applies them; RFC 7617,
 * RFC 6750).
 *
 * @param value for `basic` already the base64 of `user:password`, for `bearer` the bare token, else verbatim
 */
export function injectionOf (scheme: Scheme, value: Secret): Injection {
  if (scheme.type === 'http') {
    return { in: 'header', name: 'authorization', prefix: scheme.scheme === 'basic' ? 'Basic ' : 'Bearer ', value }
  }
  return { in: scheme.in, name: scheme.name, prefix: '', value, ...(scheme.postQuery !== undefined && { postQuery: scheme.postQuery }) }
}
