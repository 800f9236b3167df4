import { chmodSync, lstatSync, statSync, unlinkSync, type Stats } from 'node:fs'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { formatAddress, type Address } from '../http/address.ts'

/**
 * An address cannot be taken. The message says which, why, and what to do.
 *
 * @example
 * await proxy.start().catch((error) => {
 *   if (error instanceof ListenError) process.exitCode = 69
 *   throw error
 * })
 */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

/** A server that listens. */
export interface Bound {
  readonly server: Server
  /** With the real port where 0 was asked for. */
  readonly address: Address
}

// unix(7): sun_path has 108 bytes on Linux, 104 on macOS.
const LONGEST_SOCKET_PATH = 103
/** Attempts to find a port that is free in both families. */
const MOST_FREE_PORTS = 20
// A hosts file may say otherwise, but `localhost` is loopback by definition (RFC 6761 section 6.3).
const LOCALHOST = ['127.0.0.1', '::1'] as const

/**
 * Makes servers listen on a TCP address or a unix socket (mode 0600; a stale file is replaced, a live one is not). `localhost` is
 * both loopback addresses: a client may take either, and another program could listen on the one that we leave out.
 *
 * @param held servers that listen on a part of the address already, and stay
 * @returns all servers of the address, the held ones among them; at least one
 * @throws ListenError where the address cannot be taken; only the held servers listen then
 */
export async function bind (createServer: () => Server, address: Address, held: readonly Bound[] = []): Promise<readonly Bound[]> {
  if (address.type === 'tcp' && address.host === 'localhost') return await bindLocalhost(createServer, address.port, held)
  return held.length > 0 ? held : [await listen(createServer(), address)]
}

/** The addresses to listen on for a configured one: two for `localhost`. */
export function addressesFor (address: Address): readonly Address[] {
  return address.type === 'tcp' && address.host === 'localhost' ? LOCALHOST.map((host) => ({ ...address, host })) : [address]
}

async function bindLocalhost (createServer: () => Server, wantedPort: number, held: readonly Bound[]): Promise<readonly Bound[]> {
  for (let attempt = 1; ; attempt++) {
    const fresh: Bound[] = []
    try {
      return await bindFamilies(createServer, wantedPort, held, fresh)
    } catch (error) {
      await Promise.all(fresh.map(({ server }) => new Promise((resolve) => { server.close(resolve) })))
      if (wantedPort !== 0 || held.length > 0 || codeOf(error) !== 'EADDRINUSE' || attempt === MOST_FREE_PORTS) throw error
    }
  }
}

/** @param fresh receives the servers that listen now and did not before, also where the rest fails */
async function bindFamilies (
  createServer: () => Server,
  wantedPort: number,
  held: readonly Bound[],
  fresh: Bound[]
): Promise<readonly Bound[]> {
  const all: Bound[] = []
  let missing: unknown
  for (const host of LOCALHOST) {
    const known = held.find(({ address }) => address.type === 'tcp' && address.host === host)
    const [first] = [...all, ...held]
    const port = first?.address.type === 'tcp' ? first.address.port : wantedPort
    try {
      const bound = known ?? (await listen(createServer(), { type: 'tcp', host, port }))
      if (known === undefined) fresh.push(bound)
      all.push(bound)
    } catch (error) {
      // This machine does not have the address family.
      if (!['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(codeOf(error) ?? '')) throw error
      missing = error
    }
  }
  if (all.length === 0) throw missing
  return all
}

function codeOf (error: unknown): string | undefined {
  return error instanceof ListenError ? (error.cause as NodeJS.ErrnoException | undefined)?.code : undefined
}

async function listen (server: Server, address: Address): Promise<Bound> {
  if (address.type === 'unix') {
    // Longer paths are cut off without an error (unix(7)).
    if (Buffer.byteLength(address.path) > LONGEST_SOCKET_PATH) {
      throw new ListenError(
        `cannot listen on ${formatAddress(address)}: the path is longer than ${LONGEST_SOCKET_PATH} bytes; choose a shorter one`
      )
    }
    await removeStaleSocket(address.path)
  }
  await new Promise<void>((resolve, reject) => {
    // Stays: without it an error of a later accept() would end the process. So it costs that connection alone.
    server.on('error', (error: NodeJS.ErrnoException) => { reject(new ListenError(describeFailure(address, error), { cause: error })) })
    if (address.type === 'tcp') {
      server.listen({ host: address.host, port: address.port, ipv6Only: false }, resolve)
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
  return { server, address: realAddress(server, address) }
}

/**
 * Removes the socket file that a crash has left over: one that refuses connections. Any other failure may come from a listener
 * that is alive: of another user (EACCES), or with a full queue (EAGAIN).
 */
async function removeStaleSocket (path: string): Promise<void> {
  const found = socketAt(path)
  if (found === undefined) return
  const stale = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy()
      resolve(false)
    })
    probe.on('error', ({ code }: NodeJS.ErrnoException) => { resolve(code === 'ECONNREFUSED') })
  })
  // Another process may have done the same meanwhile, and listen there now.
  if (stale && socketAt(path)?.ino === found.ino) unlinkSync(path)
}

function socketAt (path: string): Stats | undefined {
  const stats = statsAt(path)
  return stats?.isSocket() === true ? stats : undefined
}

function describeFailure (address: Address, error: NodeJS.ErrnoException): string {
  const place = `cannot listen on ${formatAddress(address)}`
  const obstacle = address.type === 'unix' ? obstacleAt(address.path, error.code) : undefined
  if (obstacle !== undefined) return `${place}: ${obstacle}`
  switch (error.code) {
    case 'EADDRINUSE':
      return `${place}: something else listens there; stop that, or choose another address with --listen, --admin or the route's listen (port 0 takes a free one)`
    case 'EACCES':
      return `${place}: this user may not; choose a port above 1023 or a folder that it may write`
    case 'EADDRNOTAVAIL':
      return `${place}: this machine has no such address; choose 127.0.0.1 or one that it has`
    case 'ENOTFOUND':
      return `${place}: the name does not resolve; choose 127.0.0.1 or localhost`
    default:
      return `${place}: ${error.code ?? 'unknown error'}; choose another address with --listen, --admin or the route's listen`
  }
}

/** Says what is in the way of a socket file. Node reports EADDRINUSE for any file of that name, and EACCES where there is no folder. */
function obstacleAt (path: string, code: string | undefined): string | undefined {
  const folder = dirname(path)
  const [there, above] = [statsAt(path), statsAt(folder, statSync)]
  if (code === 'EADDRINUSE' && there?.isSocket() === false) return 'what is there is no socket; delete it, or choose another path'
  if (code === 'EADDRINUSE') return 'something else listens there; stop that, or choose another path'
  if (above?.isDirectory() !== true) return 'its folder does not exist; make it, or choose another path'
  return code === 'EACCES' ? 'this user may not make it there; choose a folder that it may write' : undefined
}

function statsAt (path: string, read: typeof lstatSync = lstatSync): Stats | undefined {
  try {
    return read(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

function realAddress (server: Server, asked: Address): Address {
  const bound = server.address()
  if (asked.type === 'unix' || bound === null || typeof bound === 'string') return asked
  return { type: 'tcp', host: bound.address, port: bound.port }
}
