/**
 * Measures how logins slow down requests that need none: a warm process gets requests at an even pace, first in quiet, then
 * while a reload brings it credentials that all log in.
 */
import { renameSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { format, openConnections } from '../client/connections.js'
import { askAtPace } from '../client/pace.js'
import { startCountersign, writeConfig } from '../contenders/countersign.js'
import { nextLine } from '../process.js'
import { summary } from '../report/figures.js'
import { CONNECTIONS } from '../settings.js'
import { cognitoCredential } from '../upstream/identity.js'
import { originOf, startIdentityProvider, startUpstream } from '../upstream/index.js'

const POLL_MS = 100

export const logins = {
  parts: ['logins'],

  /** Returns for each process the latencies in quiet and during the logins, and how long those took. */
  async run (bench) {
    const figures = []
    const upstream = await startUpstream(bench)
    try {
      for (let turn = 0; turn < bench.settings.processes; turn++) {
        bench.say(`logins, process ${turn + 1} of ${bench.settings.processes}`)
        figures.push(await measure({ ...bench, origin: originOf(upstream) }))
      }
    } finally {
      await upstream.stop()
    }
    return { logins: figures }
  }
}

async function measure (bench) {
  const { logins: count, pace, quietS, warmUp } = bench.settings
  const provider = await startIdentityProvider(bench, count)
  const credential = { type: 'static', value: bench.token }
  const calm = writeConfig(bench.folder, bench)
  const { said, child, stop } = await startCountersign(bench, calm)
  try {
    const message = format(said.port, { path: '/api/thing?x=1' })
    const warm = await openConnections(said.port, CONNECTIONS)
    await warm.ask(message, warmUp)
    warm.close()
    const quiet = await askAtPace(said.port, message, pace, AbortSignal.timeout(quietS * 1000))
    const names = Array.from({ length: count }, (_, id) => `user-${id}`)
    const busy = writeConfig(bench.folder, bench, {
      credentials: {
        bench: credential,
        ...Object.fromEntries(names.map((name, id) => [name, cognitoCredential(id, provider.said.cognito)]))
      },
      routes: ['bench', ...names].map((name) => ({
        prefix: name === 'bench' ? '/api' : `/${name}`,
        upstream: `http://${bench.origin}`,
        credential: name
      }))
    })
    // The reload itself is not what is measured: its own cost ends with its line in the log.
    const reloaded = nextLine(child, /"configuration reloaded"/)
    renameSync(busy, calm)
    await reloaded
    const startedAt = performance.now()
    const done = new AbortController()
    const [times, loginS] = await Promise.all([
      askAtPace(said.port, message, pace, done.signal),
      ready(said.adminPort).then(() => (performance.now() - startedAt) / 1000).finally(() => { done.abort() })
    ])
    return { quiet: summary(quiet), logins: summary(times), loginS }
  } finally {
    await stop()
    await provider.stop()
  }
}

/** Resolves when every credential has a token. */
async function ready (adminPort) {
  while ((await fetch(`http://127.0.0.1:${adminPort}/ready`)).status !== 200) await pause(POLL_MS)
}
