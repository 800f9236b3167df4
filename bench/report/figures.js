/** Arithmetic of the report. */
import { OURS } from '../contenders/countersign.js'

export function median (values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The value below which a share of sorted values lies. */
function percentile (sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)]
}

/** The median of what one cost divided by what another did in the same round. */
export function medianRatio (values, reference) {
  return median(values.map((value, index) => value / reference[index]))
}

/** Sums many latencies up. */
export function summary (times) {
  const sorted = Float64Array.from(times).sort()
  return { count: sorted.length, p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), max: sorted.at(-1) }
}

/** Of CPU time by process and round: all rounds of a contender in a row, of `all` threads or the `main` one. */
export function roundsOf (figures, name, threads = 'all') {
  return figures[name]?.flat().map((round) => round[threads])
}

/** The median over the processes of one number of each; undefined where the contender was not there. */
export function medianOf (figures, name, read) {
  return figures[name] === undefined ? undefined : median(figures[name].map(read))
}

/** Rows of `{ name, ours, … }` from the contenders of some figures, the least value first. */
export function rank (figures, read) {
  return Object.keys(figures).map((name) => ({ name, ours: name.startsWith(OURS), ...read(name) })).sort((a, b) => a.value - b.value)
}
