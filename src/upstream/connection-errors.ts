import { ProxyError } from '../errors.ts'

/** The connection itself failed. `connection_terminated` is for responses of which nothing came (RFC 9209 section 2.3.9). */
export function incomplete (responded: boolean, cause?: Error): ProxyError {
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', {
    proxyStatus: responded ? 'http_response_incomplete' : 'connection_terminated',
    cause: cause ?? new Error('the upstream closed the connection before its response was whole')
  })
}

/** The response fell silent within its body. */
export function silent (): ProxyError {
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', {
    proxyStatus: 'connection_read_timeout',
    cause: new Error('the response fell silent for idleTimeoutMs')
  })
}

/** The pool is closed. */
export function destroyed (): ProxyError {
  return new ProxyError('CS_UPSTREAM_UNREACHABLE', {
    proxyStatus: 'connection_terminated',
    cause: new Error('the connections to the upstream are being closed')
  })
}

const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ETIMEDOUT'])

/** Whether the connection itself failed, before any response: neither a deadline of ours, nor what was said over it. */
export function isBroken (error: Error): boolean {
  if (error instanceof ProxyError) return error.proxyStatus === 'connection_terminated'
  return 'code' in error && typeof error.code === 'string' && BROKEN.has(error.code)
}
