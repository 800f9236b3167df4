import { formatProblem } from '../config/load.ts'
import { describeCrash } from '../errors.ts'
import { readProxyEnvironment } from '../http/proxies.ts'
import { createLogger, type Logger } from '../logger.ts'
import { startServer } from '../server.ts'
import { CONFIG_OPTIONS, EXIT, LISTEN_OPTIONS, type Command, type CommandContext } from './command.ts'
import { keepCompiled } from './compile-cache.ts'
import { endDaemon, LAST_LINES_MS } from './end-daemon.ts'
import { leave } from './leave.ts'
import { reportListenError } from './listen-error.ts'
import { load, loadNow, printProblems } from './load.ts'
import { startReloading } from './reload.ts'

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
  daemon: true,
  run
}

async function run (context: CommandContext): Promise<number> {
  const { signals, stdout } = context
  const loaded = await Promise.race([load(context), signals.ended])
  // Nothing was started yet.
  if (typeof loaded === 'string' || signals.first() !== undefined) return EXIT.ok
  if (!loaded.ok) {
    printProblems(context, loaded.problems)
    return EXIT.config
  }
  const { config, warnings } = loaded
  const output = context.openOutput(1)
  const readable = stdout.isTTY === true
  const log = createLogger({
    level: config.logLevel,
    destination: output,
    readable,
    colour: readable && context.env['NO_COLOR'] === undefined
  })
  for (const warning of warnings) log.warn({ problem: formatProblem(warning) }, 'configuration warning')
  // No await between loading and here, so that no change of a file is missed.
  let shutdownTimeoutMs = (): number => config.shutdownTimeoutMs
  const starting = startServer({ config, log, proxies: readProxyEnvironment(context.env) })
  const { failed, forget } = hearDefects(log)
  const endReloading = startReloading({
    load: (expected) => loadNow(context, { expected }),
    files: loaded.files,
    server: starting,
    log,
    onHangUp: signals.onHangUp
  })
  try {
    const signal = await Promise.race([starting.then((server) => {
      shutdownTimeoutMs = () => server.shutdownTimeoutMs
      // After the line "listening" is out.
      setImmediate(keepCompiled)
      return signals.ended
    }), signals.ended, failed])
    if (signal === 'failed') {
      // Ends as soon as the reason is written: open connections would keep the process alive.
      await output.end(LAST_LINES_MS)
      leave(EXIT.software)
    }
    log.info({ signal }, 'signal received')
    await endDaemon({ server: starting, shutdownTimeoutMs: shutdownTimeoutMs(), log, outputs: [output] })
    return EXIT.ok
  } catch (error) {
    return reportListenError(error, context)
  } finally {
    endReloading()
    forget()
  }
}

// A defect of ours must not go on serving in an unknown state; a supervisor starts a clean process.
function hearDefects (log: Logger): { readonly failed: Promise<'failed'>, readonly forget: () => void } {
  let fail = (): void => {}
  const die = (error: unknown): void => {
    log.fatal({ crash: describeCrash(error) }, 'internal failure')
    fail()
  }
  process.once('uncaughtException', die).once('unhandledRejection', die)
  return {
    failed: new Promise((resolve) => { fail = () => { resolve('failed') } }),
    forget: () => { process.off('uncaughtException', die).off('unhandledRejection', die) }
  }
}
