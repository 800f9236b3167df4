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
  /**
   * Writes the lines of one turn of the event loop together, at the end of it: under load a write for each costs more than
   * all the rest of the line. Warnings and worse are written at once, with what waits in front of them.
   */
  readonly gathered?: boolean
}

/** Lines below this level may wait for the end of the turn; pino's numbers. */
const URGENT = 40

/**
 * The program's log. Lines are written without a worker thread, so that the last line before an exit is there.
 * Errors are reduced to fields that are known to be safe: pino's own serialiser prints every key of every cause.
 */
export function createLogger (options: LoggerOptions): Logger {
  const target: DestinationStream = options.gathered === true ? gather(options.destination, format) : { write: (line) => { options.destination.write(format(line)) } }
  return pino({
    level: options.level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: describeError, error: describeError },
    // The second net: nothing logs these on purpose. No wildcards: they would walk every field of every line.
    redact: { paths: ['password', 'secret', 'token', 'apiKey', 'apiSecret', 'authorization'], censor: '[Redacted]' }
  }, target)

  function format (line: string): string {
    return options.readable ? readableLine(line, options.colour) : `${printable(line.trimEnd())}\n`
  }
}

// pino tells a destination that says so the level of the line that it is about to write.
const METADATA = Symbol.for('pino.metadata')

function gather (destination: NodeJS.WritableStream, format: (line: string) => string): DestinationStream {
  let waiting = ''
  const flush = (): void => {
    if (waiting === '') return
    const text = waiting
    waiting = ''
    destination.write(text)
  }
  process.once('exit', flush)
  return {
    [METADATA]: true,
    lastLevel: 0,
    write (line) {
      if (waiting === '') setImmediate(flush)
      waiting += format(line)
      if (this.lastLevel >= URGENT) flush()
    }
  } as DestinationStream & { [METADATA]: true, lastLevel: number }
}

const COLOURS: Readonly<Record<string, number>> = { trace: 90, debug: 90, info: 32, warn: 33, error: 31, fatal: 31 }

function readableLine (line: string, colour: boolean): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as { level: string, time: string, msg?: string }
  const name = level.toUpperCase().padEnd(5)
  const painted = colour ? `\u001b[${COLOURS[level] ?? 0}m${name}\u001b[0m` : name
  const rest = Object.entries(fields).map(([key, value]) => ` ${printable(key)}=${typeof value === 'string' && /^[\w./:@-]+$/.test(value) ? value : printable(JSON.stringify(value))}`)
  return `${time.slice(11, 23)} ${painted} ${printable(msg ?? '')}${rest.join('')}\n`
}
