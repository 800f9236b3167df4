/** What a scrape says of one name. */
export interface ReadFamily {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: ReadSample[]
}

interface ReadSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const HELP = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count']
}
const NUMBER = /^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/
// OpenMetrics, "Canonical Numbers": what a float of Go's looks like, in which whole numbers have a point.
const CANONICAL = /^(?:\d+\.\d+(?:e[+-]\d\d+)?|\+Inf)$/

/**
 * Reads a scrape as strictly as its form is written down (Prometheus text 0.0.4, OpenMetrics 1.0.0).
 *
 * @throws an error that quotes the line at fault
 */
export function readExposition (text: string, format: 'text' | 'openmetrics'): Map<string, ReadFamily> {
  const families = new Map<string, ReadFamily>()
  let current: ReadFamily | undefined
  const series = new Set<string>()
  const lines = linesOf(text, format)
  for (const [index, line] of lines.entries()) {
    const [, name, help] = HELP.exec(line) ?? []
    if (name !== undefined && help !== undefined) {
      const [, named, type] = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(lines[index + 1] ?? '') ?? []
      if (named !== name || type === undefined) fail('HELP without TYPE behind it', line)
      if (families.has(name)) fail('family twice', line)
      if (type === 'counter' && name.endsWith('_total') !== (format === 'text')) fail('_total of a counter', line)
      if (/\\(?![\\n"])|\\"/.test(format === 'text' ? help : help.replaceAll('\\"', ''))) fail('escape in help', line)
      if (format === 'openmetrics' && /(?<!\\)"/.test(help)) fail('bare quote in help', line)
      current = { name, type, help, samples: [] }
      families.set(name, current)
      continue
    }
    if (line.startsWith('# TYPE ') && lines[index - 1]?.startsWith('# HELP ') === true) continue
    if (current === undefined) fail('sample without a family', line)
    const sample = readSample(line)
    if (!namesOf(current, format).includes(sample.name)) fail(`no sample of ${current.name}`, line)
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()])
    if (series.has(key)) fail('series twice', line)
    series.add(key)
    if (current.type !== 'gauge' && !(sample.value >= 0)) fail('count', line)
    current.samples.push(sample)
  }
  for (const family of families.values()) if (family.type === 'histogram') checkHistogram(family, format)
  return families
}

/** The value of a series, its labels in any order; undefined where there is none. */
export function valueOf (
  families: ReadonlyMap<string, ReadFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {}
): number | undefined {
  const wanted = JSON.stringify(Object.entries(labels).sort())
  for (const { samples } of families.values()) {
    const found = samples.find((sample) => sample.name === name && JSON.stringify(Object.entries(sample.labels).sort()) === wanted)
    if (found !== undefined) return found.value
  }
  return undefined
}

function linesOf (text: string, format: 'text' | 'openmetrics'): string[] {
  if (!text.endsWith('\n')) fail('no line end', text.slice(-100))
  const lines = text.slice(0, -1).split('\n')
  if (format === 'openmetrics' && lines.pop() !== '# EOF') fail('no end', text.slice(-100))
  const odd = lines.find((line) => line === '' || line === '# EOF')
  if (odd !== undefined) fail('empty line, or an end before the end', odd)
  return lines
}

function namesOf ({ name, type }: ReadFamily, format: 'text' | 'openmetrics'): string[] {
  if (type === 'counter') return [format === 'text' ? name : `${name}_total`]
  return (SUFFIXES[type] ?? []).map((suffix) => name + suffix)
}

function readSample (line: string): ReadSample {
  const match = SAMPLE.exec(line)
  if (match === null || !NUMBER.test(match[3] ?? '')) fail('no sample', line)
  const labels: Record<string, string> = {}
  let rest = match[2] ?? ''
  while (rest !== '') {
    const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,(?=.)|$)/s.exec(rest)
    if (label === null) fail('label', line)
    const [all, name = '', value = ''] = label
    if (name in labels) fail('label twice', line)
    labels[name] = value.replace(/\\(.)/g, (_, character: string) => character === 'n' ? '\n' : character)
    rest = rest.slice(all.length)
  }
  return { name: match[1] ?? '', labels, value: Number((match[3] ?? '').replace('Inf', 'Infinity')) }
}

// The samples of one label set stand together: buckets by rising bounds up to +Inf, none smaller than the one before, sum, count.
function checkHistogram ({ name, samples }: ReadFamily, format: 'text' | 'openmetrics'): void {
  for (let index = 0; index < samples.length;) {
    let [bound, count] = [-Infinity, 0]
    for (; samples[index]?.name === `${name}_bucket`; index++) {
      const { labels, value } = samples[index] ?? fail('bucket', name)
      const le = labels['le'] ?? fail('bucket without le', name)
      if (format === 'openmetrics' && !CANONICAL.test(le)) fail('le', le)
      const next = Number(le.replace('Inf', 'Infinity'))
      if (!(next > bound) || value < count) fail('bucket out of order', `${name} ${le}`)
      ;[bound, count] = [next, value]
    }
    if (
      bound !== Infinity ||
      samples[index]?.name !== `${name}_sum` ||
      samples[index + 1]?.name !== `${name}_count` ||
      samples[index + 1]?.value !== count
    ) { fail('histogram', name) }
    index += 2
  }
}

function fail (what: string, line: string): never {
  throw new Error(`${what}: ${JSON.stringify(line)}`)
}
