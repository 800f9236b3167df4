import type { Problem } from '../config/config.ts'
import { formatProblem, loadConfig, type LoadInput, type LoadResult } from '../config/load.ts'
import type { TextResult } from '../config/read/text.ts'
import { stringOption, type CommandContext } from './command.ts'
import { readPipe } from './pipe.ts'

/**
 * Loads the configuration that a command's options and environment name, and takes its secrets out of the process's environment.
 * Pipes are read, each of them once, and may take their time: a password manager may be asking its user.
 */
export async function load (context: CommandContext): Promise<LoadResult> {
  const pipes = new Map<string, TextResult>()
  for (;;) {
    const loaded = loadNow(context, { pipes })
    if (loaded.ok || loaded.pipes === undefined) return loaded
    // Their content may name further pipes.
    await Promise.all(loaded.pipes.map(async (path) => { pipes.set(path, await readPipe(path)) }))
  }
}

/** The same without waiting for anything, for a daemon that reloads: pipes are problems. */
export function loadNow (context: CommandContext, input: Pick<LoadInput, 'expected' | 'pipes'> = {}): LoadResult {
  const options: { config?: string, secrets?: string, listen?: string, admin?: string, allowExternal?: boolean } = {}
  for (const name of ['config', 'secrets', 'listen', 'admin'] as const) {
    const value = stringOption(context, name)
    if (value !== undefined) options[name] = value
  }
  if (context.options['allow-external'] === true) options.allowExternal = true
  const loaded = loadConfig({ env: context.env, cwd: context.cwd, options, ...input })
  if (loaded.ok) for (const variable of loaded.variables) context.hide(variable)
  return loaded
}

/** Writes problems to stderr, one a line, with warnings marked as such. */
export function printProblems (context: CommandContext, problems: readonly Problem[]): void {
  for (const problem of problems) context.stderr.write(`${problem.severity === 'warning' ? 'warning: ' : ''}${formatProblem(problem)}\n`)
}
