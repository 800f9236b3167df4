import { dirname, resolve } from 'node:path'
import type { Address } from '../http/address.ts'
import type { Config, Problem } from './config.ts'
import type { Files } from './context.ts'
import { chooseFile, isSet, type ChosenFile, type ChosenText } from './read/choose.ts'
import { EMPTY_DOCUMENT, readDocument, type ConfigDocument, type OtherDocument } from './read/document.ts'
import { readSettings, type Settings } from './environment/env.ts'
import { documentFromEnvironment } from './environment/from-env.ts'
import { checkNodeVariables } from './environment/node-options.ts'
import { sortProblems } from './problem.ts'
import { readObject } from './object.ts'
import { readText, type TextResult } from './read/text.ts'
import { resolveConfig, type Resolution } from './resolve.ts'
import { checkPermissions, createSecretLookup, parseSecrets, type SecretLookup } from './read/secrets.ts'

export { formatProblem } from './problem.ts'

/** What {@link loadConfig} reads. */
export interface LoadInput {
  readonly env: NodeJS.ProcessEnv
  /** The folder that relative paths start from. */
  readonly cwd: string
  readonly options: LoadOptions
  /** A configuration in the shape of the file, in place of one; see {@link readObject}. */
  readonly object?: unknown
  /** Files that an earlier load has read: one that is gone from its usual place is a problem. */
  readonly expected?: readonly string[]
  /** The content of pipes that were read before, by absolute path. A pipe without an entry is a problem. */
  readonly pipes?: ReadonlyMap<string, TextResult>
}

/** The options of the command line. They win over the environment, and the environment over the file. */
export interface LoadOptions {
  readonly config?: string | undefined
  readonly secrets?: string | undefined
  readonly listen?: string | undefined
  readonly admin?: string | undefined
  readonly allowExternal?: boolean | undefined
}

/** What {@link loadConfig} gives. */
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
    /** Absolute paths of the files that were found: a change of one of them may mend the configuration. */
    readonly files: readonly string[]
    /** Pipes among them that were not read: their content may mend the configuration too. */
    readonly pipes?: readonly string[]
    /** The address that the admin listener would have; absent where the problems hide it. */
    readonly admin?: Address | 'off'
  }

/**
 * Loads the configuration: reads the files, puts the secrets in, validates everything and reports all problems at once.
 * Reads nothing but files and its arguments; prints nothing, throws nothing.
 *
 * @returns the configuration, frozen, with its warnings; or every problem
 * @example
 * const loaded = loadConfig({ env: process.env, cwd: process.cwd(), options: { config: 'countersign.jsonc' } })
 * if (!loaded.ok) throw new ConfigError(loaded.problems)
 */
export function loadConfig ({ env, cwd, options, object, expected = [], pipes = new Map() }: LoadInput): LoadResult {
  const unread = new Set<string>()
  const { settings, problems: settingsProblems, files: settingsFiles, variables } = readSettings(env, cwd, read)
  const context = { env, cwd, expected, read }
  const configFile: ChosenFile = object === undefined
    ? chooseFile({ ...CONFIG_FILE, option: options.config, setting: settings.config }, context)
    : { type: 'none' }
  const secretsFile = chooseFile({ ...SECRETS_FILE, option: options.secrets, setting: settings.secrets }, context)
  const chosen = [configFile, secretsFile]
  const parsed = secretsFile.type === 'text' ? readSecrets(secretsFile) : undefined
  const secrets = createSecretLookup(env, cwd, parsed?.values, read)
  const draft = object === undefined ? readDraft(configFile, secrets, env) : { ...readObject(object, secrets), others: [] }
  const files = new Set([...settingsFiles, ...chosen.flatMap(({ path }) => path ?? []), ...secrets.files()])
  const resolution = resolveDraft(draft, settings, options, { read: readNamed, locate })
  const problems = sortProblems(
    [
      ...settingsProblems,
      ...checkNodeVariables(env),
      ...chosen.flatMap(({ problem }) => problem ?? []),
      ...parsed?.problems ?? [],
      ...draft.problems,
      ...resolution.problems
    ],
    chosen.flatMap((file) => file.type === 'text' ? file.name : [])
  )
  const { config } = resolution
  if (problems.some(({ severity }) => severity === 'error')) {
    return {
      ok: false,
      problems,
      files: [...files],
      ...(unread.size > 0 && { pipes: [...unread] }),
      ...(draft.document !== undefined && { admin: config.admin })
    }
  }
  return { ok: true, config: freezeDeep(config), warnings: problems, files: [...files], variables: [...variables, ...secrets.variables()] }

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
}

const CONFIG_FILE = { optionName: '--config', variable: 'COUNTERSIGN_CONFIG', usual: 'config/countersign.jsonc' }
const SECRETS_FILE = { optionName: '--secrets', variable: 'COUNTERSIGN_SECRETS', usual: 'config/secrets.env' }

interface Secrets {
  readonly values: ReadonlyMap<string, string>
  readonly problems: readonly Problem[]
}

function readSecrets ({ name, path, text }: ChosenText): Secrets {
  const { values, warnings } = parseSecrets(text, name)
  return { values, problems: [...warnings, ...checkPermissions(path, name)] }
}

/** A configuration that was read and not yet checked. */
interface Draft {
  /** Undefined where there is none, or none that can be read. */
  readonly document: ConfigDocument | undefined
  /** For each duplicate key: the document with the further value in place of the first. */
  readonly others: readonly OtherDocument[]
  readonly problems: readonly Problem[]
}

function readDraft (configFile: ChosenFile, secrets: SecretLookup, env: NodeJS.ProcessEnv): Draft {
  if (configFile.type === 'failed') return { document: undefined, others: [], problems: [] }
  if (configFile.type === 'none') {
    const { document, problems } = documentFromEnvironment(secrets)
    const none: Problem = { severity: 'error', source: 'configuration', message: THREE_WAYS }
    return { document, others: [], problems: document === undefined ? [...problems, none] : problems }
  }
  const { name, text } = configFile
  const { document, others, problems } = readDocument(text, name, secrets)
  const ignored: Problem = {
    severity: 'warning',
    source: 'COUNTERSIGN_UPSTREAM',
    message: 'has no effect beside a configuration file; remove it, or add a route to the file'
  }
  const isIgnored = isSet(env, 'COUNTERSIGN_UPSTREAM') && !text.includes('COUNTERSIGN_UPSTREAM')
  return { document, others, problems: isIgnored ? [ignored, ...problems] : problems }
}

/** Resolves a draft; of the further values of duplicate keys only the errors within them are reported. */
function resolveDraft ({ document, others }: Draft, settings: Settings, options: LoadOptions, files: Files): Resolution {
  if (document === undefined) {
    // Only what the variables and options say by themselves is checked: the file might allow an external address.
    const { config, problems } = resolveConfig(EMPTY_DOCUMENT, settings, { ...options, allowExternal: true }, files)
    return { config, problems: problems.filter(isError) }
  }
  const { config, problems } = resolveConfig(document, settings, options, files)
  const further = others.flatMap(({ document: other, holds }) =>
    resolveConfig(other, settings, options, files).problems.filter((problem) => isError(problem) && holds(problem))
  )
  return { config, problems: [...problems, ...further] }
}

function isError ({ severity }: Problem): boolean {
  return severity === 'error'
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
