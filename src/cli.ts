#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { EXIT, type Command } from './cli/command.ts'
import { commandHelp, overview } from './cli/help.ts'
import { describeCrash } from './errors.ts'
import { printable } from './http/printable.ts'
import { readVersion } from './version.ts'

// Loaded when called for: a health check every few seconds should not load a proxy.
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./cli/serve.ts')).serve,
  check: async () => (await import('./cli/check.ts')).check,
  explain: async () => (await import('./cli/explain.ts')).explain,
  status: async () => (await import('./cli/status.ts')).status,
  wait: async () => (await import('./cli/wait.ts')).wait,
  healthcheck: async () => (await import('./cli/healthcheck.ts')).healthcheck,
  demo: async () => (await import('./cli/demo.ts')).demo,
  attack: async () => (await import('./cli/attack.ts')).attack
}
const DEFAULT_COMMAND = 'serve'

// A report that somebody asked Node for (--report-on-fatalerror) has no use for the environment; Node 20 writes it all the same.
Reflect.set(process.report, 'excludeEnv', true)
// Node's own words for what nobody caught quote messages, properties and causes, and whatever values they hold.
process.on('uncaughtException', (error) => {
  // A command that catches by itself ends by itself.
  if (process.listenerCount('uncaughtException') === 1) process.exit(crash(error))
})
// The exit status is set rather than forced where nothing is left open, so that what was written is out.
process.exitCode = await main(process.argv.slice(2)).catch(crash)

function crash (error: unknown): number {
  process.stderr.write(`internal failure: ${printable(JSON.stringify(describeCrash(error)))}\n`)
  return EXIT.software
}

async function main (args: readonly string[]): Promise<number> {
  // A reader that went away (`| head`) ends what is printed, not the daemon.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  const [first] = args
  if (first === '--version' || first === '-v') return print(`${readVersion()}\n`)
  if (first === '--help' || first === '-h' || first === 'help') return print(overview(await Promise.all(Object.values(COMMANDS).map((loadCommand) => loadCommand()))))
  const named = first !== undefined && !first.startsWith('-')
  const name = named ? first : DEFAULT_COMMAND
  const loadCommand = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (loadCommand === undefined) return misused(`there is no command ${JSON.stringify(name)}; \`countersign --help\` lists them`)
  return start(await loadCommand(), named ? args.slice(1) : args)
}

async function start (command: Command, args: readonly string[]): Promise<number> {
  const options = Object.fromEntries(Object.entries(command.options).map(([name, { type, short, multiple }]) => {
    return [name, { type, ...(short !== undefined && { short }), ...(multiple !== undefined && { multiple }) }]
  }))
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { ...options, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } },
      allowPositionals: true
    })
    if (values['help'] === true) return print(commandHelp(command))
    if (values['version'] === true) return print(`${readVersion()}\n`)
    const { min, max } = command.positionals
    if (positionals.length < min || positionals.length > max) return misused(`usage: countersign ${command.name} ${command.usage}`)
    return await command.run({ env: { ...process.env }, hide, cwd: process.cwd(), stdout: process.stdout, stderr: process.stderr, options: values, positionals })
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || !String(error.code).startsWith('ERR_PARSE_ARGS_')) throw error
    return misused(`${error.message.split('. ')[0] ?? ''}; \`countersign ${command.name} --help\` lists the options`)
  }
}

function hide (variable: string): void {
  delete process.env[variable]
}

function print (text: string): number {
  process.stdout.write(text)
  return EXIT.ok
}

function misused (text: string): number {
  process.stderr.write(`${printable(text)}\n`)
  return EXIT.usage
}
