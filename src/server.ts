import type { Status } from './admin.ts'
import type { LoadResult } from './config/load.ts'
import { Daemon, type ServerOptions } from './daemon.ts'
import type { Address } from './http/address.ts'

export type { ServerOptions } from './daemon.ts'

/** A running proxy. */
export interface RunningServer {
  /** The real address of the proxy, with the port that was chosen. */
  readonly address: Address
  readonly admin: Address | 'off'
  /** Of the routes that have a listener of their own: the ADDR of the configuration, and the real one. */
  readonly routes: ReadonlyArray<{ readonly listen: Address, readonly address: Address }>
  /** How long requests in flight may take when it stops, by the configuration that serves now. */
  readonly shutdownTimeoutMs: number
  /** Resolves once every credential had a token. */
  readonly whenReady: () => Promise<void>
  /**
   * Takes over a configuration that was loaded anew, as a whole or not at all: a bad one, or one whose addresses cannot
   * be taken, is logged and counted, and the old one keeps serving. Never closes a port that stays, never drops a request.
   *
   * @returns whether it has taken over
   */
  readonly reload: (loaded: LoadResult) => Promise<boolean>
  /** What the admin listener's `/status` says now, also where there is no such listener. */
  readonly status: () => Status
  /** Drains and ends everything: not ready at once, requests in flight finish, then the rest is closed. Safe to call twice. */
  readonly stop: () => Promise<void>
}

/**
 * Starts the proxy and its admin listener. Listening does not wait for the first logins: requests do, each for itself.
 *
 * @throws ListenError where an address cannot be taken; nothing is left running then
 * @example
 * const server = await startServer({ config: loaded.config, log, proxies: { httpsProxy: process.env.HTTPS_PROXY } })
 * await server.whenReady()
 * await server.stop()
 */
export async function startServer (options: ServerOptions): Promise<RunningServer> {
  const daemon = new Daemon(options)
  await daemon.start(options.config)
  return {
    get address () { return daemon.addresses.proxy },
    get admin () { return daemon.addresses.admin },
    get routes () { return daemon.addresses.routes.map(({ listen, address }) => ({ listen, address })) },
    get shutdownTimeoutMs () { return daemon.current.config.shutdownTimeoutMs },
    whenReady: () => daemon.whenReady(),
    reload: (loaded) => daemon.reload(loaded),
    status: () => daemon.current.admin.status(),
    stop: () => daemon.stop()
  }
}
