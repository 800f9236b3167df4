import { describeCrash } from '../errors.ts'
import { readProxyEnvironment } from '../http/proxies.ts'
import { createLogger, type Logger } from '../logger.ts'
import { ListenError } from '../listen/bind.ts'
import { startServer } from '../server.ts'
import { CONFIG_OPTIONS, EXIT, LISTEN_OPTIONS, type Command, type CommandContext } from './command.ts'
import { load, printProblems } from './load.ts'
import { formatProblem } from '../config/load.ts'
import { startReloading } from './reload.ts'
import { untilSignal } from './signals.ts'

export const serve: Command = {
  name: 'serve',
  usage: '[options]',
  summary: 'run the proxy until SIGTERM or SIGINT (the default command)',
  options: {
    ...CONFIG_OPTIONS,
    ...LISTEN_OPTIONS,
    'allow-external': { type: 'boolean', value: '', help: 'allow an address that other machines can reach' }
  },
  positionals: { min: 0, max: 0 },
  run
}

async function run (context: CommandContext): Promise<number> {
  const loaded = load(context)
  if (!loaded.ok) {
    printProblems(context, loaded.problems)
    return EXIT.config
  }
  const { config, warnings } = loaded
  const readable = context.stdout.isTTY
  const log = createLogger({ level: config.logLevel, destination: context.stdout, readable, colour: readable && context.env['NO_COLOR'] === undefined, gathered: true })
  for (const warning of warnings) log.warn({ problem: formatProblem(warning) }, 'configuration warning')
  // Nothing waits between loading and here, so that no signal and no change of a file falls in between.
  const signals = untilSignal()
  const starting = startServer({ config, log, proxies: readProxyEnvironment(context.env) })
  const endReloading = startReloading({ load: (expected) => load(context, expected), files: loaded.files, server: starting, log })
  try {
    const server = await starting
    const signal = await Promise.race([signals.received, failure(log)])
    // At once: what is open would keep the process alive.
    if (signal === 'failed') process.exit(EXIT.software)
    log.info({ signal }, 'signal received')
    await server.stop()
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof ListenError)) throw error
    context.stderr.write(`${error.message}\n`)
    return EXIT.unavailable
  } finally {
    endReloading()
    signals.release()
  }
}

// A defect of ours must not go on serving in an unknown state; a supervisor starts a clean process.
function failure (log: Logger): Promise<'failed'> {
  return new Promise((resolve) => {
    const die = (error: unknown): void => {
      log.fatal({ crash: describeCrash(error) }, 'internal failure')
      resolve('failed')
    }
    process.once('uncaughtException', die)
    process.once('unhandledRejection', die)
  })
}
