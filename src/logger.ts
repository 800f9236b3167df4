import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino'
import type { LogLevel } from './config/config.ts'
import { describeError } from './errors.ts'
import { printable } from './http/printable.ts'
import { LineWriter, type Weight } from './line-writer.ts'
import { REQUEST_LINE, type Members } from './observe/access-log.ts'
import { createStamp } from './observe/stamp.ts'

/** A pino logger. */
export type Logger = PinoLogger

/** Writes a line of the access log whose members are there already. */
export type RequestWriter = (members: Members) => void

/** What {@link createLogger} takes. */
export interface LoggerOptions {
  readonly level: LogLevel
  /** A {@link LineWriter} where the reader may stand still. */
  readonly destination: NodeJS.WritableStream | LineWriter
  /** Readable lines for a person instead of JSON. */
  readonly readable: boolean
  readonly colour: boolean
}

const WRITE_REQUEST = Symbol('countersign.writeRequest')

// pino's numbers.
const INFO = 30
const WARN = 40

/**
 * The program's log. Lines are written without a worker thread, so that the last line before an exit is there.
 * Errors are reduced to fields that are known to be safe: pino's own serialiser prints every key of every cause.
 *
 * @returns a pino logger
 * @example
 * const log = createLogger({ level: 'info', destination: process.stdout, readable: false, colour: false })
 */
export function createLogger (options: LoggerOptions): Logger {
  const { destination } = options
  const target: DestinationStream =
    destination instanceof LineWriter
      ? linesOf(destination, format)
      : {
          write: (line) => {
            destination.write(format(line))
          }
        }
  const stamp = createStamp(Date.now)
  const log = pino({
    level: options.level,
    base: null,
    timestamp: () => `,"time":"${stamp()}"`,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: describeError, error: describeError },
    // The second net: nothing logs these on purpose. No wildcards: they would walk every field of every line.
    redact: { paths: ['password', 'secret', 'token', 'apiKey', 'apiSecret', 'authorization'], censor: '[Redacted]' }
  }, target)
  if (destination instanceof LineWriter) {
    destination.onLoss((loss) => {
      log.warn(loss, 'log lines were left out, since their reader stood still')
    })
  }
  return Object.assign(log, { [WRITE_REQUEST]: writeRequest })

  // Writes the line as pino would, without making an object first.
  function writeRequest (members: Members): void {
    const line = `{"level":"info","time":"${stamp()}"${members},"msg":"${REQUEST_LINE}"}\n`
    const text = options.readable ? readableLine(line, options.colour) : line
    if (destination instanceof LineWriter) destination.write(text, 'request')
    else destination.write(text)
  }

  function format (line: string): string {
    return options.readable ? readableLine(line, options.colour) : `${printable(line.trimEnd())}\n`
  }
}

/**
 * The writer for lines of the access log: past pino where the log is one of {@link createLogger}'s. A child logger has members of
 * its own, so its lines go through pino.
 */
export function requestWriterOf (log: Logger): RequestWriter {
  const own = Object.getOwnPropertyDescriptor(log, WRITE_REQUEST)?.value as RequestWriter | undefined // nobody else has the symbol
  return own ?? ((members) => { log.info(JSON.parse(`{${members.slice(1)}}`), REQUEST_LINE) })
}

// pino sets the level and the sentence of each line on a destination that has this symbol.
const METADATA = Symbol.for('pino.metadata')

interface Metadata {
  lastLevel: number
  lastMsg: string | undefined
}

function linesOf (writer: LineWriter, format: (line: string) => string): DestinationStream {
  return {
    [METADATA]: true,
    lastLevel: 0,
    lastMsg: undefined,
    write (line) { writer.write(format(line), weightOf(this)) }
  } as DestinationStream & Metadata
}

function weightOf ({ lastLevel, lastMsg }: Metadata): Weight {
  if (lastLevel >= WARN) return 'urgent'
  return lastLevel < INFO || lastMsg === REQUEST_LINE ? 'request' : 'usual'
}

const COLOURS: Readonly<Record<string, number>> = { trace: 90, debug: 90, info: 32, warn: 33, error: 31, fatal: 31 }

function readableLine (line: string, colour: boolean): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as { level: string, time: string, msg?: string }
  const name = level.toUpperCase().padEnd(5)
  const painted = colour ? `\u001b[${COLOURS[level] ?? 0}m${name}\u001b[0m` : name
  const rest = Object.entries(fields).map(
    ([key, value]) =>
      ` ${printable(key)}=${typeof value === 'string' && /^[\w./:@-]+$/.test(value) ? value : printable(JSON.stringify(value))}`
  )
  return `${time.slice(11, 23)} ${painted} ${printable(msg ?? '')}${rest.join('')}\n`
}
