import type { Injection } from '../auth/injection.ts'
import { readFetchTarget } from '../config/fetch-schemes.ts'
import { ProxyError } from '../errors.ts'
import { pairs } from '../http/raw-headers.ts'
import { judgePath } from '../http/target.ts'
import { spliceBody } from '../route/body.ts'
import { outgoingHeaders, outgoingQuery } from '../route/outgoing.ts'
import { compileRoute, injectionsOf, type Route } from '../route/route.ts'
import type { Secret } from '../secret.ts'
import { createAcceptance } from '../token/acceptance.ts'
import { replaceTokens } from '../token/replace.ts'
import { CredentialStore } from '../token/store.ts'
import type { Token } from '../token/token.ts'
import { ConfigError } from './config-error.ts'
import { nextCall, readCall, type FetchCall } from './fetch-call.ts'
import type { Refresher } from './refresher.ts'

/**
 * A security scheme, named as OIS and OpenAPI name it: where a credential goes. `bearer` and `basic` write `Authorization`;
 * `apiKey` writes the value under a name.
 */
export type FetchScheme = FetchSchemeSource & (
  | { readonly type: 'http', readonly scheme: 'bearer' | 'basic' }
  | {
    readonly type: 'apiKey'
    readonly in: 'header' | 'query' | 'cookie'
    readonly name: string
    /** For `in: 'query'`: a POST has it in the URL too; without it a POST has it in its body (JSON or a form), as Airnode does it. */
    readonly postQuery?: 'url' | undefined
  }
)

/** Where a scheme's value comes from; without either field it is the refresher's token. */
export interface FetchSchemeSource {
  /** For a store: the name of the credential whose token it is. */
  readonly credential?: string | undefined
  /** A fixed value instead: for `basic` the base64 of `user:password`, else verbatim. */
  readonly value?: string | Secret | undefined
}

/** What {@link createFetch} takes beside the scheme. */
export interface FetchOptions {
  /**
   * Base URL of the one API that gets the credentials: `https:`, or `http:` to this machine. Requests go to it and below it; every
   * other URL is refused, with a `TypeError`.
   */
  readonly base: string | URL
  /** Allows a `base` with `http:` to another machine. Credentials then cross the network in the clear. Default: false. */
  readonly allowInsecure?: boolean | undefined
  /** What sends the requests. Default: the global `fetch`, which takes forward proxies from the environment where Node is told so. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/** The tokens that a call goes with, by credential. */
type Tokens = ReadonlyMap<string, Token>

/**
 * Makes a `fetch` that puts credentials on, as the proxy does it: what the caller has in their place is removed, and after the
 * API's 401 to a token the request is sent once more with the next one, where its body is no stream. Credentials go to `base` and
 * below it, nowhere else: a redirect that leaves it goes without them, and gets none back (Go's CVE-2024-45336). Node's deadlines hold
 * (10 s to connect, 300 s to response headers); a `signal` may be shorter.
 *
 * @param tokens where tokens come from, started: a refresher, or a store whose credentials the schemes name
 * @param scheme where they go; several for an API that wants several
 * @returns a function with the arguments and the response of `fetch`, but for `redirected`, which stays false. A text that begins with
 *   `/` is below `base`. It rejects as `fetch` does; with a ProxyError where there is no token (see {@link Refresher}) or a body takes no
 *   field (415, 422)
 * @throws ConfigError where scheme or base cannot be used
 * @example
 * const refresher = createRefresher(createTokenSource({ type: 'oauth2', tokenUrl, clientId, clientSecret }))
 * const fetchOrders = createFetch(refresher, { type: 'http', scheme: 'bearer' }, { base: 'https://api.example.com/v2' })
 * const response = await fetchOrders('/orders?open=true')
 */
export function createFetch (
  tokens: Refresher | CredentialStore,
  scheme: FetchScheme | readonly FetchScheme[],
  options: FetchOptions
): typeof globalThis.fetch {
  const store = tokens instanceof CredentialStore ? tokens : storeOf(tokens)
  const { target, problems } = readFetchTarget(scheme, String(options.base), {
    allowInsecure: options.allowInsecure === true,
    named: store === tokens
  })
  if (target === undefined) throw new ConfigError(problems)
  const route = compileRoute({
    upstream: target.base, bindings: target.bindings, timeoutMs: 0, idleTimeoutMs: 0, websocket: false, scrub: false
  }, 0)
  const send = options.fetch ?? ((input, init) => globalThis.fetch(input, init))
  const isCovered = (url: URL): boolean => covers(route, url)
  const sendAuthorised = createSender(route, store, send)
  return async (input, init) => {
    let call = await readCall(route, input, init)
    if (!isCovered(call.url)) throw new TypeError(`this fetch is bound to ${route.upstreamOrigin}, and the request is not below its base`)
    const state: CallState = { renewed: false }
    let inside = true
    for (let followed = 0; ; followed++) {
      const response = inside ? await sendAuthorised(call, state) : await sendPlain(call, send)
      const next = nextCall(call, response, followed, route, isCovered)
      if (next === undefined) return response
      await discard(response)
      inside &&= isCovered(next.url)
      call = next
    }
  }
}

/** What a call remembers over its redirects. */
interface CallState {
  renewed: boolean
}

/** The part of a store that a call needs. */
type TokenHolder = Pick<CredentialStore, 'get' | 'reject' | 'another'>

function storeOf (refresher: Refresher): TokenHolder {
  return {
    get: (_name, signal) => refresher.get(signal),
    reject: (_name, token, leastAgeMs) => { refresher.reject(token, leastAgeMs) },
    another: (_name, token) => refresher.another(token)
  }
}

/** Whether a URL is the base or below it, to every reader. */
function covers ({ upstreamOrigin, basePath }: Route, { origin, pathname, username, password }: URL): boolean {
  if (origin !== upstreamOrigin || username !== '' || password !== '') return false
  if (basePath === '') return true
  if (pathname !== basePath && !pathname.startsWith(`${basePath}/`)) return false
  try {
    judgePath(pathname)
    return true
  } catch {
    // `..%2f`, say, which some servers take for a way out of the base.
    return false
  }
}

type Send = (call: FetchCall, state: CallState) => Promise<Response>

/** Makes what sends a call with credentials: twice, where the first token met 401 and there is another. */
function createSender (route: Route, store: TokenHolder, send: typeof globalThis.fetch): Send {
  const acceptance = createAcceptance()
  return async (call, state) => {
    const { signal } = call
    const tokens = await keepingAlive(fetchTokens(signal))
    const response = await transmit(call, tokens)
    if (response.status !== 401 || tokens.size === 0) return response
    for (const [name, token] of tokens) store.reject(name, token, acceptance.refuse(name, token))
    if (state.renewed || !call.resendable) return response
    state.renewed = true
    const others = await keepingAlive(orAborted(replaceTokens(store, tokens), signal))
    if (others === undefined || !differ(tokens, others)) return response
    await discard(response)
    return await transmit(call, others)
  }

  async function fetchTokens (signal: AbortSignal | undefined): Promise<Tokens> {
    return new Map(await Promise.all(route.credentials.map(async (name) => [name, await store.get(name, signal)] as const)))
  }

  async function transmit (call: FetchCall, tokens: Tokens): Promise<Response> {
    const response = await sendWith(call, route, injectionsFor(route, tokens), send)
    if (response.status !== 401) for (const [name, token] of tokens) acceptance.accept(name, token)
    return response
  }
}

function injectionsFor (route: Route, tokens: Tokens): Injection[] {
  return injectionsOf(route, (name) => {
    const token = tokens.get(name)
    if (token === undefined) throw new ProxyError('CS_TOKEN_UNAVAILABLE', { retryAfter: 1 })
    return token.value
  }, (kind) => { throw new TypeError(`no fetch relays ${kind}`) })
}

/** A source may give the same token again: to send that would change nothing. */
function differ (before: Tokens, now: Tokens): boolean {
  return [...before].some(([name, token]) => now.get(name)?.value.equals(token.value) === false)
}

async function sendWith (call: FetchCall, route: Route, injections: Injection[], send: typeof globalThis.fetch): Promise<Response> {
  const { method, headers, bytes } = call
  const spliced = bytes === undefined ? undefined : spliceBody(bytes, headers, injections)
  const url = new URL(call.url)
  url.search = outgoingQuery(route, method, url.search, injections)
  const outgoing = outgoingHeaders(route, headers, injections, spliced?.contentType)
  return await sendPlain({ ...call, url, headers: outgoing, ...(spliced !== undefined && { body: spliced.body }) }, send)
}

async function sendPlain ({ url, method, headers, body, signal, rest }: FetchCall, send: typeof globalThis.fetch): Promise<Response> {
  return await send(url, {
    ...rest,
    method,
    headers: pairs(headers),
    body: body ?? null,
    redirect: 'manual',
    ...(signal !== undefined && { signal }),
    ...(body !== undefined && { duplex: 'half' })
  })
}

/** Lets go of a response that is not handed on, even one whose body is broken or read by somebody else. */
async function discard (response: Response): Promise<void> {
  await response.body?.cancel().catch(() => {})
}

/** Keeps the process alive while a call waits for a token: the timers of a refresher do not. */
async function keepingAlive<Value> (waited: Promise<Value>): Promise<Value> {
  const timer = setInterval(() => {}, 60_000)
  try {
    return await waited
  } finally {
    clearInterval(timer)
  }
}

/** Rejects with the reason of `signal` as soon as that aborts; what is waited for goes on, for others. */
async function orAborted<Value> (waited: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return await waited
  signal.throwIfAborted()
  return await new Promise((resolve, reject) => {
    const abort = (): void => { reject(signal.reason) }
    signal.addEventListener('abort', abort, { once: true })
    waited.then(resolve, reject).finally(() => { signal.removeEventListener('abort', abort) })
  })
}
