import { CONFIG_OPTIONS, EXIT, type Command } from './command.ts'
import { load, printProblems } from './load.ts'

export const check: Command = {
  name: 'check',
  usage: '[options]',
  summary: 'validate configuration and secrets; prints every problem and warning',
  options: CONFIG_OPTIONS,
  positionals: { min: 0, max: 0 },
  run: async (context) => {
    const loaded = await load(context)
    if (!loaded.ok) {
      printProblems(context, loaded.problems)
      const errors = loaded.problems.filter(({ severity }) => severity === 'error').length
      context.stderr.write(`${errors} ${errors === 1 ? 'error' : 'errors'}; nothing was started\n`)
      return EXIT.config
    }
    const { config, warnings } = loaded
    printProblems(context, warnings)
    context.stdout.write(
      `configuration is good: ${count(config.credentials.size, 'credential')}, ${count(config.routes.length, 'route')}\n`
    )
    return EXIT.ok
  }
}

function count (number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
