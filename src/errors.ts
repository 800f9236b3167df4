import { STATUS_CODES } from 'node:http'

/** One row for each error that the proxy itself responds with. */
interface ErrorRow {
  readonly status: number
  /** RFC 9209 section 2.3: the proxy error type of `Proxy-Status`. */
  readonly proxyStatus: string
  /** What happened and what to do; a more exact sentence may replace it. */
  readonly message: string
}

/**
 * Every error code of the public interface, with its status. Messages hold no secret, token, upstream host or address.
 *
 * @example
 * ERRORS.CS_TOKEN_UNAVAILABLE.status // 503
 */
export const ERRORS = {
  CS_BAD_REQUEST: {
    status: 400,
    proxyStatus: 'http_request_error',
    message: 'The request is malformed; send it again in a form that every HTTP reader reads alike.'
  },
  CS_CALLER_TOKEN: {
    status: 401,
    proxyStatus: 'http_request_denied',
    message: 'This proxy wants a caller token; send it once, as `Proxy-Authorization: Bearer TOKEN` or `X-Countersign-Token: TOKEN`.'
  },
  CS_ORIGIN_NOT_ALLOWED: {
    status: 403,
    proxyStatus: 'http_request_denied',
    message: 'A browser sent this request from another site; list that origin in allowedOrigins if it may call.'
  },
  CS_NOT_ALLOWED: {
    status: 403,
    proxyStatus: 'http_request_denied',
    message: 'The allow list of this route does not hold this method and path; add them there if they are wanted.'
  },
  CS_NO_ROUTE: {
    status: 404,
    proxyStatus: 'destination_not_found',
    message: 'No route has a prefix that matches this path; `countersign status` lists the routes.'
  },
  CS_METHOD_NOT_ALLOWED: {
    status: 405,
    proxyStatus: 'http_request_denied',
    message: 'This method is never forwarded: TRACE would echo the credentials, and this is no tunnel for CONNECT.'
  },
  CS_BODY_TOO_LARGE: {
    status: 413,
    proxyStatus: 'http_request_error',
    message: 'The request body is larger than maxBodyBytes of this route.'
  },
  CS_BODY_UNSUPPORTED: {
    status: 415,
    proxyStatus: 'http_request_error',
    message:
      'A credential of this route goes into the request body, and this body cannot take it; send an uncompressed JSON object or a form of at most 1 MiB.'
  },
  CS_HEADERS_TOO_LARGE: {
    status: 431,
    proxyStatus: 'http_request_error',
    message: 'The header of the request is longer than limits.headerBytes; send less, or raise that.'
  },
  CS_HOST_NOT_ALLOWED: {
    status: 421,
    proxyStatus: 'http_request_denied',
    message: "Host is none of this listener's own names; call it by its address, or list the name in allowedHosts."
  },
  CS_UPSTREAM_UNREACHABLE: {
    status: 502,
    proxyStatus: 'destination_unavailable',
    message: "The upstream of this route could not be reached or gave no valid HTTP answer; Countersign's log tells why."
  },
  CS_UPSTREAM_TLS: {
    status: 502,
    proxyStatus: 'tls_certificate_error',
    message:
      'The certificate of the upstream of this route does not verify, so nothing was sent; set tls.ca of the route if a private authority signed it.'
  },
  CS_CREDENTIAL_REJECTED: {
    status: 502,
    proxyStatus: 'proxy_configuration_error',
    message: 'The identity provider refuses the credential of this route, so nothing was sent; `countersign status` tells why.'
  },
  CS_TOKEN_UNAVAILABLE: {
    status: 503,
    proxyStatus: 'destination_unavailable',
    message: 'There is no usable token for this route now, so nothing was sent; try again soon, `countersign status` tells why.'
  },
  CS_OVERLOADED: {
    status: 503,
    proxyStatus: 'connection_limit_reached',
    message: 'A limit of this proxy is reached; try again soon, or raise limits in the configuration.'
  },
  CS_UPSTREAM_TIMEOUT: {
    status: 504,
    proxyStatus: 'http_response_timeout',
    message: 'The upstream of this route sent no response headers within timeoutMs.'
  },
  CS_INTERNAL: { status: 500, proxyStatus: 'proxy_internal_error', message: 'The proxy failed; its log has the reason.' }
} as const satisfies Record<string, ErrorRow>

/** What `code` of an error response, and of a {@link ProxyError}, may be. */
export type ErrorCode = keyof typeof ERRORS

/** What an error says in place of, or beside, its row of the table. */
export interface ErrorDetails {
  /** Replaces the table's sentence. Must hold no secret, upstream host or address. */
  readonly message?: string
  /** Replaces the table's status: `CS_BODY_UNSUPPORTED` is 415 or 422, a parser's `CS_BAD_REQUEST` may be 408. */
  readonly status?: number
  /** Replaces the table's RFC 9209 error type with a more exact one. */
  readonly proxyStatus?: string
  /** Seconds for `Retry-After`. */
  readonly retryAfter?: number
  /** The connection cannot be used for a further request. */
  readonly close?: boolean
  readonly cause?: unknown
}

/**
 * An error that a client of the proxy sees, and a program that asks for a token itself. Nothing was sent then.
 *
 * @example
 * const token = await refresher.get().catch((error) => {
 *   if (error instanceof ProxyError && error.code === 'CS_TOKEN_UNAVAILABLE') return retryAfter(error.retryAfter) // seconds
 *   throw error
 * })
 */
export class ProxyError extends Error {
  override readonly name = 'ProxyError'
  readonly code: ErrorCode
  readonly statusCode: number
  readonly proxyStatus: string
  readonly retryAfter: number | undefined
  readonly close: boolean

  constructor (code: ErrorCode, details: ErrorDetails = {}) {
    const row: ErrorRow = ERRORS[code]
    super(details.message ?? row.message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.statusCode = details.status ?? row.status
    this.proxyStatus = details.proxyStatus ?? row.proxyStatus
    this.retryAfter = details.retryAfter
    this.close = details.close ?? false
  }
}

/**
 * The part of an error that may be printed: its kind, its code, its sentence, and the same of its causes; never its other
 * properties, which hold requests and values. A defect tells where it happened instead of its sentence: what the runtime
 * says of a bad value often quotes it (`"eyJ…" is not valid JSON`, `Received type string ('eyJ…')`).
 */
export function describeError (error: unknown): Record<string, unknown> {
  return describe(error, isDefect, 0)
}

/** As {@link describeError}, of an error that nobody expected: no sentence at all. */
export function describeCrash (error: unknown): Record<string, unknown> {
  return describe(error, () => true, 0)
}

/** An error as it goes over the wire. */
export interface ErrorResponse {
  readonly statusCode: number
  readonly headers: Record<string, string>
  readonly body: string
}

/**
 * The response to a client for an error: JSON, `Proxy-Status` (RFC 9209) and the headers that keep browsers from reading it.
 *
 * @returns status, headers (lower-case names, `content-length` included) and the body text
 */
export function errorResponse (error: ProxyError): ErrorResponse {
  const body = JSON.stringify({
    statusCode: error.statusCode,
    code: error.code,
    error: STATUS_CODES[error.statusCode],
    message: error.message
  })
  return {
    statusCode: error.statusCode,
    headers: {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      'cache-control': 'no-store',
      'proxy-status': `countersign; error=${error.proxyStatus}`,
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
      // RFC 9110 section 15.5.2: a 401 must say how to authenticate.
      ...(error.statusCode === 401 && { 'www-authenticate': 'Bearer realm="countersign"' }),
      ...(error.statusCode === 405 && { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' }),
      ...(error.retryAfter !== undefined && { 'retry-after': String(error.retryAfter) }),
      ...(error.close && { connection: 'close' })
    },
    body
  }
}

// An error may be a cause of itself.
const DEEPEST_CAUSE = 5

function describe (error: unknown, silent: (error: Error, code: string) => boolean, depth: number): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return {
    type: error.name,
    ...(code !== '' && { code }),
    ...(silent(error, code) ? { at: framesOf(error) } : { message: error.message }),
    ...(error.cause !== undefined && depth < DEEPEST_CAUSE && { cause: describe(error.cause, silent, depth + 1) })
  }
}

// Of the errors that Node itself makes only those of TLS say more than their code without quoting.
function isDefect (error: Error, code: string): boolean {
  return (
    /^ERR_(?!TLS_|SSL_)/.test(code) ||
    [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].some((kind) => error instanceof kind)
  )
}

/** The innermost frames of a stack: functions and places, nothing of the message in front of them. */
function framesOf ({ stack = '', message }: Error): string[] {
  const frames = stack.slice(stack.includes(message) ? stack.indexOf(message) + message.length : 0)
  return frames.split('\n').flatMap((line) => /^ {4}at (.*:\d+:\d+\)?)$/.exec(line)?.[1] ?? []).slice(0, 10)
}
