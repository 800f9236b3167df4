import { LONGEST_HEADER_VALUE } from '../../http/header-value.ts'
import { ForwardProxyError } from '../../http/proxy-url.ts'
import { TokenError, type FailureClass, type TokenErrorDetails } from '../token.ts'

/** Why a login or refresh failed: what the refresher decides by, and a sentence for people that holds nothing of the response. */
export interface Classification {
  readonly class: FailureClass
  readonly code: string
  readonly message: string
}

/** What one kind of credential calls the settings that sentences tell people to check. */
export interface SettingNames {
  /** The one that has the identity provider's address. */
  readonly address: string
  /** Those that a login hangs on which fails in a way that is not known. */
  readonly login: string
}

/** A classification as an error, with what was measured on the way. */
export function tokenErrorOf ({ class: failure, code, message }: Classification, details: TokenErrorDetails = {}): TokenError {
  return new TokenError(failure, code, message, details)
}

/** A failure that passes by itself, as far as anybody knows. */
export function transient (code: string, message: string): Classification {
  return { class: 'transient', code, message }
}

/** A response that is not the identity provider's: a gateway's page, a captive portal, half a response. */
export function unexpectedResponse (status: number, { address }: SettingNames): Classification {
  return transient(
    status >= 500 ? 'ServerError' : 'UnexpectedAnswer',
    `The identity provider's address answered with status ${status} and nothing that can be used; if this stays, check ${address} and the proxies on the way.`
  )
}

/** A request that got no response. @param error what kept it away; only its code is passed on */
export function classifyNetworkError (error: unknown, { address }: SettingNames): Classification {
  const cause = codeOf(error)
  const proxy = error instanceof ForwardProxyError ? error : undefined
  if (proxy?.status !== undefined) {
    return transient(
      'ProxyError',
      `The proxy on the way to the identity provider refuses to connect (status ${proxy.status}); check HTTPS_PROXY and NO_PROXY.`
    )
  }
  if (cause !== undefined && TLS_ERROR.test(cause)) {
    const whose = proxy === undefined ? 'the identity provider' : 'the proxy on the way to the identity provider'
    return transient(
      'TlsError',
      `The certificate of ${whose} does not verify (${cause}), so nothing was sent; set NODE_EXTRA_CA_CERTS if a private authority signed it.`
    )
  }
  if (cause === 'ENOTFOUND' || cause === 'EAI_AGAIN') {
    return transient(
      'DnsError',
      `The name of the identity provider, or of the proxy on the way, does not resolve (${cause}); check ${address}, HTTPS_PROXY and the resolver.`
    )
  }
  return transient(
    'NetworkError',
    `The identity provider could not be reached (${cause ?? 'no response'}); check the network, HTTPS_PROXY and NO_PROXY.`
  )
}

/** A token that no header can carry, or none that servers take (RFC 9110 section 5.5). */
export function unusableToken (): Classification {
  return transient(
    'UnusableToken',
    `The identity provider gave a token that no header can carry: it is no line of visible ASCII of at most ${LONGEST_HEADER_VALUE} characters. It is asked again with growing pauses; if this stays, look into its log.`
  )
}

/** The whole login or refresh took longer than it may. @param deadlineMs milliseconds */
export function deadlineExceeded (deadlineMs: number): Classification {
  return transient('Timeout', `The identity provider did not answer within ${deadlineMs} ms; it is asked again with growing pauses.`)
}

/** The login or refresh ended in a way that no rule here foresees. What was thrown may quote what was sent, so it is told nowhere. */
export function unknownFailure ({ login }: SettingNames): Classification {
  return transient('UnknownFailure', `The login failed in a way that is not known; check ${login}, and report this if it stays.`)
}

/**
 * A word of the provider where it looks like one, else undefined. It becomes part of log lines and of a status page, so its
 * alphabet and its length are ours.
 */
export function boundedWord (value: unknown): string | undefined {
  return typeof value === 'string' && /^\w{1,64}$/.test(value) ? value : undefined
}

const TLS_ERROR =
  /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH_EXCEEDED|INVALID_PURPOSE)/

function codeOf (error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { code, cause, errors } = error as { code?: unknown, cause?: unknown, errors?: unknown }
  // Both addresses of a name failed (AggregateError): the first tells enough.
  const inner = Array.isArray(errors) ? codeOf(errors[0]) : codeOf(cause)
  return inner ?? boundedWord(code)
}
