import type { Server } from 'node:http'
import { formatAddress, type Address } from '../http/address.ts'
import { addressesFor, bind, type Bound } from './bind.ts'
import { ClientConnections } from './connections.ts'
import { createHttpServer } from './http-server.ts'
import type { ClientTimeouts, ConnectionCount, Service } from './service.ts'
import { watchSlowClients } from './slow-clients.ts'

export interface ListenerOptions extends Service {
  readonly address: Address
  /** Counts the open connections, for listeners that share one limit. */
  readonly open?: ConnectionCount
  /** Other than the usual ones. */
  readonly timeouts?: Partial<ClientTimeouts>
  /** At the limit the oldest connection that has nothing to do makes room for a new one. */
  readonly dropsIdle?: boolean
}

/** A server that listens. */
export interface Listener {
  /** With the real port where 0 was asked for. */
  readonly address: Address
  /** Hands every request from now on to another service, also those on connections that are open. */
  readonly change: (service: Service) => void
  /** Whether it listens on an address, or on a part of it (`localhost` is two). */
  readonly overlaps: (address: Address) => boolean
  /**
   * Prepares to listen on an address that it overlaps with: on what is missing of it at once, on no more than that from `commit` on.
   *
   * @throws ListenError where what is missing cannot be taken; nothing has changed then
   */
  readonly move: (address: Address) => Promise<Move>
  /**
   * Takes no new connections and lets the requests in flight finish, at most `timeoutMs`; then closes what is left.
   * May be called again, with a shorter time.
   */
  readonly drain: (timeoutMs: number) => Promise<void>
}

/** A change of the address of a listener, which can no longer fail. */
export interface Move {
  /** The real one. */
  readonly address: Address
  readonly commit: () => void
  /** Listens as before. */
  readonly abandon: () => Promise<void>
}

const TIMEOUTS: ClientTimeouts = { headersMs: 60_000, stillMs: 300_000 }

/**
 * Listens on a TCP address or a unix socket. Serves the requests of a connection one at a time, in their order.
 *
 * @throws ListenError where the address cannot be taken
 */
export async function openListener ({
  address,
  open = { served: 0, bytes: 0 },
  timeouts,
  dropsIdle = false,
  ...service
}: ListenerOptions): Promise<Listener> {
  const { headersMs, stillMs } = { ...TIMEOUTS, ...timeouts }
  const connections = new ClientConnections(service, { open, headersMs, dropsIdle })
  const createServer = (): Server => createHttpServer({ headerBytes: connections.headerBytes, headersMs }, {
    onConnection: (socket, server) => { connections.admit(socket, server) },
    onRequest: connections.serve,
    onUpgrade: (message, head) => { connections.upgrade(message, head) },
    onConnect: (message) => { connections.refuseTunnel(message) },
    onClientError: (error, socket) => { connections.refuseMalformed(error, socket) }
  })
  const bound = await bind(createServer, address)
  return new OpenListener(bound, connections, createServer, watchSlowClients(connections.all, stillMs))
}

/** A listener: its servers, one for each address, and the connections of all of them. */
class OpenListener implements Listener {
  #bound: readonly Bound[]
  readonly #connections: ClientConnections
  readonly #createServer: () => Server
  readonly #endWatch: () => void

  constructor (bound: readonly Bound[], connections: ClientConnections, createServer: () => Server, endWatch: () => void) {
    this.#bound = bound
    this.#connections = connections
    this.#createServer = createServer
    this.#endWatch = endWatch
  }

  get address (): Address {
    return addressOf(this.#bound)
  }

  overlaps (other: Address): boolean {
    return this.#bound.some((one) => isPartOf(one, other))
  }

  change (service: Service): void {
    this.#connections.change(service)
    for (const { server } of this.#bound) Object.assign(server, { maxHeaderSize: this.#connections.headerBytes })
  }

  async move (wanted: Address): Promise<Move> {
    const staying = this.#bound.filter((one) => isPartOf(one, wanted))
    const next = await bind(this.#createServer, wanted, staying)
    return {
      address: addressOf(next),
      commit: () => {
        for (const one of this.#bound) if (!next.includes(one)) this.#close(one).catch(() => {})
        this.#bound = next
      },
      abandon: async () => {
        await Promise.all(next.filter((one) => !this.#bound.includes(one)).map((one) => this.#close(one)))
      }
    }
  }

  async drain (timeoutMs: number): Promise<void> {
    const closed = Promise.all(this.#bound.map((one) => this.#close(one)))
    const timer = timeoutMs === Infinity ? undefined : setTimeout(() => { this.#connections.destroy() }, timeoutMs)
    await closed
    // Node says so before the connections that it destroyed have told their own end, and with it that of their requests.
    await this.#connections.closed()
    clearTimeout(timer)
    this.#endWatch()
  }

  /** Takes no new connections there, and ends those that are open as soon as they have nothing to do. */
  async #close ({ server }: Bound): Promise<void> {
    this.#connections.leave(server)
    await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
  }
}

function addressOf ([first]: readonly Bound[]): Address {
  if (first === undefined) throw new TypeError('a listener listens nowhere')
  return first.address
}

function isPartOf ({ address }: Bound, whole: Address): boolean {
  return addressesFor(whole).some((one) => formatAddress(one) === formatAddress(address))
}
