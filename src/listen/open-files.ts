import { readFileSync } from 'node:fs'

/**
 * Descriptors that are kept back from clients: the process's own (about 30), the admin listener with its connections,
 * connections that are just being told that there are too many, identity providers.
 */
const RESERVED = 192
/** Connections that are served even where none fits: a request may then find no descriptor, and gets a 503 that says so. */
const FEWEST = 8

/**
 * How many client connections fit into the files that this process may open, beside the connections to the upstreams. At that
 * limit a client gets 503; without it accept() fails for whoever comes next, probes among them (R1).
 *
 * @param openFiles the most files that the process may open; undefined where that is unknown
 * @returns at most `limits.connections`
 */
export function fittingConnections (
  limits: { readonly connections: number, readonly requests: number },
  openFiles: number | undefined
): number {
  if (openFiles === undefined) return limits.connections
  const free = openFiles - RESERVED
  const upstream = Math.min(limits.requests, Math.floor(free / 2))
  return Math.min(limits.connections, Math.max(free - upstream, FEWEST))
}

/**
 * How many files this process may open (`ulimit -n`; Node raises it to the hard limit as it starts); undefined where the system has no
 * /proc.
 */
export function readOpenFileLimit (): number | undefined {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? undefined : Number(soft)
  } catch {
    return undefined
  }
}
