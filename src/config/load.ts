import { dirname, resolve } from 'node:path'
import type { Address } from '../http/address.ts'
import type { Config, Problem } from './config.ts'
import { EMPTY_DOCUMENT, readDocument, type ConfigDocument, type OtherDocument } from './read/document.ts'
import { readSettings } from './environment/env.ts'
import { documentFromEnvironment } from './environment/from-env.ts'
import { checkNodeVariables } from './environment/node-options.ts'
import { sortProblems } from './problem.ts'
import { readText, type TextResult } from './read/text.ts'
import { resolveConfig } from './resolve.ts'
import { checkPermissions, createSecretLookup, parseSecrets } from './read/secrets.ts'

export { formatProblem } from './problem.ts'

export interface LoadInput {
  readonly env: NodeJS.ProcessEnv
  /** What relative paths start from. */
  readonly cwd: string
  readonly options: LoadOptions
  /** Files that an earlier load has read: where one in a usual place is gone, that is a problem and no choice. */
  readonly expected?: readonly string[]
  /** What was read of pipes, by absolute path. Without it a pipe is a problem. */
  readonly pipes?: ReadonlyMap<string, TextResult>
}

/** What the command line says; it wins over the environment, and that over the file. */
export interface LoadOptions {
  readonly config?: string | undefined
  readonly secrets?: string | undefined
  readonly listen?: string | undefined
  readonly admin?: string | undefined
  readonly allowExternal?: boolean | undefined
}

export type LoadResult =
  | {
    readonly ok: true
    /** Frozen. */
    readonly config: Config
    readonly warnings: readonly Problem[]
    /** Absolute paths of every file that was read: what to watch for changes. */
    readonly files: readonly string[]
    /** Names of the environment variables that held secrets. */
    readonly variables: readonly string[]
  }
  | {
    readonly ok: false
    /** Every error and every warning, in the order in which a person works through them. */
    readonly problems: readonly Problem[]
    /** As above, as far as they were found: a change of one of them may mend the configuration. */
    readonly files: readonly string[]
    /** Pipes among them that were not read: what they hold may mend it too. */
    readonly pipes?: readonly string[]
    /** Where the admin listener would be, as far as that is known in spite of the problems. */
    readonly admin?: Address | 'off'
  }

/**
 * Loads the configuration: reads the files, puts the secrets in, validates everything and reports all that is wrong at
 * once. Reads nothing but files and its arguments; prints nothing, throws nothing.
 */
export function loadConfig ({ env, cwd, options, expected = [], pipes = new Map() }: LoadInput): LoadResult {
  const unread = new Set<string>()
  const { settings, problems: settingsProblems, files: settingsFiles, variables } = readSettings(env, cwd, read)
  const problems: Problem[] = [...settingsProblems, ...checkNodeVariables(env)]
  const files = new Set(settingsFiles)
  const names: string[] = []

  const configFile = readChosen(options.config, '--config', settings.config, 'COUNTERSIGN_CONFIG', 'config/countersign.jsonc')
  const secretsFile = readChosen(options.secrets, '--secrets', settings.secrets, 'COUNTERSIGN_SECRETS', 'config/secrets.env')
  const secrets = createSecretLookup(env, cwd, secretsFile.type === 'text' ? readSecrets(secretsFile) : undefined, read)
  const others: OtherDocument[] = []
  const document = readConfig()
  for (const file of secrets.files()) files.add(file)

  // Without a document only what the variables and options say by themselves is checked: the file might allow an external address.
  const { config, problems: found } = document === undefined
    ? resolveConfig(EMPTY_DOCUMENT, settings, { ...options, allowExternal: true }, { read: readNamed, locate })
    : resolveConfig(document, settings, options, { read: readNamed, locate })
  problems.push(...document === undefined ? found.filter(({ severity }) => severity === 'error') : found)
  for (const { document: other, holds } of others) {
    const { problems: within } = resolveConfig(other, settings, options, { read: readNamed, locate })
    problems.push(...within.filter((problem) => problem.severity === 'error' && holds(problem)))
  }
  const sorted = sortProblems(problems, names)
  if (sorted.some(({ severity }) => severity === 'error')) {
    return {
      ok: false,
      problems: sorted,
      files: [...files],
      ...(unread.size > 0 && { pipes: [...unread] }),
      ...(document !== undefined && { admin: config.admin })
    }
  }
  return { ok: true, config: freezeDeep(config), warnings: sorted, files: [...files], variables: [...variables, ...secrets.variables()] }

  function read (path: string): TextResult {
    const content = pipes.get(path) ?? readText(path)
    if (!content.ok && content.pipe === true) unread.add(path)
    return content
  }

  function locate (name: string): string {
    return resolve(configFile.type === 'text' ? dirname(configFile.path) : cwd, name)
  }

  function readNamed (name: string): TextResult {
    const path = locate(name)
    files.add(path)
    return read(path)
  }

  function readChosen (
    option: string | undefined,
    optionName: string,
    setting: string | undefined,
    variable: string,
    otherwise: string
  ): Chosen {
    const name = option ?? setting ?? otherwise
    if (name.trim() === '') {
      problems.push({ severity: 'error', source: optionName, message: 'is empty; name a file' })
      return { type: 'failed' }
    }
    const path = resolve(cwd, name)
    const content = read(path)
    const byName = option === undefined ? (setting === undefined ? undefined : variable) : optionName
    if (!content.ok && content.absent && byName === undefined && !expected.includes(path)) {
      return own(env, variable) ? { type: 'failed' } : { type: 'none' }
    }
    files.add(path)
    if (content.ok) {
      names.push(name)
      return { type: 'text', name, path, text: content.text }
    }
    // The value of a variable is never shown, be it a path.
    if (byName === variable) {
      problems.push({
        severity: 'error',
        source: variable,
        message: `the file that it names ${content.reason}; correct the path or the file`
      })
    } else {
      problems.push({
        severity: 'error',
        source: name,
        message: `this file ${content.reason}; correct ${byName === undefined ? 'it' : `the path (${byName})`} or remove it`
      })
    }
    return { type: 'failed' }
  }

  function readSecrets ({ name, path, text }: ChosenText): ReadonlyMap<string, string> {
    const { values, warnings } = parseSecrets(text, name)
    problems.push(...warnings, ...checkPermissions(path, name))
    return values
  }

  function readConfig (): ConfigDocument | undefined {
    if (configFile.type === 'failed') return undefined
    if (configFile.type === 'none') {
      const { document, problems: found } = documentFromEnvironment(secrets)
      problems.push(...found)
      if (document === undefined) problems.push({ severity: 'error', source: 'configuration', message: THREE_WAYS })
      return document
    }
    const { name, text } = configFile
    if (own(env, 'COUNTERSIGN_UPSTREAM') && !text.includes('COUNTERSIGN_UPSTREAM')) {
      problems.push({
        severity: 'warning',
        source: 'COUNTERSIGN_UPSTREAM',
        message: 'has no effect beside a configuration file; remove it, or add a route to the file'
      })
    }
    const { document, others: further, problems: found } = readDocument(text, name, secrets)
    problems.push(...found)
    others.push(...further)
    return document
  }
}

interface ChosenText {
  readonly type: 'text'
  /** As it was given, for problems. */
  readonly name: string
  readonly path: string
  readonly text: string
}

/** A file's text; or there is none and none was asked for; or it could not be read, which is reported. */
type Chosen = ChosenText | { readonly type: 'none' } | { readonly type: 'failed' }

function own (env: NodeJS.ProcessEnv, name: string): boolean {
  return Object.hasOwn(env, name) && env[name] !== undefined
}

const THREE_WAYS = `there is none; start in one of these three ways:
  environment: RELAYER_API_KEY and RELAYER_API_SECRET, or ADMIN_API_KEY and ADMIN_API_SECRET, or COUNTERSIGN_UPSTREAM with COGNITO_USER_POOL_ID, COGNITO_CLIENT_ID, COGNITO_USERNAME and COGNITO_PASSWORD
  file: config/countersign.jsonc, or another one with --config FILE or COUNTERSIGN_CONFIG
  countersign demo: the whole system on this machine, without an account`

function freezeDeep<Value> (value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const inner of value instanceof Map ? value.values() : Object.values(value)) freezeDeep(inner)
  return value
}
