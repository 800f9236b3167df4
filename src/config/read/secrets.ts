import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { parse } from 'dotenv'
import type { Problem } from '../config.ts'
import type { SecretResult } from './template.ts'
import { readText, type TextResult } from './text.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The secrets file, read. */
export interface SecretsFile {
  readonly values: ReadonlyMap<string, string>
  readonly warnings: readonly Problem[]
}

export interface SecretLookup {
  /** Finds a secret; its `reason`, where it has none, names variables and never holds a value. */
  find (name: string): SecretResult
  /** Whether the environment or the secrets file says anything about the name, be it malformed. */
  has (name: string): boolean
  /** Absolute paths of the files that were read through `NAME_FILE`. */
  files (): readonly string[]
  /** Names of the variables that held the secrets which were found. */
  variables (): readonly string[]
}

/**
 * Finds secrets in the one order that holds everywhere: the environment, else the file that `NAME_FILE` names, else the
 * secrets file. Nothing is read before its name is asked for.
 *
 * @param cwd the folder that a relative path in `NAME_FILE` starts from
 * @param read reads a file by its absolute path
 */
export function createSecretLookup (
  env: Environment,
  cwd: string,
  secretsFile: ReadonlyMap<string, string> = new Map(),
  read: (path: string) => TextResult = readText
): SecretLookup {
  const files = new Set<string>()
  const variables = new Set<string>()
  return {
    find: (name) =>
      fromEnvironment(name) ??
      fromSecretsFile(name) ?? {
        ok: false,
        reason: `secret ${name} is not set; set ${name} or ${name}_FILE in the environment, or ${name} in the secrets file`
      },
    has: (name) => own(env, name) !== undefined || own(env, `${name}_FILE`) !== undefined || secretsFile.has(name),
    files: () => [...files],
    variables: () => [...variables]
  }

  function fromEnvironment (name: string): SecretResult | undefined {
    const value = own(env, name)
    if (value !== undefined) variables.add(name)
    if (value !== undefined) {
      return unlessBlank(value, `secret ${name} is empty in the environment; set it to its value, or remove the variable`)
    }
    const file = own(env, `${name}_FILE`)
    if (file === undefined) return undefined
    if (file.trim() === '') return { ok: false, reason: `${name}_FILE is empty; set it to a file's path, or remove the variable` }
    const path = resolve(cwd, file)
    files.add(path)
    const content = read(path)
    if (!content.ok) {
      return { ok: false, reason: `the file that ${name}_FILE names ${content.reason}; correct the path or the file's permissions` }
    }
    return unlessBlank(content.text.replace(/\r?\n$/, ''), `the file that ${name}_FILE names is empty; write the secret ${name} into it`)
  }

  function fromSecretsFile (name: string): SecretResult | undefined {
    const value = secretsFile.get(name)
    return value === undefined ? undefined : unlessBlank(value, `secret ${name} is empty in the secrets file; write its value there`)
  }
}

/**
 * Reads a secrets file's text by dotenv's rules. They never fail, so a text that they take in silence and that looks like a
 * mistake causes a warning.
 *
 * @param source the file's name, for the warnings
 */
export function parseSecrets (text: string, source: string): SecretsFile {
  const warnings: Problem[] = []
  const warn = (at: Pick<Problem, 'line' | 'path'>, message: string): void => {
    warnings.push({ severity: 'warning', source, ...at, ...(at.line !== undefined && { column: 1 }), message })
  }
  const lines = new Map<string, number>()
  // dotenv takes them for line ends; a shell that reads the file, or docker's --env-file, leaves the \r in every value.
  if (/\r\n/.test(text)) {
    warn({}, 'has line ends of Windows (CR LF), which other readers of such files take for a part of the values; save it with LF')
  }
  for (const { name, line, cut, quotes } of assignments(text)) {
    const first = lines.get(name)
    if (first !== undefined) {
      warn({ line, path: name }, `is set a second time, and the last one wins (the first is on line ${first}); remove one of them`)
    } else lines.set(name, line)
    // A value that # cuts off has its warning below.
    if (quotes === 'open' && !cut) {
      warn(
        { line, path: name },
        'begins with a quote that does not close at its end, so the quote is part of the value; close it, or put the whole value in other quotes'
      )
    }
    if (quotes === 'swallowing') {
      warn(
        { line, path: name },
        'stands in quotes that close on a later line, and what looks like other secrets is in between, so those are not set; close the quote on its own line'
      )
    }
    if (cut) {
      warn({ line, path: name }, 'an unquoted # cuts the value here; put the value in single quotes, or a comment on a line of its own')
    }
  }
  if (lines.size === 0) warn({}, 'no line is NAME=value; write one secret per line (this file is no JSON)')
  return { values: new Map(Object.entries(parse(text))), warnings }
}

/** Warns where others than the owner may read the file. Docker's and Kubernetes' secrets, which all may read, come through `NAME_FILE`. */
export function checkPermissions (file: string, source: string): readonly Problem[] {
  const stats = statSync(file, { throwIfNoEntry: false })
  // Windows has no such bits: Node makes them up; and those of a socket that has no path mean nothing.
  if (stats === undefined || stats.isSocket() || (stats.mode & 0o077) === 0 || process.platform === 'win32') return []
  return [{ severity: 'warning', source, message: 'other users of this machine may read this file; run chmod 600 on it' }]
}

function unlessBlank (value: string, reason: string): SecretResult {
  return value.trim() === '' ? { ok: false, reason } : { ok: true, value }
}

function own (env: Environment, name: string): string | undefined {
  return Object.hasOwn(env, name) ? env[name] : undefined
}

interface Assignment {
  readonly name: string
  readonly line: number
  /** Whether a `#` ended an unquoted value on its own line. */
  readonly cut: boolean
  /** Whether a quote at its beginning is not closed, or only behind other assignments. */
  readonly quotes: 'none' | 'open' | 'swallowing'
}

// dotenv's own pattern of a line (its lib/main.js), with the value, the gap behind it and the comment kept apart.
const LINE =
  /^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?(\s*)(#.*)?$/gm

function assignments (text: string): Assignment[] {
  const source = text.replace(/\r\n?/g, '\n')
  return [...source.matchAll(LINE)].map((match) => {
    const [whole, name = '', value = '', gap = '', comment] = match
    const start = match.index + whole.length - whole.trimStart().length
    const quoted = /^(['"`])[^]*\1$/.test(value.trim())
    return {
      name,
      line: source.slice(0, start).split('\n').length,
      cut: comment !== undefined && !quoted && !gap.includes('\n'),
      quotes: quotesOf(value.trim(), quoted)
    }
  })
}

function quotesOf (value: string, quoted: boolean): Assignment['quotes'] {
  if (!quoted) return /^['"`]/.test(value) ? 'open' : 'none'
  // A line of base64 ends with =, and has nothing behind it.
  return /\n\s*(?:export\s+)?[A-Z][A-Z0-9_]*=[^=\s]/.test(value) || /\n\s*(?:export\s+)?[A-Z][A-Z0-9_]*=\s*$/.test(value.slice(0, -1))
    ? 'swallowing'
    : 'none'
}
