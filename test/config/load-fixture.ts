import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import type { Config } from '#src/config/config.ts'
import { formatProblem, loadConfig, type LoadInput, type LoadResult } from '#src/config/load.ts'

/** Files to load from: `c.jsonc` and `s.env` are named on the command line where they are there. */
export interface Fixture {
  readonly files?: Readonly<Record<string, string>>
  readonly env?: NodeJS.ProcessEnv
  readonly options?: LoadInput['options']
}

/** One folder for each test: thousands of folders, made and removed for a file each, cost more than all the loading. */
const folders = new WeakMap<Test, string>()

/** Loads from a temporary directory that holds these files and nothing else. */
export function load (t: Test, { files = {}, env = {}, options = {} }: Fixture): LoadResult {
  const cwd = folderOf(t)
  for (const name of readdirSync(cwd)) rmSync(join(cwd, name), { recursive: true })
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, name)), { recursive: true })
    writeFileSync(join(cwd, name), text, { mode: name === 's.env' ? 0o600 : 0o644 })
  }
  const named = { ...('c.jsonc' in files && { config: 'c.jsonc' }), ...('s.env' in files && { secrets: 's.env' }) }
  return loadConfig({ env, cwd, options: { ...named, ...options } })
}

function folderOf (t: Test): string {
  const known = folders.get(t)
  if (known !== undefined) return known
  const made = mkdtempSync(join(tmpdir(), 'cs-'))
  folders.set(t, made)
  t.teardown(() => { rmSync(made, { recursive: true }) })
  return made
}

/** Loads one configuration file, given as a value or as text. */
export function loadFile (t: Test, file: unknown, env: NodeJS.ProcessEnv = {}): LoadResult {
  return load(t, { files: { 'c.jsonc': typeof file === 'string' ? file : JSON.stringify(file) }, env })
}

/** The configuration of a result that must be good. */
export function configOf (result: LoadResult): Config {
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'))
  return result.config
}

/** Every problem or warning as the line that a person reads. */
export function linesOf (result: LoadResult): string[] {
  return (result.ok ? result.warnings : result.problems).map(formatProblem)
}
