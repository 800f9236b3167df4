/** The targets of the project, and whether they are met. */
import { DIRECT } from '../measures/requests.js'
import { OURS } from '../contenders/countersign.js'
import { BARE, MINIMAL } from '../contenders/node.js'
import { median, medianOf, medianRatio, roundsOf } from './figures.js'
import { kibibytes, mebibytes, micros, millis, table, times } from './words.js'

const MIB = 2 ** 20

/** The targets: `figure (parts)` is undefined where its part was not measured. `limit` may be a figure too. */
const TARGETS = [
  { what: `CPU per small GET, × ${MINIMAL}`, limit: 1, write: times, figure: ({ get }) => cpuRatio(get) },
  { what: `CPU per POST of 1 KiB, × ${MINIMAL}`, limit: 1, write: times, figure: ({ post }) => cpuRatio(post) },
  { what: `CPU per GET of 64 KiB, × ${MINIMAL}`, limit: 0.8, write: times, figure: (parts) => cpuRatio(parts['64k']) },
  ...['p50', 'p99'].map((share) => ({
    what: `added latency at one connection, ${share} (limit: ${MINIMAL})`,
    write: (value) => micros(value * 1000),
    limit: ({ latency }) => added(latency, MINIMAL, share),
    figure: ({ latency }) => added(latency, OURS, share)
  })),
  {
    what: 'p99 while credentials log in, × quiet',
    limit: 1.3,
    write: times,
    figure: ({ logins }) => logins && median(logins.map((turn) => turn.logins.p99 / turn.quiet.p99))
  },
  { what: `CPU for 1 GiB down, × ${BARE}`, limit: 1, write: times, figure: ({ streams }) => streamRatio(streams, 'down') },
  { what: `CPU for 1 GiB up, × ${BARE}`, limit: 1, write: times, figure: ({ streams }) => streamRatio(streams, 'up') },
  { what: `CPU for an abandoned upload, × ${BARE}`, limit: 1.2, write: times, figure: ({ streams }) => streamRatio(streams, 'abandoned') },
  { what: `exec to listening, × ${BARE}`, limit: 1, write: times, figure: ({ start }) => startRatio(start) },
  { what: 'what further routes add to the start', limit: 300, write: millis, figure: ({ start }) => addedByRoutes(start) },
  {
    what: 'RSS idle, static credential',
    limit: 80 * MIB,
    write: mebibytes,
    figure: ({ memory }) => memory && medianOf(memory.idle, OURS, Number)
  },
  { what: 'RSS idle, Cognito credential', limit: 100 * MIB, write: mebibytes, figure: ({ memory }) => memory && median(memory.cognito) },
  { what: 'each route', limit: 24 * 1024, write: kibibytes, figure: ({ memory }) => memory && medianOf(memory.route, OURS, Number) },
  {
    what: 'each idle connection',
    limit: 20 * 1024,
    write: kibibytes,
    figure: ({ memory }) => memory && medianOf(memory.connection, OURS, Number)
  },
  {
    what: 'longest request while `/metrics` is read',
    limit: 10,
    write: millis,
    figure: ({ scrape }) => scrape && median(scrape.map(({ scraped }) => scraped.max))
  },
  { what: 'files that a small GET runs through', limit: 14, write: String, figure: ({ files }) => files && Object.keys(files).length },
  {
    what: 'calls of functions of `app` for it (entries are at most these)',
    limit: 1,
    write: String,
    figure: ({ files }) => files && callsOfApp(files)
  }
]

/** The table of targets for the figures by part. */
export function targetsTable (parts) {
  return table(['what', 'at most', 'figure', 'met'], TARGETS.map(({ what, limit, write, figure }) => {
    const [most, value] = [typeof limit === 'function' ? limit(parts) : limit, figure(parts)]
    const cell = (it) => it === undefined ? '–' : write(it)
    return [what, cell(most), cell(value), value === undefined || most === undefined ? 'not measured' : value <= most ? 'yes' : '**no**']
  }))
}

function cpuRatio (figures) {
  const [ours, minimal] = [OURS, MINIMAL].map((name) => figures && roundsOf(figures, name))
  return ours && minimal && medianRatio(ours, minimal)
}

function streamRatio (figures, what) {
  const [ours, bare] = [OURS, BARE].map((name) => figures?.[name]?.map((turn) => turn[what]))
  return ours && bare && medianRatio(ours, bare)
}

function added (figures, name, share) {
  const [value, direct] = [name, DIRECT].map((who) => figures && medianOf(withOneConnection(figures), who, (reading) => reading[share]))
  return value === undefined ? undefined : value - direct
}

function withOneConnection (figures) {
  return Object.fromEntries(
    Object.entries(figures).map(([name, readings]) => [name, readings.filter(({ connections }) => connections === 1)])
  )
}

function startRatio (figures) {
  const [ours, bare] = [OURS, BARE].map((name) => figures && medianOf(figures, `${name}, 1 route`, ({ ms }) => ms))
  return bare === undefined ? undefined : ours / bare
}

function addedByRoutes (figures) {
  if (figures === undefined) return undefined
  const many = Object.keys(figures).find((name) => name.startsWith(OURS) && name.endsWith(' routes'))
  return medianOf(figures, many, ({ ms }) => ms) - medianOf(figures, `${OURS}, 1 route`, ({ ms }) => ms)
}

function callsOfApp (files) {
  return Object.values(files['app.js'] ?? {}).reduce((sum, calls) => sum + calls, 0)
}
