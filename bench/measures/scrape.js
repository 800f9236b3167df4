/** The longest that a request waits while `/metrics` is read, with many routes and many credentials that all have series. */
import { setTimeout as pause } from 'node:timers/promises'
import { format, openConnection, openConnections } from '../client/connections.js'
import { askAtPace } from '../client/pace.js'
import { scrape as readMetrics } from '../client/streams.js'
import { startCountersign, writeConfig } from '../contenders/countersign.js'
import { summary } from '../report/figures.js'
import { CONNECTIONS } from '../settings.js'
import { originOf, startIdentityProvider, startUpstream } from '../upstream/index.js'

const BETWEEN_MS = 500

export const scrape = {
  parts: ['scrape'],

  /** Returns for each process the latencies in quiet and around the scrapes, the size of the page and how long it took. */
  async run (bench) {
    const figures = []
    const upstream = await startUpstream(bench)
    const provider = await startIdentityProvider(bench)
    try {
      for (let turn = 0; turn < bench.settings.processes; turn++) {
        bench.say(`scrape, process ${turn + 1} of ${bench.settings.processes}`)
        figures.push(await measure({ ...bench, origin: originOf(upstream), tokenUrl: provider.said.tokenUrl }))
      }
    } finally {
      await upstream.stop()
      await provider.stop()
    }
    return { scrape: figures }
  }
}

async function measure (bench) {
  const { pace, quietS, routes, scrapes, warmUp } = bench.settings
  const names = Array.from({ length: routes }, (_, id) => `name-${id}`)
  const { said, stop } = await startCountersign(
    bench,
    writeConfig(bench.folder, bench, {
      credentials: Object.fromEntries(
        names.map((name) => [name, { type: 'oauth2', tokenUrl: bench.tokenUrl, clientId: name, clientSecret: 'bench-secret' }])
      ),
      routes: names.map((name) => ({ prefix: `/${name}`, upstream: `http://${bench.origin}`, credential: name })),
      logins: { concurrency: 16, perSecond: 1000 }
    })
  )
  try {
    while ((await fetch(`http://127.0.0.1:${said.adminPort}/ready`)).status !== 200) await pause(100)
    const visitor = await openConnection(said.port)
    for (const name of names) {
      await new Promise((resolve, reject) => {
        visitor.ask(format(said.port, { path: `/${name}/thing` }), resolve, reject)
      })
    }
    visitor.close()
    const message = format(said.port, { path: `/${names[0]}/thing` })
    const warm = await openConnections(said.port, CONNECTIONS)
    await warm.ask(message, warmUp)
    warm.close()
    await readMetrics(said.adminPort, '/metrics')
    const quiet = await askAtPace(said.port, message, pace, AbortSignal.timeout(quietS * 500))
    const done = new AbortController()
    const [times, pages] = await Promise.all([
      askAtPace(said.port, message, pace, done.signal),
      readPages(said.adminPort, scrapes).finally(() => { done.abort() })
    ])
    return { quiet: summary(quiet), scraped: summary(times), pages }
  } finally {
    await stop()
  }
}

async function readPages (adminPort, count) {
  const pages = []
  for (let i = 0; i < count; i++) {
    await pause(BETWEEN_MS)
    const startedAt = performance.now()
    const bytes = await readMetrics(adminPort, '/metrics')
    pages.push({ bytes, ms: performance.now() - startedAt })
  }
  await pause(BETWEEN_MS)
  return pages
}
