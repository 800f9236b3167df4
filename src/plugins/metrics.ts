import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry, type RegistryContentType } from 'prom-client'
import type { ErrorCode } from '../errors.ts'

/** What the gauges read at each scrape. */
export interface MetricsFacts {
  readonly version: string
  readonly ready: () => boolean
  readonly credentials: () => ReadonlyArray<{
    readonly name: string
    /** RFC 3339, or null where there is none. */
    readonly expiresAt: string | null
    readonly lastSuccessAt: string | null
    readonly clockSkewMs: number | null
  }>
}

export interface RequestFacts {
  /** Empty where no route took the request. */
  readonly route: string
  readonly method: string
  readonly status: number | 'aborted'
  readonly durationMs: number
  readonly upstreamMs?: number
}

/** The program's metrics; contract section 7 names them. Every label has bounded values. */
export interface Metrics {
  readonly request: (facts: RequestFacts) => void
  readonly refused: (code: ErrorCode) => void
  readonly injected: (credential: string) => void
  /** A request was sent once more, with a new token of this credential. */
  readonly replayed: (credential: string) => void
  /** Places in answers of this route where a credential was masked. */
  readonly scrubbed: (route: string, count: number) => void
  readonly tokenFetched: (credential: string, kind: 'login' | 'refresh', outcome: 'ok' | 'transient' | 'rejected') => void
  /** A configuration was read again: it took over, or was bad, or could not be put to use. */
  readonly reloaded: (outcome: ReloadOutcome) => void
  /** Prometheus text, or OpenMetrics where the `Accept` header asks for it. */
  readonly render: (accept: string) => Promise<{ readonly contentType: string, readonly body: string }>
}

export type ReloadOutcome = 'ok' | 'invalid' | 'failed'

// Methods that a client makes up must not become series.
const KNOWN_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const OPENMETRICS = 'application/openmetrics-text'

/** Makes the metrics with a registry of their own. */
export function createMetrics (facts: MetricsFacts): Metrics {
  const registry = new Registry<RegistryContentType>()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const requests = new Counter({ name: 'countersign_requests_total', help: 'Requests answered, by route, method and class of status.', labelNames: ['route', 'method', 'status'], registers })
  const duration = new Histogram({ name: 'countersign_request_duration_seconds', help: 'From a request\'s first byte to the end of its answer.', labelNames: ['route'], buckets: SECONDS, registers })
  const upstream = new Histogram({ name: 'countersign_upstream_duration_seconds', help: 'From sending a request upstream to the end of the answer.', labelNames: ['route'], buckets: SECONDS, registers })
  const refusals = new Counter({ name: 'countersign_requests_refused_total', help: 'Requests that the proxy itself answered with an error.', labelNames: ['code'], registers })
  const injections = new Counter({ name: 'countersign_injected_total', help: 'Requests that left with this credential.', labelNames: ['credential'], registers })
  const replays = new Counter({ name: 'countersign_replays_total', help: 'Requests sent once more with a new token after an upstream\'s 401.', labelNames: ['credential'], registers })
  const masked = new Counter({ name: 'countersign_scrubbed_total', help: 'Places in answers where an echoed credential was masked.', labelNames: ['route'], registers })
  const fetches = new Counter({ name: 'countersign_token_fetches_total', help: 'Logins and refreshes at the identity provider.', labelNames: ['credential', 'kind', 'outcome'], registers })
  const reloads = new Counter({ name: 'countersign_reloads_total', help: 'Configurations that were read again: ok, invalid (bad in itself), failed (an address was taken, say).', labelNames: ['outcome'], registers })
  const loadedAt = new Gauge({ name: 'countersign_config_last_reload_success_timestamp_seconds', help: 'When the configuration that serves was taken over.', registers })
  loadedAt.setToCurrentTime()
  const gauge = (name: string, help: string, labelNames: string[], collect: (set: (labels: Record<string, string>, value: number) => void) => void): void => {
    const metric = new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect: () => {
        metric.reset()
        collect((labels, value) => { metric.set(labels, value) })
      }
    })
  }
  gauge('countersign_token_expiry_timestamp_seconds', 'When the current token expires.', ['credential'], (set) => {
    for (const { name, expiresAt } of facts.credentials()) if (expiresAt !== null) set({ credential: name }, Date.parse(expiresAt) / 1000)
  })
  gauge('countersign_token_last_success_timestamp_seconds', 'When the identity provider last gave a token.', ['credential'], (set) => {
    for (const { name, lastSuccessAt } of facts.credentials()) if (lastSuccessAt !== null) set({ credential: name }, Date.parse(lastSuccessAt) / 1000)
  })
  gauge('countersign_clock_skew_seconds', 'The identity provider\'s clock minus ours.', ['credential'], (set) => {
    for (const { name, clockSkewMs } of facts.credentials()) if (clockSkewMs !== null) set({ credential: name }, clockSkewMs / 1000)
  })
  gauge('countersign_ready', '1 while every credential can serve a request.', [], (set) => { set({}, facts.ready() ? 1 : 0) })
  gauge('countersign_build_info', 'The running version.', ['version'], (set) => { set({ version: facts.version }, 1) })

  let turn: Promise<unknown> = Promise.resolve()
  return {
    request: ({ route, method, status, durationMs, upstreamMs }) => {
      requests.inc({ route, method: KNOWN_METHODS.has(method) ? method : 'other', status: status === 'aborted' ? status : `${Math.floor(status / 100)}xx` })
      duration.observe({ route }, durationMs / 1000)
      if (upstreamMs !== undefined) upstream.observe({ route }, upstreamMs / 1000)
    },
    refused: (code) => { refusals.inc({ code }) },
    injected: (credential) => { injections.inc({ credential }) },
    replayed: (credential) => { replays.inc({ credential }) },
    scrubbed: (route, count) => { masked.inc({ route }, count) },
    tokenFetched: (credential, kind, outcome) => { fetches.inc({ credential, kind, outcome }) },
    reloaded: (outcome) => {
      reloads.inc({ outcome })
      if (outcome === 'ok') loadedAt.setToCurrentTime()
    },
    render: (accept) => {
      // The content type is a setting of the registry, so scrapes take turns.
      const scrape = turn.then(async () => {
        registry.setContentType(accept.includes(OPENMETRICS) ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE)
        return { contentType: registry.contentType, body: await registry.metrics() }
      })
      turn = scrape.catch(() => {})
      return scrape
    }
  }
}
