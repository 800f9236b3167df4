import type { IncomingMessage, ServerResponse } from 'node:http'
import { namesOf, type RawHeaders } from '../http/raw-headers.ts'

/** Whether a message is a CORS preflight (Fetch standard, "CORS-preflight request"). */
export function isPreflight (message: IncomingMessage): boolean {
  return message.method === 'OPTIONS' && message.headers['access-control-request-method'] !== undefined
}

/** Responds to a preflight of a listed origin. */
export function respondToPreflight (message: IncomingMessage, response: ServerResponse, origin: string): void {
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
 * The CORS headers of a response to a listed origin, as a flat list. Each header is named: beside credentials, `*` is a
 * name like others (Fetch standard, "CORS-exposed header-name list").
 *
 * @param headers the response's own
 */
export function corsHeaders (origin: string, headers: RawHeaders): string[] {
  const names = new Map<string, string>()
  for (const name of namesOf(headers)) {
    const lower = name.toLowerCase()
    if (lower !== 'set-cookie' && !names.has(lower)) names.set(lower, name)
  }
  const exposed = names.size === 0 ? [] : ['Access-Control-Expose-Headers', [...names.values()].join(', ')]
  return ['Access-Control-Allow-Origin', origin, 'Access-Control-Allow-Credentials', 'true', ...exposed, 'Vary', 'Origin']
}
