import { request } from 'node:http'
import type { LoadResult } from '../config/load.ts'
import { ERRORS } from '../errors.ts'
import { formatAddress, parseAddress, type Address } from '../http/address.ts'
import { stringOption, type CommandContext } from './command.ts'

const DEFAULT_ADMIN: Address = { type: 'tcp', host: '127.0.0.1', port: 8081 }
const DEADLINE_MS = 5_000
/** Ten times the status of a thousand credentials with all of their history. */
const LONGEST_RESPONSE = 64 * 1024 * 1024

/**
 * Finds the address of the running daemon's admin listener: `--admin`, else the configuration's, else (where the configuration has
 * problems, which the daemon may not have had) the environment's or the default.
 *
 * @returns `off` where it is turned off; undefined where the address is no ADDR or its port is not known
 */
export async function adminAddress (context: CommandContext): Promise<Address | 'off' | undefined> {
  const given = stringOption(context, 'admin')
  if (given !== undefined) return readAddress(given)
  // Imported here: a probe that knows its address needs no code that reads a configuration.
  const { load, loadNow } = await import('./load.ts')
  // A probe must not wait for pipes that only the daemon's secrets come from.
  const known = configured(loadNow(context)) ?? configured(await load(context))
  if (known !== undefined) return known
  const fromEnvironment = context.env['COUNTERSIGN_ADMIN']
  return fromEnvironment === undefined ? DEFAULT_ADMIN : readAddress(fromEnvironment)
}

function configured (loaded: LoadResult): Address | 'off' | undefined {
  return loaded.ok ? loaded.config.admin : loaded.admin
}

/** A response of the admin listener. */
interface AdminResponse {
  readonly statusCode: number
  /** A JSON object, as every response of a Countersign is; but it may be a stranger's. */
  readonly body: Readonly<Record<string, unknown>>
}

/** The outcome of a request: a response; nobody there, or nobody who responds in time; or a response that no Countersign sends. */
export type AdminResult = AdminResponse | 'absent' | 'silent' | 'foreign'

/** Asks the admin listener, for five seconds at most and with a limit for the size of its response. */
export async function askAdmin (address: Address, path: string, deadlineMs = DEADLINE_MS): Promise<AdminResult> {
  const signal = AbortSignal.timeout(Math.min(Math.ceil(deadlineMs), DEADLINE_MS))
  try {
    const { statusCode, text } = await exchange(address, path, signal)
    const body: unknown = JSON.parse(text)
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? { statusCode, body: { ...body } } : 'foreign'
  } catch (error) {
    if (signal.aborted) return 'silent'
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    return UNREACHED.has(code) ? 'absent' : 'foreign'
  }
}

/** Nobody is there, or nobody that this user may ask. */
const UNREACHED = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EACCES',
  'EPERM',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ETIMEDOUT'
])

function exchange (address: Address, path: string, signal: AbortSignal): Promise<{ readonly statusCode: number, readonly text: string }> {
  return new Promise((resolve, reject) => {
    const target = address.type === 'unix' ? { socketPath: address.path } : { host: reachable(address.host), port: address.port }
    const call = request({ ...target, path, method: 'GET', agent: false, insecureHTTPParser: false, signal }, (response) => {
      const chunks: Buffer[] = []
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > LONGEST_RESPONSE) response.destroy(new Error('the response is too long'))
        else chunks.push(chunk)
      })
      response.on('end', () => { resolve({ statusCode: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }) })
      response.on('error', reject)
    })
    // A server that switches protocols unasked is no Countersign; without this handler the promise would never settle.
    call.on('upgrade', (_response, socket) => { socket.destroy() })
    call.on('error', reject)
    call.on('close', () => { reject(new Error('no response')) })
    call.end()
  })
}

/** Names the admin listener in a message, and why it did not tell what was asked for. Nothing of a stranger's is in it. */
export function describeAdmin (address: Address | 'off' | undefined, result: AdminResult = 'absent'): string {
  if (address === 'off') return 'the admin listener is turned off (admin: "off"); turn it on, or name it with --admin ADDR'
  if (address === undefined) return 'the address of the admin listener is not known; name it with --admin ADDR'
  const place = formatAddress(address)
  if (result === 'absent') {
    return `nothing answers at ${place}; is \`countersign serve\` running, and is this its admin address (--admin ADDR)?`
  }
  if (result === 'silent') return `${place} was asked and does not answer in time; what listens there is no Countersign, or hangs`
  const code = typeof result === 'object' ? rejectionCode(result) : undefined
  if (code !== undefined) return `${place} answers ${code}; is this the admin address (--admin ADDR)?`
  return `what answers at ${place} is no Countersign's admin listener; name that with --admin ADDR`
}

/** The code of one of our errors, as the proxy's listeners send it, or an admin listener at its limit. */
function rejectionCode ({ body: { code } }: AdminResponse): string | undefined {
  return typeof code === 'string' && Object.hasOwn(ERRORS, code) ? code : undefined
}

function readAddress (text: string): Address | 'off' | undefined {
  return text === 'off' ? 'off' : parseAddress(text)
}

/** The wildcard addresses are for listening only. */
function reachable (host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
