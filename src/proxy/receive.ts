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
 * Makes what receives requests. Fastify takes each, and `@fastify/http-proxy`, which is mounted once, hands it over in its
 * `preHandler`: behind that it resolves a destination, re-encodes headers, retries, and makes connections of its own with TLS
 * verification off (docs/decisions/0011-forwarding.md). What both decide nothing about is which route a request belongs to.
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
  // Every method is one whose body Fastify leaves alone: bodies are streamed by us, whatever their type.
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
    // Nothing may go on from there: what reply-from would send has no credential, and its own client trusts every certificate.
    handler: neverSend,
    undici: { request: neverSend }
  })
  await app.ready()
  return { receive: (message, response) => { app.routing(message, response) }, close: () => app.close() }
}

function neverSend (): never {
  throw new TypeError('a request was about to leave by another way than ours')
}
