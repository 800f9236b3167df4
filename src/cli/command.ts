import type { LineWriter } from '../line-writer.ts'
import type { Signals } from './signals.ts'

/** Everything outside that a command may touch; nothing below reads `process` by itself. */
export interface CommandContext {
  /** The environment as the process was started with it. */
  readonly env: NodeJS.ProcessEnv
  /** Takes a variable out of the process's own environment, which threads and child processes inherit and reports show; `env` keeps it. */
  readonly hide: (variable: string) => void
  readonly cwd: string
  readonly stdout: Output
  readonly stderr: Output
  /** Opens stdout (1) or stderr (2) for the lines of a daemon. */
  readonly openOutput: (descriptor: 1 | 2) => LineWriter
  readonly signals: Signals
  /** Options by their long name. */
  readonly options: Readonly<Record<string, string | boolean | ReadonlyArray<string | boolean> | undefined>>
  readonly positionals: readonly string[]
}

/** A stream for text that people or programs read. */
export interface Output {
  readonly write: (text: string) => unknown
  readonly isTTY?: boolean
}

export interface OptionSpec {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  readonly multiple?: boolean
  /** The value's name in the help; empty for a switch. */
  readonly value: string
  readonly help: string
}

/** One command of the executable: its help and what it does. */
export interface Command {
  readonly name: string
  /** The text behind the name in the help. */
  readonly usage: string
  readonly summary: string
  /** Whether the overview lists it apart, as not for every day. */
  readonly advanced?: true
  /** Whether it runs until a signal comes and handles signals by itself; any other command ends at the first signal. */
  readonly daemon?: true
  readonly options: Readonly<Record<string, OptionSpec>>
  /** How many positional arguments it takes. */
  readonly positionals: { readonly min: number, readonly max: number }
  /** @returns the exit status */
  readonly run: (context: CommandContext) => Promise<number>
}

/** Exit statuses of contract section 1; 64, 69 and 78 as in BSD's sysexits.h. */
export const EXIT = { ok: 0, failed: 1, usage: 64, unavailable: 69, software: 70, config: 78 } as const

/** Options of every command that reads the configuration. */
export const CONFIG_OPTIONS = {
  config: { type: 'string', short: 'c', value: 'FILE', help: 'configuration file (default: config/countersign.jsonc where it exists)' },
  secrets: { type: 'string', short: 's', value: 'FILE', help: 'secrets file (default: config/secrets.env where it exists)' }
} as const satisfies Record<string, OptionSpec>

/** Options that say where to listen, of `serve` and `demo`. */
export const LISTEN_OPTIONS = {
  listen: {
    type: 'string',
    value: 'ADDR',
    help: 'where the proxy listens (default 127.0.0.1:8080; port 0 takes a free one; unix:/path/to.sock)'
  },
  admin: { type: 'string', value: 'ADDR', help: 'where probes, status and metrics are (default 127.0.0.1:8081; off)' }
} as const satisfies Record<string, OptionSpec>

/** A string option's value, where it was given. */
export function stringOption (context: CommandContext, name: string): string | undefined {
  const value = context.options[name]
  return typeof value === 'string' ? value : undefined
}
