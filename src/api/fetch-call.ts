import { setQuery } from '../http/query.ts'
import { foldName } from '../http/headers.ts'
import { pairs } from '../http/raw-headers.ts'
import { checkSpliceable, LARGEST_SPLICED_BODY, takesBodyFields, tooLarge } from '../route/body.ts'
import type { Route } from '../route/route.ts'

/** What a program asks `fetch` for, taken apart; of each redirect another one. */
export interface FetchCall {
  readonly url: URL
  readonly method: string
  /** A flat list of names and values, without ours. */
  readonly headers: readonly string[]
  readonly body: RequestInit['body'] | undefined
  /** The whole body, where fields go into it. */
  readonly bytes?: Buffer
  /** Whether the body can be sent once more: it is no stream. */
  readonly resendable: boolean
  readonly signal: AbortSignal | undefined
  readonly redirect: 'follow' | 'error' | 'manual'
  /** Everything else that was asked for, for the `fetch` underneath. */
  readonly rest: RequestInit
}

type Input = Parameters<typeof globalThis.fetch>[0]

/**
 * Takes a call apart, as `fetch` reads it: what stands in `init` wins over a `Request`. A text that begins with `/` or `?`, or is
 * empty, is below the base, as a path is below a route's prefix.
 */
export async function readCall (route: Route, input: Input, init: RequestInit = {}): Promise<FetchCall> {
  const request = input instanceof Request ? input : undefined
  const url = new URL(request?.url ?? (typeof input === 'string' && /^(?:[/?]|$)/.test(input) ? route.upstream + input : String(input)))
  const method = normalised(init.method ?? request?.method ?? 'GET')
  const body = init.body ?? request?.body ?? undefined
  const call = {
    url,
    method,
    headers: [...new Headers(init.headers ?? request?.headers)].flat(),
    body,
    resendable: !isStream(body),
    signal: init.signal ?? request?.signal,
    redirect: init.redirect ?? request?.redirect ?? 'follow',
    rest: { ...(request !== undefined && { integrity: request.integrity, keepalive: request.keepalive }), ...init }
  }
  return takesBodyFields(route, method) ? await withBytes(call) : call
}

/** As the Fetch standard has it: these six in any case, every other one as it is written. */
function normalised (method: string): string {
  const upper = method.toUpperCase()
  return ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT'].includes(upper) ? upper : method
}

function isStream (body: FetchCall['body']): boolean {
  return typeof body === 'object' && body !== null && (body instanceof ReadableStream || Symbol.asyncIterator in body)
}

/** @throws ProxyError 415 `CS_BODY_UNSUPPORTED` where fields cannot go into the body */
async function withBytes (call: FetchCall): Promise<FetchCall> {
  const { url, method, body, signal } = call
  // It knows the type of every kind of body.
  const whole = new Request(url, { method, headers: new Headers(pairs(call.headers)), ...(body !== undefined && { body, duplex: 'half' }) })
  const headers = [...whole.headers].flat()
  checkSpliceable(headers, undefined)
  const bytes = whole.body === null ? Buffer.alloc(0) : await readBody(whole.body, signal)
  // A stream can be read once, and a redirect out of the base sends the body as it was.
  return { ...call, headers, bytes, ...(body !== undefined && { body: bytes }), resendable: true }
}

async function readBody (body: ReadableStream<Uint8Array>, signal: AbortSignal | undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  // The pipe is what an abort can end, while the stream stands still; it tells the stream.
  for await (const chunk of body.pipeThrough(new TransformStream<Uint8Array>(), signal === undefined ? {} : { signal })) {
    length += chunk.length
    if (length > LARGEST_SPLICED_BODY) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const MOST_REDIRECTS = 20

/**
 * The call that a response redirects to, by the rules of the Fetch standard (HTTP-redirect fetch).
 *
 * @param followed how many were followed before
 * @param isCovered whether credentials may go to a URL; where not, nothing that a route of ours would own goes there either
 * @returns undefined where the response is no redirect that is to be followed
 * @throws TypeError where it must not be followed, as `fetch` does
 */
export function nextCall (
  call: FetchCall,
  response: Response,
  followed: number,
  route: Route,
  isCovered: (url: URL) => boolean
): FetchCall | undefined {
  const { status } = response
  const location = response.headers.get('location')
  if (call.redirect === 'manual' || ![301, 302, 303, 307, 308].includes(status) || location === null) return undefined
  if (call.redirect === 'error') throw new TypeError('fetch failed: the response is a redirect')
  if (followed >= MOST_REDIRECTS) throw new TypeError(`fetch failed: more than ${MOST_REDIRECTS} redirects`)
  const url = new URL(location, call.url)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new TypeError('fetch failed: a redirect to something else than HTTP')
  if (status !== 303 && !call.resendable) throw new TypeError('fetch failed: a redirect of a body that cannot be sent again')
  const moved = url.origin === call.url.origin && isCovered(url) ? { ...call, url } : departing(call, url, route)
  const becomesGet = status === 303 ? call.method !== 'GET' && call.method !== 'HEAD' : status <= 302 && call.method === 'POST'
  return becomesGet ? withoutBody(moved) : moved
}

const OF_A_BODY: ReadonlySet<string> = new Set(['content-encoding', 'content-language', 'content-location', 'content-type', 'content-length'])

function withoutBody (call: FetchCall): FetchCall {
  const { bytes: _bytes, ...rest } = call
  return { ...rest, method: 'GET', body: undefined, resendable: true, headers: without(call.headers, OF_A_BODY) }
}

// A length that the caller wrote is `fetch`'s to write, as below the base.
const OF_AN_ORIGIN: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'cookie', 'content-length'])

/** The first server may have put our parameter into its Location: it goes no further than our headers do. */
function departing (call: FetchCall, url: URL, route: Route): FetchCall {
  const names = route.bindings.flatMap(({ scheme }) => scheme.type !== 'http' && scheme.in === 'query' ? [scheme.name] : [])
  const target = new URL(url)
  if (names.length > 0) target.search = setQuery(url.search, [], names)
  const headers = without(without(call.headers, route.ownedHeaders), OF_AN_ORIGIN)
  return { ...call, url: target, headers }
}

function without (headers: readonly string[], names: ReadonlySet<string>): string[] {
  return pairs(headers).filter(([name]) => !names.has(foldName(name))).flat()
}
