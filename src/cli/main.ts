import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { describeCrash } from '../errors.ts'
import { printable } from '../http/printable.ts'
import { readVersion } from '../version.ts'
import { EXIT, type Command, type CommandContext, type Output } from './command.ts'
import { closeUnaskedDebugger } from './debugger.ts'
import { commandHelp, overview } from './help.ts'
import { leave } from './leave.ts'
import { openOutput } from './output.ts'
import { endAtSignals, type Signals } from './signals.ts'

// Loaded when called for: a health check every few seconds should not load a proxy.
export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.ts')).serve,
  check: async () => (await import('./check.ts')).check,
  explain: async () => (await import('./explain.ts')).explain,
  status: async () => (await import('./status.ts')).status,
  wait: async () => (await import('./wait.ts')).wait,
  healthcheck: async () => (await import('./healthcheck.ts')).healthcheck,
  demo: async () => (await import('./demo.ts')).demo,
  attack: async () => (await import('./attack.ts')).attack
}
const DEFAULT_COMMAND = 'serve'

/** The longest that a daemon waits at its end for its stderr to be read. */
const LAST_WORDS_MS = 2_000

/** Runs the command line in this process and sets the exit status; a daemon's process is ended by force, since something may hang. */
export async function main (args: readonly string[], signals: Signals): Promise<void> {
  // A report that somebody asked Node for (--report-on-fatalerror) has no use for the environment; Node 20 writes it all the same.
  Reflect.set(process.report, 'excludeEnv', true)
  // Node's own report of an uncaught error quotes messages, properties and causes, with all the values in them.
  process.on('uncaughtException', (error) => {
    // A command with a handler of its own ends the process itself.
    if (process.listenerCount('uncaughtException') === 1) leave(crash(error))
  })
  // A reader that went away (`| head`) ends what is printed, not the daemon.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  process.exitCode = await dispatch(args, signals).catch(crash)
}

function crash (error: unknown): number {
  process.stderr.write(`internal failure: ${printable(JSON.stringify(describeCrash(error)))}\n`)
  return EXIT.software
}

async function dispatch (args: readonly string[], signals: Signals): Promise<number> {
  let daemon = false
  const context = { env: { ...process.env }, hide, cwd: process.cwd(), stdout: process.stdout, stderr: process.stderr, openOutput, signals }
  const running = interpret(args, context, (command) => {
    closeUnaskedDebugger([...process.execArgv, process.env['NODE_OPTIONS']].join(' '))
    daemon = command.daemon === true
    if (!daemon) endAtSignals(signals)
  })
  // In every case, be it an error.
  const status = await running.catch(crash)
  if (!daemon) return status
  await Promise.race([Promise.all([process.stdout, process.stderr].map(isRead)), delay(LAST_WORDS_MS)])
  leave(status)
}

/** The parts of a process that a command sees. */
export type ProcessContext = Omit<CommandContext, 'options' | 'positionals'>

/** Runs a command line in a process, or in a stand-in for one. @returns the exit status */
export async function interpret (
  args: readonly string[],
  context: ProcessContext,
  onCommand: (command: Command) => void = () => {}
): Promise<number> {
  const { stdout, stderr } = context
  const [first] = args
  if (first === '--version' || first === '-v') return print(stdout, `${readVersion()}\n`)
  if (first === '--help' || first === '-h' || first === 'help') {
    return print(stdout, overview(await Promise.all(Object.values(COMMANDS).map((loadCommand) => loadCommand()))))
  }
  const named = first !== undefined && !first.startsWith('-')
  const name = named ? first : DEFAULT_COMMAND
  const loadCommand = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (loadCommand === undefined) return misused(stderr, `there is no command ${JSON.stringify(name)}; \`countersign --help\` lists them`)
  const command = await loadCommand()
  onCommand(command)
  return await start(command, named ? args.slice(1) : args, context)
}

async function start (command: Command, args: readonly string[], context: ProcessContext): Promise<number> {
  const { stdout, stderr } = context
  const options = Object.fromEntries(Object.entries(command.options).map(([name, { type, short, multiple }]) => {
    return [name, { type, ...(short !== undefined && { short }), ...(multiple !== undefined && { multiple }) }]
  }))
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { ...options, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } },
      allowPositionals: true
    })
    if (values['help'] === true) return print(stdout, commandHelp(command))
    if (values['version'] === true) return print(stdout, `${readVersion()}\n`)
    const { min, max } = command.positionals
    if (positionals.length < min || positionals.length > max) return misused(stderr, `usage: countersign ${command.name} ${command.usage}`)
    return await command.run({ ...context, options: values, positionals })
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || !String(error.code).startsWith('ERR_PARSE_ARGS_')) throw error
    return misused(stderr, `${error.message.split('. ')[0] ?? ''}; \`countersign ${command.name} --help\` lists the options`)
  }
}

/** Resolves once all that was written to a stream is out, or cannot get out. */
function isRead (stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => { stream.write('', () => { resolve() }) })
}

function hide (variable: string): void {
  delete process.env[variable]
}

function print (stdout: Output, text: string): number {
  stdout.write(text)
  return EXIT.ok
}

function misused (stderr: Output, text: string): number {
  stderr.write(`${printable(text)}\n`)
  return EXIT.usage
}
