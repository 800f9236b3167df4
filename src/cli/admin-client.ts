import { request } from 'node:http'
import { formatAddress, parseAddress, type Address } from '../http/address.ts'
import { stringOption, type CommandContext } from './command.ts'
import { load } from './load.ts'

const DEFAULT_ADMIN: Address = { type: 'tcp', host: '127.0.0.1', port: 8081 }
const DEADLINE_MS = 5_000

/**
 * Where the running daemon's admin listener is: `--admin`, else the configuration's, else (where the configuration has
 * problems, which the daemon may not have had) the environment's or the default.
 *
 * @returns `off` where it is turned off; undefined where the address is no ADDR or its port is not known
 */
export async function adminAddress (context: CommandContext): Promise<Address | 'off' | undefined> {
  const given = stringOption(context, 'admin')
  if (given !== undefined) return readAddress(given)
  const loaded = load(context)
  if (loaded.ok) return loaded.config.admin
  const fromEnvironment = context.env['COUNTERSIGN_ADMIN']
  return fromEnvironment === undefined ? DEFAULT_ADMIN : readAddress(fromEnvironment)
}

/** An answer of the admin listener. */
export interface AdminAnswer {
  readonly statusCode: number
  readonly body: string
}

/** Asks the admin listener. @throws an Error where it does not answer within five seconds */
export function askAdmin (address: Address, path: string): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const target = address.type === 'unix' ? { socketPath: address.path } : { host: reachable(address.host), port: address.port }
    const call = request({ ...target, path, method: 'GET', agent: false, signal: AbortSignal.timeout(DEADLINE_MS) }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => { resolve({ statusCode: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }) })
      response.on('error', reject)
    })
    call.on('error', reject)
    call.end()
  })
}

/** Names the admin listener in a message. */
export function describeAdmin (address: Address | 'off' | undefined): string {
  if (address === 'off') return 'the admin listener is turned off (admin: "off"); turn it on, or name it with --admin ADDR'
  if (address === undefined) return 'the address of the admin listener is not known; name it with --admin ADDR'
  return `nothing answers at ${formatAddress(address)}; is \`countersign serve\` running, and is this its admin address (--admin ADDR)?`
}

function readAddress (text: string): Address | 'off' | undefined {
  return text === 'off' ? 'off' : parseAddress(text)
}

/** The wildcard addresses are for listening only. */
function reachable (host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
