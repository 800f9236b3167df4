import type { ErrorCode } from '../errors.ts'
import { chooseFormat, CONTENT_TYPES, ENDS, type Format } from './exposition.ts'
import { familiesOf, type Counted, type MetricsFacts } from './families.ts'
import { Kept } from './kept.ts'
import {
  countFetch,
  createCredentialNumbers,
  createRouteNumbers,
  type CredentialNumbers,
  type FETCH_KINDS,
  type FETCH_OUTCOMES,
  type RouteNumbers
} from './numbers.ts'
import { watchProcess } from './process-metrics.ts'
import { inSlices, Turns } from './slices.ts'

/** The program's metrics; contract section 7 names them. Every label has bounded values. */
export interface Metrics {
  /** The numbers of a route; `''` is for the requests that no route took. Asked for once, not for each request. */
  readonly route: (label: string) => RouteNumbers
  /** Those of a credential. */
  readonly credential: (name: string) => CredentialNumbers
  readonly refused: (code: ErrorCode) => void
  readonly tokenFetched: (credential: string, kind: typeof FETCH_KINDS[number], outcome: typeof FETCH_OUTCOMES[number]) => void
  /** A configuration was read again: it took over, or was bad, or could not be put to use. */
  readonly reloaded: (outcome: ReloadOutcome) => void
  /** Prometheus text, or OpenMetrics where the `Accept` header asks for it. It is made while it is read, in short slices. */
  readonly scrape: (accept: string) => Scrape
}

/** One exposition of all metrics. */
interface Scrape {
  readonly contentType: string
  readonly body: AsyncIterable<string>
}

/** How a reload went: taken over, bad in itself, or not to be put to use. */
export type ReloadOutcome = 'ok' | 'invalid' | 'failed'

/** Makes the metrics, and begins to watch the process. */
export function createMetrics (facts: MetricsFacts): Metrics {
  const processFamilies = watchProcess()
  const routes = new Kept(createRouteNumbers)
  const credentials = new Kept(createCredentialNumbers)
  const rejections = new Map<ErrorCode, number>()
  const reloads = new Map<ReloadOutcome, number>()
  // One for all scrapes, so that many at once take no more of a turn than one.
  const turns = new Turns()
  let loadedAt = Date.now()

  return {
    route: (label) => routes.of(label),
    credential: (name) => credentials.of(name),
    refused: (code) => { increment(rejections, code) },
    tokenFetched: (credential, kind, outcome) => { countFetch(credentials.of(credential), kind, outcome) },
    reloaded: (outcome) => {
      increment(reloads, outcome)
      if (outcome !== 'ok') return
      loadedAt = Date.now()
      routes.endRound()
      credentials.endRound()
    },
    scrape: (accept) => {
      const format = chooseFormat(accept)
      return { contentType: CONTENT_TYPES[format], body: write(format) }
    }
  }

  async function * write (format: Format): AsyncGenerator<string> {
    for (const family of processFamilies) {
      await turns.next()
      yield await family(format)
    }
    const counted: Counted = { routes: routes.all(), credentials: credentials.all(), rejections, reloads, loadedAt }
    yield * inSlices(familiesOf(counted, facts, format), turns)
    if (ENDS[format] !== '') yield ENDS[format]
  }
}

function increment<Key> (counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
