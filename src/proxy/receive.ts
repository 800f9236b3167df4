import httpProxy from '@fastify/http-proxy'
import fastify from 'fastify'
import { METHODS, type IncomingMessage, type ServerResponse } from 'node:http'
import { NO_SCHEMAS } from '../no-schemas.ts'
import { contextOf } from './context.ts'
import { forward } from './forward.ts'
import { refuse } from './refuse.ts'

/** Fastify, with http-proxy mounted in it. */
export interface Receiver {
  readonly receive: (message: IncomingMessage, response: ServerResponse) => void
  readonly close: () => Promise<void>
}

/** The one address that Fastify knows: no byte of a client's path meets a router or `new URL` (CVE-2026-16117, CVE-2026-85124). */
const MOUNT = '/'

// Everything that Node parses but CONNECT, which never becomes a request.
const RECEIVED_METHODS = METHODS.filter((method) => method !== 'CONNECT')

/**
 * Makes the receiver. Fastify takes each request, and `@fastify/http-proxy`, which is mounted once, hands it to {@link forward}
 * in its `preHandler`. Its own forwarding never runs: it would resolve a destination, re-encode headers, retry, and connect with
 * TLS verification off (docs/decisions/0011-forwarding.md). Neither of the two decides which route a request belongs to.
 *
 * The context of a request must be open before it is received.
 */
export async function createReceiver (): Promise<Receiver> {
  const app = fastify({
    logger: false,
    schemaController: NO_SCHEMAS,
    rewriteUrl: () => MOUNT,
    exposeHeadRoutes: false,
    return503OnClosing: false
  })
  // No method has a body for Fastify: we stream bodies ourselves, whatever their type.
  for (const method of RECEIVED_METHODS) app.addHttpMethod(method, { hasBody: false, overrideExisting: true })
  app.setErrorHandler((error, request, reply) => {
    reply.hijack()
    refuse(contextOf(request.raw), error)
  })
  await app.register(httpProxy, {
    prefix: MOUNT,
    upstream: 'http://nowhere.invalid',
    rewritePrefix: MOUNT,
    routes: [MOUNT],
    httpMethods: RECEIVED_METHODS,
    disableRequestLogging: true,
    preHandler: (request, reply) => {
      reply.hijack()
      forward(contextOf(request.raw))
    },
    // Neither is ever called: what reply-from would send has no credential, and its own client trusts every certificate.
    handler: neverSend,
    undici: { request: neverSend }
  })
  await app.ready()
  return { receive: (message, response) => { app.routing(message, response) }, close: () => app.close() }
}

function neverSend (): never {
  throw new TypeError('a request was about to leave by another way than ours')
}
