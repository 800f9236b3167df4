/** What the proxies on Node share: they are told `{ origin, token, prefixes }`, and say on which port they listen. */

/** Longer than any pause of a measurement: connections rest while the others take their turn. */
export const KEEP_ALIVE_MS = 600_000

export const setup = JSON.parse(process.argv[2])

export function say (port) {
  // An end that Node sees: only then it writes its compile cache.
  process.once('SIGTERM', () => { process.exit() })
  process.stdout.write(`${JSON.stringify({ port })}\n`)
}

/** Makes a server of node:http listen on a free port. */
export function listen (server) {
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.listen(0, '127.0.0.1', () => { say(server.address().port) })
}
