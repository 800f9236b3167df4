import type { Secret } from '../secret.ts'
import type { Injection } from './injection.ts'

/** A security scheme, named as OIS (and OpenAPI) spell it. */
export type Scheme =
  | { readonly type: 'apiKey', readonly in: 'header' | 'query' | 'cookie', readonly name: string, readonly postQuery?: 'url' }
  | { readonly type: 'http', readonly scheme: 'bearer' | 'basic' }

/** Where a scheme's value comes from: the current token of a credential, or a fixed secret (a field of that credential). */
export type ValueSource =
  | { readonly type: 'token', readonly credential: string }
  | { readonly type: 'fixed', readonly credential: string, readonly value: Secret }

/** A scheme of a route with the source of its value. */
export interface Binding {
  readonly scheme: Scheme
  readonly value: ValueSource
}

/** One line that names a scheme to a person: `apiKey header X-Api-Key`, `http bearer`. */
export function describeScheme (scheme: Scheme): string {
  return scheme.type === 'http' ? `http ${scheme.scheme}` : `apiKey ${scheme.in} ${scheme.name}`
}

/**
 * What a scheme writes into a request (OpenAPI 3.0 security schemes as Airnode applies them; RFC 7617, RFC 6750).
 *
 * @param value for `basic` already the base64 of `user:password`, for `bearer` the bare token, else verbatim
 */
export function injectionOf (scheme: Scheme, value: Secret): Injection {
  if (scheme.type === 'apiKey') return { in: scheme.in, name: scheme.name, prefix: '', value }
  return { in: 'header', name: 'authorization', prefix: scheme.scheme === 'basic' ? 'Basic ' : 'Bearer ', value }
}
