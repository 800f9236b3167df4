import { replaceTokens } from '../token/replace.ts'
import type { CredentialValues, RoutedContext } from './context.ts'
import type { PassedOn } from './observer.ts'

/** What to send in place of a request that met 401. */
export interface Renewed {
  readonly values: CredentialValues
  /** Names of the credentials that have another token now. */
  readonly credentials: readonly string[]
  /** The body that was held; undefined where the request had none, or one that fields go into. */
  readonly body: Buffer | undefined
}

/** The upstream has accepted the tokens: its next 401 to the same ones is a revocation. */
export function accept ({ route, values, body }: RoutedContext): void {
  body.held?.release()
  for (const [credential, token] of values.tokens) route.acceptance.accept(credential, token)
}

/**
 * After an upstream's 401: tells the store, whatever else happens, and finds out whether the request can be sent once
 * more, with another token and its whole body. Any number of requests that met 401 with one token wait for one fetch.
 */
export async function renew (context: RoutedContext): Promise<Renewed | PassedOn> {
  const { proxy: { store }, route: { acceptance }, values, body: { held, gone, whole } } = context
  const { tokens } = values
  for (const [credential, token] of tokens) store.reject(credential, token, acceptance.refuse(credential, token))
  if (gone === true || held?.released === true) return 'the body is gone'
  const current = await replaceTokens(store, tokens)
  if (current === undefined) return 'no other token'
  const credentials = [...tokens.keys()].filter((credential) => current.get(credential) !== tokens.get(credential))
  if (credentials.length === 0) return 'no other token'
  const body = whole ?? await held?.whole()
  return held !== undefined && body === undefined ? 'the body is gone' : { values: { ...values, tokens: current }, credentials, body }
}
