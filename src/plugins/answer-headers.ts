import { isNavigation } from '../http/browser.ts'
import { responseHeaders, type RawHeaders } from '../http/headers.ts'
import { rewriteLocation } from '../http/location.ts'
import { rewriteSetCookie } from '../http/set-cookie.ts'
import type { Route } from '../route/table.ts'
import { corsHeaders } from './guard.ts'
import type { Visit } from './visit.ts'

/**
 * The upstream's headers as they make sense at the address that a request came in on.
 *
 * @param compiled the route, where the visit does not know it as its listener does
 */
export function localHeaders ({ rest, route }: Visit, compiled: Route, rawHeaders: RawHeaders): string[] {
  const place = route ?? compiled
  return responseHeaders(rawHeaders, {
    location: (value) => rewriteLocation(value, place, rest),
    setCookie: (value) => rewriteSetCookie(value, place, rest === ''),
    sharesOrigin: place.sharesOrigin
  })
}

/**
 * The headers of a final answer: those of {@link localHeaders}, CORS headers for a listed origin, and for a page that would
 * be of one origin with other routes a policy that makes it one of its own (contract section 6, pages of upstreams).
 */
export function answerHeaders (visit: Visit, compiled: Route, rawHeaders: RawHeaders): string[] {
  const { message, corsOrigin, route = compiled } = visit
  const headers = localHeaders(visit, compiled, rawHeaders)
  if (corsOrigin !== undefined) headers.push(...corsHeaders(corsOrigin, headers))
  // Beside the upstream's own policies: browsers enforce all of them (CSP section 8.1).
  if (route.sharesOrigin && isNavigation(message.rawHeaders)) headers.push('Content-Security-Policy', 'sandbox')
  return headers
}
