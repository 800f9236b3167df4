import type { CredentialStore } from './store.ts'
import type { Token } from './token.ts'

/**
 * Gets what to send in place of tokens that an upstream answered with 401. A token that cannot be replaced may still be good: it is
 * kept; one that has expired meanwhile is not sent again.
 *
 * @param tokens by the name of their credential
 * @returns undefined where a credential has no token in time, or is refused: the upstream's 401 then says more than an error of ours
 */
export async function replaceTokens (
  store: Pick<CredentialStore, 'another' | 'get'>,
  tokens: ReadonlyMap<string, Token>
): Promise<ReadonlyMap<string, Token> | undefined> {
  const replace = async ([name, token]: readonly [string, Token]): Promise<readonly [string, Token]> =>
    [name, (await store.another(name, token)) ?? (await store.get(name))]
  try {
    return new Map(await Promise.all(Array.from(tokens, replace)))
  } catch {
    return undefined
  }
}
