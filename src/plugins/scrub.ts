import type { Route } from '../route/table.ts'
import type { Sender } from '../upstream/exchange.ts'
import { Scrubber } from '../upstream/scrub.ts'
import type { Visit } from './visit.ts'

/** Called as some places of an answer are masked; `first` for the first ones of an answer. */
export type OnMasked = (count: number, first: boolean) => void

/**
 * Makes what wraps the sender of each request of a route, so that no credential it carries comes back (contract section 3, `scrub`).
 * Relayed values are the caller's own and pass.
 */
export function createScrub (route: Route, sender: Sender, onMasked: OnMasked): (visit: Visit) => Sender {
  const scrubber = new Scrubber()
  return ({ injections, spent }) => {
    // In the order of the bindings, an earlier attempt's as well.
    const credentials = [injections, spent].flatMap((list) => list.filter((_, index) => route.bindings[index]?.value.type !== 'relay'))
    let first = true
    return scrubber.over(sender, credentials, (count) => {
      onMasked(count, first)
      first = false
    })
  }
}
