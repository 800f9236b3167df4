import { ProxyError } from '../errors.ts'

/**
 * Verification failures of OpenSSL's X.509 code (Node's `tls` documentation, "X509 certificate error codes") and of Node's own name check.
 */
const CERTIFICATE_ERRORS = new Set([
  'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_CRL', 'UNABLE_TO_DECRYPT_CERT_SIGNATURE', 'UNABLE_TO_DECRYPT_CRL_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY', 'CERT_SIGNATURE_FAILURE', 'CRL_SIGNATURE_FAILURE', 'CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED',
  'CRL_NOT_YET_VALID', 'CRL_HAS_EXPIRED', 'ERROR_IN_CERT_NOT_BEFORE_FIELD', 'ERROR_IN_CERT_NOT_AFTER_FIELD',
  'ERROR_IN_CRL_LAST_UPDATE_FIELD', 'ERROR_IN_CRL_NEXT_UPDATE_FIELD', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_CHAIN_TOO_LONG', 'CERT_REVOKED', 'INVALID_CA',
  'PATH_LENGTH_EXCEEDED', 'INVALID_PURPOSE', 'CERT_UNTRUSTED', 'CERT_REJECTED', 'HOSTNAME_MISMATCH', 'ERR_TLS_CERT_ALTNAME_INVALID'
])

/**
 * The RFC 9209 section 2.3 error type for what went wrong below HTTP, by the code of the innermost error; the client names the others
 * itself.
 */
const PROXY_STATUS = new Map<string, string>([
  ...typed(
    'dns_error',
    'ENOTFOUND',
    'EAI_AGAIN',
    'EAI_FAIL',
    'EAI_NODATA',
    'EAI_NONAME',
    'EAI_ADDRFAMILY',
    'EAI_FAMILY',
    'EAI_MEMORY',
    'EAI_SYSTEM',
    'EAI_SERVICE',
    'ENODATA',
    'ESERVFAIL',
    'EFORMERR',
    'ENONAME',
    'EBADNAME',
    'EREFUSED',
    'EBADRESP'
  ),
  ...typed('dns_timeout', 'ETIMEOUT'),
  ...typed('connection_refused', 'ECONNREFUSED'),
  ...typed('connection_timeout', 'ETIMEDOUT', 'ERR_SOCKET_CONNECTION_TIMEOUT'),
  ...typed(
    'connection_terminated',
    'ECONNRESET',
    'ECONNABORTED',
    'EPIPE',
    'ENETRESET',
    'ENOTCONN',
    'ESHUTDOWN',
    'ERR_STREAM_PREMATURE_CLOSE',
    'ERR_STREAM_DESTROYED'
  ),
  ...typed('destination_ip_unroutable', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'),
  ...typed(
    'tls_protocol_error',
    'EPROTO',
    'ERR_TLS_HANDSHAKE_TIMEOUT',
    'ERR_TLS_PROTOCOL_VERSION_CONFLICT',
    'ERR_TLS_DH_PARAM_SIZE',
    'ERR_TLS_SESSION_ATTACK',
    'ERR_TLS_RENEGOTIATION_DISABLED'
  )
])

function typed (type: string, ...codes: readonly string[]): Array<[string, string]> {
  return codes.map((code) => [code, type])
}

/**
 * The response for a request that got no response from the upstream. Its text is constant: the cause, which names hosts and
 * addresses, is kept for the log only.
 */
export function upstreamFailure (cause: unknown): ProxyError {
  if (cause instanceof ProxyError) return cause
  const code = errorCode(cause)
  if (CERTIFICATE_ERRORS.has(code)) return new ProxyError('CS_UPSTREAM_TLS', { cause })
  if (code === 'EMFILE' || code === 'ENFILE') {
    return new ProxyError('CS_OVERLOADED', {
      cause,
      retryAfter: 1,
      message:
        'This proxy has no file descriptor left for a connection to the upstream; try again soon, or raise its limit of open files (ulimit -n).'
    })
  }
  const proxyStatus = proxyStatusOf(code)
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', { cause, ...(proxyStatus !== undefined && { proxyStatus }) })
}

function proxyStatusOf (code: string): string | undefined {
  if (code.startsWith('ERR_SSL_')) return code.includes('_ALERT_') ? 'tls_alert_received' : 'tls_protocol_error'
  return PROXY_STATUS.get(code)
}

/** The innermost error code: `AggregateError` (several addresses tried) and others wrap the one that tells. */
function errorCode (error: unknown): string {
  if (!(error instanceof Error)) return ''
  if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0])
  const inner = error.cause === undefined ? '' : errorCode(error.cause)
  if (inner !== '') return inner
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}
