import dns, { type LookupAddress } from 'node:dns'
import net, { isIP, type LookupFunction, type Socket } from 'node:net'
import { isLoopbackHost } from '../http/address.ts'

/** Where a socket leads: a port of a host (a name, or an address without brackets), or a unix socket. */
export type Endpoint =
  | { readonly host: string, readonly port: number }
  | { readonly path: string }

export interface DialOptions {
  /** Ends every attempt; its reason is the error then. */
  readonly signal: AbortSignal
  /** Resolves host names; default: the system's resolver. */
  readonly lookup?: LookupFunction | undefined
}

// RFC 8305 section 8: the recommended Connection Attempt Delay.
const ATTEMPT_DELAY_MS = 250
// Without keep-alive routers forget quiet connections.
const SOCKET = { highWaterMark: 64 * 1024, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }

/**
 * Connects to the first address of a host that answers (RFC 8305, "Happy Eyeballs"): the families take turns, the next address
 * is tried after 250 ms, or at once where one fails, and those tried before go on meanwhile. Node's own `autoSelectFamily`
 * gives each of them up after 250 ms, so that a host with one slow address and one that has no route is never reached.
 *
 * @returns a connected socket, which has a listener for its errors
 */
export async function dial (endpoint: Endpoint, { signal, lookup = dns.lookup }: DialOptions): Promise<Socket> {
  signal.throwIfAborted()
  if ('path' in endpoint) return await race([endpoint], signal)
  const { host, port } = endpoint
  const addresses = isIP(host) === 0 ? takingTurns(await resolve(host, lookup, signal)) : [host]
  return await race(addresses.map((address) => ({ host: address, port })), signal)
}

function resolve (host: string, lookup: LookupFunction, signal: AbortSignal): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    // A lookup cannot be ended; its result is dropped.
    const onAbort = (): void => { reject(signal.reason as Error) } // eslint-disable-line prefer-promise-reject-errors -- it is one
    signal.addEventListener('abort', onAbort, { once: true })
    // As Node asks: without addresses of a family that this machine does not have. That check ignores loopback, which is always
    // there.
    lookup(host, { all: true, hints: isLoopbackHost(host) ? 0 : dns.ADDRCONFIG }, (error, found, family) => {
      signal.removeEventListener('abort', onAbort)
      if (error !== null) reject(error)
      else resolve(typeof found === 'string' ? [{ address: found, family: family ?? isIP(found) }] : found)
    })
  })
}

/** RFC 8305 section 4: the resolver's order, with the families in turn. */
function takingTurns (found: readonly LookupAddress[]): string[] {
  const first = found.filter(({ family }) => family === found[0]?.family)
  const others = found.filter((one) => !first.includes(one))
  return Array.from({ length: Math.max(first.length, others.length) }, (_, turn) => [first[turn], others[turn]])
    .flat().flatMap((one) => one?.address ?? [])
}

function race (endpoints: readonly Endpoint[], signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const open = new Set<Socket>()
    const errors: Error[] = []
    let tried = 0
    let timer: NodeJS.Timeout | undefined
    const onAbort = (): void => { lose(signal.reason as Error) }
    if (signal.aborted) {
      onAbort()
      return
    }
    signal.addEventListener('abort', onAbort, { once: true })
    tryNext()

    function tryNext (): void {
      clearTimeout(timer)
      const endpoint = endpoints[tried++]
      if (endpoint === undefined) {
        if (open.size === 0) lose(failureOf(errors))
        return
      }
      const socket = net.connect({ ...endpoint, ...SOCKET })
      open.add(socket)
      const onError = (error: Error): void => {
        open.delete(socket)
        errors.push(error)
        tryNext()
      }
      // The first listener stays, since the winner changes hands; the second is taken off.
      socket.on('error', () => {}).once('error', onError).once('connect', () => {
        socket.off('error', onError)
        open.delete(socket)
        end()
        resolve(socket)
      })
      if (tried < endpoints.length) timer = setTimeout(tryNext, ATTEMPT_DELAY_MS).unref()
    }

    function lose (error: Error): void {
      end()
      reject(error)
    }

    function end (): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      for (const socket of open) socket.destroy()
    }
  })
}

// The errors that tell least: the machine has no route to that family at all.
const NO_ROUTE: ReadonlySet<unknown> = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'])

/** The most telling error first, since readers of an `AggregateError` look at that one. */
function failureOf (errors: readonly Error[]): Error {
  const [first, ...others] = [...errors].sort((a, b) => Number(hasNoRoute(a)) - Number(hasNoRoute(b)))
  if (first === undefined) return Object.assign(new Error('the name has no address'), { code: 'ENOTFOUND' })
  return others.length === 0 ? first : new AggregateError([first, ...others], 'none of the addresses takes a connection')
}

function hasNoRoute (error: Error): boolean {
  return 'code' in error && NO_ROUTE.has(error.code)
}
