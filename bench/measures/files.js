/** Finds the files of ours that a small GET runs through, as the engine counts it in the unbundled modules. */
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ROOT } from '../../scripts/compile.js'
import { format, openConnections } from '../client/connections.js'
import { portOf, writeConfig } from '../contenders/countersign.js'
import { startProcess } from '../process.js'
import { originOf, startUpstream } from '../upstream/index.js'

const COVERAGE = fileURLToPath(new URL('coverage.js', import.meta.url))
const DIST = pathToFileURL(join(ROOT, 'dist/')).href
/** Several windows: a function that runs now and then is not in every one of them. */
const WINDOWS = 5
const SETTLE_MS = 100

export const files = {
  parts: ['files'],

  /** Returns the files with the calls of their functions, by name, for one GET. */
  async run (bench) {
    bench.say('files')
    const upstream = await startUpstream(bench)
    const config = writeConfig(bench.folder, { ...bench, origin: originOf(upstream) })
    const { said, child, stop } = await startProcess(bench.node, ['--import', COVERAGE, join(ROOT, 'dist/cli.js'), '-c', config], {
      ipc: true
    })
    try {
      const port = portOf(said.address)
      const connections = await openConnections(port, 1)
      const windows = []
      for (let i = 0; i <= WINDOWS; i++) {
        await connections.ask(format(port, { path: '/api/thing' }), 1)
        await pause(SETTLE_MS)
        child.send('calls')
        windows.push((await once(child, 'message'))[0])
      }
      connections.close()
      return { files: inEveryOne(windows.slice(1)) }
    } finally {
      await stop()
      await upstream.stop()
    }
  }
}

/** The files that ran in every window, with the calls of the last one. */
function inEveryOne (windows) {
  const urls = Object.keys(windows[0]).filter((url) => url.startsWith(DIST) && windows.every((calls) => url in calls))
  return Object.fromEntries(urls.sort().map((url) => [url.slice(DIST.length), windows.at(-1)[url]]))
}
