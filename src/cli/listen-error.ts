import { ListenError } from '../listen/bind.ts'
import { EXIT, type CommandContext } from './command.ts'

/**
 * Writes to stderr why an address could not be taken.
 *
 * @returns the exit status
 * @throws any other error again
 */
export function reportListenError (error: unknown, { stderr }: Pick<CommandContext, 'stderr'>): number {
  if (!(error instanceof ListenError)) throw error
  stderr.write(`${error.message}\n`)
  return EXIT.unavailable
}
