import { isAllowed } from '../auth/allow.ts'
import { ProxyError } from '../errors.ts'
import { isServiceWorkerScript } from '../http/browser.ts'
import type { RawHeaders } from '../http/raw-headers.ts'
import { judgePath } from '../http/target.ts'
import type { Route } from './route.ts'

/**
 * Refuses what the route does not let through.
 *
 * @throws ProxyError 400 where removing the prefix leaves a path that begins with `//`, 403 `CS_NOT_ALLOWED`
 */
export function judgeAllowed (route: Route, method: string, rest: string): void {
  if (route.basePath === '' && rest.startsWith('//')) judgePath(rest)
  if (route.allow !== undefined && !isAllowed(route.allow, method, rest === '' ? '/' : rest)) throw new ProxyError('CS_NOT_ALLOWED')
}

/**
 * Refuses an upgrade that the route does not take.
 *
 * @throws ProxyError 403 where the route has them off, 415 where a credential would have to go into its body
 */
export function judgeUpgrade (route: Route, method: string): void {
  if (!route.websocket) {
    throw new ProxyError('CS_NOT_ALLOWED', {
      message: 'This route does not let connections be upgraded; set websocket of the route to true if they are wanted.'
    })
  }
  if (route.writesBody && method === 'POST') {
    throw new ProxyError('CS_BODY_UNSUPPORTED', {
      message: 'A credential of this route goes into the request body, and an upgrade has none; send it as GET.'
    })
  }
}

/**
 * The error for a browser that asks for the script of a service worker which could respond in place of other routes.
 *
 * @returns undefined for every other request
 */
export function judgeServiceWorker ({ sharesOrigin }: Route, headers: RawHeaders): ProxyError | undefined {
  if (!sharesOrigin || !isServiceWorkerScript(headers)) return undefined
  return new ProxyError('CS_NOT_ALLOWED', {
    message:
      'A page wants to install a service worker, which would reach the other routes of this address; give its route a listen of its own if that is wanted.'
  })
}
