import type { Config, RouteConfig } from './config/config.ts'
import { formatAddress, type Address } from './http/address.ts'

/** The real addresses that a configuration is reached at, with the ports that were chosen. */
export interface Addresses {
  readonly proxy: Address
  readonly admin: Address | 'off'
  /** Of the routes that have a listener of their own: the ADDR of the configuration, and the real one. */
  readonly routes: ReadonlyArray<{ readonly config: RouteConfig, readonly listen: Address, readonly address: Address }>
}

/**
 * Sorts real addresses by what they are for.
 *
 * @param real of the configuration's listener bindings, in their order (proxy, routes, admin); the configured address stands in for
 *   a missing one
 */
export function addressesOf (config: Config, real: readonly Address[]): Addresses {
  const rest = [...real]
  const proxy = rest.shift() ?? config.listen
  const routes = config.routes.flatMap((route) =>
    route.listen === undefined ? [] : [{ config: route, listen: route.listen, address: rest.shift() ?? route.listen }]
  )
  return { proxy, routes, admin: config.admin === 'off' ? 'off' : rest[0] ?? config.admin }
}

/** The addresses as fields of a log line. */
export function describeAddresses ({ proxy, admin, routes }: Addresses): Record<string, unknown> {
  return {
    address: formatAddress(proxy),
    admin: admin === 'off' ? 'off' : formatAddress(admin),
    routes: routes.map(({ listen, address }) => ({ listen: formatAddress(listen), address: formatAddress(address) }))
  }
}
