/** The two forms that a scrape may have. */
export type Format = 'text' | 'openmetrics'

/** What a family measures, as Prometheus names it. */
export type FamilyType = 'counter' | 'gauge' | 'histogram' | 'summary'

/** A name that samples share; that of a counter ends with `_total`. */
export interface Family {
  readonly name: string
  readonly type: FamilyType
  readonly help: string
}

/** Labels as {@link sample} takes them: `route="/a",method="GET"`, or nothing. */
export type Labels = string

export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8'
}

/** What stands behind the last family. */
export const ENDS: Readonly<Record<Format, string>> = { text: '', openmetrics: '# EOF\n' }

/** OpenMetrics where the `Accept` header names it and does not like plain text better, else Prometheus text. */
export function chooseFormat (accept: string): Format {
  let [text, openmetrics] = [0, 0]
  for (const element of accept.toLowerCase().split(',')) {
    const [type = '', ...parameters] = element.split(';').map((part) => part.trim())
    const weight = parameters.find((parameter) => parameter.startsWith('q='))
    const quality = weight === undefined ? 1 : Number(weight.slice(2))
    if (type === 'text/plain') text = Math.max(text, quality)
    if (type === 'application/openmetrics-text') openmetrics = Math.max(openmetrics, quality)
  }
  return openmetrics > 0 && openmetrics >= text ? 'openmetrics' : 'text'
}

/** The lines that begin a family. */
export function headOf ({ name, type, help }: Family, format: Format): string {
  // In OpenMetrics `_total` is the name of a counter's sample, not of the counter.
  const family = format === 'openmetrics' && type === 'counter' ? name.replace(/_total$/, '') : name
  const text = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return `# HELP ${family} ${format === 'openmetrics' ? text.replaceAll('"', '\\"') : text}\n# TYPE ${family} ${type}\n`
}

/** A line with a value. */
export function sample (name: string, labels: Labels, value: number): string {
  return labels === '' ? `${name} ${numberText(value)}\n` : `${name}{${labels}} ${numberText(value)}\n`
}

/** A label; in its value the three characters that would end it are escaped. */
export function label (name: string, value: string): Labels {
  return `${name}="${/[\\"\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value}"`
}

/** The bound of a bucket. OpenMetrics has one way to write a number there, with a point in it. */
export function boundText (bound: number, format: Format): string {
  return format === 'openmetrics' && Number.isInteger(bound) ? `${bound}.0` : numberText(bound)
}

function numberText (value: number): string {
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}
