import type { Problem } from '../config/config.ts'
import { formatProblem } from '../config/load.ts'

/**
 * A configuration, or the options of a credential or a `fetch`, that cannot be used. It tells everything that is wrong at once.
 *
 * @example
 * try {
 *   createProxy({ configFile: 'countersign.jsonc' })
 * } catch (error) {
 *   if (!(error instanceof ConfigError)) throw error
 *   for (const { path, message } of error.problems) console.error(path, message)
 * }
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** Errors, and the warnings beside them, in the order in which a person works through them. None holds a secret. */
  readonly problems: readonly Problem[]

  constructor (problems: readonly Problem[]) {
    super(problems.filter(({ severity }) => severity === 'error').map(formatProblem).join('\n'))
    this.problems = problems
  }
}
