import { isIP } from 'node:net'

/** Where to listen: a TCP address or a unix socket. */
export type Address =
  | { readonly type: 'tcp', readonly host: string, readonly port: number }
  | { readonly type: 'unix', readonly path: string }

/**
 * Reads an ADDR: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `unix:/path/to.sock`; port 0 asks for a free one.
 *
 * @returns the address, or undefined where the text is none
 * @example
 * parseAddress('[::1]:8080') // { type: 'tcp', host: '::1', port: 8080 }
 */
export function parseAddress (text: string): Address | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice(5)
    return path.startsWith('/') && !path.includes('\0') ? { type: 'unix', path } : undefined
  }
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  if (port > 65535) return undefined
  const [, v6, name] = match
  if (v6 !== undefined) return isIP(v6) === 6 ? { type: 'tcp', host: v6, port } : undefined
  if (name === undefined || !isHostName(name)) return undefined
  return { type: 'tcp', host: name.toLowerCase(), port }
}

/**
 * The text form of an address, as `parseAddress` reads it.
 *
 * @example
 * formatAddress({ type: 'unix', path: '/run/countersign.sock' }) // 'unix:/run/countersign.sock'
 */
export function formatAddress (address: Address): string {
  if (address.type === 'unix') return `unix:${address.path}`
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

/** Whether only this machine can reach the address. Names other than `localhost` are not: they may resolve to anything. */
export function isLocal (address: Address): boolean {
  return address.type === 'unix' || isLoopbackHost(address.host)
}

/**
 * Whether a host, as an IP address (an IPv6 one with or without brackets) or a name, is loopback by definition (RFC 6761 section 6.3, RFC
 * 1122 section 3.2.1.3).
 */
export function isLoopbackHost (host: string): boolean {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  if (bare.toLowerCase() === 'localhost') return true
  if (isIP(bare) === 4) return bare.startsWith('127.')
  if (isIP(bare) === 6) return /^(?:::1|(?:0{1,4}:){7}0{0,3}1|::ffff:127(?:\.\d+){3})$/i.test(bare)
  return false
}

// A dotted name whose last label is all digits is a mistyped IPv4 address (127.1, 2130706433), never a name: RFC 1123 section 2.1.
function isHostName (name: string): boolean {
  if (isIP(name) === 4) return true
  return /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*$/i.test(name) && !/(?:^|\.)\d+$/.test(name)
}
