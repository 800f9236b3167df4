import { corsHeaders } from '../guard/cors.ts'
import { isNavigation } from '../http/browser.ts'
import { responseHeaders } from '../http/headers.ts'
import { rewriteLocation } from '../http/location.ts'
import type { RawHeaders } from '../http/raw-headers.ts'
import { rewriteSetCookie } from '../http/set-cookie.ts'
import type { RoutedContext } from './context.ts'

/** The upstream's headers, rewritten for the address that the client called. */
export function localHeaders ({ rest, route }: RoutedContext, rawHeaders: RawHeaders): string[] {
  return responseHeaders(rawHeaders, {
    location: (value) => rewriteLocation(value, route, rest),
    setCookie: (value) => rewriteSetCookie(value, route, rest === ''),
    sharesOrigin: route.sharesOrigin
  })
}

/**
 * The headers of a final response: those of {@link localHeaders}, CORS headers for a listed origin, and for a page that would
 * be of one origin with other routes a policy that makes it one of its own (contract section 6, pages of upstreams).
 */
export function finalHeaders (context: RoutedContext, rawHeaders: RawHeaders): string[] {
  const { message, corsOrigin, route } = context
  const headers = localHeaders(context, rawHeaders)
  if (corsOrigin !== undefined) headers.push(...corsHeaders(corsOrigin, headers))
  // Beside the upstream's own policies: browsers enforce all of them (CSP section 8.1).
  if (route.sharesOrigin && isNavigation(message.rawHeaders)) headers.push('Content-Security-Policy', 'sandbox')
  return headers
}
