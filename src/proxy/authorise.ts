import { Handshake } from '../http/handshake.ts'
import { announcedLength } from '../http/incoming.ts'
import { judgeLength } from '../route/body.ts'
import { judgeAllowed, judgeUpgrade } from '../route/judge.ts'
import type { RoutedContext } from './context.ts'

/**
 * Refuses what the route does not let through.
 *
 * @throws ProxyError 403 `CS_NOT_ALLOWED`, 413 `CS_BODY_TOO_LARGE`; 400 and 415 for what the route can do nothing with
 */
export function authorise ({ route, method, rest, message, response }: RoutedContext): void {
  judgeAllowed(route, method, rest)
  if (response instanceof Handshake) judgeUpgrade(route, method)
  judgeLength(announcedLength(message) ?? 0, route.maxBodyBytes)
}
