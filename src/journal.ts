import { REQUEST_LINE, type Logger } from './logger.ts'
import type { Metrics } from './plugins/metrics.ts'
import type { Visit } from './plugins/visit.ts'

export interface JournalOptions {
  readonly log: Pick<Logger, 'info'>
  readonly metrics: Pick<Metrics, 'request'>
  /** The share of requests that get a line, from 0 to 1. */
  readonly sample: number
  /** In [0, 1). */
  readonly random: () => number
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/** Enough to tell requests apart; a client must not be able to write long log lines. */
const LOGGED_PATH = 512

/**
 * Makes what tells the metrics and the access log of each request, once, at its end, however it came. Paths are logged
 * without their query, which is a place for secrets.
 */
export function createJournal ({ log, metrics, sample, random, now }: JournalOptions): (visit: Visit) => void {
  return ({ message, response, route, path, startedAt, upstreamStartedAt, switched, code }) => {
    const complete = switched || response.writableFinished
    const status = switched ? 101 : response.headersSent ? response.statusCode : 'aborted'
    const endedAt = now()
    metrics.request({
      route: route?.label ?? '',
      method: message.method ?? '',
      status,
      durationMs: endedAt - startedAt,
      ...(upstreamStartedAt !== undefined && { upstreamMs: endedAt - upstreamStartedAt })
    })
    if (sample === 0 || (sample < 1 && random() >= sample)) return
    log.info({
      route: route?.label,
      method: message.method,
      path: path.slice(0, LOGGED_PATH),
      status,
      ...(code !== undefined && { code }),
      ...(!complete && { aborted: true }),
      ms: Math.round((endedAt - startedAt) * 10) / 10
    }, REQUEST_LINE)
  }
}
