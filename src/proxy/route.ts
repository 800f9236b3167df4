import type { Route } from '../route/route.ts'
import type { Acceptance } from '../token/acceptance.ts'
import type { Pool } from '../upstream/pool.ts'
import type { Scrubber } from '../upstream/scrub.ts'

/** A route with the objects that live as long as it does. */
export interface ProxyRoute extends Route {
  /** The connections to its upstream. */
  readonly pool: Pool
  /** Which tokens the upstream has accepted so far; shared with other routes to the same one. */
  readonly acceptance: Acceptance
  /** Masks what the upstream echoes, where the configuration wants that. */
  readonly scrubber: Scrubber | undefined
}
