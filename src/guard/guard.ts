import type { IncomingMessage } from 'node:http'
import { ProxyError } from '../errors.ts'
import { checkBrowser, checkHost, guardedHeaders, localEnd, type CallerPolicy } from '../http/host.ts'
import { valuesOf, type RawHeaders } from '../http/raw-headers.ts'
import { checkForm } from '../http/target.ts'
import type { Secret } from '../secret.ts'
import { isPreflight } from './cors.ts'
import { checkFraming } from './framing.ts'

export interface GuardOptions extends CallerPolicy {
  readonly callerToken?: Secret
}

/** What the guards found out about a caller that may call. */
export interface Admission {
  /** A listed origin: its responses get CORS headers. */
  readonly corsOrigin?: string
}

/**
 * The one gate in front of every route and of the admin listener. Runs on what Node received, before anything is
 * dialled, read or looked up: framing, form of the target, Host, browser headers, caller token.
 *
 * @param target as it came: Fastify has another one in the message by now
 * @throws ProxyError with the response for a caller that may not call
 */
export function admit (message: IncomingMessage, options: GuardOptions, target: string): Admission {
  checkFraming(message)
  // Comes before the Host guard: a client that takes this for its HTTP proxy sends another host's name, and would learn of that
  // alone.
  checkForm(target)
  const headers = guardedHeaders(message.rawHeaders)
  const host = checkHost(headers, localEnd(message.socket), options)
  const { corsOrigin } = checkBrowser(headers, host, options)
  // A browser's preflight cannot carry a token; it gets its response here and reaches no upstream.
  const preflight = corsOrigin !== undefined && isPreflight(message)
  if (options.callerToken !== undefined && !preflight) checkCallerToken(message.rawHeaders, options.callerToken)
  return corsOrigin === undefined ? {} : { corsOrigin }
}

function checkCallerToken (rawHeaders: RawHeaders, token: Secret): void {
  const [only, ...others] = [...valuesOf(rawHeaders, 'x-countersign-token'), ...valuesOf(rawHeaders, 'proxy-authorization').map(bearerOf)]
  if (only === undefined || others.length > 0 || !token.equals(only)) throw new ProxyError('CS_CALLER_TOKEN')
}

function bearerOf (authorization: string): string {
  return /^bearer +(.+)$/i.exec(authorization)?.[1] ?? ''
}
