import { Writable } from 'node:stream'
import { CORPUS } from '../attack/corpus.ts'
import { createReport, formatReport } from '../attack/report.ts'
import { runAttacks } from '../attack/runner.ts'
import { setUp } from '../attack/test-bed.ts'
import { createLogger } from '../logger.ts'
import { startServer } from '../server.ts'
import { CONFIG_OPTIONS, EXIT, type Command, type CommandContext } from './command.ts'
import { reportListenError } from './listen-error.ts'
import { load, printProblems } from './load.ts'

// Far longer than a response on loopback takes.
const DEADLINE_MS = 20_000

export const attack: Command = {
  name: 'attack',
  usage: '[--json] [options]',
  summary: 'start this configuration with stand-ins for upstreams and secrets, and run the attack corpus against it',
  advanced: true,
  options: {
    ...CONFIG_OPTIONS,
    json: { type: 'boolean', value: '', help: 'the report as JSON' }
  },
  positionals: { min: 0, max: 0 },
  run
}

async function run (context: CommandContext): Promise<number> {
  const loaded = await load(context)
  if (!loaded.ok) {
    printProblems(context, loaded.problems)
    return EXIT.config
  }
  if (loaded.config.routes.length === 0) {
    context.stderr.write('there is no route to attack; add one to the configuration\n')
    return EXIT.failed
  }
  const staged = await setUp(loaded.config)
  const log = createMemory()
  try {
    // No environment proxies: nothing leaves the machine.
    const server = await startServer({
      config: staged.config,
      log: createLogger({ level: 'trace', destination: log.stream, readable: false, colour: false }),
      proxies: {}
    })
    const targets = staged.targets(server)
    const results = await runAttacks({ targets, attacks: Object.values(CORPUS).flat(), deadlineMs: DEADLINE_MS })
    await server.stop()
    const report = createReport(results, targets, CORPUS)
    const leaked = targets.some(({ canaries }) => canaries.some((canary) => log.text().includes(canary)))
    context.stdout.write(
      context.options['json'] === true ? `${JSON.stringify({ ...report, secretsInLog: leaked }, null, 2)}\n` : formatReport(report)
    )
    if (leaked) context.stderr.write('a secret stands in the log of the proxy\n')
    return report.failures.length > 0 || leaked ? EXIT.failed : EXIT.ok
  } catch (error) {
    return reportListenError(error, context)
  } finally {
    await staged.close()
  }
}

/** Keeps the proxy's log in memory, to search it for secrets. */
function createMemory (): { readonly stream: Writable, readonly text: () => string } {
  const chunks: string[] = []
  const stream = new Writable({
    decodeStrings: false,
    write (chunk: string | Buffer, _encoding, done) {
      chunks.push(chunk.toString())
      done()
    }
  })
  return { stream, text: () => chunks.join('') }
}
