/** CPU time for a body of 1 GiB, down and up, over one connection, and for uploads that are abandoned. */
import { setTimeout as pause } from 'node:timers/promises'
import { abandonUploads, download, upload } from '../client/streams.js'
import { OURS_QUIET } from '../contenders/countersign.js'
import { readCpu, readMemory } from '../process.js'
import { originOf, startNodeUpstream } from '../upstream/index.js'

const MIB = 2 ** 20
/** Until a proxy has cleared away what was abandoned. */
const SETTLE_MS = 300
const DIRECTIONS = {
  down: (port, mebibytes) => download(port, `/api/stream/${mebibytes}`),
  up: (port, mebibytes) => upload(port, '/api/sink', mebibytes * MIB)
}

export const streams = {
  parts: ['streams'],

  /** Returns for each process of each contender: `down` and `up` in milliseconds per GiB, `abandoned` in microseconds, `peak` in bytes. */
  async run (bench) {
    const figures = {}
    const upstream = await startNodeUpstream(bench)
    try {
      for (let turn = 0; turn < bench.settings.processes; turn++) {
        bench.say(`streams, processes ${turn + 1} of ${bench.settings.processes}`)
        await bench.failures.each(bench.contenders.filter(({ name }) => name !== OURS_QUIET), async (contender) => {
          (figures[contender.name] ??= []).push(await measure(contender, { ...bench, origin: originOf(upstream) }))
        })
      }
    } finally {
      await upstream.stop()
    }
    bench.failures.strike(figures)
    return { streams: figures }
  }
}

async function measure (contender, bench) {
  const { streamMiB, warmUpMiB } = bench.settings
  const { pid, said, stop } = await contender.start(bench)
  try {
    for (const move of Object.values(DIRECTIONS)) await move(said.port, warmUpMiB)
    const figures = {}
    for (const [direction, move] of Object.entries(DIRECTIONS)) {
      const before = readCpu(pid).all
      await move(said.port, streamMiB)
      figures[direction] = (readCpu(pid).all - before) / 1000 * 1024 / streamMiB
    }
    return { ...figures, abandoned: await measureAbandoned(pid, said.port, bench.settings.abandoned), peak: readMemory(pid).peak }
  } finally {
    await stop()
  }
}

async function measureAbandoned (pid, port, count) {
  let before
  // The first time warms up.
  for (const uploads of [Math.ceil(count / 4), count]) {
    before = readCpu(pid).all
    await abandonUploads(port, '/api/sink', uploads)
    await pause(SETTLE_MS)
  }
  return (readCpu(pid).all - before) / count
}
