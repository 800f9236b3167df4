import { Handshake } from '../http/handshake.ts'
import { valuesOf } from '../http/raw-headers.ts'
import type { Exchange } from '../upstream/exchange.ts'
import type { RoutedContext } from './context.ts'
import { refuse } from './refuse.ts'
import { finalHeaders } from './response-headers.ts'

/** Passes a response on to the client: head, body and trailers as they come. */
export function relay (context: RoutedContext, exchange: Exchange): void {
  const { message, response } = context
  const headers = finalHeaders(context, exchange.rawHeaders)
  if (response instanceof Handshake) addWantedProtocol(headers, exchange)
  // What is left of the request would be read as the next one (fastify/fastify-http-proxy#474).
  else if (!message.complete) headers.push('Connection', 'close')
  const failure = exchange.relay(response, headers)
  if (failure !== undefined) refuse(context, failure)
}

// A 426 must say which protocol is wanted (RFC 9110 section 15.5.22).
function addWantedProtocol (headers: string[], { statusCode, rawHeaders }: Exchange): void {
  const [wanted] = valuesOf(rawHeaders, 'upgrade')
  if (statusCode === 426 && wanted !== undefined) headers.push('Upgrade', wanted, 'Connection', 'Upgrade, close')
}
