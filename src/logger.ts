import { pino, stdTimeFunctions, type DestinationStream, type Logger } from 'pino'
import type { LogLevel } from './config/config.ts'
import { describeError } from './errors.ts'
import { printable } from './http/printable.ts'

export type { Logger } from 'pino'

export interface LoggerOptions {
  readonly level: LogLevel
  readonly destination: NodeJS.WritableStream
  /** Readable lines for a person instead of JSON. */
  readonly readable: boolean
  readonly colour: boolean
}

/**
 * The program's log. Lines are written at once, without a worker thread, so that the last line before an exit is there.
 * Errors are reduced to fields that are known to be safe: pino's own serialiser prints every key of every cause.
 */
export function createLogger (options: LoggerOptions): Logger {
  const target: DestinationStream = { write: (line) => { options.destination.write(options.readable ? readableLine(line, options.colour) : `${printable(line.trimEnd())}\n`) } }
  return pino({
    level: options.level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: describeError, error: describeError },
    // The second net: nothing logs these on purpose. No wildcards: they would walk every field of every line.
    redact: { paths: ['password', 'secret', 'token', 'apiKey', 'apiSecret', 'authorization'], censor: '[Redacted]' }
  }, target)
}

const COLOURS: Readonly<Record<string, number>> = { trace: 90, debug: 90, info: 32, warn: 33, error: 31, fatal: 31 }

function readableLine (line: string, colour: boolean): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as { level: string, time: string, msg?: string }
  const name = level.toUpperCase().padEnd(5)
  const painted = colour ? `\u001b[${COLOURS[level] ?? 0}m${name}\u001b[0m` : name
  const rest = Object.entries(fields).map(([key, value]) => ` ${printable(key)}=${typeof value === 'string' && /^[\w./:@-]+$/.test(value) ? value : printable(JSON.stringify(value))}`)
  return `${time.slice(11, 23)} ${painted} ${printable(msg ?? '')}${rest.join('')}\n`
}
