import { isLocal, parseAddress, type Address } from '../http/address.ts'
import type { Config } from './config.ts'
import { ADDRESS_HELP, type Settings } from './environment/env.ts'
import type { ConfigDocument } from './read/document.ts'
import { formatPath, type Path, type Place, type Reporter } from './problem.ts'
import type { RouteEntry } from './route/routes.ts'
import { FileSchema } from './schema.ts'
import { readPart, valueAt } from './shape.ts'

/** The command line's options for the listeners, as text. */
export interface ListenOptions {
  readonly listen?: string | undefined
  readonly admin?: string | undefined
  readonly allowExternal?: boolean | undefined
}

interface Setting<Value> {
  readonly value: Value
  /** The place of the setting; undefined for a default. */
  readonly place: Place | undefined
}

const DEFAULT_LISTEN: Address = { type: 'tcp', host: '127.0.0.1', port: 8080 }
const DEFAULT_ADMIN: Address = { type: 'tcp', host: '127.0.0.1', port: 8081 }

/**
 * Decides on the two addresses: command line, then environment, then file, then default. Every one of them must be well-formed, also where
 * another wins.
 */
export function resolveListeners (
  document: ConfigDocument,
  settings: Settings,
  options: ListenOptions,
  reporter: Reporter
): Pick<Config, 'listen' | 'admin' | 'allowExternal'> {
  const listen = choose('listen', parseAddress, ADDRESS_HELP, DEFAULT_LISTEN)
  const admin = choose<Address | 'off'>(
    'admin',
    (text) => (text === 'off' ? 'off' : parseAddress(text)),
    `${ADDRESS_HELP}, or off`,
    DEFAULT_ADMIN
  )
  const inFile = readPart(FileSchema.shape.allowExternal, valueAt(document.value, ['allowExternal']))
  const allowExternal = (options.allowExternal === true ? true : settings.allowExternal) ?? inFile ?? false

  for (const { value, place } of [listen, admin]) {
    if (value === 'off' || isLocal(value) || allowExternal || place === undefined) continue
    reporter.add('error', place, EXTERNAL)
  }
  if (admin.value !== 'off' && collide(listen.value, admin.value)) {
    reporter.add(
      'error',
      admin.place ?? listen.place ?? { source: 'admin' },
      'the proxy and the admin listener have the same address; give one of them another port, or switch the admin listener off'
    )
  }
  return { listen: listen.value, admin: admin.value, allowExternal }

  function choose<Value> (
    name: 'listen' | 'admin',
    parse: (text: string) => Value | undefined,
    help: string,
    otherwise: Value
  ): Setting<Value> {
    const option = options[name]
    const fromOption = option === undefined ? undefined : parse(option)
    if (option !== undefined && fromOption === undefined) reporter.add('error', { source: `--${name}` }, help)
    const text = readPart(FileSchema.shape[name], valueAt(document.value, [name]))
    const fromFile = text === undefined ? undefined : parse(text)
    if (text !== undefined && fromFile === undefined) reporter.error([name], help)
    if (fromOption !== undefined) return { value: fromOption, place: { source: `--${name}` } }
    const fromEnvironment = settings[name] as Value | undefined // of the same parser: env.ts
    if (fromEnvironment !== undefined) return { value: fromEnvironment, place: { source: `COUNTERSIGN_${name.toUpperCase()}` } }
    if (fromFile !== undefined) return { value: fromFile, place: document.place([name], 'value') }
    return { value: otherwise, place: undefined }
  }
}

/** Checks the addresses of routes that have a listener of their own: against the rules of every address, and against all others. */
export function checkRouteListeners (
  entries: readonly RouteEntry[],
  { listen, admin, allowExternal }: Pick<Config, 'listen' | 'admin' | 'allowExternal'>,
  reporter: Reporter
): void {
  const taken: Array<{ readonly address: Address, readonly by: string }> = [{ address: listen, by: 'the proxy itself' }]
  if (admin !== 'off') taken.push({ address: admin, by: 'the admin listener' })
  for (const { shape, path } of entries) {
    if (shape.listen === undefined) continue
    const place: Path = [...path, 'listen']
    const address = parseAddress(shape.listen)
    if (address === undefined) {
      reporter.error(place, ADDRESS_HELP)
      continue
    }
    if (!isLocal(address) && !allowExternal) reporter.error(place, EXTERNAL)
    const other = taken.find((one) => collide(one.address, address))
    if (other !== undefined) reporter.error(place, `is the address of ${other.by} too; give one of them another port`)
    taken.push({ address, by: formatPath(path) })
  }
}

const EXTERNAL =
  'is an address that other machines may reach, and they could spend the credentials; use 127.0.0.1, or allow it with --allow-external, COUNTERSIGN_ALLOW_EXTERNAL=true or "allowExternal": true'

function collide (a: Address, b: Address): boolean {
  if (a.type === 'unix' || b.type === 'unix') return a.type === 'unix' && b.type === 'unix' && a.path === b.path
  if (a.port !== b.port || a.port === 0) return false
  // localhost may be 127.0.0.1 or ::1, and a wildcard address takes the port from every other.
  const any = ['0.0.0.0', '::', 'localhost']
  return a.host === b.host || any.includes(a.host) || any.includes(b.host)
}
