import { collectDefaultMetrics, Registry } from 'prom-client'
import { boundText, headOf, label, sample, type Family, type Format } from './exposition.ts'

/** Measures one family of the process and writes it. */
export type ProcessFamily = (format: Format) => Promise<string>

/**
 * Begins to watch the process (`process_*`, `nodejs_*`) as prom-client does. Each family is measured by itself: to count files
 * or handles takes milliseconds where there are thousands.
 */
export function watchProcess (): readonly ProcessFamily[] {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return registry.getMetricsAsArray().flatMap(({ name }) => {
    const metric = registry.getSingleMetric(name)
    return metric === undefined ? [] : [async (format: Format) => writeFamily(await metric.get(), format)]
  })
}

interface Measured extends Omit<Family, 'type'> {
  /** An enumeration of prom-client's, whose values are these. */
  readonly type: unknown
  readonly values: ReadonlyArray<{ readonly value: number, readonly labels: object, readonly metricName?: string }>
}

// prom-client's own writer gives counters other names for good once it has written OpenMetrics.
function writeFamily ({ name, help, type, values }: Measured, format: Format): string {
  const family: Family = { name, help, type: type as Family['type'] }
  return (
    headOf(family, format) +
    values.map(({ value, labels, metricName = name }) => sample(metricName, labelsOf(labels, format), value)).join('')
  )
}

function labelsOf (labels: object, format: Format): string {
  return Object.entries(labels)
    .map(([name, value]) => label(name, name === 'le' && typeof value === 'number' ? boundText(value, format) : String(value)))
    .join()
}
