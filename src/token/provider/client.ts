import { setMaxListeners } from 'node:events'
import { ProxyError } from '../../errors.ts'
import { Bytes } from '../../http/bytes.ts'
import type { ProxyEnvironment } from '../../http/proxies.ts'
import { HEADER_BYTES } from '../../http/headers.ts'
import { pairs } from '../../http/raw-headers.ts'
import { withoutBrackets } from '../../http/proxy-url.ts'
import { createDialer } from '../../upstream/connector.ts'
import { Pool } from '../../upstream/pool.ts'
import type { ResponseHead } from '../../upstream/response-head.ts'
import type { Sender } from '../../upstream/sender.ts'
import { retryAfterMs, skewOf } from './clock.ts'

/** The longest response of an identity provider that is read, in bytes; real ones have a few kilobytes. */
export const LONGEST_RESPONSE = 1_048_576

/** A POST to an identity provider. */
export interface ProviderCall {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly signal: AbortSignal
  /** What earlier responses told of the clocks, which then counts: the provider's minus ours, in milliseconds. */
  readonly clockSkewMs?: number | undefined
}

/** A response that is here to its end, or to {@link LONGEST_RESPONSE}. */
export interface ProviderResponse {
  readonly status: number
  /** Names in lower case; a list where a name came more than once. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Undefined where it is longer than {@link LONGEST_RESPONSE}. */
  readonly text: string | undefined
  /** The provider's clock minus ours in milliseconds, from `Date`; undefined where no response told it. */
  readonly clockSkewMs: number | undefined
  /** From `Retry-After`. */
  readonly retryAfterMs: number | undefined
}

/** Connections to identity providers, a few of each. */
export interface Connections {
  readonly senderTo: (url: URL) => Sender
  readonly close: () => Promise<void>
}

export interface ProviderConnectionOptions {
  readonly proxies: ProxyEnvironment
  /** Gives up connections that are not open yet. */
  readonly signal: AbortSignal
  /** For a connection to open; absent: as long as the signal lets it. */
  readonly connectTimeoutMs?: number
}

/**
 * Connections to one identity provider, by the client and the rules for proxies, addresses and TLS that upstreams have: nothing
 * is read from the process environment but NODE_EXTRA_CA_CERTS, which is in Node's own store of authorities. Redirects are not
 * followed, so what proves somebody goes to this address and nowhere else.
 */
export function connectProvider (url: URL, { proxies, signal, connectTimeoutMs }: ProviderConnectionOptions): Pool {
  const connect = createDialer({ proxies, signal, ...(connectTimeoutMs !== undefined && { timeoutMs: connectTimeoutMs }) })
  const { protocol, hostname, port, host } = url
  const target = { protocol, hostname: withoutBrackets(hostname), port }
  return new Pool({
    host,
    connect: () => connect(target),
    // The signal of each call ends it.
    timeoutMs: Infinity,
    idleTimeoutMs: Infinity,
    headerBytes: HEADER_BYTES,
    renewAfterMs: RENEW_AFTER_MS,
    onDestroy: () => {}
  })
}

/** Makes connections that are kept between calls. */
export function createConnections (proxies: ProxyEnvironment): Connections {
  const ending = new AbortController()
  // One listener for each connection that is being opened.
  setMaxListeners(0, ending.signal)
  const pools = new Map<string, Pool>()
  return {
    senderTo: (url) => {
      const pool = pools.get(url.origin) ?? connectProvider(url, { proxies, signal: ending.signal, connectTimeoutMs: CONNECT_TIMEOUT_MS })
      pools.set(url.origin, pool)
      return pool
    },
    close: async () => {
      ending.abort()
      await Promise.all(Array.from(pools.values(), (pool) => pool.destroy()))
    }
  }
}

/** Sends a call and reads its response. @throws as a rejection, what kept the response away; where that was the signal, its reason */
export async function askProvider (sender: Sender, call: ProviderCall): Promise<ProviderResponse> {
  const sentAt = Date.now()
  const { status, headers, receivedAt, bytes } = await transfer(sender, call)
  const clockSkewMs = call.clockSkewMs ?? skewOf(headers['date'], sentAt, receivedAt)
  return {
    status,
    headers,
    text: bytes === undefined ? undefined : textOf(bytes),
    clockSkewMs,
    retryAfterMs: retryAfterMs(headers['retry-after'], Date.now() + (clockSkewMs ?? 0))
  }
}

// Logins are far apart, and a provider whose address changed must be noticed.
const RENEW_AFTER_MS = 10_000
// A login or refresh has a deadline of its own, which is no longer unless somebody set it so.
const CONNECT_TIMEOUT_MS = 10_000

interface Transferred extends Pick<ProviderResponse, 'status' | 'headers'> {
  /** Epoch milliseconds; when the headers were here. */
  readonly receivedAt: number
  readonly bytes: Buffer | undefined
}

function transfer (sender: Sender, { url, headers, body, signal }: ProviderCall): Promise<Transferred> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const collected = new Bytes()
    let head: ResponseHead | undefined
    let receivedAt = 0
    const onAbort = (): void => {
      fail(signal.reason as Error)
      exchange.abort()
    }
    const settle = (bytes: Buffer | undefined): void => {
      signal.removeEventListener('abort', onAbort)
      if (head !== undefined) resolve({ status: head.statusCode, headers: fieldsOf(head.rawHeaders), receivedAt, bytes })
    }
    const fail = (error: Error): void => {
      signal.removeEventListener('abort', onAbort)
      reject(error)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    const content = Buffer.from(body)
    const exchange = sender.dispatch(
      { method: 'POST', target: url.pathname + url.search, headers: Object.entries(headers).flat(), body: content, length: content.length },
      {
        onInterim: () => {},
        onHead: (arrived) => {
          head = arrived
          receivedAt = Date.now()
        },
        onBody: (chunk) => {
          if (collected.length + chunk.length <= LONGEST_RESPONSE) {
            collected.add(chunk)
            return
          }
          settle(undefined)
          exchange.abort()
        },
        onEnd: () => {
          settle(collected.bytes)
        },
        // Is never called, since no switch is offered.
        onSwitch: (_head, socket) => {
          socket.destroy(new Error('unasked'))
        },
        // The message of a ProxyError speaks of an upstream, so its cause goes on instead.
        onError: (error) => {
          fail(error instanceof ProxyError ? causeOf(error) : error)
        }
      }
    )
  })
}

// Not Buffer's own decoding: that would leave a byte order mark in front of the JSON.
function textOf (bytes: Buffer): string {
  return new TextDecoder().decode(bytes)
}

function causeOf ({ cause }: ProxyError): Error {
  return cause instanceof Error ? cause : new Error('no whole response')
}

function fieldsOf (rawHeaders: readonly string[]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.create(null) as Record<string, never>
  for (const [spelled, value] of pairs(rawHeaders)) {
    const name = spelled.toLowerCase()
    const before = fields[name]
    fields[name] = before === undefined ? value : [before, value].flat()
  }
  return fields
}
