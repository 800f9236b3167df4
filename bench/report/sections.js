/** The parts of the report: each makes `{ text, charts }` of the figures of its part. */
import { DIRECT } from '../measures/requests.js'
import { BARE, MINIMAL } from '../contenders/node.js'
import { barChart } from './chart.js'
import { median, medianOf, medianRatio, rank, roundsOf } from './figures.js'
import { count, emphasis, kibibytes, mebibytes, micros, millis, seconds, table, times } from './words.js'

const CPU_TITLES = { get: 'A small GET: 15 bytes back', post: 'A POST of 1 KiB: 15 bytes back', '64k': 'A GET with 64 KiB back' }

/** CPU time per request. */
export function cpuSection (part) {
  return (figures) => {
    const [minimal, bare] = [MINIMAL, BARE].map((name) => roundsOf(figures, name))
    const rows = rank(figures, (name) => ({
      value: median(roundsOf(figures, name)),
      processes: figures[name].map((rounds) => median(rounds.map(({ all }) => all)))
    }))
    const versus = (name, reference) => reference === undefined ? '–' : times(medianRatio(roundsOf(figures, name), reference))
    const text = table(
      ['proxy', 'CPU per request', 'of it the main thread', `× ${MINIMAL}`, `× ${BARE}`, 'each process'],
      rows.map(({ name, ours, value, processes }) => {
        const main = roundsOf(figures, name, 'main').filter((spent) => spent !== undefined)
        return [
          emphasis(name, ours),
          micros(value),
          main.length > 0 ? micros(median(main)) : '–',
          versus(name, minimal),
          versus(name, bare),
          processes.map(micros).join(', ')
        ]
      })
    )
    const title = CPU_TITLES[part]
    return {
      title,
      text,
      charts: {
        [`cpu-${part}`]: barChart({
          title,
          subtitle: 'CPU time of the proxy per request; less is better',
          rows: rows.map(({ name, ours, value }) => ({ name, ours, values: [value] })),
          format: micros,
          ...minimal !== undefined && { reference: { name: MINIMAL, value: median(minimal) } }
        })
      }
    }
  }
}

export function latencySection (figures) {
  const connections = [...new Set(Object.values(figures).flat().map((reading) => reading.connections))]
  const parts = connections.map((open) => {
    const at = Object.fromEntries(
      Object.entries(figures).map(([name, readings]) => [name, readings.filter((reading) => reading.connections === open)])
    )
    const rows = rank(at, (name) => ({ value: medianOf(at, name, ({ p50 }) => p50), p99: medianOf(at, name, ({ p99 }) => p99) }))
    const direct = rows.find(({ name }) => name === DIRECT)
    const over = open === 1 ? 'one connection' : `${open} connections`
    const text = table(
      ['proxy', 'p50', 'p99', 'added p50', 'added p99'],
      rows.map(({ name, ours, value, p99 }) => [
        emphasis(name, ours),
        millis(value),
        millis(p99),
        ...(name === DIRECT ? ['–', '–'] : [millis(value - direct.value), millis(p99 - direct.p99)])
      ])
    )
    const title = `Latency of a small GET over ${over}`
    const chart = barChart({
      title,
      subtitle: 'less is better',
      series: ['p50', 'p99'],
      rows: rows.map(({ name, ours, value, p99 }) => ({ name, ours, values: [value, p99] })),
      format: millis
    })
    return { name: `latency-${open}`, text: `Over ${over}, each asking again as soon as it is answered:\n\n${text}`, chart }
  })
  return {
    title: 'Latency',
    text: parts.map(({ text }) => text).join('\n\n'),
    charts: Object.fromEntries(parts.map(({ name, chart }) => [name, chart]))
  }
}

export function streamsSection (figures) {
  const read = (name, what) => medianOf(figures, name, (turn) => turn[what])
  const rows = rank(figures, (name) => ({ value: read(name, 'down'), up: read(name, 'up') }))
  const versus = (name, what) =>
    figures[BARE] === undefined ? '–' : times(medianRatio(...[name, BARE].map((who) => figures[who].map((turn) => turn[what]))))
  const title = '1 GiB over one connection'
  return {
    title,
    text: [
      table(
        ['proxy', 'CPU down', 'CPU up', `down × ${BARE}`, `up × ${BARE}`, 'peak RSS'],
        rows.map(({ name, ours, value, up }) => [
          emphasis(name, ours),
          millis(value),
          millis(up),
          versus(name, 'down'),
          versus(name, 'up'),
          mebibytes(read(name, 'peak'))
        ])
      ),
      'Uploads that the client abandons after 64 KiB of 1 MiB, each over a connection of its own:',
      table(
        ['proxy', 'CPU for each', `× ${BARE}`],
        rank(figures, (name) => ({ value: read(name, 'abandoned') })).map(({ name, ours, value }) => [
          emphasis(name, ours),
          micros(value),
          versus(name, 'abandoned')
        ])
      )
    ].join('\n\n'),
    charts: {
      streams: barChart({
        title,
        subtitle: 'CPU time of the proxy per GiB; less is better',
        series: ['down', 'up'],
        rows: rows.map(({ name, ours, value, up }) => ({ name, ours, values: [value, up] })),
        format: millis
      })
    }
  }
}

export function loginsSection (figures, { settings }) {
  const arms = [['quiet', 'in quiet'], ['logins', `while ${settings.logins} credentials log in`]]
  const rows = arms.map(([arm, name]) => ({
    name,
    values: ['p50', 'p99', 'max'].map((share) => median(figures.map((turn) => turn[arm][share])))
  }))
  const title = `Requests while ${settings.logins} Cognito credentials log in`
  return {
    title,
    text: [
      table(
        ['', 'p50', 'p99', 'longest'],
        rows.map(({ name, values }) => [name, ...values.map(millis)])
      ),
      `${settings.pace} requests a second at an even pace through a warm process. The credentials arrive with a reload and log in over SRP, with the default limits of logins; all had a token after ${seconds(median(figures.map(({ loginS }) => loginS)))}. The identity provider has a process of its own, at the lowest priority.`
    ].join('\n\n'),
    charts: {
      logins: barChart({
        title,
        subtitle: 'latency; less is better',
        series: ['p50', 'p99'],
        rows: rows.map(({ name, values: [p50, p99] }) => ({ name, ours: true, values: [p50, p99] })),
        format: millis
      })
    }
  }
}

export function memorySection (figures, { settings }, parts) {
  const loaded = parts.loaded?.figures ?? {}
  const rows = rank(figures.idle, (name) => ({
    value: medianOf(figures.idle, name, Number),
    loaded: medianOf(loaded, name, ({ peak }) => peak),
    connection: medianOf(figures.connection, name, Number)
  }))
  const cell = (value, write) => value === undefined ? '–' : write(value)
  const routes = Object.keys(figures.route).map((name) => [emphasis(name, name !== BARE), kibibytes(medianOf(figures.route, name, Number))])
  const title = 'Memory'
  return {
    title,
    text: [
      table(
        ['proxy', 'RSS idle', 'most under load', 'each idle connection'],
        rows.map(({ name, ours, value, loaded, connection }) => [
          emphasis(name, ours),
          mebibytes(value),
          cell(loaded, mebibytes),
          kibibytes(connection)
        ])
      ),
      `With one Cognito credential, logged in: ${mebibytes(median(figures.cognito))}. An idle connection has had one request; ${count(settings.idleConnections[0])} and ${count(settings.idleConnections[1])} of them are compared.`,
      table(['proxy', `each of ${count(settings.routes)} routes`], routes)
    ].join('\n\n'),
    charts: {
      memory: barChart({
        title: 'Resident memory',
        subtitle: 'less is better',
        series: ['idle', 'most under load'],
        rows: rows.map(({ name, ours, value, loaded }) => ({ name, ours, values: [value, loaded ?? 0] })),
        format: mebibytes
      })
    }
  }
}

export function startSection (figures) {
  const rows = rank(figures, (name) => ({
    value: medianOf(figures, name, ({ ms }) => ms),
    cpu: medianOf(figures, name, ({ cpuMs }) => cpuMs)
  }))
  const title = 'From exec to listening'
  return {
    title,
    text: table(
      ['what starts', 'time', 'CPU'],
      rows.map(({ name, ours, value, cpu }) => [emphasis(name, ours), millis(value), millis(cpu)])
    ),
    charts: {
      start: barChart({
        title,
        subtitle: 'less is better',
        rows: rows.map(({ name, ours, value }) => ({ name, ours, values: [value] })),
        format: millis
      })
    }
  }
}

export function scrapeSection (figures, { settings }) {
  const rows = [
    ['quiet', 'in quiet'],
    ['scraped', 'while it is read']
  ].map(([arm, name]) => [name, ...['p50', 'p99', 'max'].map((share) => millis(median(figures.map((turn) => turn[arm][share]))))])
  const pages = figures.flatMap((turn) => turn.pages)
  return {
    title: `Requests while \`/metrics\` is read, with ${count(settings.routes)} routes and as many credentials`,
    text: [
      table(['', 'p50', 'p99', 'longest'], rows),
      `The page has ${mebibytes(median(pages.map(({ bytes }) => bytes)))} and takes ${millis(median(pages.map(({ ms }) => ms)))}.`
    ].join('\n\n'),
    charts: {}
  }
}

export function filesSection (figures) {
  const names = Object.keys(figures)
  const calls = Object.entries(figures['app.js'] ?? {}).map(([name, calls]) => `\`${name}\` (${calls})`)
  return {
    title: 'The way of a small GET',
    text: [
      `${names.length} files of \`src\` run for it: ${names.map((name) => `\`${name.replace(/\.js$/, '.ts')}\``).join(', ')}.`,
      `Functions of \`app.ts\`, with their calls: ${calls.join(', ') || 'none'}.`
    ].join('\n\n'),
    charts: {}
  }
}
