import { Dispatcher, type Pool } from 'undici'

export interface RenewingPoolOptions {
  readonly create: () => Pool
  /** How long connections are taken for new requests, in milliseconds. */
  readonly renewAfterMs: number
  /** Called before everything is torn down. */
  readonly onDestroy?: () => void
}

/**
 * Connections to one upstream that do not outlive a change of its name's address for long: after a while all new requests
 * go over new connections, and the old ones close as soon as nothing is under way on them.
 *
 * undici's own `clientTtl` does this per connection, but while a stream keeps an old one busy it stores a callback for
 * every other request (7.30, Pool's `kGetDispatcher` closing the same client again and again).
 */
export class RenewingPool extends Dispatcher {
  readonly #options: RenewingPoolOptions
  readonly #retired = new Set<Pool>()
  #current: Pool
  #since = performance.now()

  constructor (options: RenewingPoolOptions) {
    super()
    this.#options = options
    this.#current = options.create()
  }

  override dispatch (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (performance.now() - this.#since > this.#options.renewAfterMs) this.#renew()
    return this.#current.dispatch(options, handler)
  }

  /** Ends when everything under way has ended. */
  override async close (): Promise<void> {
    await Promise.all([...this.#retired, this.#current].map((pool) => pool.close()))
  }

  override async destroy (): Promise<void> {
    this.#options.onDestroy?.()
    await Promise.all([...this.#retired, this.#current].map((pool) => pool.destroy()))
  }

  #renew (): void {
    const old = this.#current
    this.#current = this.#options.create()
    this.#since = performance.now()
    this.#retired.add(old)
    old.close().catch(() => {}).finally(() => { this.#retired.delete(old) })
  }
}
