import { formatAddress, type Address } from '../http/address.ts'
import { addressesFor } from './bind.ts'
import { openListener, type Listener, type Move } from './listener.ts'
import type { ClientTimeouts, ConnectionCount, Handler, Refused } from './service.ts'

/** An address that a configuration asks for, and where its requests go. */
export interface ListenerBinding {
  readonly role: 'proxy' | 'route' | 'admin'
  readonly address: Address
  readonly handle: Handler
  /** The longest header of a request, in bytes; default as for every listener. */
  readonly headerBytes?: number
  /** See {@link Service}. */
  readonly onRefused?: (refused: Refused) => void
}

/** A change of listeners that can no longer fail. */
export interface PreparedChange {
  /** The real addresses, in the order of the listener bindings. */
  readonly addresses: readonly Address[]
  /** Carries the change out at once: listeners that stay serve their new binding, the others take no more connections. */
  readonly commit: () => void
  /** Closes the listeners that were opened for the change. */
  readonly abandon: () => Promise<void>
}

/** An open listener and what it was opened for. */
interface Opened {
  readonly listenerBinding: ListenerBinding
  readonly listener: Listener
}

/** Connections of the admin listener, whatever `limits` says: neither a crowd at the proxy's port nor a low limit keeps probes out. */
const ADMIN_CONNECTIONS = 64
/** Probes are small and sent at once: a client that is silent there, or takes nothing, is no probe. */
const ADMIN_TIMEOUTS: ClientTimeouts = { headersMs: 5000, stillMs: 5000 }

/** The listeners of one daemon, across its configurations: a listener whose address stays is never closed. */
export class ListenerSet {
  #opened: readonly Opened[] = []
  /** Removed listeners, which finish the requests that they have. */
  readonly #leaving = new Set<Opened>()
  readonly #proxyConnections: ConnectionCount = { served: 0, bytes: 0 }
  readonly #adminConnections: ConnectionCount = { served: 0, bytes: 0 }

  /**
   * Opens listeners for the bindings that no open listener can serve. A request that comes to one of them before `commit` is
   * served as if it came after: nobody knows the address yet.
   *
   * @param maxConnections open connections of all proxy listeners together
   * @throws ListenError where an address cannot be taken; nothing has changed then
   */
  async prepare (listenerBindings: readonly ListenerBinding[], maxConnections: number): Promise<PreparedChange> {
    const left = new Set(this.#opened)
    const opened: Opened[] = []
    const fresh: Listener[] = []
    const moves: Move[] = []
    const addresses: Address[] = []
    const abandon = async (): Promise<void> => {
      await Promise.all([...fresh.map((listener) => listener.drain(0)), ...moves.map((move) => move.abandon())])
    }
    // Finds all listeners that stay first: a binding that asks for a free port must not get one that another binding names.
    const kept = listenerBindings.map((listenerBinding) => {
      const found = [...left].find((one) => serves(one, listenerBinding))
      if (found !== undefined) left.delete(found)
      return found
    })
    try {
      for (const [index, listenerBinding] of listenerBindings.entries()) {
        const before = kept[index]
        const listener = before?.listener ?? await this.#open(listenerBinding, maxConnections)
        opened.push({ listenerBinding, listener })
        if (before === undefined) fresh.push(listener)
        if (before === undefined || sameAddress(before.listenerBinding.address, listenerBinding.address)) {
          addresses.push(listener.address)
          continue
        }
        const move = await listener.move(withPortOf(listenerBinding.address, listener.address))
        moves.push(move)
        addresses.push(move.address)
      }
    } catch (error) {
      await abandon()
      throw error
    }
    const commit = (): void => {
      for (const move of moves) move.commit()
      this.#commit(opened, left, maxConnections)
    }
    return { addresses, commit, abandon }
  }

  /** Drains the listeners of the proxy, at most `timeoutMs`; those of an earlier configuration too. */
  async drainProxy (timeoutMs: number): Promise<void> {
    await this.#drain(({ listenerBinding }) => listenerBinding.role !== 'admin', timeoutMs)
  }

  /** Closes everything that is still open. */
  async close (): Promise<void> {
    await this.#drain(() => true, 0)
  }

  #open (listenerBinding: ListenerBinding, maxConnections: number): Promise<Listener> {
    const options = { ...listenerBinding, maxConnections: limitOf(listenerBinding, maxConnections) }
    return listenerBinding.role === 'admin'
      ? openListener({ ...options, open: this.#adminConnections, timeouts: ADMIN_TIMEOUTS, dropsIdle: true })
      : openListener({ ...options, open: this.#proxyConnections })
  }

  async #drain (which: (opened: Opened) => boolean, timeoutMs: number): Promise<void> {
    await Promise.all([...this.#opened, ...this.#leaving].filter(which).map(({ listener }) => listener.drain(timeoutMs)))
  }

  #commit (opened: readonly Opened[], left: ReadonlySet<Opened>, maxConnections: number): void {
    for (const { listenerBinding, listener } of opened) {
      listener.change({ ...listenerBinding, maxConnections: limitOf(listenerBinding, maxConnections) })
    }
    this.#opened = opened
    for (const old of left) {
      this.#leaving.add(old)
      old.listener.drain(Infinity).finally(() => { this.#leaving.delete(old) }).catch(() => {})
    }
  }
}

function limitOf ({ role }: ListenerBinding, maxConnections: number): number {
  return role === 'admin' ? ADMIN_CONNECTIONS : maxConnections
}

/** Whether an open listener can serve a binding. Proxy and routes may exchange a fixed port, but not one that was chosen freely. */
function serves ({ listenerBinding: { role, address }, listener }: Opened, wanted: ListenerBinding): boolean {
  if (role !== wanted.role && (role === 'admin' || wanted.role === 'admin' || isFree(wanted.address))) return false
  if (isFree(wanted.address) && isFree(address)) {
    return addressesFor(wanted.address).some((one) => addressesFor(address).some((other) => sameAddress(one, other)))
  }
  return sameAddress(address, wanted.address) || listener.overlaps(wanted.address)
}

/** Puts the port that was given into an address that asks for a free one. */
function withPortOf (address: Address, real: Address): Address {
  return address.type === 'tcp' && address.port === 0 && real.type === 'tcp' ? { ...address, port: real.port } : address
}

function isFree (address: Address): boolean {
  return address.type === 'tcp' && address.port === 0
}

function sameAddress (one: Address, other: Address): boolean {
  return formatAddress(one) === formatAddress(other)
}
