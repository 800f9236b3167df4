import { announcedLength } from '../http/incoming.ts'
import { readWhole } from '../http/read-whole.ts'
import { checkSpliceable, LARGEST_SPLICED_BODY, takesBodyFields, tooLarge } from '../route/body.ts'
import { readRelayed } from '../route/relayed.ts'
import type { Token } from '../token/token.ts'
import { Upload } from '../upstream/upload.ts'
import { NO_VALUES, type CredentialValues, type RoutedContext } from './context.ts'
import { askForBody } from './send.ts'

/**
 * Gets what the route's injections are made of: current tokens, relayed values, and the body where fields go into it.
 *
 * @returns a promise only where a token or the body has to be waited for
 * @throws ProxyError, or rejects with one: a token is not to be had, a relayed value is malformed, the body takes no fields
 */
export function credentials (context: RoutedContext): Promise<void> | undefined {
  const { route, message, method } = context
  const relayed = route.readsRelayed ? readRelayed(route, message.rawHeaders) : NO_VALUES.relayed
  const splices = takesBodyFields(route, method)
  if (splices) checkSpliceable(message.rawHeaders, announcedLength(message))
  const tokens = currentTokens(context)
  // Comes after everything that throws: a read that has begun must be awaited.
  const body = splices ? readBody(context) : undefined
  if (body === undefined && !(tokens instanceof Promise)) {
    context.values = { tokens, relayed }
    return undefined
  }
  return Promise.all([tokens, body]).then(([arrived, unspliced]) => { context.values = { tokens: arrived, relayed, unspliced } })
}

/** The tokens that the route needs, by credential; a promise only where one of them has to be waited for. */
function currentTokens ({ route, proxy: { store } }: RoutedContext): CredentialValues['tokens'] | Promise<CredentialValues['tokens']> {
  if (route.credentials.length === 0) return NO_VALUES.tokens
  const tokens = new Map<string, Token>()
  const waits: Array<Promise<void>> = []
  for (const credential of route.credentials) {
    const now = store.get(credential)
    if (now instanceof Promise) waits.push(now.then((later) => { tokens.set(credential, later) }))
    else tokens.set(credential, now)
  }
  return waits.length === 0 ? tokens : Promise.all(waits).then(() => tokens)
}

async function readBody (context: RoutedContext): Promise<Buffer> {
  askForBody(context)
  const bytes = await readWhole(new Upload(context.message, context.route), LARGEST_SPLICED_BODY)
  if (bytes === undefined) throw tooLarge()
  return bytes
}
