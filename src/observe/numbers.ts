/** Methods that have a series of their own: one that a client makes up must not become one. */
export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'] as const

/** By the first digit of the status, which goes up to 9; 0 is a request that got no response. */
export const STATUS_CLASSES = ['aborted', '1xx', '2xx', '3xx', '4xx', '5xx', '6xx', '7xx', '8xx', '9xx'] as const

/** Upper bounds of the buckets, in seconds: for a proxy, from a loopback response to the longest usual timeout. */
export const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const

export const FETCH_KINDS = ['login', 'refresh'] as const
export const FETCH_OUTCOMES = ['ok', 'transient', 'rejected'] as const

/** The distribution of some durations. */
export interface Histogram {
  /** Of each bucket alone, not summed up; the last one is for all that is longer than the last bound. */
  readonly counts: Float64Array
  /** Seconds. */
  sum: number
}

/** What is counted of a route. A request adds to these numbers and allocates nothing: no object, no text, no look-up. */
export interface RouteNumbers {
  readonly label: string
  /** Of each method and class of status. */
  readonly requests: Float64Array
  readonly duration: Histogram
  readonly upstream: Histogram
  /** Places in responses where a credential was masked. */
  scrubbed: number
}

/** What is counted of a credential. */
export interface CredentialNumbers {
  readonly name: string
  /** Requests that left with it. */
  injected: number
  /** Requests that were sent once more, with a new token of it. */
  replays: number
  /** Of each kind and outcome. */
  readonly fetches: number[]
}

/** Makes the numbers of a route, all 0. */
export function createRouteNumbers (label: string): RouteNumbers {
  return {
    label,
    requests: new Float64Array(METHODS.length * STATUS_CLASSES.length),
    duration: createHistogram(),
    upstream: createHistogram(),
    scrubbed: 0
  }
}

/** Makes the numbers of a credential, all 0. */
export function createCredentialNumbers (name: string): CredentialNumbers {
  return { name, injected: 0, replays: 0, fetches: new Array<number>(FETCH_KINDS.length * FETCH_OUTCOMES.length).fill(0) }
}

/**
 * Counts a request that is over.
 *
 * @param status 0 where it got no response
 * @param upstreamMs undefined where it was not sent to an upstream
 */
export function countRequest (
  numbers: RouteNumbers,
  method: string,
  status: number,
  durationMs: number,
  upstreamMs: number | undefined
): void {
  add(numbers.requests, methodIndex(method) * STATUS_CLASSES.length + Math.floor(status / 100))
  observe(numbers.duration, durationMs / 1000)
  if (upstreamMs !== undefined) observe(numbers.upstream, upstreamMs / 1000)
}

/** Counts a login or a refresh by its outcome. */
export function countFetch (
  { fetches }: CredentialNumbers,
  kind: (typeof FETCH_KINDS)[number],
  outcome: (typeof FETCH_OUTCOMES)[number]
): void {
  const index = FETCH_KINDS.indexOf(kind) * FETCH_OUTCOMES.length + FETCH_OUTCOMES.indexOf(outcome)
  fetches[index] = (fetches[index] ?? 0) + 1
}

function createHistogram (): Histogram {
  return { counts: new Float64Array(BOUNDS.length + 1), sum: 0 }
}

function observe (histogram: Histogram, seconds: number): void {
  let index = 0
  while (index < BOUNDS.length && seconds > (BOUNDS[index] ?? 0)) index++
  add(histogram.counts, index)
  histogram.sum += seconds
}

function add (counts: Float64Array, index: number): void {
  counts[index] = (counts[index] ?? 0) + 1
}

// A switch, since Node's parser gives the same few texts again and again, which the engine compares by their place.
function methodIndex (method: string): number {
  switch (method) {
    case 'GET': return 0
    case 'HEAD': return 1
    case 'POST': return 2
    case 'PUT': return 3
    case 'PATCH': return 4
    case 'DELETE': return 5
    case 'OPTIONS': return 6
    default: return 7
  }
}
