import type { Problem } from '../config/config.ts'
import { formatProblem, loadConfig, type LoadResult } from '../config/load.ts'
import { stringOption, type CommandContext } from './command.ts'

/**
 * Loads the configuration that a command's options and environment name, and takes its secrets out of the process's environment.
 *
 * @param expected files that must be there, since an earlier load has read them
 */
export function load (context: CommandContext, expected: readonly string[] = []): LoadResult {
  const options: { config?: string, secrets?: string, listen?: string, admin?: string, allowExternal?: boolean } = {}
  for (const name of ['config', 'secrets', 'listen', 'admin'] as const) {
    const value = stringOption(context, name)
    if (value !== undefined) options[name] = value
  }
  if (context.options['allow-external'] === true) options.allowExternal = true
  const loaded = loadConfig({ env: context.env, cwd: context.cwd, options, expected })
  if (loaded.ok) for (const variable of loaded.variables) context.hide(variable)
  return loaded
}

/** Writes problems to stderr, a line each, warnings marked as such. */
export function printProblems (context: CommandContext, problems: readonly Problem[]): void {
  for (const problem of problems) context.stderr.write(`${problem.severity === 'warning' ? 'warning: ' : ''}${formatProblem(problem)}\n`)
}
