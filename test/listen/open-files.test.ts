import t from 'tap'
import { fittingConnections, readOpenFileLimit } from '#src/listen/open-files.ts'

const DEFAULTS = { connections: 10_000, requests: 2000 }

t.test('as many connections as are configured, or as fit beside those to the upstreams', async (t) => {
  for (const [openFiles, connections] of [
    [undefined, 10_000],
    [1_048_576, 10_000],
    [20_000, 10_000],
    [12_192, 10_000],
    [4096, 1952],
    [1024, 416],
    [256, 32],
    [100, 8]
  ] as const) {
    t.equal(fittingConnections(DEFAULTS, openFiles), connections, String(openFiles))
  }
  t.equal(fittingConnections({ connections: 5, requests: 5 }, 1024), 5)
  t.equal(fittingConnections({ connections: 10_000, requests: 10 }, 1024), 822, 'few requests need few connections upstream')
})

t.test('the limit of this process is read where the system tells it', async (t) => {
  const limit = readOpenFileLimit()
  t.ok(limit === undefined || limit > 20, String(limit))
})
