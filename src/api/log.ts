import { Writable } from 'node:stream'
import { createLogger, type Logger } from '../logger.ts'
import { quietly } from '../token/report.ts'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

/**
 * Where log lines go: pino, or whatever takes its calls. Fields hold no secret.
 *
 * @example
 * const complain = (fields, sentence) => { console.error(sentence, fields) }
 * const log = { info () {}, warn: complain, error: complain }
 */
export interface ApiLog {
  info (fields: object, sentence: string): void
  warn (fields: object, sentence: string): void
  error (fields: object, sentence: string): void
}

/**
 * Makes the server's log of one that a program has, or of none. Lines pass through a log of our own, so that errors are reduced
 * to what may be told, whoever writes them at last.
 */
export function adaptLog (log: ApiLog | undefined): Logger {
  const destination = new Writable({
    decodeStrings: false,
    write (line: string, _encoding, done) {
      if (log !== undefined) pass(log, line)
      done()
    }
  })
  return createLogger({ level: log === undefined ? 'silent' : levelOf(log), destination, readable: false, colour: false })
}

function pass (log: ApiLog, line: string): void {
  // Of our own log, which writes these members with every line.
  const { level, time, msg, ...fields } = JSON.parse(line) as { level: string, time: string, msg: string }
  if (level === 'info') quietly(() => log.info(fields, msg))
  else if (level === 'warn') quietly(() => log.warn(fields, msg))
  else if (level === 'error' || level === 'fatal') quietly(() => log.error(fields, msg))
}

/** What the given log would not write need not be made. */
function levelOf (log: ApiLog & { readonly level?: unknown }): (typeof LEVELS)[number] | 'silent' {
  return log.level === 'silent' ? 'silent' : LEVELS.find((level) => level === log.level) ?? 'info'
}
