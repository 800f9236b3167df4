import { REQUEST_LINE, type Logger } from './logger.ts'
import type { Refused } from './listen/listener.ts'
import type { Metrics } from './plugins/metrics.ts'
import type { ObservedRequest } from './proxy/observer.ts'

export interface JournalOptions {
  readonly log: Pick<Logger, 'info'>
  readonly metrics: Pick<Metrics, 'request'>
  /** The share of requests that get a line, from 0 to 1; those that were refused always do. False: none gets one. */
  readonly sample: number | false
  /** In [0, 1). */
  readonly random: () => number
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/** Tells the metrics and the access log of each request, once. */
export interface Journal {
  /** A request has ended, however it came. */
  readonly ended: (request: ObservedRequest) => void
  /** The listener has refused one that never came so far. */
  readonly refused: (refused: Omit<Refused, 'current'>) => void
}

/** Enough to tell requests apart; a client must not be able to write long log lines. */
const LOGGED_PATH = 512

/**
 * Makes the journal. Paths are logged without their query, which is a place for secrets; of a request that cannot be read
 * nothing is logged that its client has written.
 */
export function createJournal ({ log, metrics, sample, random, now }: JournalOptions): Journal {
  return {
    ended: ({ message, response, route, path, startedAt, sentAt, switched, code, rawStatus }) => {
      const complete = switched || response.writableFinished || rawStatus !== undefined
      const status = rawStatus ?? (switched ? 101 : response.headersSent ? response.statusCode : 'aborted')
      const endedAt = now()
      metrics.request({
        route: route?.label ?? '',
        method: message.method ?? '',
        status,
        durationMs: endedAt - startedAt,
        ...(sentAt !== undefined && { upstreamMs: endedAt - sentAt })
      })
      if (!isLogged(code)) return
      log.info({
        route: route?.label,
        method: message.method,
        path: path.slice(0, LOGGED_PATH),
        status,
        ...(code !== undefined && { code }),
        ...(!complete && { aborted: true }),
        ms: rounded(endedAt - startedAt)
      }, REQUEST_LINE)
    },
    refused: ({ refusal: { statusCode: status, code }, method, client, bytes, durationMs }) => {
      metrics.request({ route: '', method: method ?? '', status, durationMs })
      if (isLogged(code)) log.info({ method, status, code, client, bytes, ms: rounded(durationMs) }, REQUEST_LINE)
    }
  }

  function isLogged (code: string | undefined): boolean {
    return sample !== false && (code !== undefined || sample === 1 || random() < sample)
  }
}

function rounded (ms: number): number {
  return Math.round(ms * 10) / 10
}
