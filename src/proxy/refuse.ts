import { errorResponse, ProxyError } from '../errors.ts'
import { corsHeaders } from '../guard/cors.ts'
import type { Context } from './context.ts'

/**
 * Responds in place of the upstream, before anything was written. An error that is no {@link ProxyError} is a defect, and the
 * client learns no more than that.
 */
export function refuse (context: Context, error: unknown): void {
  // A client that left is no error; there is nobody to respond to.
  if (context.ended) return
  const { response, corsOrigin, proxy } = context
  const rejection = error instanceof ProxyError ? error : new ProxyError('CS_INTERNAL', { cause: error })
  context.code = rejection.code
  proxy.observer.refused(context, rejection)
  const { statusCode, headers, body } = errorResponse(rejection)
  const list = Object.entries(headers).flat()
  if (corsOrigin !== undefined) list.push(...corsHeaders(corsOrigin, list))
  // The listener reads no further request after such a response.
  if (rejection.close) response.shouldKeepAlive = false
  response.writeHead(statusCode, list)
  response.end(body)
}
