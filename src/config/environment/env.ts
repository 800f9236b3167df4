import { customCleanEnv, EnvError, makeExactValidator, makeValidator } from 'envalid'
import { parseAddress, type Address } from '../../http/address.ts'
import { problemOfHeaderValue } from '../../http/header-value.ts'
import { nameInUse, readNoProxy } from '../../http/proxies.ts'
import { PROXY_HELP, readProxyUrl } from '../../http/proxy-url.ts'
import { Secret } from '../../secret.ts'
import { oddities } from '../checks.ts'
import type { LogLevel, Problem } from '../config.ts'
import { hostProblem } from '../hosts.ts'
import { quote } from '../problem.ts'
import { readText, type TextResult } from '../read/text.ts'
import { createSecretLookup, type Environment } from '../read/secrets.ts'

/** The settings of the process in the environment. A field is absent where its variable is not set. */
export interface Settings {
  readonly config?: string
  readonly secrets?: string
  readonly listen?: Address
  readonly admin?: Address | 'off'
  readonly allowExternal?: boolean
  readonly allowedHosts?: readonly string[]
  readonly callerToken?: Secret
  readonly logLevel?: LogLevel
}

export interface SettingsResult {
  readonly settings: Settings
  readonly problems: readonly Problem[]
  /** Absolute paths of the files that `…_FILE` variables named. */
  readonly files: readonly string[]
  /** Names of the variables that held secrets. */
  readonly variables: readonly string[]
}

/** How an ADDR is written, for messages. */
export const ADDRESS_HELP = 'is no address; write 127.0.0.1:8080, [::1]:8080, localhost:8080 or unix:/path/to.sock'

const LOG_LEVELS: readonly LogLevel[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']
// Shorter ones can be guessed by a program on the same machine.
const SHORTEST_CALLER_TOKEN = 16

/**
 * Reads the variables of the process itself (`COUNTERSIGN_…`). Never exits, never prints, never echoes a value.
 *
 * @param cwd the folder that a relative path in a `…_FILE` variable starts from
 * @param read reads a file by its absolute path
 * @returns a frozen copy of the well-formed settings, and a problem for each variable that is malformed
 */
export function readSettings (env: Environment, cwd: string, read: (path: string) => TextResult = readText): SettingsResult {
  const problems: Problem[] = []
  const error = (source: string, message: string): void => { problems.push({ severity: 'error', source, message }) }
  const values = customCleanEnv(env, {
    COUNTERSIGN_CONFIG: text({ default: undefined }),
    COUNTERSIGN_SECRETS: text({ default: undefined }),
    COUNTERSIGN_LISTEN: address({ default: undefined }),
    COUNTERSIGN_ADMIN: addressOrOff({ default: undefined }),
    COUNTERSIGN_ALLOW_EXTERNAL: flag({ default: undefined }),
    COUNTERSIGN_ALLOWED_HOSTS: hosts({ default: undefined }),
    COUNTERSIGN_LOG_LEVEL: logLevel({ default: undefined }),
    COUNTERSIGN_CACHE_URL: unsupported({ default: undefined })
    // The copy ends envalid's strict proxy, which throws on a key that failed.
  }, (cleaned) => ({ ...cleaned }), { reporter: ({ errors }) => report(errors, error) })

  problems.push(...checkProxies(env))
  const lookup = createSecretLookup(env, cwd, undefined, read)
  const settings: Settings = {
    ...(values.COUNTERSIGN_CONFIG !== undefined && { config: values.COUNTERSIGN_CONFIG }),
    ...(values.COUNTERSIGN_SECRETS !== undefined && { secrets: values.COUNTERSIGN_SECRETS }),
    ...(values.COUNTERSIGN_LISTEN !== undefined && { listen: values.COUNTERSIGN_LISTEN }),
    ...(values.COUNTERSIGN_ADMIN !== undefined && { admin: values.COUNTERSIGN_ADMIN }),
    ...(values.COUNTERSIGN_ALLOW_EXTERNAL !== undefined && { allowExternal: values.COUNTERSIGN_ALLOW_EXTERNAL }),
    ...(values.COUNTERSIGN_ALLOWED_HOSTS !== undefined && { allowedHosts: values.COUNTERSIGN_ALLOWED_HOSTS }),
    ...(values.COUNTERSIGN_LOG_LEVEL !== undefined && { logLevel: values.COUNTERSIGN_LOG_LEVEL }),
    ...readCallerToken()
  }
  return { settings: Object.freeze(settings), problems, files: lookup.files(), variables: lookup.variables() }

  function readCallerToken (): Pick<Settings, 'callerToken'> {
    const name = 'COUNTERSIGN_CALLER_TOKEN'
    if (!lookup.has(name)) return {}
    const token = lookup.find(name)
    if (!token.ok) {
      error(name, token.reason)
      return {}
    }
    const problem = problemOfHeaderValue(token.value)
    if (problem !== undefined) error(name, problem)
    else for (const message of doubtsOfCallerToken(token.value)) problems.push({ severity: 'warning', source: name, message })
    return problem === undefined ? { callerToken: new Secret(token.value) } : {}
  }
}

function checkProxies (env: Environment): Problem[] {
  const malformed = (['HTTP_PROXY', 'HTTPS_PROXY'] as const).flatMap((variable): Problem[] => {
    const name = nameInUse(variable, env)
    return name === undefined || readProxyUrl(env[name] ?? '') !== undefined
      ? []
      : [{ severity: 'error', source: name, message: PROXY_HELP }]
  })
  const name = nameInUse('NO_PROXY', env)
  if (name === undefined) return malformed
  return [...malformed, ...readNoProxy(env[name] ?? '').unknown.map((entry): Problem => {
    // An entry that is a whole URL may hold more than a host.
    const shown = quote(entry.replace(/^.*@/, '…@').replace(/[?#].*$/, '…'))
    return {
      severity: 'warning',
      source: name,
      message: `the entry ${shown} is no name, address or CIDR block, so it excepts nothing; write example.com, 192.0.2.1, [2001:db8::1]:443, 10.0.0.0/8 or *, with commas between them`
    }
  })]
}

/** Doubts about a caller token that can be sent. */
export function doubtsOfCallerToken (text: string): string[] {
  return [
    ...(text.length < SHORTEST_CALLER_TOKEN ? [`is shorter than ${SHORTEST_CALLER_TOKEN} characters; use a longer random one`] : []),
    ...oddities(text)
  ]
}

// envalid's own validators echo the value in their messages, and its default reporter exits: none of them is used.
const text = makeValidator<string>(nonBlank)
const address = makeExactValidator<Address>((input) => parseAddress(nonBlank(input)) ?? fail(ADDRESS_HELP))
const addressOrOff = makeExactValidator<Address | 'off'>((input) =>
  input === 'off' ? 'off' : (parseAddress(nonBlank(input)) ?? fail(`${ADDRESS_HELP}, or off`))
)
const logLevel = makeExactValidator<LogLevel>(
  (input) => LOG_LEVELS.find((level) => level === nonBlank(input)) ?? fail(`is no log level; use one of ${LOG_LEVELS.join(', ')}`)
)
const unsupported = makeExactValidator<string>(() => fail('is not supported by this version; remove the variable'))
const flag = makeExactValidator<boolean>((input) => {
  const word = nonBlank(input).toLowerCase()
  if (['true', '1', 'yes', 'on'].includes(word)) return true
  return ['false', '0', 'no', 'off'].includes(word) ? false : fail('is neither true nor false; write one of the two')
})
const hosts = makeExactValidator<readonly string[]>((input) => nonBlank(input).split(',').map((entry) => {
  const host = entry.trim()
  const problem = hostProblem(host)
  return problem === undefined ? host.toLowerCase() : fail(`holds an entry that ${problem}`)
}))

function nonBlank (input: string): string {
  return input.trim() === '' ? fail('is empty; set it to a value, or remove the variable') : input
}

function fail (message: string): never {
  throw new EnvError(message)
}

function report (errors: Readonly<Record<string, Error | undefined>>, error: (source: string, message: string) => void): void {
  for (const [name, cause] of Object.entries(errors)) {
    if (cause !== undefined) error(name, cause instanceof EnvError ? cause.message : 'is malformed; correct it')
  }
}
