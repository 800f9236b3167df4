import { ProxyError } from '../errors.ts'

/** Verification failures of OpenSSL's X.509 code (Node's `tls` documentation, "X509 certificate error codes") and of Node's own name check. */
const CERTIFICATE_ERRORS = new Set([
  'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_CRL', 'UNABLE_TO_DECRYPT_CERT_SIGNATURE', 'UNABLE_TO_DECRYPT_CRL_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY', 'CERT_SIGNATURE_FAILURE', 'CRL_SIGNATURE_FAILURE', 'CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED',
  'CRL_NOT_YET_VALID', 'CRL_HAS_EXPIRED', 'ERROR_IN_CERT_NOT_BEFORE_FIELD', 'ERROR_IN_CERT_NOT_AFTER_FIELD',
  'ERROR_IN_CRL_LAST_UPDATE_FIELD', 'ERROR_IN_CRL_NEXT_UPDATE_FIELD', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_CHAIN_TOO_LONG', 'CERT_REVOKED', 'INVALID_CA',
  'PATH_LENGTH_EXCEEDED', 'INVALID_PURPOSE', 'CERT_UNTRUSTED', 'CERT_REJECTED', 'HOSTNAME_MISMATCH', 'ERR_TLS_CERT_ALTNAME_INVALID'
])

/** The RFC 9209 section 2.3 error type for what went wrong on the way to the upstream, by the code of the innermost error. */
const PROXY_STATUS = new Map<string, string>([
  ...typed('dns_error', 'ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'EAI_NONAME', 'EAI_ADDRFAMILY', 'EAI_FAMILY', 'EAI_MEMORY', 'EAI_SYSTEM', 'EAI_SERVICE', 'ENODATA', 'ESERVFAIL', 'EFORMERR', 'ENONAME', 'EBADNAME', 'EREFUSED', 'EBADRESP'),
  ...typed('dns_timeout', 'ETIMEOUT'),
  ...typed('connection_refused', 'ECONNREFUSED'),
  ...typed('connection_timeout', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT', 'ERR_SOCKET_CONNECTION_TIMEOUT'),
  ...typed('connection_terminated', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ENETRESET', 'ENOTCONN', 'ESHUTDOWN', 'UND_ERR_SOCKET', 'UND_ERR_DESTROYED', 'UND_ERR_CLOSED', 'UND_ERR_ABORTED', 'UND_ERR_INFO', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED'),
  ...typed('destination_ip_unroutable', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'),
  ...typed('tls_protocol_error', 'EPROTO', 'UND_ERR_PRX_TLS', 'ERR_TLS_HANDSHAKE_TIMEOUT', 'ERR_TLS_PROTOCOL_VERSION_CONFLICT', 'ERR_TLS_DH_PARAM_SIZE', 'ERR_TLS_SESSION_ATTACK', 'ERR_TLS_RENEGOTIATION_DISABLED'),
  ...typed('http_response_header_section_size', 'UND_ERR_HEADERS_OVERFLOW'),
  // Before there are headers it is what undici's parser says of any malformed head that has a Content-Length already.
  ...typed('http_protocol_error', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'),
  ...typed('http_response_body_size', 'UND_ERR_RES_EXCEEDED_MAX_SIZE'),
  ...typed('connection_read_timeout', 'UND_ERR_BODY_TIMEOUT'),
  ...typed('http_request_error', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH', 'UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED')
])

function typed (type: string, ...codes: readonly string[]): Array<[string, string]> {
  return codes.map((code) => [code, type])
}

/**
 * The answer for a request that got no answer from the upstream. Its text is constant: the cause, which names hosts and
 * addresses, is kept for the log only.
 */
export function upstreamFailure (cause: unknown): ProxyError {
  if (cause instanceof ProxyError) return cause
  const code = errorCode(cause)
  if (code === 'UND_ERR_HEADERS_TIMEOUT') return new ProxyError('CS_UPSTREAM_TIMEOUT', { cause })
  if (CERTIFICATE_ERRORS.has(code)) return new ProxyError('CS_UPSTREAM_TLS', { cause })
  if (code === 'EMFILE' || code === 'ENFILE') return new ProxyError('CS_OVERLOADED', { cause, retryAfter: 1, message: 'This proxy has no file descriptor left for a connection to the upstream; try again soon, or raise its limit of open files (ulimit -n).' })
  const proxyStatus = proxyStatusOf(cause, code)
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', { cause, ...(proxyStatus !== undefined && { proxyStatus }) })
}

function proxyStatusOf (cause: unknown, code: string): string | undefined {
  // By its name: undici's parser looks its codes up the wrong way round, so there is none (7.30).
  if (isUnreadable(cause) || code.startsWith('HPE_')) return 'http_protocol_error'
  if (code.startsWith('ERR_SSL_')) return code.includes('_ALERT_') ? 'tls_alert_received' : 'tls_protocol_error'
  return PROXY_STATUS.get(code)
}

// A 101 or bytes that nobody asked for are errors of the socket to undici.
function isUnreadable (cause: unknown): boolean {
  return cause instanceof Error && (cause.name === 'HTTPParserError' || (cause.name === 'SocketError' && /^bad (?:response|upgrade)$/.test(cause.message)))
}

/** The innermost error code: undici and `AggregateError` (several addresses tried) wrap the one that tells. */
export function errorCode (error: unknown): string {
  if (!(error instanceof Error)) return ''
  if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0])
  const inner = error.cause === undefined ? '' : errorCode(error.cause)
  if (inner !== '') return inner
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}
