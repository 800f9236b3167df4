import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError } from '../errors.ts'
import { checkBrowser, checkHost, guardedHeaders, localEnd, type CallerPolicy } from '../http/host.ts'
import type { RawHeaders } from '../http/headers.ts'
import { checkForm } from '../http/target.ts'
import type { Secret } from '../secret.ts'

export interface GuardOptions extends CallerPolicy {
  readonly callerToken?: Secret
}

/** What the guards found out about a caller that may call. */
export interface Admission {
  /** A listed origin: its answers get CORS headers. */
  readonly corsOrigin?: string
}

/**
 * The one gate in front of every route and of the admin listener. Runs on what Node received, before anything is
 * dialled, read or looked up: framing, form of the target, Host, browser headers, caller token.
 *
 * @param target as it came: Fastify has another one in the message by now
 * @throws ProxyError with the answer for a caller that may not call
 */
export function admit (message: IncomingMessage, options: GuardOptions, target: string): Admission {
  checkFraming(message)
  // In front of the Host guard: a client that takes this for its HTTP proxy sends another host's name, and would hear of that alone.
  checkForm(target)
  const headers = guardedHeaders(message.rawHeaders)
  const host = checkHost(headers, localEnd(message.socket), options)
  const { corsOrigin } = checkBrowser(headers, host, options)
  // A browser's preflight cannot carry a token; it is answered here and moves nothing.
  const preflight = corsOrigin !== undefined && isPreflight(message)
  if (options.callerToken !== undefined && !preflight) checkCallerToken(message.rawHeaders, options.callerToken)
  return corsOrigin === undefined ? {} : { corsOrigin }
}

/** Whether a message is a CORS preflight (Fetch standard, "CORS-preflight request"). */
export function isPreflight (message: IncomingMessage): boolean {
  return message.method === 'OPTIONS' && message.headers['access-control-request-method'] !== undefined
}

/** Answers a preflight of a listed origin. */
export function answerPreflight (message: IncomingMessage, response: ServerResponse, origin: string): void {
  const headers = message.headers['access-control-request-headers']
  response.writeHead(204, {
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': message.headers['access-control-request-method'] ?? '',
    ...(headers !== undefined && { 'access-control-allow-headers': headers }),
    // Private Network Access: the preflight of a page that does not come from this machine asks for it.
    ...(message.headers['access-control-request-private-network'] === 'true' && { 'access-control-allow-private-network': 'true' }),
    'access-control-max-age': '600',
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
    vary: 'Origin'
  })
  response.end()
}

/**
 * The CORS headers of an answer to a listed origin, as a flat list. Each header is named: beside credentials, `*` is a
 * name like others (Fetch standard, "CORS-exposed header-name list").
 *
 * @param headers the answer's own
 */
export function corsHeaders (origin: string, headers: RawHeaders): string[] {
  const names = new Map<string, string>()
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const lower = name.toLowerCase()
    if (lower !== 'set-cookie' && !names.has(lower)) names.set(lower, name)
  }
  const exposed = names.size === 0 ? [] : ['Access-Control-Expose-Headers', [...names.values()].join(', ')]
  return ['Access-Control-Allow-Origin', origin, 'Access-Control-Allow-Credentials', 'true', ...exposed, 'Vary', 'Origin']
}

/**
 * Refuses framing that two readers could read differently.
 *
 * @throws ProxyError `CS_BAD_REQUEST`
 */
// Node's parser refuses most ambiguous framing. Requests of HTTP/0.9 and 2.0 in the form of HTTP/1.1 pass it, and so do
// `identity`, repeated codings, and a coding in HTTP/1.0, whose readers know none (RFC 9112 section 6.1).
export function checkFraming ({ rawHeaders, httpVersion }: Pick<IncomingMessage, 'rawHeaders' | 'httpVersion'>): void {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw new ProxyError('CS_BAD_REQUEST', { message: 'This port speaks HTTP/1.1 and HTTP/1.0 (RFC 9112); send one of the two.', close: true })
  let seen = httpVersion === '1.0'
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    // Beyond it numbers are no longer told apart, and the upstream would get another one.
    if (name.length === 14 && name.toLowerCase() === 'content-length' && Number(rawHeaders[index + 1]) > Number.MAX_SAFE_INTEGER) {
      throw new ProxyError('CS_BAD_REQUEST', { message: 'Content-Length is larger than any body can be; send the real one.', close: true })
    }
    if (name.length !== 17 || name.toLowerCase() !== 'transfer-encoding') continue
    if (seen || rawHeaders[index + 1]?.toLowerCase() !== 'chunked') {
      throw new ProxyError('CS_BAD_REQUEST', { message: 'Transfer-Encoding is something else than one `chunked` of HTTP/1.1; send that, or a Content-Length.', close: true })
    }
    seen = true
  }
}

function checkCallerToken (rawHeaders: readonly string[], token: Secret): void {
  const shown: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase()
    const value = rawHeaders[index + 1] ?? ''
    if (name === 'x-countersign-token') shown.push(value)
    else if (name === 'proxy-authorization') shown.push(/^bearer +(.+)$/i.exec(value)?.[1] ?? '')
  }
  const [only] = shown
  if (only === undefined || shown.length > 1 || !token.equals(only)) throw new ProxyError('CS_CALLER_TOKEN')
}
