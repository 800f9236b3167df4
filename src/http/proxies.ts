import { BlockList, isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { isLoopbackHost } from './address.ts'
import { readProxyUrl, withoutBrackets, type ForwardProxy } from './proxy-url.ts'

/** The values of the proxy variables. Plain text, since it crosses to the thread that logs in to Cognito. */
export interface ProxyEnvironment {
  readonly httpProxy?: string
  readonly httpsProxy?: string
  readonly noProxy?: string
}

/** Where a connection goes, in the form of `URL`. */
export interface Destination {
  readonly protocol: string
  readonly hostname: string
  /** Empty: the scheme's own. */
  readonly port: string
}

/** Finds the proxy for a destination; undefined: connect directly. */
export type ProxyRule = (destination: Destination) => ForwardProxy | undefined

/** `NO_PROXY`, read. */
export interface NoProxy {
  readonly excepts: (hostname: string, port: number) => boolean
  /** The entries that are no name, address or block and so except nothing, as they stand there. */
  readonly unknown: readonly string[]
}

export const PROXY_VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'] as const

/** The name under which a proxy variable is set: the lower-case one wins, and an empty one is none, as for curl. */
export function nameInUse (name: (typeof PROXY_VARIABLES)[number], env: Readonly<Record<string, string | undefined>>): string | undefined {
  return [name.toLowerCase(), name].find((one) => env[one] !== undefined && env[one] !== '')
}

/** Takes the proxy variables out of an environment, by {@link nameInUse}. */
export function readProxyEnvironment (env: Readonly<Record<string, string | undefined>>): ProxyEnvironment {
  const [httpProxy, httpsProxy, noProxy] = PROXY_VARIABLES.map((name) => env[nameInUse(name, env) ?? ''])
  return {
    ...(httpProxy !== undefined && { httpProxy }),
    ...(httpsProxy !== undefined && { httpsProxy }),
    ...(noProxy !== undefined && { noProxy })
  }
}

/**
 * The one rule for proxies, of upstreams, upgrades and identity providers alike. `https:` goes by `HTTPS_PROXY` and `http:` by
 * `HTTP_PROXY`, neither stands in for the other, as in curl and Go; `NO_PROXY` excepts from both. Loopback never goes through a
 * proxy, as in Go's `http.ProxyFromEnvironment`: the proxy's own loopback is another machine's.
 *
 * @returns a function that throws where the variable that counts is no URL of a proxy: to connect directly is not what was asked
 *   for
 */
export function createProxyRule ({ httpProxy, httpsProxy, noProxy = '' }: ProxyEnvironment): ProxyRule {
  const { excepts } = readNoProxy(noProxy)
  return ({ protocol, hostname, port }) => {
    const secure = protocol === 'https:'
    const url = secure ? httpsProxy : httpProxy
    if (url === undefined || url === '') return undefined
    const { text } = readHost(hostname)
    if (isLoopbackHost(text) || excepts(hostname, port === '' ? (secure ? 443 : 80) : Number(port))) return undefined
    const proxy = readProxyUrl(url)
    if (proxy === undefined) throw new TypeError('a proxy variable of the environment is no URL of an HTTP proxy')
    return proxy
  }
}

/**
 * Reads `NO_PROXY`: entries between commas or blanks. `*` excepts all; `example.com`, `.example.com` and `*.example.com` a name
 * and those below it; an address itself, an IPv4 one in its IPv6-mapped form too (RFC 4291 section 2.5.5.2); a CIDR block the
 * addresses in it. Each with a port for that port alone.
 */
export function readNoProxy (text: string): NoProxy {
  const entries = text.split(/[,\s]+/).filter((entry) => entry !== '').map((entry) => ({ entry, exception: readException(entry) }))
  const exceptions = entries.flatMap(({ exception }) => exception ?? [])
  return {
    excepts: (hostname, port) => {
      const host = readHost(hostname)
      return exceptions.some((one) => (one.port === undefined || one.port === port) && one.holds(host))
    },
    unknown: entries.flatMap(({ entry, exception }) => exception === undefined ? [entry] : [])
  }
}

interface Exception {
  readonly port: number | undefined
  readonly holds: (host: Host) => boolean
}

/** A host of a URL: a name in lower case without the dot of the root, or an address. */
interface Host {
  readonly text: string
  readonly family: 0 | 4 | 6
}

const ALL_BITS = { 4: 32, 6: 128 } as const
/** In front of an IPv4 address in its mapped form. */
const MAPPED_BITS = 96

function readHost (hostname: string): Host {
  const bare = withoutBrackets(hostname).toLowerCase().replace(/(?<=.)\.$/, '')
  return readAddress(bare) ?? { text: bare, family: 0 }
}

function readException (entry: string): Exception | undefined {
  // A bare IPv6 address has colons and no port.
  const [, rest = entry, digits] = isIP(entry) === 6 ? [] : /^(.+?)(?::(\d{1,5}))?$/.exec(entry) ?? []
  const port = digits === undefined ? undefined : Number(digits)
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined
  const holds = rest === '*' ? () => true : readBlock(rest) ?? readName(rest)
  return holds && { port, holds }
}

function readBlock (text: string): Exception['holds'] | undefined {
  const [, bracketed, behind, inside, plain, length = bracketed === undefined ? undefined : behind ?? inside] =
    /^(?:\[([\da-f:.]+)(?:\](?:\/(\d{1,3}))?|\/(\d{1,3})\])|([\da-f:.]+)(?:\/(\d{1,3}))?)$/i.exec(text) ?? []
  const written = bracketed ?? plain ?? ''
  const version = isIP(written)
  const address = readAddress(written)
  if (address === undefined || address.family === 0 || (bracketed !== undefined && version !== 6)) return undefined
  const bits = length === undefined ? ALL_BITS[address.family] : Number(length) - (version === address.family ? 0 : MAPPED_BITS)
  const { family, text: network } = address
  if (bits < 0 || bits > ALL_BITS[family]) return undefined
  const block = new BlockList()
  block.addSubnet(network, bits, `ipv${family}`)
  return (host) => host.family === family && block.check(host.text, `ipv${family}`)
}

function readName (text: string): Exception['holds'] | undefined {
  const written = text.replace(/^\*?\./, '').replace(/\.$/, '')
  // Judged first: domainToASCII cuts a path off and takes an escape or a backslash as URLs do.
  if (/[^\w.\u0080-\uffff-]/.test(written)) return undefined
  const name = domainToASCII(written).toLowerCase()
  // A last label of digits alone is a mistyped address (RFC 1123 section 2.1).
  if (
    /(?:^|\.)\d+$/.test(written) ||
    !/^(?=.{1,253}$)[a-z\d_](?:[a-z\d_-]*[a-z\d_])?(?:\.[a-z\d_](?:[a-z\d_-]*[a-z\d_])?)*$/.test(name) ||
    /(?:^|\.)\d+$/.test(name)
  ) {
    return undefined
  }
  return ({ family, text: host }) => family === 0 && (host === name || host.endsWith(`.${name}`))
}

/** An address, without a zone; an IPv4-mapped one as the IPv4 address that it stands for. */
function readAddress (text: string): Host | undefined {
  const version = isIP(text)
  if (version === 4) return { text, family: 4 }
  if (version !== 6 || text.includes('%')) return undefined
  const [, high, low] = /^\[::ffff:([\da-f]{1,4}):([\da-f]{1,4})\]$/.exec(new URL(`http://[${text}]`).hostname) ?? []
  if (high === undefined || low === undefined) return { text, family: 6 }
  const [upper, lower] = [parseInt(high, 16), parseInt(low, 16)]
  return { text: [upper >> 8, upper & 255, lower >> 8, lower & 255].join('.'), family: 4 }
}
