import { ProxyError } from '../errors.ts'
import { spliceBody } from '../route/body.ts'
import { injectionsOf } from '../route/route.ts'
import type { Attempt } from './attempt.ts'
import type { CredentialValues, RoutedContext } from './context.ts'

const NOTHING: Attempt['spent'] = []

/**
 * Makes the next attempt at a request, from its credential values alone.
 *
 * @throws ProxyError 415 or 422 `CS_BODY_UNSUPPORTED` where its body takes no fields
 */
export function inject ({ route, message, values, attempt: earlier }: RoutedContext): Attempt {
  const injections = injectionsOf(route, (credential) => tokenOf(values, credential), (kind) => relayedOf(values, kind))
  return {
    second: earlier !== undefined,
    injections,
    spent: earlier?.injections ?? NOTHING,
    spliced: values.unspliced === undefined ? undefined : spliceBody(values.unspliced, message.rawHeaders, injections),
    exchange: undefined
  }
}

type Injectors = Parameters<typeof injectionsOf>

function tokenOf ({ tokens }: CredentialValues, credential: string): ReturnType<Injectors[1]> {
  const token = tokens.get(credential)
  if (token === undefined) throw new ProxyError('CS_TOKEN_UNAVAILABLE', { retryAfter: 1 })
  return token.value
}

function relayedOf ({ relayed }: CredentialValues, kind: Parameters<Injectors[2]>[0]): ReturnType<Injectors[2]> {
  const value = relayed.get(kind)
  if (value === undefined) throw new ProxyError('CS_BAD_REQUEST', { message: `The request has no ${kind}, which this route relays.` })
  return value
}
