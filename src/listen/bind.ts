import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { connect, type Server } from 'node:net'
import { formatAddress, type Address } from '../http/address.ts'

/** An address could not be taken. The message says which, why, and what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

// unix(7): sun_path has 108 bytes on Linux, 104 on macOS.
const LONGEST_SOCKET_PATH = 103

/**
 * Makes a server listen on a TCP address or a unix socket (mode 0600; a stale file is replaced, a live one is not).
 *
 * @returns the address with the real port where 0 was asked for
 * @throws ListenError where it cannot be taken
 */
export async function bind (server: Server, address: Address): Promise<Address> {
  if (address.type === 'unix') {
    // Longer paths are cut off without an error (unix(7): sun_path has 108 bytes on Linux, 104 on macOS).
    if (Buffer.byteLength(address.path) > LONGEST_SOCKET_PATH) throw new ListenError(`cannot listen on ${formatAddress(address)}: the path is longer than ${LONGEST_SOCKET_PATH} bytes; choose a shorter one`)
    await removeStaleSocket(address.path)
  }
  await new Promise<void>((resolve, reject) => {
    // Stays: an error of a later accept() would end the process otherwise, and costs no more than that connection.
    server.on('error', (error: NodeJS.ErrnoException) => { reject(new ListenError(describeFailure(address, error), { cause: error })) })
    if (address.type === 'tcp') {
      // A hosts file may say otherwise, but `localhost` is loopback by definition (RFC 6761 section 6.3).
      server.listen({ host: address.host === 'localhost' ? '127.0.0.1' : address.host, port: address.port, ipv6Only: false }, resolve)
      return
    }
    // bind() runs within listen(), so nobody can connect before the mode is right.
    const umask = process.umask(0o177)
    try {
      server.listen(address.path, resolve)
    } finally {
      process.umask(umask)
    }
  })
  if (address.type === 'unix') chmodSync(address.path, 0o600)
  return realAddress(server, address)
}

/** A socket file that nobody listens on is left over from a crash; one that answers belongs to somebody. */
async function removeStaleSocket (path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => { resolve(false) })
  })
  if (!alive) unlinkSync(path)
}

function describeFailure (address: Address, error: NodeJS.ErrnoException): string {
  const place = `cannot listen on ${formatAddress(address)}`
  switch (error.code) {
    case 'EADDRINUSE': return `${place}: something else listens there; stop that, or choose another address with --listen, --admin or the route's listen (port 0 takes a free one)`
    case 'EACCES': return `${place}: this user may not; choose a port above 1023 or a folder that it may write`
    case 'EADDRNOTAVAIL': return `${place}: this machine has no such address; choose 127.0.0.1 or one that it has`
    case 'ENOTFOUND': return `${place}: the name does not resolve; choose 127.0.0.1 or localhost`
    default: return `${place}: ${error.code ?? 'unknown error'}; choose another address with --listen, --admin or the route's listen`
  }
}

function realAddress (server: Server, asked: Address): Address {
  const bound = server.address()
  if (asked.type === 'unix' || bound === null || typeof bound === 'string') return asked
  return { type: 'tcp', host: bound.address, port: bound.port }
}
