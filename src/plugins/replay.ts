import type { RelayKind } from '../auth/relay.ts'
import type { Secret } from '../secret.ts'
import type { Token } from '../token/token.ts'
import type { ReplayBuffer } from '../upstream/replay-buffer.ts'

/** What a request was made from, as far as another token would make another one. */
export interface Sent {
  readonly tokens: ReadonlyMap<string, Token>
  /** Generated values among them stay as they are: it is the same request. */
  readonly relayed: ReadonlyMap<RelayKind, Secret>
  /** The client's body, before fields were put into it. */
  readonly unspliced?: Buffer
  /** The client's body, where it was here before the request was sent. */
  whole?: Buffer
  /** Holds a body that streams; absent where there is none, or one that is announced to be too large. */
  held?: ReplayBuffer
  /** The body streams and is not held: what is gone cannot be sent again. */
  gone?: boolean
}

/** Why a 401 was passed on; a bounded set, for the log. */
export type PassedOn = 'the body is gone' | 'no other token' | 'the answer to the second attempt'

export interface TokenPort {
  /** The current token of a credential; a promise only where none is usable now. Throws, or rejects with, a ProxyError. */
  readonly token: (credential: string) => Token | Promise<Token>
  /** The upstream answered anything but 401 to this token. */
  readonly accept: (credential: string, token: Token) => void
  /** The upstream answered 401 to this token. */
  readonly reject: (credential: string, token: Token) => void
  /** What to send in place of such a token; undefined where no other can be had. */
  readonly another: (credential: string, token: Token) => Promise<Token | undefined>
}

/** What to send in place of a request that met 401. */
export interface Renewed {
  readonly tokens: ReadonlyMap<string, Token>
  /** Credentials whose token is another one now. */
  readonly credentials: readonly string[]
  /** The body that was held; undefined where the request had none, or one that fields go into. */
  readonly body: Buffer | undefined
}

/**
 * After an upstream's 401: tells the store, whatever else happens, and finds out whether the request can be sent once
 * more, with another token and its whole body. Any number of requests that met 401 with one token wait for one fetch.
 */
export async function renew ({ tokens, held, gone, whole }: Sent, port: TokenPort): Promise<Renewed | PassedOn> {
  for (const [credential, token] of tokens) port.reject(credential, token)
  if (gone === true || held?.released === true) return 'the body is gone'
  const current = await fetchAll(tokens, port)
  if (current === undefined) return 'no other token'
  const credentials = [...tokens.keys()].filter((credential) => current.get(credential) !== tokens.get(credential))
  if (credentials.length === 0) return 'no other token'
  const body = whole ?? await held?.whole()
  return held !== undefined && body === undefined ? 'the body is gone' : { tokens: current, credentials, body }
}

// Where one of them cannot be replaced it may be good all the same; one whose life ended meanwhile is not sent again.
async function fetchAll (tokens: ReadonlyMap<string, Token>, port: TokenPort): Promise<ReadonlyMap<string, Token> | undefined> {
  const replace = async (credential: string, token: Token): Promise<Token> => await port.another(credential, token) ?? await port.token(credential)
  try {
    return new Map(await Promise.all(Array.from(tokens, async ([credential, token]) => [credential, await replace(credential, token)] as const)))
  } catch {
    // No token in time, or a credential that is refused: the upstream's 401 says more to the client than an error of ours.
    return undefined
  }
}
