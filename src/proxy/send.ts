import type { BodySource } from '../http/body-source.ts'
import { announcedLength } from '../http/incoming.ts'
import { outgoingHeaders, outgoingQuery } from '../route/outgoing.ts'
import { upstreamTarget } from '../route/route.ts'
import type { UpstreamRequest } from '../upstream/exchange.ts'
import { LARGEST_HELD_BODY, ReplayBuffer } from '../upstream/replay-buffer.ts'
import { Upload } from '../upstream/upload.ts'
import type { Attempt } from './attempt.ts'
import type { RoutedContext } from './context.ts'
import { dispatch, type AttemptEvents } from './dispatch.ts'

/** Sends an attempt at an ordinary request upstream, its body as it comes. */
export function send (context: RoutedContext, attempt: Attempt, events: AttemptEvents): void {
  askForBody(context)
  if (attempt.second || attempt.spliced !== undefined || !mayBeHere(context)) {
    dispatch(context, attempt, requestOf(context, attempt), events)
    return
  }
  // A small body mostly comes in one read with its header, and is parsed by the next tick.
  process.nextTick(() => {
    if (context.ended) return
    try {
      takeWhole(context)
      dispatch(context, attempt, requestOf(context, attempt), events)
    } catch (error) {
      events.failed(error)
    }
  })
}

/** Sends `100 Continue` where the client waits for it: once, and only for a body that is wanted (RFC 9110 section 10.1.1). */
export function askForBody (context: RoutedContext): void {
  if (!context.expectsContinue) return
  context.expectsContinue = false
  context.response.writeContinue()
}

/** The request as the upstream gets it. */
export function requestOf (context: RoutedContext, { injections, spliced }: Attempt): UpstreamRequest {
  const { route, method, message, rest, query } = context
  const headers = outgoingHeaders(route, message.rawHeaders, injections, spliced?.contentType)
  const length = spliced === undefined ? announcedLength(message) : spliced.body.length
  return {
    method,
    target: upstreamTarget(route, rest, outgoingQuery(route, method, query, injections)),
    headers,
    body: spliced?.body ?? bodyOf(context, length),
    length
  }
}

/** The body as the client sends it, or as it was held, in the client's own framing. */
function bodyOf ({ message, body, route, values }: RoutedContext, length: number | undefined): BodySource | Buffer | null {
  if (length === 0) return null
  if (body.whole !== undefined) return body.whole
  const upload = new Upload(message, route)
  // Stays: the upload breaks off with its client, perhaps before anybody reads it, or when nobody does any more.
  upload.on('error', () => {})
  if (values.tokens.size === 0) return upload
  if (length !== undefined && length > LARGEST_HELD_BODY) body.gone = true
  else body.held = new ReplayBuffer(message, Math.min(LARGEST_HELD_BODY, route.maxBodyBytes ?? Infinity))
  return upload
}

function mayBeHere ({ message }: RoutedContext): boolean {
  const length = announcedLength(message)
  return length !== undefined && length > 0 && length <= LARGEST_HELD_BODY
}

/** Takes the body where all of it has arrived: bytes leave along with the header, and cost no stream. */
function takeWhole ({ message, body }: RoutedContext): void {
  if (message.readableLength !== announcedLength(message)) return
  body.whole = message.read() as Buffer // a stream of bytes, and there are some
  // Reads to the end of the message, which may not be parsed yet: nobody else does.
  message.resume()
}
