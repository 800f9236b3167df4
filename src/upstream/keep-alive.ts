// Where the upstream neither says how long it keeps connections nor shows it.
const KEEP_ALIVE_MS = 4000
// A connection that is one client's own has what that client proved of itself, so it stays for longer.
const BOUND_KEEP_ALIVE_MS = 60_000
// A hint is believed but for the time that a request takes to get there, and not for ever.
const HINT_MARGIN_MS = 2000
const LONGEST_KEEP_ALIVE_MS = 600_000

/**
 * How long a connection may be idle before the upstream has said anything of it, in milliseconds.
 *
 * @param bound it is one client connection's own
 */
export function keepAliveMs (bound: boolean): number {
  return bound ? BOUND_KEEP_ALIVE_MS : KEEP_ALIVE_MS
}

/** How long a connection may be idle by the `Keep-Alive: timeout` of a response; 0 and less: not at all. */
export function hintedKeepAliveMs (seconds: number): number {
  return Math.min(seconds * 1000 - HINT_MARGIN_MS, LONGEST_KEEP_ALIVE_MS)
}
