import fc from 'fast-check'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { createMetrics, type Metrics } from '#src/observe/metrics.ts'
import { BOUNDS, countRequest } from '#src/observe/numbers.ts'
import { readExposition, valueOf, type ReadFamily } from '../helpers/exposition-reader.ts'

const OPENMETRICS = 'application/openmetrics-text; version=1.0.0'
const FACTS = { version: '0.0.0', ready: () => true, credentials: () => [] }

async function read (metrics: Metrics, accept = ''): Promise<Map<string, ReadFamily>> {
  return readExposition(await text(metrics.scrape(accept).body), accept === '' ? 'text' : 'openmetrics')
}

t.test('both forms are valid and say the same, whatever the labels hold', async (t) => {
  const hostile = fc.uniqueArray(
    fc.string({ unit: fc.constantFrom('\\', '"', '\n', '\r', '{', '}', ',', '=', ' ', 'n', '#', 'é', '\u0000', '\u2028', '😀') }),
    { minLength: 1, maxLength: 8 }
  )
  await fc.assert(fc.asyncProperty(hostile, async (labels) => {
    const metrics = createMetrics({
      ...FACTS,
      version: labels[0] ?? '',
      credentials: () => labels.map((name) => ({ name, expiresAt: '2026-01-01T00:00:00.500Z', lastSuccessAt: null, clockSkewMs: -1500 }))
    })
    for (const label of labels) {
      countRequest(metrics.route(label), 'GET', 200, 3, 2)
      metrics.credential(label).replays++
      metrics.tokenFetched(label, 'refresh', 'rejected')
    }
    for (const accept of ['', OPENMETRICS, '']) {
      const families = await read(metrics, accept)
      for (const label of labels) {
        t.equal(valueOf(families, 'countersign_requests_total', { route: label, method: 'GET', status: '2xx' }), 1)
        t.equal(valueOf(families, 'countersign_upstream_duration_seconds_count', { route: label }), 1)
        t.equal(valueOf(families, 'countersign_replays_total', { credential: label }), 1)
        t.equal(valueOf(families, 'countersign_token_fetches_total', { credential: label, kind: 'refresh', outcome: 'rejected' }), 1)
        t.equal(
          valueOf(families, 'countersign_token_expiry_timestamp_seconds', { credential: label }),
          Date.parse('2026-01-01T00:00:00.500Z') / 1000
        )
        t.equal(valueOf(families, 'countersign_clock_skew_seconds', { credential: label }), -1.5)
      }
      t.equal(valueOf(families, 'countersign_build_info', { version: labels[0] ?? '' }), 1)
    }
  }), { numRuns: 10 })
})

t.test('a scrape in one form does not change the names of the other', async (t) => {
  const metrics = createMetrics(FACTS)
  const before = [...(await read(metrics)).keys()]
  const open = [...(await read(metrics, OPENMETRICS)).keys()]
  t.same([...(await read(metrics)).keys()], before)
  t.ok(before.includes('process_cpu_seconds_total') && before.includes('countersign_requests_total'))
  t.ok(open.includes('process_cpu_seconds') && open.includes('countersign_requests'))
  t.same(open, before.map((name) => name.replace(/_total$/, (end) => /^nodejs_active_/.test(name) ? end : '')))
})

t.test('counts and durations are those of the requests, by method and class of status', async (t) => {
  const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'get', '']
  const request = fc.record({
    method: fc.constantFrom(...METHODS),
    status: fc.oneof(fc.constant(0), fc.integer({ min: 100, max: 999 })),
    ms: fc.oneof(fc.constantFrom(0, 1, 2.5, 5, 1000, 60_000, 60_000.1), fc.double({ min: 0, max: 1e8, noNaN: true })),
    sent: fc.boolean()
  })
  await fc.assert(fc.asyncProperty(fc.array(request), async (requests) => {
    const metrics = createMetrics(FACTS)
    const numbers = metrics.route('/a')
    for (const { method, status, ms, sent } of requests) countRequest(numbers, method, status, ms, sent ? ms : undefined)
    const families = await read(metrics)
    const expected = new Map<string, number>()
    for (const { method, status } of requests) {
      const key = `${METHODS.indexOf(method) < 7 ? method : 'other'} ${status === 0 ? 'aborted' : `${String(status).slice(0, 1)}xx`}`
      expected.set(key, (expected.get(key) ?? 0) + 1)
    }
    const found = families
      .get('countersign_requests_total')
      ?.samples.map(({ labels, value }) => [`${labels['method'] ?? ''} ${labels['status'] ?? ''}`, value] as const)
    t.same(new Map(found), expected)
    for (const [name, observed] of [['request', requests], ['upstream', requests.filter(({ sent }) => sent)]] as const) {
      const value = (suffix: string, more = {}): number | undefined =>
        valueOf(families, `countersign_${name}_duration_seconds_${suffix}`, { route: '/a', ...more })
      if (observed.length === 0) {
        t.equal(value('count'), undefined, 'what never happened has no sample')
        continue
      }
      t.equal(value('count'), observed.length)
      t.equal(value('sum'), observed.reduce((sum, { ms }) => sum + ms / 1000, 0))
      for (const bound of BOUNDS) t.equal(value('bucket', { le: String(bound) }), observed.filter(({ ms }) => ms / 1000 <= bound).length)
    }
  }), { numRuns: 30 })
})

t.test('a label has the same numbers after a reload, and those of one that is gone do not go', async (t) => {
  const metrics = createMetrics(FACTS)
  const first = metrics.route('/a')
  countRequest(metrics.route('/gone'), 'GET', 200, 1, 1)
  countRequest(first, 'GET', 200, 1, 1)
  for (let reload = 0; reload < 3; reload++) {
    t.equal(metrics.route('/a'), first)
    countRequest(metrics.route('/a'), 'GET', 200, 1, 1)
    metrics.reloaded('ok')
  }
  const families = await read(metrics)
  t.equal(valueOf(families, 'countersign_requests_total', { route: '/a', method: 'GET', status: '2xx' }), 4)
  t.equal(valueOf(families, 'countersign_requests_total', { route: '/gone', method: 'GET', status: '2xx' }), 1)
  t.equal(valueOf(families, 'countersign_reloads_total', { outcome: 'ok' }), 3)
})

t.test('labels that are gone are not kept without end, and none that is in use is forgotten', async (t) => {
  const metrics = createMetrics(FACTS)
  for (let reload = 0; reload < 30; reload++) {
    for (const label of ['/always', ...Array.from({ length: 100 }, (_, index) => `/v${reload}/${index}`)]) {
      countRequest(metrics.route(label), 'GET', 200, 1, undefined)
    }
    if (reload % 3 === 2) metrics.reloaded('failed')
    metrics.reloaded('ok')
  }
  const families = await read(metrics)
  const routes = families.get('countersign_requests_total')?.samples.map(({ labels }) => labels['route']) ?? []
  t.ok(routes.length > 1000 && routes.length < 1300, `${routes.length}`)
  t.equal(valueOf(families, 'countersign_requests_total', { route: '/always', method: 'GET', status: '2xx' }), 30)
  for (let index = 0; index < 100; index++) t.ok(routes.includes(`/v29/${index}`), 'those that a request may come for')
  t.notOk(routes.includes('/v0/0'), 'the oldest are the first to go')
})

t.test('a configuration may have more routes than are kept of those that are gone', async (t) => {
  const metrics = createMetrics(FACTS)
  const labels = Array.from({ length: 3000 }, (_, index) => `/${index}`)
  for (let reload = 0; reload < 3; reload++) {
    for (const label of labels) countRequest(metrics.route(label), 'GET', 200, 1, undefined)
    metrics.reloaded('ok')
  }
  const families = await read(metrics)
  for (const label of labels) if (valueOfRoute(families, label) !== 3) t.fail(label)
  t.equal(families.get('countersign_requests_total')?.samples.length, 3000)
})

t.test('a scrape tells of what was there when its families were written, and of every series once', async (t) => {
  const metrics = createMetrics(FACTS)
  for (let index = 0; index < 500; index++) countRequest(metrics.route(`/${index}`), 'GET', 200, 1, 1)
  let whole = ''
  for await (const piece of metrics.scrape('').body) {
    whole += piece
    // A reload in between: every label is asked for again, and one is new.
    for (let index = 0; index < 500; index++) countRequest(metrics.route(`/${index}`), 'GET', 200, 1, 1)
    countRequest(metrics.route(`/new/${whole.length}`), 'GET', 200, 1, 1)
    metrics.refused('CS_NO_ROUTE')
    metrics.reloaded('ok')
  }
  const families = readExposition(whole, 'text')
  t.equal(families.get('countersign_upstream_duration_seconds')?.samples.length, valueOfCount(families) * 18)
  t.ok(
    (valueOf(families, 'countersign_requests_refused_total', { code: 'CS_NO_ROUTE' }) ?? 0) > 0,
    'what is written later is counted up to then'
  )
})

function valueOfRoute (families: ReadonlyMap<string, ReadFamily>, route: string): number | undefined {
  return families.get('countersign_requests_total')?.samples.find(({ labels }) => labels['route'] === route)?.value
}

function valueOfCount (families: ReadonlyMap<string, ReadFamily>): number {
  return families.get('countersign_requests_total')?.samples.length ?? 0
}
