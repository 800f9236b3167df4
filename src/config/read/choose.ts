import { resolve } from 'node:path'
import type { Problem } from '../config.ts'
import type { TextResult } from './text.ts'

/** The ways to name one of the two files, from the strongest to the weakest. */
export interface Choice {
  /** The value of the command line's option. */
  readonly option: string | undefined
  readonly optionName: string
  /** The value of the environment variable, where it is sound. */
  readonly setting: string | undefined
  readonly variable: string
  /** The file's usual place, where nobody names one. */
  readonly usual: string
}

export interface Surroundings {
  readonly env: NodeJS.ProcessEnv
  /** What relative paths start from. */
  readonly cwd: string
  /** Files that an earlier load has read, by absolute path: where one of them is gone from its usual place, that is a problem. */
  readonly expected: readonly string[]
  readonly read: (path: string) => TextResult
}

export interface ChosenText {
  readonly type: 'text'
  /** The name as it was given, for problems. */
  readonly name: string
  readonly path: string
  readonly text: string
  readonly problem?: undefined
}

/** A file's text; or there is none and nobody asked for one; or it could not be read, and `problem` or an earlier problem says so. */
export type ChosenFile =
  | ChosenText
  | { readonly type: 'none', readonly path?: undefined, readonly problem?: undefined }
  | { readonly type: 'failed', readonly path?: string, readonly problem?: Problem }

/** Reads the file that the option names, else the one that the variable names, else the one in the usual place. */
export function chooseFile (choice: Choice, { env, cwd, expected, read }: Surroundings): ChosenFile {
  const { option, optionName, setting, variable, usual } = choice
  const name = option ?? setting ?? usual
  if (name.trim() === '') {
    return { type: 'failed', problem: { severity: 'error', source: optionName, message: 'is empty; name a file' } }
  }
  const path = resolve(cwd, name)
  const content = read(path)
  if (content.ok) return { type: 'text', name, path, text: content.text }
  const byName = option === undefined ? (setting === undefined ? undefined : variable) : optionName
  if (content.absent && byName === undefined && !expected.includes(path)) {
    return isSet(env, variable) ? { type: 'failed' } : { type: 'none' }
  }
  // The value of a variable is never shown, be it a path.
  const problem: Problem = byName === variable
    ? { severity: 'error', source: variable, message: `the file that it names ${content.reason}; correct the path or the file` }
    : {
        severity: 'error',
        source: name,
        message: `this file ${content.reason}; correct ${byName === undefined ? 'it' : `the path (${byName})`} or remove it`
      }
  return { type: 'failed', path, problem }
}

/** Whether the environment has a variable of this name, be its value empty. */
export function isSet (env: NodeJS.ProcessEnv, name: string): boolean {
  return Object.hasOwn(env, name) && env[name] !== undefined
}
