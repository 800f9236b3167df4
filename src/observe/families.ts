import { boundText, headOf, label, sample, type Family, type FamilyType, type Format, type Labels } from './exposition.ts'
import {
  BOUNDS,
  FETCH_KINDS,
  FETCH_OUTCOMES,
  METHODS,
  STATUS_CLASSES,
  type CredentialNumbers,
  type Histogram,
  type RouteNumbers
} from './numbers.ts'

/** What is read at each scrape. */
export interface MetricsFacts {
  readonly version: string
  readonly ready: () => boolean
  /** One after the other: to work out a thousand takes longer than a request may wait. */
  readonly credentials: () => Iterable<CredentialFacts>
}

/** What is read of a credential. */
interface CredentialFacts {
  readonly name: string
  /** RFC 3339, or null where there is none. */
  readonly expiresAt: string | null
  readonly lastSuccessAt: string | null
  readonly clockSkewMs: number | null
}

/** What was counted so far. */
export interface Counted {
  readonly routes: readonly RouteNumbers[]
  readonly credentials: readonly CredentialNumbers[]
  readonly rejections: ReadonlyMap<string, number>
  readonly reloads: ReadonlyMap<string, number>
  /** Epoch milliseconds. */
  readonly loadedAt: number
}

const REQUESTS = family('countersign_requests_total', 'counter', 'Requests answered, by route, method and class of status.')
const DURATION = family('countersign_request_duration_seconds', 'histogram', 'From a request\'s first byte to the end of its response.')
const UPSTREAM = family('countersign_upstream_duration_seconds', 'histogram', 'From sending a request upstream to the end of the response.')
const REFUSED = family('countersign_requests_refused_total', 'counter', 'Requests that the proxy itself answered with an error.')
const INJECTED = family('countersign_injected_total', 'counter', 'Requests that left with this credential.')
const REPLAYS = family('countersign_replays_total', 'counter', 'Requests sent once more with a new token after an upstream\'s 401.')
const SCRUBBED = family('countersign_scrubbed_total', 'counter', 'Places in responses where an echoed credential was masked.')
const FETCHES = family('countersign_token_fetches_total', 'counter', 'Logins and refreshes at the identity provider.')
const RELOADS = family(
  'countersign_reloads_total',
  'counter',
  'Configurations that were read again: ok, invalid (bad in itself), failed (an address was taken, say).'
)
const LOADED_AT = family(
  'countersign_config_last_reload_success_timestamp_seconds',
  'gauge',
  'When the configuration that serves was taken over.'
)
const EXPIRY = family('countersign_token_expiry_timestamp_seconds', 'gauge', 'When the current token expires.')
const LAST_SUCCESS = family('countersign_token_last_success_timestamp_seconds', 'gauge', 'When the identity provider last gave a token.')
const SKEW = family('countersign_clock_skew_seconds', 'gauge', 'The identity provider\'s clock minus ours.')
const READY = family('countersign_ready', 'gauge', '1 while every credential can serve a request.')
const BUILD = family('countersign_build_info', 'gauge', 'The running version.')

/** Writes all families of the program's own, in small pieces. What never happened has no sample. */
export function * familiesOf (
  { routes, credentials, rejections, reloads, loadedAt }: Counted,
  facts: MetricsFacts,
  format: Format
): Generator<string> {
  const ofRoute = ({ label: name }: RouteNumbers): Labels => label('route', name)
  const ofCredential = ({ name }: CredentialNumbers): Labels => label('credential', name)

  yield headOf(REQUESTS, format)
  for (const route of routes) yield requestSamples(route)
  yield headOf(DURATION, format)
  for (const route of routes) yield histogramSamples(DURATION.name, ofRoute(route), route.duration, format)
  yield headOf(UPSTREAM, format)
  for (const route of routes) yield histogramSamples(UPSTREAM.name, ofRoute(route), route.upstream, format)
  yield headOf(REFUSED, format)
  for (const [code, count] of rejections) yield countSample(REFUSED, label('code', code), count)
  yield headOf(INJECTED, format)
  for (const credential of credentials) yield countSample(INJECTED, ofCredential(credential), credential.injected)
  yield headOf(REPLAYS, format)
  for (const credential of credentials) yield countSample(REPLAYS, ofCredential(credential), credential.replays)
  yield headOf(SCRUBBED, format)
  for (const route of routes) yield countSample(SCRUBBED, ofRoute(route), route.scrubbed)
  yield headOf(FETCHES, format)
  for (const credential of credentials) yield fetchSamples(credential)
  yield headOf(RELOADS, format)
  for (const [outcome, count] of reloads) yield countSample(RELOADS, label('outcome', outcome), count)
  yield headOf(LOADED_AT, format) + sample(LOADED_AT.name, '', loadedAt / 1000)
  yield * credentialGauges(facts.credentials(), format)
  yield headOf(READY, format) + sample(READY.name, '', facts.ready() ? 1 : 0)
  yield headOf(BUILD, format) + sample(BUILD.name, label('version', facts.version), 1)
}

function family (name: string, type: FamilyType, help: string): Family {
  return { name, type, help }
}

function countSample ({ name }: Family, labels: Labels, count: number): string {
  return count === 0 ? '' : sample(name, labels, count)
}

function requestSamples ({ label: name, requests }: RouteNumbers): string {
  let text = ''
  for (const [index, count] of requests.entries()) {
    if (count === 0) continue
    const method = METHODS[Math.floor(index / STATUS_CLASSES.length)] ?? ''
    text += sample(
      REQUESTS.name,
      `${label('route', name)},method="${method}",status="${STATUS_CLASSES[index % STATUS_CLASSES.length] ?? ''}"`,
      count
    )
  }
  return text
}

function fetchSamples ({ name, fetches }: CredentialNumbers): string {
  let text = ''
  for (const [index, count] of fetches.entries()) {
    const kind = FETCH_KINDS[Math.floor(index / FETCH_OUTCOMES.length)] ?? ''
    text += countSample(
      FETCHES,
      `${label('credential', name)},kind="${kind}",outcome="${FETCH_OUTCOMES[index % FETCH_OUTCOMES.length] ?? ''}"`,
      count
    )
  }
  return text
}

function histogramSamples (name: string, labels: Labels, { counts, sum }: Histogram, format: Format): string {
  let text = ''
  let total = 0
  for (const [index, count] of counts.entries()) {
    total += count
    text += sample(`${name}_bucket`, `le="${boundText(BOUNDS[index] ?? Infinity, format)}",${labels}`, total)
  }
  return total === 0 ? '' : text + sample(`${name}_sum`, labels, sum) + sample(`${name}_count`, labels, total)
}

/** A credential is looked at once; then each family has all its samples together. */
function * credentialGauges (credentials: Iterable<CredentialFacts>, format: Format): Generator<string> {
  const seen: CredentialFacts[] = []
  for (const credential of credentials) {
    seen.push(credential)
    // Nothing to write yet, but time to look at the clock.
    yield ''
  }
  yield headOf(EXPIRY, format)
  for (const { name, expiresAt } of seen) yield gaugeSample(EXPIRY, name, secondsOf(expiresAt))
  yield headOf(LAST_SUCCESS, format)
  for (const { name, lastSuccessAt } of seen) yield gaugeSample(LAST_SUCCESS, name, secondsOf(lastSuccessAt))
  yield headOf(SKEW, format)
  for (const { name, clockSkewMs } of seen) yield gaugeSample(SKEW, name, clockSkewMs === null ? undefined : clockSkewMs / 1000)
}

function gaugeSample ({ name }: Family, credential: string, value: number | undefined): string {
  return value === undefined ? '' : sample(name, label('credential', credential), value)
}

function secondsOf (instant: string | null): number | undefined {
  return instant === null ? undefined : Date.parse(instant) / 1000
}
