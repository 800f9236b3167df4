import { Secret } from '../../secret.ts'
import type { ProxyEnvironment } from '../../upstream/connect.ts'
import { systemClock } from '../clock.ts'
import { deadlineExceeded, tokenErrorOf, unknownFailure } from '../provider/failures.ts'
import { lifetimeOf } from '../provider/lifetime.ts'
import { TokenError, type Grant, type TokenSource } from '../token.ts'
import { withDeadline } from '../wrappers.ts'
import { OAUTH2_SETTINGS } from './classify.ts'
import { createTokenFetch, type Negotiation } from './fetch.ts'
import type { TokenType } from './response.ts'

/** What logging in needs of a client of an OAuth 2.0 authorization server. */
export interface OAuth2Credential {
  /** Whether plain `http:` is allowed was decided before. */
  readonly tokenUrl: string
  readonly clientId: string
  readonly clientSecret: Secret
  readonly scope?: string
  readonly audience?: readonly string[]
  /** RFC 8707. */
  readonly resource?: readonly string[]
  readonly clientAuth: 'basic' | 'post'
  /** Further form fields; what stands above wins over them. */
  readonly extra: ReadonlyMap<string, Secret>
  /** `any`: tokens of every type are taken; default `bearer`. */
  readonly tokenType?: TokenType
  /** How long a token lives whose response does not tell. */
  readonly lifetimeSeconds?: number
}

export interface OAuth2Options {
  readonly proxies: ProxyEnvironment
  /** Milliseconds for a whole login, from the connection to the last byte of the response; default 10 000. */
  readonly deadlineMs?: number
}

/**
 * Makes the source of one credential's tokens by the client credentials grant (RFC 6749 section 4.4). It keeps nothing but the
 * credential and cannot refresh: that grant has no refresh tokens (section 4.4.3), every token is a login.
 */
export function createOAuth2Source (credential: OAuth2Credential, { proxies, deadlineMs = 10_000 }: OAuth2Options): TokenSource {
  const source: TokenSource = {
    token: (signal) => logIn(credential, { proxies, signal, tokenType: credential.tokenType ?? 'bearer', clockSkewMs: undefined })
  }
  return withDeadline(source, {
    clock: systemClock(),
    deadlineMs,
    createTimeout: () => tokenErrorOf(deadlineExceeded(deadlineMs)),
    createAborted: () => new TokenError('transient', 'Aborted', 'The login was given up before it was answered.')
  })
}

async function logIn (credential: OAuth2Credential, negotiation: Negotiation): Promise<Grant> {
  try {
    const { access_token: token, expires_in: expiresIn } = await requestToken(credential, negotiation)
    const lifetimeMs = lifetimeOf(token, expiresIn ?? credential.lifetimeSeconds)
    const { clockSkewMs } = negotiation
    return {
      value: new Secret(token),
      ...(lifetimeMs !== undefined && { lifetimeMs }),
      ...(clockSkewMs !== undefined && { clockSkewMs })
    }
  } catch (error) {
    throw error instanceof TokenError ? error : tokenErrorOf(unknownFailure(OAUTH2_SETTINGS), { clockSkewMs: negotiation.clockSkewMs })
  }
}

async function requestToken (
  credential: OAuth2Credential,
  negotiation: Negotiation
): Promise<{ readonly access_token: string, readonly expires_in?: number }> {
  // Loaded by the first login: who has no such credential need not wait for it at start, nor hold it in memory.
  const oauth = await import('oauth4webapi')
  // A stop that came meanwhile: nothing may be opened any more.
  negotiation.signal.throwIfAborted()
  const { tokenUrl, clientId, clientSecret, clientAuth } = credential
  const { origin, protocol } = new URL(tokenUrl)
  const server = { issuer: origin, token_endpoint: tokenUrl }
  const client = { client_id: clientId }
  const authenticate =
    clientAuth === 'post'
      ? oauth.ClientSecretPost(clientSecret.reveal())
      : (_server: unknown, _client: unknown, _body: unknown, headers: Headers): void => {
          headers.set('authorization', basic(clientId, clientSecret.reveal()))
        }
  const response = await oauth.clientCredentialsGrantRequest(server, client, authenticate, formOf(credential), {
    [oauth.customFetch]: createTokenFetch(negotiation),
    // The configuration allows plain http: to loopback, or where it says so.
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- so marked to stand out
    [oauth.allowInsecureRequests]: protocol === 'http:'
  })
  return await oauth.processClientCredentialsResponse(server, client, response)
}

function formOf ({ scope, audience, resource, extra }: OAuth2Credential): URLSearchParams {
  const form = new URLSearchParams(Array.from(extra, ([name, value]): [string, string] => [name, value.reveal()]))
  if (scope !== undefined) form.set('scope', scope)
  for (const [name, values] of Object.entries({ audience, resource })) {
    if (values === undefined) continue
    form.delete(name)
    for (const value of values) form.append(name, value)
  }
  return form
}

/**
 * RFC 6749 section 2.3.1, as Go's oauth2 has it. Not oauth4webapi's ClientSecretBasic, which also escapes `-`, `_`, `.` and `~`:
 * right for a server that decodes, but many do not, and would no longer know any client whose id is a UUID (panva/oauth4webapi#148).
 */
function basic (id: string, secret: string): string {
  return `Basic ${Buffer.from(`${formEncode(id)}:${formEncode(secret)}`, 'ascii').toString('base64')}`
}

// Appendix B: application/x-www-form-urlencoded, of UTF-8.
function formEncode (text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1).replaceAll('%7E', '~')
}
